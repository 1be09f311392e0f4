"""Laws of the rollout bank: one address per content, each rollout once, the same draws after a resume."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import explorer, learner, losses, s2l, tokenizer, trained

from s2l_lab.errors import DataError, PolicyError, UsageError
from s2l_lab.policies import SamplingParams, open_policy
from s2l_lab.policies.stopping import eos_ids
from s2l_lab.policies.tiny.prompt import render_compact
from s2l_lab.problems.countdown import countdown_benchmark
from s2l_lab.rollouts import RolloutStore
from s2l_lab.training.bank import RolloutBank, bank_path, fill_bank
from s2l_lab.training.explorer import Learner, Request
from s2l_lab.training.schedule import AnnealingSchedule, drawn_before
from s2l_lab.verifiers import Outcome, Verdict

PROBLEMS = countdown_benchmark(8, split="train").problems
SAMPLING = SamplingParams(max_tokens=12, seed=9)
N = 6


def unverified(items: Any) -> list[Verdict]:
    return [Verdict(Outcome.NO_ANSWER, None, None) for _ in items]


def fill(root: Path, n: int = N, sampling: SamplingParams = SAMPLING, problems: Any = PROBLEMS) -> Path:
    return fill_bank(root, explorer(), problems, sampling, n, verify=unverified, verifier_version="none-1")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("banks"))


@pytest.fixture(scope="module")
def the_learner() -> Learner:
    model = learner()
    return Learner(model, tokenizer(), eos_ids(model, tokenizer()), 64)


def bound(path: Path, the_learner: Learner, seed: int = 5, **options: Any) -> RolloutBank:
    bank = RolloutBank(path, render_compact, **options)
    bank.bind(the_learner, SAMPLING.model_copy(update={"seed": seed}))
    return bank


def request(problem: int, count: int, drawn: int | None) -> Request:
    ids = tokenizer()(render_compact(PROBLEMS[problem]))["input_ids"]
    return Request(tuple(ids), count, group=0, round=1, drawn=drawn)


def test_the_address_is_the_content(path: Path) -> None:
    policy, root = explorer(), path.parent
    assert bank_path(root, policy, PROBLEMS, SAMPLING) == path
    others = [
        bank_path(root, open_policy("tiny-360k"), PROBLEMS, SAMPLING),
        bank_path(root, policy, PROBLEMS[:7], SAMPLING),
        bank_path(root, policy, PROBLEMS, SAMPLING.model_copy(update={"seed": 1})),
        bank_path(root, policy, PROBLEMS, SAMPLING.model_copy(update={"temperature": 0.7})),
    ]
    assert len({path, *others}) == 5


def test_filling_further_keeps_what_is_there(tmp_path: Path) -> None:
    def held(path: Path) -> dict[Any, Any]:
        with RolloutStore(path) as store:
            rows = store.read(["problem_id", "sample_index", "token_ids"]).to_pylist()
        return {(row["problem_id"], row["sample_index"]): row["token_ids"] for row in rows}

    first = fill(tmp_path, n=2)
    before = held(first)
    assert fill(tmp_path, n=4) == first
    after = held(first)
    assert len(before) == 2 * len(PROBLEMS)
    assert len(after) == 4 * len(PROBLEMS)
    assert before.items() <= after.items()


def test_every_rollout_is_drawn_once(path: Path, the_learner: Learner) -> None:
    bank = bound(path, the_learner)
    parts = [bank.explore([request(0, count, drawn)], 4)[0] for count, drawn in ((3, 0), (2, 3), (1, 5))]
    with RolloutStore(path) as store:
        rows = store.read(["token_ids"], {"problem_id": PROBLEMS[0].id}).to_pylist()
    drawn = Counter(rollout.token_ids for part in parts for rollout in part)
    assert drawn == Counter(tuple(row["token_ids"]) for row in rows)


def test_a_draw_is_a_function_of_seed_place_and_problem(path: Path, the_learner: Learner) -> None:
    def draw(bank: RolloutBank, problem: int, drawn: int = 2) -> Any:
        return bank.explore([request(problem, 3, drawn)], 4)

    one, again = bound(path, the_learner), bound(path, the_learner)
    draw(one, 1)
    assert draw(one, 0) == draw(again, 0), "whatever was drawn before"
    both = one.explore([request(1, 3, 2), request(0, 3, 2)], 4)
    assert both == [draw(again, 1)[0], draw(again, 0)[0]], "whatever is drawn beside it"
    assert any(draw(bound(path, the_learner, seed), 0) != draw(one, 0) for seed in (6, 7))


def test_an_exhausted_bank_says_how_many_it_needs_or_begins_anew(path: Path, the_learner: Learner) -> None:
    with pytest.raises(UsageError, match=r"holds 6 rollouts .* needs number 5 to 8. Fill it to n=8 or more"):
        bound(path, the_learner).explore([request(0, 4, 4)], 4)
    again = bound(path, the_learner, resample=True)
    (draws,) = again.explore([request(0, 4, 4)], 4)
    (first,) = again.explore([request(0, 6, 0)], 6)
    (second,) = again.explore([request(0, 6, 6)], 6)
    assert draws == first[4:] + second[:2]
    assert Counter(first) == Counter(second)
    with pytest.raises(UsageError, match="one round's worth at least"):
        again.explore([request(0, 7, 0)], 8)


def test_what_does_not_fit_is_refused(path: Path, the_learner: Learner, tmp_path: Path) -> None:
    bank = RolloutBank(path, render_compact)
    with pytest.raises(UsageError, match=r"was sampled with temperature=1.0, the config says temperature=0.5"):
        bank.bind(the_learner, SAMPLING.model_copy(update={"temperature": 0.5}))
    with pytest.raises(PolicyError, match="ends completions at"):
        bank.bind(Learner(None, tokenizer(), frozenset({7}), 64), SAMPLING)
    ready = bound(path, the_learner)
    with pytest.raises(DataError, match="is none of the 8 in the bank of tiny-60k"):
        ready.explore([Request((3, 4, 5), 1, 0, 1, 0)], 4)
    with pytest.raises(UsageError, match="asks for one problem twice"):
        ready.explore([request(0, 1, 0), request(0, 1, 0)], 4)
    with pytest.raises(UsageError, match="dataset with a length"):
        ready.explore([request(0, 1, None)], 4)
    with pytest.raises(UsageError, match="at least one rollout"):
        fill(tmp_path, n=0)
    with pytest.raises(PolicyError, match="gives no token ids"):
        fill_bank(
            tmp_path, open_policy("s=scripted:point(1)"), PROBLEMS, SAMPLING, 1, verify=unverified, verifier_version="v"
        )


def test_epochs_go_on_where_earlier_ones_can_have_ended() -> None:
    """G = 16, T_mix = 8, two rounds an epoch: epochs begin with 16, 12, 7, 3 slots."""
    schedule = AnnealingSchedule(mix_steps=8)
    assert [drawn_before(schedule, 16, step, 2) for step in range(1, 10)] == [0, 0, 16, 16, 28, 28, 35, 35, 38]


def test_training_from_a_bank_resumes_to_the_same_run(path: Path, tmp_path: Path) -> None:
    """Two epochs of four rounds, with the checkpoint between two rounds of the second."""
    settings: dict[str, Any] = {"mix_steps": 8, "max_steps": 7, "save_strategy": "steps", "save_steps": 5}
    settings |= {"correction": "truncated", "num_generations": 4}
    whole = s2l(tmp_path / "whole", given=RolloutBank(path, render_compact), **settings)
    expected = trained(whole)
    resumed = s2l(tmp_path / "resumed", given=RolloutBank(path, render_compact), **settings)
    found = trained(resumed, resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-5"))
    assert losses(resumed) == losses(whole)
    assert torch.equal(found.parameters[-1], expected.parameters[-1])
    with pytest.raises(UsageError, match="Fill it to n="):
        trained(s2l(tmp_path / "more", given=RolloutBank(path, render_compact), **settings | {"mix_steps": 20}))
