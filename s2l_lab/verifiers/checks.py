"""A case, and the verdict on it by every verifier but the comparison of maths, which `verify.py` leaves to its pool.

Each check computes in the process that calls it. `check_pool.py` says which cases go to a process of their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from s2l_lab.errors import UsageError, unknown_name
from s2l_lab.verifiers.choice import LABELS, verify_choice
from s2l_lab.verifiers.countdown import verify_expression
from s2l_lab.verifiers.extraction import Extraction, extract_answer, last_of_parts, last_tagged, says_exactly
from s2l_lab.verifiers.gym import verify_gym
from s2l_lab.verifiers.lenient import lenient_answer
from s2l_lab.verifiers.official import verify_official
from s2l_lab.verifiers.official_rewards import verify_official_online_reward, verify_official_reward
from s2l_lab.verifiers.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = Literal[
    "math",
    "countdown",
    "choice",
    "exact",
    "reasoning_gym",
    "official",
    "official-reward",
    "official-online-reward",
]
"""How a completion is checked. The `official` ones are the scorers of arXiv 2605.30789, to compare with."""

OWN_EXTRACTION = ("official", "official-reward", "official-online-reward")
"""Kinds that find their answers by rules of their own, drafts included."""


@dataclass(frozen=True, slots=True)
class Case:
    """A completion to be checked, with everything that decides its verdict."""

    text: str
    gold: str
    kind: Kind
    metadata: Mapping[str, Any]
    truncated: bool
    extraction: Extraction


def is_comparison(case: Case) -> bool:
    """Whether the case is one for the maths pool: a proof is not."""
    return case.kind == "math" and not case.metadata.get("proof")


def answer_of(case: Case) -> str | None:
    """The final answer by the extraction that the case names; the gold answer where it is repeated to the letter."""
    if case.kind in ("math", "exact") and says_exactly(case.text, case.gold):
        return case.gold
    if case.extraction == "lenient":
        return lenient_answer(case.text, cut=case.truncated)
    return extract_answer(case.text)


def check(case: Case) -> Verdict:
    """The verdict, with NO_ANSWER for a completion without an answer, cut or not. Not for comparisons."""
    return _CHECKS[case.kind](case)


def refuse_impossible(case: Case) -> None:
    """Raise UsageError for an unknown kind or extraction, and for metadata that the kind needs and the case lacks."""
    known_kind(case.kind, case.extraction)
    missing = [name for name in _NEEDED.get(case.kind, ()) if name not in case.metadata]
    if missing:
        raise UsageError(
            f"the verifier {case.kind!r} needs the problem's metadata; missing: {', '.join(missing)}. "
            "Give metadata=problem.metadata."
        )


def known_kind(kind: str, extraction: str) -> None:
    """Raise UsageError for an unknown kind or extraction, or two that do not go together."""
    if kind not in _CHECKS:
        raise unknown_name("verifier", kind, get_args(Kind))
    if extraction not in get_args(Extraction):
        raise unknown_name("extraction", extraction, get_args(Extraction))
    if kind in OWN_EXTRACTION and extraction != "strict":
        raise UsageError(
            f"the verifier {kind!r} finds answers by its own rules; extraction {extraction!r} does not apply to it. "
            "Leave the extraction out."
        )


def _proof(case: Case) -> Verdict:
    return Verdict(Outcome.VERIFIER_ERROR, None, None, "the gold answer is a proof; no verifier here grades proofs")


def _countdown(case: Case) -> Verdict:
    expression = answer_of(case)
    if expression is None:
        return Verdict(Outcome.NO_ANSWER, None, None)
    return verify_expression(expression, case.metadata["numbers"], case.metadata["target"])


def _exact(case: Case) -> Verdict:
    answer = answer_of(case)
    if answer is None:
        return Verdict(Outcome.NO_ANSWER, None, None)
    canonical = _undressed(answer)
    right = canonical == _undressed(case.gold)
    return Verdict(Outcome.CORRECT if right else Outcome.INCORRECT, answer, canonical)


_DRESS = re.compile(r"\$(?P<a>[^$]*)\$|\\(?:text|textbf|mathrm|mathbf)\s?\{(?P<b>[^{}]*)\}|\\\((?P<c>[^\\]*)\\\)")


def _undressed(answer: str) -> str:
    r"""Runs of blanks as one, without a full stop, and without `$`, `\( \)` or `\text{}` around the whole."""
    plain = " ".join(answer.split()).removesuffix(".")
    while dress := _DRESS.fullmatch(plain):
        plain = str(dress[dress.lastgroup or 0]).strip()
    return plain


def _gym(case: Case) -> Verdict:
    """The `<answer>` that reasoning-gym asks for, else what the extraction finds."""
    answer = last_of_parts(case.text, last_tagged) or answer_of(case)
    if answer is None:
        return Verdict(Outcome.NO_ANSWER, None, None)
    return verify_gym(answer, case.gold, dict(case.metadata))


_CHECKS: dict[str, Callable[[Case], Verdict]] = {
    "math": _proof,  # all other maths is compared in the pool
    "countdown": _countdown,
    "choice": lambda case: verify_choice(
        case.text, case.gold, case.metadata.get("labels", LABELS), extraction=case.extraction
    ),
    "exact": _exact,
    "reasoning_gym": _gym,
    "official": lambda case: verify_official(case.text, case.gold, choice="labels" in case.metadata),
    "official-reward": lambda case: verify_official_reward(case.text, case.gold),
    "official-online-reward": lambda case: verify_official_online_reward(case.text, case.gold),
}
_NEEDED = {"countdown": ("numbers", "target"), "reasoning_gym": ("set", "seed", "index", "version")}
