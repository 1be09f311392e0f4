"""`verify` and `VerifierPool`: completions in, verdicts out, in order.

Cheap kinds are checked where they are asked for; only maths goes to worker processes. Two rules hold for every kind:

- a completion without an answer (an empty one too) is TRUNCATED if it was cut off at max_tokens, else NO_ANSWER;
- a cut-off completion in which an answer is found is graded like any other, since the answer is there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from s2l_lab.errors import UsageError, unknown_name
from s2l_lab.verifiers import countdown
from s2l_lab.verifiers.choice import LABELS, verify_choice
from s2l_lab.verifiers.extraction import extract_answer
from s2l_lab.verifiers.gym import verify_gym
from s2l_lab.verifiers.maths_pool import MathsPool
from s2l_lab.verifiers.maths_process import Comparison, Status
from s2l_lab.verifiers.official import verify_official
from s2l_lab.verifiers.official_rewards import verify_official_online_reward, verify_official_reward
from s2l_lab.verifiers.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from s2l_lab.problems import Problem

Kind = Literal[
    "math", "countdown", "choice", "exact", "reasoning_gym", "official", "official-reward", "official-online-reward"
]
"""How a completion is checked. The `official` ones are the scorers of arXiv 2605.30789, to compare with."""


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
) -> Verdict:
    """The verdict on one completion against a gold answer.

    `metadata` is the problem's: Countdown needs `numbers` and `target`, reasoning-gym the item's address, choice takes
    its `labels` (A to E without). For maths a worker process is started and ended: use a `VerifierPool` for many.
    """
    with VerifierPool(workers=1) as pool:
        return pool.verify(text, gold, kind, metadata=metadata, truncated=truncated)


def verify_many(items: Sequence[VerifyItem], kind: Kind | None = None, *, workers: int | None = None) -> list[Verdict]:
    """One verdict per item, in order; `kind` None takes each problem's own."""
    with VerifierPool(workers=workers) as pool:
        return pool.verify_many(items, kind)


def verifier_version(kind: Kind) -> str:
    """What decides the verdicts of a kind, in a form that names a directory: our rules' version and the libraries'."""
    _known(kind)
    if kind == "countdown":
        return countdown.VERSION
    libraries = {
        "math": ("math-verify", "latex2sympy2-extended", "sympy", "mpmath"),
        "reasoning_gym": ("reasoning-gym",),
    }.get(kind, ())
    ours = 2 if kind == "math" else 1
    return "_".join([f"{kind}-{ours}", *(f"{name}-{version(name)}" for name in libraries)])


class VerifierPool:
    """Verifies many completions; keeps its maths workers and what they found until it is closed."""

    def __init__(self, workers: int | None = None) -> None:
        """At most `workers` maths processes (None: one per core, at most 8), started when maths first comes up."""
        self._maths = MathsPool(workers)

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
        return self._verdicts([_Case(text, gold, kind, metadata or {}, truncated)])[0]

    def verify_many(self, items: Sequence[VerifyItem], kind: Kind | None = None) -> list[Verdict]:
        """One verdict per item, in order; `kind` None takes each problem's own."""
        return self._verdicts(
            [
                _Case(item.text, item.problem.answer, kind or item.problem.kind, item.problem.metadata, item.truncated)
                for item in items
            ]
        )

    def _verdicts(self, cases: Sequence[_Case]) -> list[Verdict]:
        """Maths cases are compared all together, the others one by one."""
        answers = [extract_answer(case.text) if _is_maths(case) else None for case in cases]
        pairs = {i: (case.gold, a) for i, (case, a) in enumerate(zip(cases, answers, strict=True)) if a is not None}
        results = dict(zip(pairs, self._maths.compare(list(pairs.values())), strict=True))
        verdicts = []
        for i, case in enumerate(cases):
            if i in results:
                verdict = _maths_verdict(pairs[i][1], results[i])
            elif _is_maths(case):
                verdict = Verdict(Outcome.NO_ANSWER, None, None)
            else:
                verdict = _in_place(case)
            if verdict.outcome is Outcome.NO_ANSWER and case.truncated:
                verdict = replace(verdict, outcome=Outcome.TRUNCATED)
            verdicts.append(verdict)
        return verdicts

    def close(self) -> None:
        """End the workers. Safe to call twice."""
        self._maths.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class _Case:
    text: str
    gold: str
    kind: Kind
    metadata: Mapping[str, Any]
    truncated: bool


def _is_maths(case: _Case) -> bool:
    return case.kind == "math" and not case.metadata.get("proof")


def _maths_verdict(answer: str, comparison: Comparison) -> Verdict:
    """A comparison as a verdict; what is not known is VERIFIER_ERROR, an answer that is no mathematics INCORRECT."""
    outcome = {
        Status.EQUAL: Outcome.CORRECT,
        Status.DIFFERENT: Outcome.INCORRECT,
        Status.UNREADABLE: Outcome.INCORRECT,
    }.get(comparison.status, Outcome.VERIFIER_ERROR)
    canonical = comparison.canonical if comparison.canonical is not None else " ".join(answer.split())[:200]
    return Verdict(outcome, answer, canonical, comparison.detail)


def _proof(case: _Case) -> Verdict:
    return Verdict(Outcome.VERIFIER_ERROR, None, None, "the gold answer is a proof; no verifier here grades proofs")


def _countdown(case: _Case) -> Verdict:
    expression = extract_answer(case.text)
    if expression is None:
        return Verdict(Outcome.NO_ANSWER, None, None)
    return countdown.verify_expression(expression, case.metadata["numbers"], case.metadata["target"])


def _exact(case: _Case) -> Verdict:
    answer = extract_answer(case.text)
    if answer is None:
        return Verdict(Outcome.NO_ANSWER, None, None)
    canonical = " ".join(answer.split())
    right = canonical == " ".join(case.gold.split())
    return Verdict(Outcome.CORRECT if right else Outcome.INCORRECT, answer, canonical)


_CHECKS: dict[str, Callable[[_Case], Verdict]] = {
    "math": _proof,  # all other maths goes to the pool
    "countdown": _countdown,
    "choice": lambda case: verify_choice(case.text, case.gold, case.metadata.get("labels", LABELS)),
    "exact": _exact,
    "reasoning_gym": lambda case: verify_gym(case.text, case.gold, dict(case.metadata)),
    "official": lambda case: verify_official(case.text, case.gold, choice="labels" in case.metadata),
    "official-reward": lambda case: verify_official_reward(case.text, case.gold),
    "official-online-reward": lambda case: verify_official_online_reward(case.text, case.gold),
}


_NEEDED = {"countdown": ("numbers", "target"), "reasoning_gym": ("set", "seed", "index", "version")}


def _in_place(case: _Case) -> Verdict:
    """Any verdict but a comparison in the pool. Raises UsageError for an unknown kind or metadata that it needs."""
    check = _CHECKS[_known(case.kind)]
    missing = [name for name in _NEEDED.get(case.kind, ()) if name not in case.metadata]
    if missing:
        raise UsageError(
            f"the verifier {case.kind!r} needs the problem's metadata; missing: {', '.join(missing)}. "
            "Give metadata=problem.metadata."
        )
    return check(case)


def _known(kind: str) -> str:
    if kind not in _CHECKS:
        raise unknown_name("verifier", kind, get_args(Kind))
    return kind
