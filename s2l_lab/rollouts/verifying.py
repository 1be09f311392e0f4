"""The verifiers' pool as the collect loop asks for verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2l_lab.policies import Completion, StopReason
from s2l_lab.verifiers import Verdict, VerifierPool, VerifyItem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.problems import Problem
    from s2l_lab.rollouts.loop import Verify


def verify_with(pool: VerifierPool) -> Verify:
    """Verdicts by the verifier of each problem's kind. A completion that was cut counts as truncated if it has no
    answer."""

    def verify(pairs: Sequence[tuple[Problem, Completion]]) -> list[Verdict]:
        items = [VerifyItem(problem, c.text, c.stop_reason is StopReason.LENGTH) for problem, c in pairs]
        return pool.verify_many(items)

    return verify
