"""What the metric-validity study found of each metric: the mark that stands beside its name wherever it is shown.

`validity.json` is the numbers.json of `s2l-lab figures metric-validity` at scale mini, committed here so that an
installed package knows it: strategies known, phrasing varied independently of them, on the embedded family's traces.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources

MARKS_FILE = "validity.json"
WORDS = {
    "strategy": "follows strategies, not phrasing",
    "both": "follows strategies and phrasing",
    "phrasing only": "moves with phrasing only",
    "neither": "follows neither",
    "undetermined": "could not be told",
}
SIGNS = {"strategy": "", "both": "~", "phrasing only": "!", "neither": "?", "undetermined": "?"}
"""Beside a metric's name in a table."""


@cache
def metric_marks() -> dict[str, str]:
    """Mark (a key of WORDS) by metric name; a metric that the study does not cover has none."""
    text = resources.files(__package__).joinpath(MARKS_FILE).read_text(encoding="utf-8")
    return {name: found["mark"] for name, found in json.loads(text)["metrics"].items()}
