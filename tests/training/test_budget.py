"""Laws of the FLOPs budget: it ends a run where it says, and changes nothing before."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import explorer, losses, s2l, trained
from transformers import TrainerCallback

from s2l_lab.errors import UsageError
from s2l_lab.training.budget import FlopsBudget, spent_flops
from s2l_lab.training.stops import last_whole_checkpoint

SETTINGS: dict[str, Any] = {"mix_steps": 4, "max_steps": 6}


class Spent(TrainerCallback):
    """Counted FLOPs after every optimiser step."""

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer
        self.after: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.after.append(spent_flops(self._trainer.cost))


def run(output_dir: Path, budget: float | None = None, resume: Path | None = None, **changes: Any) -> Any:
    """A finished run: (trainer, recorder, FLOPs after each step)."""
    trainer = s2l(output_dir, given=explorer("tiny-360k"), **{**SETTINGS, **changes})
    spent = Spent(trainer)
    trainer.add_callback(spent)
    if budget is not None:
        trainer.add_callback(FlopsBudget(trainer, budget))
    return trainer, trained(trainer, resume_from_checkpoint=str(resume) if resume else None), spent.after


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run(tmp_path_factory.mktemp("whole"))


def slots(trainer: Any) -> list[float]:
    return [entry["explorer/slots"] for entry in trainer.state.log_history if "explorer/slots" in entry]


@pytest.mark.parametrize("step", [3, *(pytest.param(s, marks=pytest.mark.slow) for s in (1, 6))])
def test_the_budget_of_step_s_stops_at_s_and_changes_nothing_before(whole: Any, tmp_path: Path, step: int) -> None:
    """A longer max_steps too: neither losses nor parameters nor slots know of it."""
    trainer, recorder, after = whole
    budgeted, found, spent = run(tmp_path, after[step - 1], max_steps=9)
    assert budgeted.state.global_step == step
    assert losses(budgeted) == losses(trainer)[:step]
    assert slots(budgeted) == slots(trainer)[:step]
    assert slots(trainer) == [4, 3, 2, 0, 0, 0]
    assert torch.equal(found.parameters[-1], recorder.parameters[step - 1])
    assert spent == after[:step]


@pytest.mark.parametrize(("more", "step"), [(1, 3), (-1, 2)])
def test_it_is_the_first_step_that_reaches_it(whole: Any, tmp_path: Path, more: int, step: int) -> None:
    _, _, after = whole
    assert run(tmp_path, after[1] + more)[0].state.global_step == step


@pytest.mark.slow
def test_the_smallest_budget_ends_after_the_first_step(tmp_path: Path) -> None:
    """By default the step before and after a budget between two steps are held."""
    assert run(tmp_path, 1.0)[0].state.global_step == 1


def test_all_three_parts_count(whole: Any) -> None:
    cost = whole[0].cost
    assert min(cost.explorer.flops, cost.learner.flops, cost.updates.flops) > 0
    assert whole[2][-1] == cost.explorer.flops + cost.learner.flops + cost.updates.flops


def test_a_round_of_several_updates_is_never_cut(tmp_path: Path) -> None:
    """Two updates a generation; the updates of both are counted before the first is done."""
    settings = {"num_iterations": 2, "max_steps": 6}
    _, _, after = run(tmp_path / "whole", **settings)
    assert after[0] == after[1] < after[2]
    assert run(tmp_path / "budgeted", after[0], **settings)[0].state.global_step == 2


def test_a_resumed_run_stops_where_the_uninterrupted_one_did(whole: Any, tmp_path: Path) -> None:
    """Killed after the step that stops, before anything was made of it: no checkpoint says that it was done."""
    trainer, recorder, after = whole
    settings: dict[str, Any] = {"save_strategy": "steps", "save_steps": 1}
    run(tmp_path, after[3], **settings)
    checkpoint = last_whole_checkpoint(tmp_path)
    assert checkpoint is not None
    assert checkpoint.name == "checkpoint-3"
    resumed, found, spent = run(tmp_path, after[3], checkpoint, **settings)
    assert resumed.state.global_step == 4
    assert spent == after[3:4], "with what was spent before the checkpoint"
    assert losses(resumed) == losses(trainer)[:4]
    assert torch.equal(found.parameters[-1], recorder.parameters[3])
    with pytest.raises(UsageError, match=r"has spent .* already, the budget is"):
        run(tmp_path, after[1], checkpoint, **settings)


def test_no_checkpoint_of_the_step_that_stops_at_an_epochs_end(whole: Any, tmp_path: Path) -> None:
    """Four rounds an epoch: the budget ends with the first one."""
    assert run(tmp_path, whole[2][3], save_strategy="epoch")[0].state.global_step == 4
    assert last_whole_checkpoint(tmp_path) is None


def test_an_end_at_max_steps_with_budget_left_warns(whole: Any, tmp_path: Path) -> None:
    after = whole[2]
    with pytest.warns(UserWarning, match=r"ended at step 1 \(max_steps\) with 50.0% of its budget"):
        run(tmp_path, 2 * after[0], max_steps=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        run(tmp_path, after[0], max_steps=1)


@pytest.mark.parametrize(
    ("changes", "flops", "says"),
    [
        ({"mix_steps": None}, 1e9, "Give mix_steps"),
        ({"lr_scheduler_type": "cosine"}, 1e9, "lr_scheduler_type 'cosine' follows max_steps"),
        ({}, 0.0, "above 0"),
        ({}, float("nan"), "above 0"),
    ],
)
def test_what_depends_on_max_steps_is_refused(tmp_path: Path, changes: dict[str, Any], flops: float, says: str) -> None:
    trainer = s2l(tmp_path, given=explorer(), **{**SETTINGS, **changes})
    with pytest.raises(UsageError, match=says):
        FlopsBudget(trainer, flops)


def test_without_annealing_no_mix_is_asked_for(tmp_path: Path) -> None:
    FlopsBudget(s2l(tmp_path, given=explorer(), schedule="constant", explorer_fraction=0.5), 1e9)
    FlopsBudget(s2l(tmp_path, explorer_fraction=0.0), 1e9)
