"""A SWEEP.toml to arms: the product by hand, the merge, one run for equal digests, and every slip by name."""

import os
from pathlib import Path

import pytest
from sweep_files import BASE, sweep_of, write_sweep

from s2l_lab.errors import DataError, S2LError, UsageError
from s2l_lab.sweeps import read_sweep
from s2l_lab.sweeps.product import merged, product_of

FACTORS = """
[factors.method.GRPO]
training = {explorer_fraction = 0}
[factors.method.S2L-PO]
training = {explorer_fraction = 1}
[factors.explorer.360k]
explorer = {member = "tiny-360k"}
[factors.explorer.60k]
explorer = {member = "tiny-60k"}
"""
ALONE = """
[[arm]]
name = "small-only"
seeds = [1, 4]
change = {training = {schedule = "constant"}}
"""


def test_the_product_with_further_arms_in_order_of_seed(tmp_path: Path) -> None:
    arms = sweep_of(tmp_path, FACTORS + ALONE).arms()
    product = ["GRPO / 360k", "GRPO / 60k", "S2L-PO / 360k", "S2L-PO / 60k"]
    assert [(arm.name, arm.seed) for arm in arms] == [
        *((name, 0) for name in product),
        *((name, 1) for name in product),
        ("small-only", 1),
        ("small-only", 4),
    ]
    assert [arm.plan.seed for arm in arms] == [arm.seed for arm in arms]
    third = arms[2]
    assert third.levels == {"method": "S2L-PO", "explorer": "360k"}
    assert third.plan.explorer is not None
    assert (third.plan.explorer.member, third.plan.training["explorer_fraction"]) == ("tiny-360k", 1)
    assert arms[-1].levels == {}
    assert arms[-1].plan.training["schedule"] == "constant"
    assert arms[-1].plan.training["num_generations"] == 4


def test_equal_digests_are_one_run(tmp_path: Path) -> None:
    """GRPO has no explorer, so GRPO / 360k is GRPO / 60k: 8 arms with seeds, 2 + 4 runs."""
    sweep = sweep_of(tmp_path, FACTORS)
    assert len(sweep.arms()) == 8
    assert [[arm.title for arm in arms] for arms in sweep.runs.values()] == [
        ["GRPO / 360k, seed 0", "GRPO / 60k, seed 0"],
        ["S2L-PO / 360k, seed 0"],
        ["S2L-PO / 60k, seed 0"],
        ["GRPO / 360k, seed 1", "GRPO / 60k, seed 1"],
        ["S2L-PO / 360k, seed 1"],
        ["S2L-PO / 60k, seed 1"],
    ]


def test_merging_goes_into_tables_and_replaces_the_rest() -> None:
    base = {"a": {"b": 1, "c": {"d": 2}}, "list": [{"x": 1}, {"x": 2}], "plain": 3}
    change = {"a": {"c": {"e": 5}}, "list": [{"y": 1}], "plain": {"now": "a table"}}
    assert merged(base, change) == {
        "a": {"b": 1, "c": {"d": 2, "e": 5}},
        "list": [{"y": 1}],
        "plain": {"now": "a table"},
    }
    assert base == {"a": {"b": 1, "c": {"d": 2}}, "list": [{"x": 1}, {"x": 2}], "plain": 3}


def test_a_product_of_three_factors_has_every_combination_once() -> None:
    factors = {f"f{i}": {f"{i}{j}": {f"k{i}": j} for j in range(i + 1)} for i in range(3)}
    changes = product_of(factors, "here")
    assert [change.name for change in changes] == [
        "00 / 10 / 20", "00 / 10 / 21", "00 / 10 / 22", "00 / 11 / 20", "00 / 11 / 21", "00 / 11 / 22"
    ]  # fmt: skip
    assert changes[4].values == {"k0": 0, "k1": 1, "k2": 1}


def test_factors_may_agree_on_a_key_and_not_differ() -> None:
    both = {"a": {"x": {"training": {"lr": 1}}}, "b": {"y": {"training": {"lr": 1}}}}
    assert product_of(both, "here")[0].values == {"training": {"lr": 1}}
    both["b"]["y"]["training"]["lr"] = 2
    with pytest.raises(UsageError, match=r"\[factors\.a\.x\] sets training\.lr to 1 and \[factors\.b\.y\] to 2"):
        product_of(both, "here")


