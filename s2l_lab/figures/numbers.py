"""numbers.json: a report for programs. Schema 1, all floats in full precision.

Undefined is null, never NaN (which is no JSON) and never 0; beside every null stand the counts that say why: outcomes,
n, N. The file holds what tables and figure show and nothing that they do not.
"""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from s2l_lab.figures.caption import crossing_words
from s2l_lab.figures.passk import chosen_curve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.estimators import Comparison
    from s2l_lab.passk.report import PasskReport, PolicyReport

SCHEMA = 1


def numbers(report: PasskReport) -> dict[str, Any]:
    """The report as plain JSON values: `curves`, `crossings`, `differences`, `policies` and provenance."""
    values = plain(
        {
            "schema": SCHEMA,
            "benchmark": {
                "name": report.benchmark,
                "digest": report.benchmark_digest,
                "provenance": report.provenance,
                "n_problems": report.n_problems,
            },
            "sampling": report.sampling.model_dump(mode="json"),
            "n_rollouts": report.n_rollouts,
            "unknown": report.unknown,
            "left_out": report.left_out,
            "verifier_version": report.verifier_version,
            "command": report.command,
            "run_directory": str(report.run_directory),
            "sampled": report.sampled,
            "seconds": report.seconds,
            "curves": [_curve(report, policy) for policy in report.policies],
            "crossings": [_crossing(c) for c in report.comparisons],
            "differences": [_difference(c) for c in report.comparisons],
            "policies": [_policy(policy, report.interval) for policy in report.policies],
        }
    )
    return dict(values)


def study_numbers(study: str, about: Sequence[str], **values: Any) -> dict[str, Any]:
    """A study for programs: schema 1, plain JSON values, undefined is null beside its counts."""
    return dict(plain({"schema": SCHEMA, "study": study, "about": list(about)} | values))


def as_json(values: dict[str, Any]) -> str:
    """The text of numbers.json. Raises ValueError for a NaN that escaped `plain`."""
    return json.dumps(values, allow_nan=False, ensure_ascii=False) + "\n"


def _curve(report: PasskReport, policy: PolicyReport) -> dict[str, Any]:
    """pass@k with the chosen interval."""
    curve = chosen_curve(policy, report.interval)
    names = {"policy": policy.name, "benchmark": report.benchmark, "sampling": report.sampling.model_dump(mode="json")}
    return {**names, **plain(curve)}


def _crossing(comparison: Comparison) -> dict[str, Any]:
    """What the band shows of one pair; `b` is the larger. `k_set` ends in null for "none by N", or is null for it."""
    found = plain(comparison.crossing)
    return {"a": comparison.a, "b": comparison.b, **found, "words": crossing_words(comparison)}


def _difference(comparison: Comparison) -> dict[str, Any]:
    """pass@k of b minus pass@k of a with interval and band."""
    return {name: value for name, value in plain(comparison).items() if name != "crossing"}


def _policy(policy: PolicyReport, interval: str) -> dict[str, Any]:
    """Everything about one policy that is not its pass@k curve."""
    curve = policy.curve_rollouts
    return {
        "policy": policy.name,
        "shape": policy.shape,
        "outcomes": policy.outcomes,
        "no_data": policy.no_data,
        "cover": policy.cover,
        "maj": [{"k": k} | plain(estimate) for k, estimate in policy.maj],
        "maj_rollouts": [{"k": k} | plain(estimate) for k, estimate in policy.maj_rollouts],
        "pass_hat": policy.pass_hat_problems if interval == "problems" else policy.pass_hat_rollouts,
        "guess": {"k": curve.k, "uniform": policy.guess_uniform, "own_answers": policy.guess_own},
        "cost": {
            "completion_tokens": policy.completion_tokens,
            "prompt_tokens": policy.prompt_tokens,
            "mean_length": policy.mean_length,
            "flops_per_rollout": policy.flops_per_rollout,
        },
        "mean_entropy": policy.mean_entropy,
        "distinct": policy.distinct,
        "cut_short": policy.cut_short,
        "remarks": policy.remarks,
    }


def plain(value: Any) -> Any:
    """`value` with arrays as lists, records as objects, NumPy scalars as Python's, NaN and infinity as null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = {f.name: f.metadata.get("numbers", f.name) for f in dataclasses.fields(value)}
        return {shown: plain(getattr(value, name)) for name, shown in names.items() if shown}
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
