"""`verify` and `VerifierPool`: completions in, verdicts out, in order.

Maths is compared in worker processes, and so is every check that might not end (`check_pool.py`); the rest is checked
where it is asked for. Three rules hold for every kind:

- a completion without an answer (an empty one too) is TRUNCATED if it was cut off at max_tokens, else NO_ANSWER;
- a cut-off completion in which an answer is found is graded like any other, since the answer is there;
- a verdict that takes longer than the pool allows is VERIFIER_ERROR with the reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from s2l_lab.errors import UsageError
from s2l_lab.verifiers.check_pool import CheckPool
from s2l_lab.verifiers.checks import Case, Kind, answer_of, is_comparison, known_kind, refuse_impossible
from s2l_lab.verifiers.maths_pool import MEGABYTES, SECONDS, MathsPool
from s2l_lab.verifiers.maths_process import MathsComparison, Status
from s2l_lab.verifiers.pool import Pool
from s2l_lab.verifiers.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from s2l_lab.problems import Problem
    from s2l_lab.verifiers.extraction import Extraction

_RULES = {"math": 2, "choice": 2, "exact": 2, "countdown": 2, "reasoning_gym": 2}
"""Version of our rules by kind, 1 where nothing is said: a new one wherever a verdict can change."""
_LENIENT, _LENIENT_RULES = "lenient", 1
"""The extraction that adds to them, and the version of what it adds."""
_LIBRARIES = {
    "math": ("math-verify", "latex2sympy2-extended", "sympy", "mpmath"),
    "reasoning_gym": ("reasoning-gym",),
}


@dataclass(frozen=True, slots=True)
class VerifyItem:
    """A completion to be checked."""

    problem: Problem
    text: str
    truncated: bool
    """It was cut off at max_tokens."""


def verify(
    text: str,
    gold: str,
    kind: Kind = "math",
    *,
    metadata: Mapping[str, Any] | None = None,
    truncated: bool = False,
    extraction: Extraction = "strict",
) -> Verdict:
    """The verdict on one completion against a gold answer.

    `metadata` is the problem's: Countdown needs `numbers` and `target`, reasoning-gym the item's address, choice takes
    its `labels` (A to E without). For maths a worker process is started and ended: use a `VerifierPool` for many.
    """
    with VerifierPool(workers=1, extraction=extraction) as pool:
        return pool.verify(text, gold, kind, metadata=metadata, truncated=truncated)


def verify_many(
    items: Sequence[VerifyItem],
    kind: Kind | None = None,
    *,
    workers: int | None = None,
    extraction: Extraction = "strict",
) -> list[Verdict]:
    """One verdict per item, in order; `kind` None takes each problem's own."""
    with VerifierPool(workers=workers, extraction=extraction) as pool:
        return pool.verify_many(items, kind)


def verifier_version(kind: Kind, extraction: Extraction = "strict") -> str:
    """What decides the verdicts of a kind, in a form that names a directory: our rules' version, the extraction where
    it is not the strict one, and the libraries' versions."""
    known_kind(kind, extraction)
    rules = [f"{kind}-{_RULES.get(kind, 1)}"] + ([f"{_LENIENT}-{_LENIENT_RULES}"] if extraction == _LENIENT else [])
    return "_".join([*rules, *(f"{name}-{version(name)}" for name in _LIBRARIES.get(kind, ()))])


def is_lenient(verifier: str) -> bool:
    """Whether a verifier version is of the lenient extraction."""
    return f"_{_LENIENT}-" in verifier


def known_seconds(seconds: float) -> None:
    """Raise UsageError for a time limit that is not positive and finite."""
    if not (seconds > 0 and math.isfinite(seconds)):
        raise UsageError(f"a verdict was allowed {seconds:g} s; give a positive number of seconds, as 5.")


class VerifierPool(Pool):
    """Verifies many completions; keeps its workers and what they found until it is closed."""

    def __init__(
        self, workers: int | None = None, *, extraction: Extraction = "strict", seconds: float = SECONDS
    ) -> None:
        """At most `workers` maths processes (None: one per core, at most 8), started when maths first comes up.

        `extraction` names the rule by which answers are found. One verdict may take `seconds` of processor time, and
        six times as much by the wall clock. Raises UsageError for a time that is not positive.
        """
        known_seconds(seconds)
        self.extraction: Extraction = extraction
        self._maths = MathsPool(workers, seconds=seconds)
        self._checks = CheckPool(seconds=seconds, megabytes=MEGABYTES)

    def verify(
        self,
        text: str,
        gold: str,
        kind: Kind = "math",
        *,
        metadata: Mapping[str, Any] | None = None,
        truncated: bool = False,
    ) -> Verdict:
        """As `s2l_lab.verifiers.verify`, in this pool."""
        return self._verdicts([Case(text, gold, kind, metadata or {}, truncated, self.extraction)])[0]

    def verify_many(self, items: Sequence[VerifyItem], kind: Kind | None = None) -> list[Verdict]:
        """One verdict per item, in order; `kind` None takes each problem's own."""
        return self._verdicts(
            [
                Case(
                    item.text,
                    item.problem.answer,
                    kind or item.problem.kind,
                    item.problem.metadata,
                    item.truncated,
                    self.extraction,
                )
                for item in items
            ]
        )

    def version(self, kind: Kind) -> str:
        """The verifier version of this pool's verdicts of a kind."""
        return verifier_version(kind, self.extraction)

    def _verdicts(self, cases: Sequence[Case]) -> list[Verdict]:
        """Maths cases are compared all together, the others one by one."""
        for case in cases:
            refuse_impossible(case)
        answers = [answer_of(case) if is_comparison(case) else None for case in cases]
        pairs = {i: (case.gold, a) for i, (case, a) in enumerate(zip(cases, answers, strict=True)) if a is not None}
        results = dict(zip(pairs, self._maths.compare(list(pairs.values())), strict=True))
        verdicts = []
        for i, case in enumerate(cases):
            if i in results:
                verdict = _maths_verdict(pairs[i][1], results[i])
            elif is_comparison(case):
                verdict = Verdict(Outcome.NO_ANSWER, None, None)
            else:
                verdict = self._checks.check(case)
            if verdict.outcome is Outcome.NO_ANSWER and case.truncated:
                verdict = replace(verdict, outcome=Outcome.TRUNCATED)
            verdicts.append(verdict)
        return verdicts

    def close(self) -> None:
        """End the workers. Safe to call twice."""
        self._maths.close()
        self._checks.close()


def _maths_verdict(answer: str, comparison: MathsComparison) -> Verdict:
    """A comparison as a verdict; what is not known is VERIFIER_ERROR, an answer that is no mathematics INCORRECT."""
    outcome = {
        Status.EQUAL: Outcome.CORRECT,
        Status.DIFFERENT: Outcome.INCORRECT,
        Status.UNREADABLE: Outcome.INCORRECT,
    }.get(comparison.status, Outcome.VERIFIER_ERROR)
    canonical = comparison.canonical if comparison.canonical is not None else " ".join(answer.split())[:200]
    return Verdict(outcome, answer, canonical, comparison.detail)
