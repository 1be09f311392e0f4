"""The within-policy metrics, by name. To add one, write its file and add the file's name to FILES."""

from __future__ import annotations

from importlib import import_module

from s2l_lab.diversity.metric import Metric

FILES = (
    "answers",
    "strategies",
    "ngrams",
    "edit",
    "distinct",
    "compression",
    "equation_sets",
    "vendi",
)
"""Modules of this folder whose METRICS are shown, in this order."""

METRICS: dict[str, Metric] = {
    metric.name: metric for file in FILES for metric in import_module(f"{__package__}.{file}").METRICS
}
"""Every metric by name, in the order in which they are shown."""
