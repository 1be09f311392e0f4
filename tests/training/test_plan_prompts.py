"""Prompts in a training plan: what is chosen decides the run, what is not leaves plans as they were."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from s2l_lab.errors import DataError
from s2l_lab.plans import plan_of
from s2l_lab.policies.templates import Prompting
from s2l_lab.training.plan import LearnerPlan, TrainingPlan

if TYPE_CHECKING:
    from pathlib import Path


def test_a_plan_that_chooses_nothing_is_the_plan_of_before() -> None:
    assert set(LearnerPlan().model_dump()) == {"member", "dtype", "template", "lora"}
    plan = TrainingPlan.model_validate({"training": {"explorer_fraction": 0}})
    assert set(plan.identity["learner"]) == {"member", "dtype", "template", "lora"}
    assert plan.learner.prompting == Prompting()


def test_every_choice_decides_the_run_and_comes_back_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "t.jinja").write_text("{{ question }}", encoding="utf-8")
    choices = [
        {"system": "s"},
        {"instruction": "boxed"},
        {"template_args": {"enable_thinking": False}},
        {"template": str(tmp_path / "t.jinja")},
    ]
    plans = [TrainingPlan.model_validate({"learner": c, "training": {"explorer_fraction": 0}}) for c in [{}, *choices]]
    assert len({plan.digest for plan in plans}) == len(plans)
    kept = [json.loads(plan.model_dump_json()) for plan in plans]
    (tmp_path / "t.jinja").unlink()  # a run's plan holds the text
    assert [plan_of(TrainingPlan, values, "plan.json") for values in kept] == plans
    with pytest.raises(DataError, match=r"t\.jinja cannot be read"):
        TrainingPlan.model_validate({"learner": choices[-1]})
