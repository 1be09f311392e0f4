"""Rewards for TRL's trainers: 1 for a CORRECT completion, 0 for any other that a verifier judged, None for an unknown.

A reward function finds a row's problem by the dataset's column `problem_id`; `problem_rows` makes such a dataset. A
VERIFIER_ERROR is None, which TRL leaves out of the baseline: unknown is not wrong. A completion without an EOS was cut
at max_completion_length, and counts as TRUNCATED unless an answer is found in what there is.

The paper rewards with 0/1 (explorer rollouts) and -1/+1 (learner rollouts) in its released scripts; a group-relative
advantage does not see the difference, but for the epsilon in its denominator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from s2l_lab.errors import UsageError
from s2l_lab.verifiers import Outcome, Verdict, VerifierPool, VerifyItem

if TYPE_CHECKING:
    from s2l_lab.problems import Problem


class VerifiedReward:
    """A reward function over these problems, by the verifier of their kind. `close` ends its maths workers."""

    def __init__(self, problems: Sequence[Problem], eos_ids: frozenset[int], *, workers: int | None = None) -> None:
        """`eos_ids` end a completion (the trainer's, s2l_lab.policies.stopping.eos_ids). Raises UsageError for no
        problems."""
        if not problems:
            raise UsageError("a reward needs the problems that it is about; none was given.")
        self._problems = {problem.id: problem for problem in problems}
        self.eos_ids = eos_ids
        self.verdicts: list[Verdict] = []
        """Of the last call, in order."""
        self._pool = VerifierPool(workers)
        self.__name__ = "correct"  # what TRL logs it as

    def __call__(
        self,
        completions: Sequence[Any],
        completion_ids: Sequence[Sequence[int]],
        problem_id: Sequence[str],
        **_: Any,
    ) -> list[float | None]:
        """One reward per completion, in order. Raises UsageError for a problem id that is not known."""
        items = [
            VerifyItem(self._problem(id), _text(completion), truncated=ids[-1] not in self.eos_ids)
            for completion, ids, id in zip(completions, completion_ids, problem_id, strict=True)
        ]
        self.verdicts = self._pool.verify_many(items)
        return [_REWARD[verdict.outcome] for verdict in self.verdicts]

    def close(self) -> None:
        """End the workers. Safe to call twice."""
        self._pool.close()

    def _problem(self, id: str) -> Problem:
        if id not in self._problems:
            raise UsageError(
                f"the dataset has a row with problem_id {id!r}, which is none of the reward's {len(self._problems)} "
                "problems. Make both from the same problems (problem_rows)."
            )
        return self._problems[id]


def problem_rows(problems: Sequence[Problem], render: Callable[[Problem], str]) -> dict[str, list[str]]:
    """Columns of a training dataset: `datasets.Dataset.from_dict(problem_rows(problems, render))`.

    `render` gives the exact prompt, as the explorer's template does (s2l_lab.policies.templates).
    """
    return {"prompt": [render(problem) for problem in problems], "problem_id": [problem.id for problem in problems]}


_REWARD: dict[Outcome, float | None] = {
    Outcome.CORRECT: 1.0,
    Outcome.INCORRECT: 0.0,
    Outcome.NO_ANSWER: 0.0,
    Outcome.TRUNCATED: 0.0,
    Outcome.VERIFIER_ERROR: None,
}


def _text(completion: Any) -> str:
    """The text of a completion, which TRL gives as a list of messages where the prompt is one."""
    return completion if isinstance(completion, str) else str(completion[0]["content"])
