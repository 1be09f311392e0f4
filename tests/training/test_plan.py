"""A training plan: what it refuses, how changes are read, and when two plans are one run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from s2l_lab.errors import DataError, UsageError
from s2l_lab.training.plan import TrainingPlan, plan_of, read_plan

S2L: dict[str, Any] = {"explorer": {"member": "tiny-60k"}, "training": {"max_steps": 4}}


def changed(*changes: str, **values: Any) -> TrainingPlan:
    return plan_of({**S2L, **values}, "given", changes)


def test_changes_reach_every_table_and_a_bare_key_is_a_training_option(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(
        '[explorer]\nmember = "tiny-60k"\n[[evaluation]]\nbenchmark = "countdown"\n[training]\nmax_steps = 4\n'
    )
    plan = read_plan(
        path,
        [
            "seed=3",
            "training.beta=0.5",
            "explorer.member=tiny-360k",
            "evaluation.0.rollouts=16",
            "learner.lora.r=4",
            'explorer.kind="member"',
            "budget.flops=1e9",
        ],
    )
    assert plan.training == {"max_steps": 4, "seed": 3, "beta": 0.5}
    assert plan.explorer is not None
    assert plan.explorer.member == "tiny-360k"
    assert plan.evaluation[0].rollouts == 16
    assert plan.learner.lora is not None
    assert plan.learner.lora.r == 4
    assert plan.budget is not None
    assert plan.budget.flops == 1e9
    assert plan.seed == 3


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"learner": {"membr": "x"}}, "unknown key 'membr'. Did you mean member?"),
        ({"lerner": {}}, "unknown key 'lerner'. Did you mean learner"),
        ({"explorer": {"kind": "bank", "member": "tiny-60k"}}, "needs rollouts"),
        ({"explorer": {"kind": "noise"}}, "needs scale"),
        ({"explorer": {"kind": "pruned"}}, "needs layers"),
        ({"explorer": {"kind": "rounded", "bits": 4, "member": "tiny-60k"}}, "has no member"),
        ({"explorer": {"kind": "member", "member": "tiny-60k", "select": "placebo"}}, "has no select"),
        ({"explorer": None}, "there is no [explorer]"),
        ({"evaluation": [{"benchmark": "countdown-train"}]}, "trained on and evaluated on"),
        ({"evaluation": [{"benchmark": "countdown"}, {"benchmark": "countdown"}]}, "each benchmark once"),
        ({"runner": "alternate", "budget": {"flops": 1.0}}, "no budget"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_reason(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        changed(**values)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("seed", "write key=value"),
        ("evaluation.3.rollouts=1", "evaluation has 0 entries, numbered from 0; 3 is none"),
        ("training.seed.deep=1", "training.seed is 1, a single value"),
    ],
)
def test_a_change_that_is_none_is_refused(change: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        changed(change, evaluation=[], training={"seed": 1})
    assert said in str(refused.value)


def test_a_misspelt_training_option_gets_its_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="num_generations"):
        changed("num_generation=4").config(tmp_path)


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text("[learner")
    with pytest.raises(DataError, match=r"plan\.toml cannot be read as TOML"):
        read_plan(tmp_path / "plan.toml")


def test_at_fraction_0_nothing_about_explorers_makes_another_run() -> None:
    grpo = changed("explorer_fraction=0")
    same = changed("explorer_fraction=0", "explorer.member=tiny-360k", "schedule=cosine", "correction=truncated")
    assert grpo.digest == same.digest
    assert not grpo.explores
    assert changed("explorer_fraction=0", "beta=0.1").digest != grpo.digest


def test_at_a_fraction_above_0_everything_that_can_matter_does() -> None:
    plain = changed()
    for change in ("explorer.member=tiny-360k", "schedule=cosine", "seed=1", "learner.member=tiny-360k"):
        assert changed(change).digest != plain.digest, change
    for change in ("report_to=trackio", "run_name=here", "model_root=somewhere"):
        assert changed(change).digest == plain.digest, change


def test_an_explorer_is_of_the_kind_that_its_source_says() -> None:
    values = {"explorer": {"texts": "teacher.jsonl"}, "training": {"correction": "luffy"}}
    found = plan_of(values, "given")
    assert found.explorer is not None
    assert found.explorer.kind == "texts"
    assert found.explorer.who == "texts of teacher.jsonl"
    assert plan_of(json.loads(found.model_dump_json()), "plan.json").digest == found.digest
    assert plan_of(values, "given", ["explorer.texts=student.jsonl"]).digest != found.digest
    for explorer, says in (
        ({"kind": "texts"}, "an explorer of kind 'texts' needs texts"),
        ({"kind": "bank", "member": "tiny-60k", "rollouts": 4, "texts": "a.jsonl"}, "has no texts; leave it out"),
        ({"texts": "a.jsonl", "member": "tiny-60k"}, "has no member; leave it out"),
    ):
        with pytest.raises(UsageError, match=says):
            plan_of({"explorer": explorer}, "given")


def test_plans_of_earlier_releases_keep_their_digests() -> None:
    """A run directory is named by its plan's digest: a new field must not orphan it."""
    assert plan_of({"explorer": {"member": "tiny-60k"}}, "given").digest == "c95df34ffe57cfee"
    assert plan_of({"explorer": {"kind": "noise", "scale": 0.1}}, "given").digest == "8f81c002f5a205cf"


def test_the_plans_that_the_documentation_shows_are_plans(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "training.md"
    shown = [block.split("```")[0] for block in page.read_text().split("```toml\n")[1:]]
    kinds = set()
    for text in shown:
        file = tmp_path / "plan.toml"
        file.write_text(text)
        plan = read_plan(file)
        plan.config(tmp_path / "out")
        assert plan.explorer is not None
        kinds.add(plan.explorer.kind)
    assert kinds == {"learner", "texts", "served"}
