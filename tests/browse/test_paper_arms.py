"""An arm of a plan that ships for a table belongs to it; an arm that a figure alone varies belongs to none."""

from __future__ import annotations

import csv
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from s2l_lab.browse.paper_items import stands_beside
from s2l_lab.figures.paper import TABLES
from s2l_lab.training.plan import TrainingPlan, plan_of

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    both = {name: value for name, value in base.items() if name in change and isinstance(value, dict)}
    return base | change | {name: merged(value, change[name]) for name, value in both.items()}


def arms(name: str, scale: str) -> dict[str, TrainingPlan]:
    path = EXPERIMENTS / name / f"{scale}.toml"
    sweep = tomllib.loads(path.read_text())
    base = tomllib.loads((path.parent / sweep["base"]).read_text())
    return {arm["name"]: plan_of(merged(base, arm.get("change", {})), str(path)) for arm in sweep["arm"]}


@pytest.mark.parametrize("scale", ["mini", "paper"])
@pytest.mark.parametrize("table", TABLES)
def test_every_arm_of_a_tables_plan_has_its_row(table: str, scale: str) -> None:
    rows = {name: stands_beside(table, plan) for name, plan in arms(table, scale).items()}
    assert all(rows.values())
    text = (files("s2l_lab.figures") / "reference" / f"{table}.csv").read_text(encoding="utf-8")
    papers = {row["method"] for row in csv.DictReader(x for x in text.splitlines() if not x.startswith("#"))}
    assert {row for row in rows.values() if "(ours)" not in row} == papers
    assert all((row == "GRPO") == name.startswith("GRPO") for name, row in rows.items())


@pytest.mark.parametrize("scale", ["mini", "paper"])
def test_arms_that_figures_vary_are_of_no_table(scale: str) -> None:
    found = {
        (figure, name)
        for figure in ("fig3c", "fig4", "fig5", "fig6")
        for name, plan in arms(figure, scale).items()
        if not any(stands_beside(table, plan) for table in TABLES)
    }
    varied = {
        (figure, name)
        for figure in ("fig3c", "fig4", "fig5", "fig6")
        for name, plan in arms(figure, scale).items()
        if {"schedule", "grouping", "correction", "temperature"} & set(plan.training)
    }
    assert found == varied


def test_plain_grpo_is_grpo_whatever_its_plan_says_of_explorers() -> None:
    plan = plan_of({"training": {"explorer_fraction": 0, "schedule": "step", "explorer_temperature": 0.7}}, "here")
    assert [stands_beside(table, plan) for table in TABLES] == ["GRPO"] * 3


@pytest.mark.parametrize("table", ["table1", "table2"])
def test_arms_with_a_bank_are_of_table_4_alone(table: str) -> None:
    banks = [plan for plan in arms("table4", "mini").values() if plan.explores and plan.explorer.kind == "bank"]  # type: ignore[union-attr]
    assert len(banks) == 3
    assert not any(stands_beside(table, plan) for plan in banks)
