r"""Every gold answer against itself, before any model runs.

A gold answer that its own verifier does not accept makes a problem unsolvable and a curve too low, silently. Each is
wrapped as a perfect policy would give it: in a box, and after "Answer:". The first decides; the second shows how much a
verifier rewards a form rather than an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2l_lab.verifiers.verdict import Outcome, Verdict
from s2l_lab.verifiers.verifier_pool import VerifierPool, VerifyItem

if TYPE_CHECKING:
    from s2l_lab.problems import Benchmark, Problem
    from s2l_lab.verifiers.checks import Kind


@dataclass(frozen=True, slots=True)
class GoldReport:
    """What a verifier says of a benchmark's own answers."""

    benchmark: str
    verifier: str
    """Version of the verifier."""
    total: int
    boxed: int
    r"""Gold answers accepted as `\boxed{gold}`."""
    marked: int
    """Gold answers accepted as a line `Answer: gold`."""
    refused: tuple[tuple[Problem, Verdict], ...]
    """Problems whose boxed gold answer is not accepted, with the verdict on it."""
    without_gold: int
    """Problems that store no gold answer (only a checker decides); not part of `total`."""


def check_gold(benchmark: Benchmark, pool: VerifierPool, kind: Kind | None = None) -> GoldReport:
    """Grade every gold answer against itself; `kind` None takes the benchmark's own verifier."""
    problems = [problem for problem in benchmark.problems if problem.answer]
    boxed = pool.verify_many([VerifyItem(p, rf"\boxed{{{p.answer}}}", False) for p in problems], kind)
    marked = pool.verify_many([VerifyItem(p, f"Answer: {p.answer}", False) for p in problems], kind)
    refused = [(p, v) for p, v in zip(problems, boxed, strict=True) if v.outcome is not Outcome.CORRECT]
    return GoldReport(
        benchmark=benchmark.name,
        verifier=pool.version(kind or benchmark.kind),
        total=len(problems),
        boxed=len(problems) - len(refused),
        marked=sum(v.outcome is Outcome.CORRECT for v in marked),
        refused=tuple(refused),
        without_gold=len(benchmark.problems) - len(problems),
    )
