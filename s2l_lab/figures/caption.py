"""Captions: what is shown, then n, N and the interval in one line, then the details that a reader rarely needs.

Details are how the numbers were made: sampling, verifier, hashes, command. Their line begins with DETAILS and is the
last one; pages and the app put it behind "Details", printed figures set it smaller. Tables and figures take their words
from here, so they say the same. Everything is plain text; the caller escapes it.
"""

from __future__ import annotations

import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.figures.cover import cover_words
from s2l_lab.figures.markup import printable, shortened
from s2l_lab.rollouts.repeats import is_greedy
from s2l_lab.studies.study import DETAILS, details

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.estimators import Comparison
    from s2l_lab.passk.report import PasskReport
    from s2l_lab.policies import SamplingParams

INTERVAL_MEANS = {
    "rollouts": "rollouts of the same problems",
    "problems": "problems",
    "seeds": "training seeds",
}
"""What an interval is over, by what was resampled: "95 % CI over problems"."""
NAME = 20
"""Maximum length of a policy's name in the words about a crossing, in characters."""


def sampling_text(sampling: SamplingParams) -> str:
    """The sampling parameters on one line. Parameters without effect are left out, except top-p and top-k."""
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
    """The units that an interval over problems resamples: problems, or clusters of problems."""
    return "problems" if clusters is None else f"{clusters} clusters of problems (each resampled whole)"


def interval_words(level: float, interval: str, clusters: int | None = None) -> str:
    """`95 % CI over problems`. `interval` is a key of INTERVAL_MEANS, or the resampled unit in words."""
    over = drawn_units(clusters) if interval == "problems" else INTERVAL_MEANS.get(interval, interval)
    return f"{100 * level:.0f} % CI over {over}"


def split_details(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """The lines of a caption that are always shown, and its details without the prefix DETAILS."""
    shown = [line for line in lines if not line.startswith(DETAILS)]
    return shown, [line.removeprefix(DETAILS) for line in lines if line.startswith(DETAILS)]


def caption_lines(report: PasskReport, more: Sequence[str] = ()) -> list[str]:
    """The caption of a pass@k report in plain lines; `more` stands before the details."""
    curve = report.policies[0].curve_problems
    errors = sum(policy.outcomes.get("verifier_error", 0) for policy in report.policies)
    about = interval_words(curve.level, "problems", curve.n_clusters)
    others = f"maj@k: {about}."
    if report.comparisons:
        others = f"maj@k and differences: {about}; the band of the differences is simultaneous over all k and pairs."
    lines = [
        "pass@k of each policy: unbiased estimate with its interval.",
        f"{report.benchmark}: n = {report.n_problems} problems, N = {report.n_rollouts} rollouts per problem and policy"
        f"{_unknown_words(report, errors)}; {interval_words(curve.level, report.interval, curve.n_clusters)}.",
        others,
        cover_words(report.policies[0].cover.level),
    ]
    if any(policy.guess_uniform is not None or policy.guess_own is not None for policy in report.policies):
        lines.append("Guess references: answers drawn uniformly, or a policy's own answers to the other problems.")
    made = (f"Verifier {report.verifier_version}", f"data {report.benchmark_digest}", f"made by: {report.command}")
    sampled = (f"sampling {sampling_text(report.sampling)}", *_distinct(report))
    return [*lines, *_remarks(report), *more, details(*sampled, *made)]


def _distinct(report: PasskReport) -> list[str]:
    """The median number of different completions of a problem; empty for greedy decoding."""
    distinct = {policy.name: policy.distinct for policy in report.policies if policy.distinct is not None}
    if report.n_rollouts < 2 or is_greedy(report.sampling) or not distinct:
        return []
    medians = ", ".join(f"{name} {np.median(d.texts_P):g}" for name, d in distinct.items())
    return [f"median number of different completions of a problem out of {report.n_rollouts}: {medians}"]


def _remarks(report: PasskReport) -> list[str]:
    """What limits the rollouts: greedy decoding, completions cut before max_tokens, and what is known of servers."""
    lines = []
    if report.n_rollouts > 1 and is_greedy(report.sampling):
        lines.append(
            f"Greedy decoding repeats one completion: N = {report.n_rollouts} carries no more information than N = 1."
        )
    lines += [
        f"{policy.name}: {policy.cut_short} rollouts were cut before {report.sampling.max_tokens} tokens by a context "
        "or a server's own cap; they count as truncated."
        for policy in report.policies
        if policy.cut_short
    ]
    return lines + [f"{policy.name}: {'; '.join(policy.remarks)}." for policy in report.policies if policy.remarks]


def _unknown_words(report: PasskReport, errors: int) -> str:
    """How many rollouts have no verdict, and how they are treated."""
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
