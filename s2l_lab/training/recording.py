"""The rollouts that a run was trained on, kept in a store of the usual kind: policies `learner` and `explorer`.

A rollout's sample index is (number of its group in the run) x G + its slot, so the round it belongs to can be told
from it (rounds.round_of). Rollouts are written whenever a checkpoint was, and at the end: what a killed run trained
after its last checkpoint is trained again by the resumed one, and stands in the store once. The learner's
log-probabilities are not known here (TRL does not hand them out) and are null; the explorer's are those it sampled
with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from accelerate.utils import gather_object
from transformers import TrainerCallback

from s2l_lab.digest import content_digest
from s2l_lab.policies import Completion, Draw, StopReason
from s2l_lab.rollouts import Origin, Rollout, RolloutKey, RolloutStore
from s2l_lab.verifiers import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.problems import Problem
    from s2l_lab.training.rewards import VerifiedReward

SOURCES = ("learner", "explorer")


@dataclass(frozen=True, slots=True)
class RecordedRollout:
    """One row of a round, as the trainer hands it over."""

    problem_id: str
    index: int
    """See above."""
    source: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    """Of the explorer, NaN where it has none (re-tokenised); empty for the learner."""
    prompt_tokens: int


class RolloutRecorder(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Takes every round's rows (`S2LPOTrainer.on_round`), gathers them from all processes, and writes them."""

    def __init__(
        self,
        store: RolloutStore | None,
        problems: Sequence[Problem],
        reward: VerifiedReward,
        tokenizer: Any,
        *,
        run_digest: str,
        sampling: dict[str, Any],
        verifier_version: str,
    ) -> None:
        """`store` is None in every process but the first."""
        self._store, self._reward, self._tokenizer = store, reward, tokenizer
        self._version = verifier_version
        self._origins = {
            source: Origin(source, content_digest([run_digest, source]), content_digest(sampling)) for source in SOURCES
        }
        self._kept: list[tuple[RecordedRollout, Verdict]] = []
        if store is not None:
            store.add_problems(problems)

    def __call__(self, rows: Sequence[RecordedRollout]) -> None:
        """Keep a round; its verdicts are the reward's last ones, which are of the same rows in the same order."""
        pairs = list(zip(rows, self._reward.verdicts, strict=True))
        self._kept += gather_object(pairs)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._write()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._write()

    def _write(self) -> None:
        kept, self._kept = self._kept, []
        if self._store is None or not kept:
            return
        for source, origin in self._origins.items():
            mine = [(row, verdict) for row, verdict in kept if row.source == source]
            draws = [Draw(row.problem_id, row.index, self._completion(row)) for row, _ in mine]
            self._store.append(draws, origin)
            rollouts = [Rollout(RolloutKey(origin, d.problem_id, d.index), d.completion) for d in draws]
            self._store.append_verdicts(self._version, rollouts, [verdict for _, verdict in mine])

    def _completion(self, row: RecordedRollout) -> Completion:
        logprobs = np.asarray(row.logprobs, np.float32)
        ended = row.token_ids[-1] in self._reward.eos_ids
        return Completion(
            text=self._tokenizer.decode(row.token_ids, skip_special_tokens=True),
            token_ids=np.asarray(row.token_ids, np.int32),
            logprobs=logprobs if len(logprobs) and not np.isnan(logprobs).all() else None,
            logprobs_t1=None,
            entropies=None,
            stop_reason=StopReason.EOS if ended else StopReason.LENGTH,
            prompt_tokens=row.prompt_tokens,
        )
