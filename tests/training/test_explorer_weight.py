"""The effective weight is the product of what was logged, and the plan's slots are the schedule's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s2l_lab.training import explorer_slots
from s2l_lab.training.arms import group_arms, read_run
from s2l_lab.training.explorer_weight import EQUAL_REWARDS, NO_SLOT, NOT_LOGGED, annealing, undefined_words
from s2l_lab.training.logged import cost_row, metrics

G, T_MIX, STEPS = 8, 4, 6


def run(path: Path, seed: int, lines: list[dict[str, Any]], *, explorer: bool = True) -> Path:
    path.mkdir(parents=True)
    training = {"max_steps": STEPS, "num_generations": G, "per_device_train_batch_size": G, "mix_steps": T_MIX}
    plan: dict[str, Any] = {
        "learner": {"member": "tiny-360k"},
        "explorer": {"kind": "member", "member": "tiny-60k"},
        "problems": {"benchmark": "countdown-train", "count": 4},
        "training": training | {"seed": seed} | ({} if explorer else {"explorer_fraction": 0.0}),
    }
    (path / "plan.json").write_text(json.dumps(plan))
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def logged(seed: int) -> list[dict[str, Any]]:
    """Steps 1 to 6; the explorer's tokens and weight are logged while it has slots (3 rounds), the weight not in the
    second."""
    lines = []
    for step in range(1, STEPS + 1):
        slots = explorer_slots(G, T_MIX, step)
        line: dict[str, Any] = {"step": step, "round": step, "explorer/slots": slots}
        if slots:
            line |= {"explorer/token_share": slots / G / 2}
            line |= {} if step == 2 else {"explorer/weight": 0.5 + seed}
        lines.append(line)
    return lines


def test_the_plan_is_the_schedule_and_the_product_is_over_steps_that_have_both(tmp_path: Path) -> None:
    runs = [read_run(run(tmp_path / str(seed), seed, logged(seed))) for seed in (0, 1)]
    (arm,) = group_arms(runs)
    found = annealing(arm, [metrics(one.path) for one in runs])
    slots = np.array([explorer_slots(G, T_MIX, i) for i in range(1, STEPS + 1)])
    assert found.planned_step_R.tolist() == [1, 2, 3, 4, 5, 6]
    assert (found.planned_share_R * G).tolist() == slots.tolist()
    assert (found.slots.value_S * G).tolist() == slots.tolist()
    assert found.tokens.step_S.tolist() == [1, 2, 3]
    assert found.effective.step_S.tolist() == [1, 3]  # step 2 logged no weight: it is left out, and not 0
    mean_weight = (0.5 + 1.5) / 2
    assert found.effective.value_S == pytest.approx(slots[[0, 2]] / G / 2 * mean_weight)
    assert found.effective.n_seeds == 2
    assert (found.effective.lower_S < found.effective.value_S).all()


def test_each_seed_keeps_its_own_steps_and_says_why_the_others_have_none(tmp_path: Path) -> None:
    lines = {seed: logged(seed) for seed in (0, 1)}
    lines[0][1] |= {"zero_variance_groups": 1.0}
    lines[1][1] |= {"zero_variance_groups": 0.5, "explorer/weight": 0.25}  # a product that seed 0 does not have
    del lines[1][0]["explorer/weight"]
    runs = [read_run(run(tmp_path / str(seed), seed, lines[seed])) for seed in (0, 1)]
    (arm,) = group_arms(runs)
    found = annealing(arm, [metrics(one.path) for one in runs])
    assert found.effective.step_S.tolist() == [3]
    first, second = found.seeds
    assert (first.seed, first.step_S.tolist(), second.seed, second.step_S.tolist()) == (0, [1, 3], 1, [2, 3])
    assert second.value_S[0] == pytest.approx(explorer_slots(G, T_MIX, 2) / G / 2 * 0.25)
    assert first.undefined == {EQUAL_REWARDS: (2,), NO_SLOT: (4, 5, 6)}
    assert second.undefined == {NOT_LOGGED: (1,), NO_SLOT: (4, 5, 6)}
    words = undefined_words(found)
    assert f"No effective weight: {NO_SLOT} (seed 0, steps 4 to 6; seed 1, steps 4 to 6)." in words
    assert f"No effective weight: {EQUAL_REWARDS} (seed 0, step 2)." in words


def test_what_was_not_logged_is_unknown_and_not_zero(tmp_path: Path) -> None:
    lines = [{"step": 1, "cost/learner/tokens": 30.0, "cost/learner/flops": 5.0}, {"step": 2}]
    one = read_run(run(tmp_path / "run", 0, lines))
    row = cost_row(one, metrics(one.path))
    assert not row.finished
    assert (row.tokens["learner"], row.flops["learner"], row.last_step) == (30.0, 5.0, 2)
    assert np.isnan([row.flops["explorer"], row.seconds["learner"], row.relative, row.explorer_share]).all()


def test_a_run_that_logged_nothing_has_its_plan(tmp_path: Path) -> None:
    one = read_run(run(tmp_path / "run", 0, []))
    (arm,) = group_arms([one])
    found = annealing(arm, [metrics(one.path)])
    assert len(found.planned_share_R) == STEPS
    assert found.planned_share_R[0] == 1
    assert found.effective.step_S.size == 0
