"""The words around a number: benchmark, n, N, sampling parameters, what the interval is about, verifier, data, command.

Tables and figures say the same because they take it from here. All of it is plain text: who prints it escapes it.
"""

from __future__ import annotations

import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.figures.cover import cover_words
from s2l_lab.figures.markup import printable, shortened
from s2l_lab.rollouts.repeats import is_greedy

if TYPE_CHECKING:
    from s2l_lab.estimators import Comparison
    from s2l_lab.passk.report import PasskReport
    from s2l_lab.policies import SamplingParams

INTERVAL_MEANS = {
    "rollouts": "these problems, other rollouts",
    "problems": "other problems of this kind",
    "seeds": "other training runs",
}
"""What was resampled, in words a reader can check a claim against."""
NAME = 20
"""Characters that a verdict has for each name."""


def sampling_text(sampling: SamplingParams) -> str:
    """The sampling parameters on one line; those that change nothing are left out, top-p and top-k never."""
    parts = [f"T {sampling.temperature:g}", f"top-p {sampling.top_p:g}", f"top-k {sampling.top_k or 'off'}"]
    if sampling.min_p:
        parts.append(f"min-p {sampling.min_p:g}")
    if sampling.presence_penalty:
        parts.append(f"presence penalty {sampling.presence_penalty:g}")
    parts.append(f"at most {sampling.max_tokens} tokens")
    if sampling.stop:
        parts.append(f"stop {', '.join(map(repr, sampling.stop))}")
    return ", ".join([*parts, f"seed {sampling.seed}"])


def drawn_units(clusters: int | None) -> str:
    """What an interval about problems resampled, in words."""
    return "problems" if clusters is None else f"{clusters} clusters of problems, each whole"


def caption_lines(report: PasskReport) -> list[str]:
    """Plain lines: the data, the sampling, what the intervals are about, the references, the provenance."""
    level = f"{report.policies[0].curve_problems.level:.0%}"
    drawn = drawn_units(report.policies[0].curve_problems.n_clusters)
    errors = sum(policy.outcomes.get("verifier_error", 0) for policy in report.policies)
    lines = [
        f"{report.benchmark}: n = {report.n_problems} problems, N = {report.n_rollouts} rollouts per problem and policy"
        f"{_unknown_words(report, errors)}.",
        f"Sampling: {sampling_text(report.sampling)}.",
        *_draw_lines(report),
        f"pass@k: unbiased estimate with {level} intervals about {INTERVAL_MEANS[report.interval]} "
        f"(resampled: {drawn if report.interval == 'problems' else report.interval}).",
    ]
    about = f"{level} intervals about {INTERVAL_MEANS['problems']} (resampled: {drawn})"
    lines.append(f"maj@k: {about}.")
    if report.comparisons:
        lines[-1] = f"maj@k, differences: {about}; the differences' band is simultaneous over all k and pairs."
    lines.append(cover_words(report.policies[0].cover.level))
    if any(policy.guess_uniform is not None or policy.guess_own is not None for policy in report.policies):
        lines.append("Guessers: uniform over the answer space, or drawing a policy's answers to the other problems.")
    return [*lines, f"Verifier {report.verifier_version}; data {report.benchmark_digest}; made by: {report.command}"]


def _draw_lines(report: PasskReport) -> list[str]:
    """How different the rollouts are, how many were cut before max_tokens, and what is known of servers."""
    lines = []
    distinct = {policy.name: policy.distinct for policy in report.policies if policy.distinct is not None}
    if report.n_rollouts > 1 and is_greedy(report.sampling):
        lines.append(f"Greedy decoding repeats one completion: N = {report.n_rollouts} says no more than N = 1.")
    elif report.n_rollouts > 1 and distinct:
        medians = ", ".join(f"{name} {np.median(d.texts_P):g}" for name, d in distinct.items())
        lines.append(f"Different completions of a problem, median of N = {report.n_rollouts}: {medians}.")
    lines += [
        f"{policy.name}: {policy.cut_short} rollouts were cut before {report.sampling.max_tokens} tokens by a context "
        "or a server's own cap; they count as truncated."
        for policy in report.policies
        if policy.cut_short
    ]
    return lines + [f"{policy.name}: {'; '.join(policy.remarks)}." for policy in report.policies if policy.remarks]


def _unknown_words(report: PasskReport, errors: int) -> str:
    """How many rollouts have no verdict, and what they count as."""
    if report.unknown == "bounds":
        return f", {errors} rollouts without a verdict (drawn as bounds)" if errors else ""
    problems = f" (and every rollout of {len(report.left_out)}, which had none)" if report.left_out else ""
    return f" with a verdict at least; {errors} without one{problems} are left out as missing at random"


def wrapped(lines: list[str], width: int) -> list[str]:
    """`lines` broken to at most `width` characters, each piece printable."""
    return [piece for line in lines for piece in textwrap.wrap(printable(line), width) or [""]]


def crossing_words(comparison: Comparison) -> str:
    """`Comparison.words` with names that fit a panel. Plain text, not escaped."""
    return replace(comparison, a=shortened(comparison.a, NAME), b=shortened(comparison.b, NAME)).words()
