"""Pretraining seeds: trained once, by today's recipe, into a family that the rest of the package opens."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from s2l_lab.errors import UsageError
from s2l_lab.policies.families import load_family
from s2l_lab.policies.opening import open_policy
from s2l_lab.policies.tiny import recipe
from s2l_lab.policies.tiny.recipe import Recipe
from s2l_lab.studies.siblings import pretrained_siblings, sibling_name


@pytest.fixture(autouse=True)
def short_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps in place of two thousand; everything else is the real training."""
    monkeypatch.setitem(recipe.RECIPES, "tiny", Recipe(problems=48, steps=2, batch=4, warmup=1))


def weights(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.safetensors")
    }


def test_siblings_are_trained_once_and_form_a_family(tmp_path: Path) -> None:
    said: list[str] = []
    path = pretrained_siblings("tiny", (1, 2), tmp_path, announce=said.append)
    assert len(said) == 2
    made = weights(tmp_path)
    assert len(set(made.values())) == 6  # three sizes, two seeds, no two alike
    family = load_family(path)
    assert [m.name for m in family.members] == [
        sibling_name(f"tiny-{size}", seed) for size in ("60k", "360k", "2m") for seed in (1, 2)
    ]
    assert {m.template for m in family.members} == {load_family("tiny").template}
    policy = open_policy(family.members[0])
    assert policy.name == "tiny-60k-seed1"
    policy.close()

    assert pretrained_siblings("tiny", (1, 2), tmp_path, announce=said.append) == path
    assert len(said) == 2
    assert weights(tmp_path) == made


def test_only_what_another_recipe_made_or_nobody_made_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretrained_siblings("tiny", (1,), tmp_path)
    made = weights(tmp_path)
    (tmp_path / "seed1" / "tiny" / "60k" / "model.safetensors").unlink()
    said: list[str] = []
    pretrained_siblings("tiny", (1,), tmp_path, announce=said.append)
    assert said == ["training 60k of tiny from seed 1 (minutes; once)"]
    assert weights(tmp_path) == made  # same seed, same bits

    monkeypatch.setitem(recipe.RECIPES, "tiny", Recipe(problems=48, steps=3, batch=4, warmup=1))
    pretrained_siblings("tiny", (1,), tmp_path, announce=said.append)
    assert said[1:] == ["training 60k, 360k, 2m of tiny from seed 1 (minutes; once)"]
    assert not set(weights(tmp_path).values()) & set(made.values())


def test_what_cannot_be_a_sibling_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="qwen3"):
        pretrained_siblings("qwen3", (1,), tmp_path)
    for seeds in ((0, 1), (1, 1)):
        with pytest.raises(UsageError, match="distinct seeds other than 0"):
            pretrained_siblings("tiny", seeds, tmp_path)
    assert list(tmp_path.iterdir()) == []
