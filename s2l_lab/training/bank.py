"""The rollout bank: explorer rollouts sampled once, and drawn from by every run of a sweep.

The paper samples its explorer offline ("offline rollouts can be reused across several learner runs"). A bank is a run
directory of the store under a name made of what its rollouts are: policy (with template and precision), problems,
sampling and its seed. So the same bank is found again, and filling it further continues it.

Draws are without replacement and a function of (training seed, round, problem) alone: each problem has its own
permutation of its N rollouts, keyed by the seed, and an epoch goes on where the earlier ones can have ended at most. So
a resumed run equals an uninterrupted one, and two processes draw what one would. When the permutation is at its end,
that is an error with the number that is needed; or, by choice, another permutation begins. A control may keep half of
each problem's rollouts (selection.py); the permutation is then one of the kept ones.

A bank shared by all seeds of a comparison makes its intervals conditional on this bank (STATISTICS: three banks, or say
so). The released code re-draws subsets from one pool in every step, and duplicates rollouts where there are too few.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2l_lab.digest import content_digest
from s2l_lab.errors import DataError, PolicyError, UsageError
from s2l_lab.policies import ModelShape, SamplingParams
from s2l_lab.policies.templates import encode_prompt
from s2l_lab.policies.tokenizers import tokenizer_digest
from s2l_lab.rollouts import Progress, RolloutStore, RunManifest, Verify, collect
from s2l_lab.training.explorer import ExplorerRollout, Learner, PromptPolicy, Request, prompt_id
from s2l_lab.training.in_turn import in_turn
from s2l_lab.training.selection import COLUMNS, Select, bank_key, check_select, keep, verdict_version

if TYPE_CHECKING:
    from s2l_lab.policies import Policy
    from s2l_lab.problems import Problem


def bank_path(root: Path, policy: Policy, problems: Sequence[Problem], sampling: SamplingParams) -> Path:
    """Where the bank of these rollouts is: root/bank-<digest of policy, problems, sampling and seed>."""
    return root / f"bank-{content_digest(_identity(policy, problems, sampling))}"


def fill_bank(
    root: Path,
    policy: Policy,
    problems: Sequence[Problem],
    sampling: SamplingParams,
    n: int,
    *,
    verify: Verify,
    verifier_version: str,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Path:
    """Bring the bank to n rollouts per problem and return its path; what is there already is not sampled again.

    Verdicts are kept too, for controls that choose rollouts by outcome; training verifies for itself. Raises
    PolicyError for a policy that gives no token ids, UsageError for n below 1.
    """
    if n < 1:
        raise UsageError(f"a bank holds at least one rollout per problem, n={n} was given.")
    if not isinstance(policy, PromptPolicy) or policy.shape is None:
        raise PolicyError(f"{policy.name} gives no token ids, so it cannot fill a bank. Use a member's checkpoint.")
    path = bank_path(root, policy, problems, sampling)
    config = {
        "bank": policy.name,
        "rollouts": n,
        "sampling": sampling.model_dump(mode="json"),
        "shape": asdict(policy.shape),
        "tokenizer": tokenizer_digest(policy.tokenizer),
        "eos_ids": sorted(policy.eos_ids),
    }
    manifest = RunManifest.of_this_process(
        config, device=policy.engine, seeds={"run": sampling.seed}, verifier_version=verifier_version
    )
    with RolloutStore.open(path, manifest, _identity(policy, problems, sampling)) as store:
        collect(
            store,
            policy,
            problems,
            n,
            sampling,
            verify=verify,
            verifier_version=verifier_version,
            progress=progress,
        )
    return path


class RolloutBank:
    """An explorer that draws from a bank. Reads what a round needs, when it needs it; holds no lock."""

    def __init__(
        self,
        path: str | Path,
        render: Callable[[Problem], str],
        *,
        first: int | None = None,
        resample: bool = False,
        select: Select = "all",
    ) -> None:
        """`render` makes a problem's prompt as the training dataset does. Raises DataError for a path without a bank.

        `first` draws from that many rollouts of a problem, so that a bank that was filled further is still the same
        explorer; None from all. `resample` begins a problem's rollouts anew when they are used up, instead of an
        error. `select` keeps those that may be drawn; other than `all` it needs verdicts (DataError). UsageError for
        an unknown one.
        """
        check_select(select)
        self._store = RolloutStore(path)
        config = self._store.config
        if "bank" not in config:
            raise DataError(f"{path} holds rollouts, but is no rollout bank. Make one with fill_bank.")
        self.name = f"bank of {config['bank']}"
        self.shape = ModelShape(**config["shape"])
        self._config, self._render, self._resample, self._select = config, render, resample, select
        self._first = first
        self._version = None if select == "all" else verdict_version(self._store)
        self._key = "" if select == "all" else bank_key(self._store)
        self._kept: dict[str, tuple[int, ...]] = {}

    def bind(self, learner: Learner, sampling: SamplingParams) -> None:
        """Refuse a bank of another tokenizer or other prompts (PolicyError), or of another sampling than the config's
        (UsageError)."""
        if self._config["tokenizer"] != tokenizer_digest(learner.tokenizer):
            raise PolicyError(f"the {self.name} has another tokenizer than the learner. Fill one by its own family.")
        if self._config["eos_ids"] != sorted(learner.eos_ids):
            raise PolicyError(
                f"the {self.name} ends completions at {self._config['eos_ids']}, the learner at "
                f"{sorted(learner.eos_ids)}. Let generation_config.json, config.json and tokenizer name the same ids "
                "for both."
            )
        held = SamplingParams(**self._config["sampling"])
        if held.model_copy(update={"seed": sampling.seed}) != sampling:
            raise UsageError(
                f"the {self.name} was sampled with {_differing(held, sampling)}, the config says "
                f"{_differing(sampling, held)}. Change the config (explorer_temperature, explorer_top_p, "
                "max_completion_length), or fill a bank with these parameters."
            )
        self._seed = sampling.seed
        prompts = {p.id: encode_prompt(learner.tokenizer, self._render(p)) for p in self._store.problems()}
        self._require_same_prompts({id: len(prompt) for id, prompt in prompts.items()})
        self._problem_ids = {prompt_id(prompt): id for id, prompt in prompts.items()}

    def _require_same_prompts(self, lengths: dict[str, int]) -> None:
        """The bank's rollouts must follow the learner's prompts. Told by their lengths in tokens, where recorded."""
        held: Any = self._store.read(["problem_id", "prompt_tokens"]).group_by(["problem_id", "prompt_tokens"])
        for row in held.aggregate([]).to_pylist():
            id, sampled = row["problem_id"], row["prompt_tokens"]
            if sampled not in (0, lengths[id]):
                raise PolicyError(
                    f"the {self.name} was sampled after a prompt of {sampled} tokens for problem {id}, and the "
                    f"learner's has {lengths[id]}: its rollouts continue another text. Fill a bank with the template "
                    "that the learner is trained with."
                )

    def explore(self, requests: Sequence[Request], group_size: int) -> list[list[ExplorerRollout]]:
        """Rollouts of the bank, each problem's in the order of its permutation. Raises UsageError when it has no more,
        DataError for a prompt that is not in the bank."""
        problem_ids = [self._problem_of(request) for request in requests]
        if len(set(problem_ids)) < len(problem_ids):
            raise UsageError(
                "a round asks for one problem twice, and both groups would get the same rollouts of the bank. Take "
                "duplicate prompts out of the dataset."
            )
        held = self._read(sorted(set(problem_ids)))
        return [self._draw(request, id, held[id]) for request, id in zip(requests, problem_ids, strict=True)]

    def _problem_of(self, request: Request) -> str:
        found = self._problem_ids.get(prompt_id(request.prompt_ids))
        if found is None:
            raise DataError(
                f"a prompt of the dataset ({len(request.prompt_ids)} tokens) is none of the {len(self._problem_ids)} "
                f"in the {self.name}. Fill it with the training problems, and let `render` make the dataset's prompts."
            )
        return found

    def _draw(self, request: Request, problem_id: str, held: list[ExplorerRollout]) -> list[ExplorerRollout]:
        if request.drawn is None:
            raise UsageError("a bank needs a dataset with a length, to know which rollouts earlier epochs have drawn.")
        end = request.drawn + request.count
        if end > len(held) and (not self._resample or request.count > len(held)):
            half = self._select != "all"
            raise UsageError(
                f"the {self.name} holds {len(held)} rollouts of problem {problem_id}"
                + (f" that {self._select!r} keeps, which is half of them" if half else "")
                + f", and round {request.round} needs number {request.drawn + 1} to {end}. Fill it to "
                f"n={2 * end if half else end} or more, or open it with resample=True"
                + (" (which needs one round's worth at least)." if request.count > len(held) else ".")
            )
        return in_turn(held, self._seed, problem_id, request.drawn, end)

    def _read(self, problem_ids: Sequence[str]) -> dict[str, list[ExplorerRollout]]:
        """The rollouts of these problems that may be drawn, in order of sample index."""
        names = [*COLUMNS, "logprobs", *(["outcome"] if self._version else [])]
        table: Any = self._store.read(names, {"problem_id": problem_ids}, version=self._version)
        rows: dict[str, list[dict[str, Any]]] = {id: [] for id in problem_ids}
        for row in table.sort_by("sample_index").to_pylist():
            if self._first is None or row["sample_index"] < self._first:
                rows[row["problem_id"]].append(row)
        for id in problem_ids:
            if id not in self._kept:
                self._kept[id] = keep(self._select, rows[id], f"{self._key} {id}")
        return {
            id: [
                ExplorerRollout(tuple(rows[id][i]["token_ids"]), tuple(rows[id][i]["logprobs"])) for i in self._kept[id]
            ]
            for id in problem_ids
        }


def _identity(policy: Policy, problems: Sequence[Problem], sampling: SamplingParams) -> dict[str, Any]:
    return {
        "bank": 1,
        "policy": policy.digest,
        "problems": content_digest([problem.id for problem in problems]),
        "sampling": sampling.model_dump(mode="json"),
    }


def _differing(these: SamplingParams, those: SamplingParams) -> str:
    names = [
        name for name in type(these).model_fields if name != "seed" and getattr(these, name) != getattr(those, name)
    ]
    return ", ".join(f"{name}={getattr(these, name)}" for name in names)