def test_a_base_file_is_found_from_the_sweep_and_the_folder_names_it(tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    (tmp_path / "fig4").mkdir()
    inner = BASE.replace("[base]\n", "").replace("base.", "")
    (tmp_path / "training" / "mini.toml").write_text(inner)
    path = tmp_path / "fig4" / "mini.toml"
    path.write_text(f'base = "../training/mini.toml"\nseeds = [3]\n[figure]\nk = 8\n{ALONE.replace("[1, 4]", "[3]")}')
    sweep = read_sweep(path)
    assert (sweep.name, sweep.figure, len(sweep.arms())) == ("fig4", {"k": 8}, 1)
    table = sweep_of(tmp_path, ALONE)
    assert table.runs.keys() != sweep.runs.keys()
    assert sweep.arms()[0].plan.model_copy(update={"training": {}}) == table.arms()[0].plan.model_copy(
        update={"training": {}}
    )
    path.rename(path.with_name("other.toml"))
    assert read_sweep(path.with_name("other.toml")).name == "other"


def test_checking_leaves_the_environment_alone(tmp_path: Path) -> None:
    before = dict(os.environ)
    sweep_of(tmp_path, ALONE)
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("text", "seeds", "words"),
    [
        ("[factor.method.GRPO]\n", "[0]", "unknown key 'factor'. Did you mean factors?"),
        ('[[arm]]\nname = "a"\nchanges = {}', "[0]", "unknown key 'changes'. Did you mean change?"),
        ('[factors.x."S2L-PO"]\nexplorer = {membr = "tiny-60k"}', "[0]", "Did you mean member?"),
        ('[factors.x."S2L-PO"]\nexplorer = {membr = "tiny-60k"}', "[0]", "arm 'S2L-PO'"),
        ("[factors.x.a]\ntraining = {explorer_fracton = 1}", "[0]", "Did you mean explorer_fraction"),
        ("[factors.x.a]\ntraining = {correction_cap = 2.0}", "[0]", "arm 'a': "),
        ("[factors.x.a]\ntrainin = {explorer_fraction = 1}", "[0]", "Did you mean training?"),
        ("[factors.x]\ntraining = 3", "[0]", "factors.x.training is 3"),
        ("[factors.x]", "[0]", "factors.x is {}; it is a table of at least 1"),
        ("", "[0]", "has no arm"),
        ('[[arm]]\nname = "a"\n[[arm]]\nname = "a"', "[0]", "two arms of the name 'a'"),
        ("[factors.x.a]\n[[arm]]\nname = 'a'", "[0]", "two arms of the name 'a'"),
        ("[[arm]]\nchange = {}", "[0]", "arm.0.name is missing"),
        ("[arm]\nname = 'a'", "[0]", "in two brackets"),
        ("[factors.x.a]", "[]", "has no seed"),
        ("[factors.x.a]", "[0, 0]", "has one twice"),
        ("[factors.x.a]", "[true]", "seeds.0 is True; it is a whole number from 0"),
        ("[factors.x.a]", "3", "seeds is 3; it is a list, each a whole number from 0: as seeds = [0, 1, 2]"),
        ("[[arm]]\nname = 'a'\nseeds = [-1]", "[0]", "arm.0.seeds.0 is -1; it is a whole number from 0"),
        ("[factors.x.a]\ntraining = {seed = 3}", "[0]", "sets training.seed"),
    ],
)
def test_a_slip_is_refused_by_name(tmp_path: Path, text: str, seeds: str, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        sweep_of(tmp_path, text, seeds)
    assert words in str(refused.value)


@pytest.mark.parametrize("base", ["", "base = 3", "base = 'nowhere.toml'"])
def test_a_sweep_without_a_base_is_refused(tmp_path: Path, base: str) -> None:
    with pytest.raises(S2LError, match=r"base|nowhere\.toml"):
        read_sweep(write_sweep(tmp_path, ALONE, base=base))


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sweep.toml").write_text("seeds = [")
    with pytest.raises(DataError, match="cannot be read as TOML"):
        read_sweep(tmp_path / "sweep.toml")
