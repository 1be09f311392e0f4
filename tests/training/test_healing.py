"""Laws of healing, and of the member that `families prune` writes: what it is, that it is whole, that it repeats."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from s2l_lab.errors import DataError, PolicyError, S2LError, UsageError
from s2l_lab.policies import load_family, open_policy
from s2l_lab.policies.checkpoint import locate
from s2l_lab.policies.opening import check_members
from s2l_lab.policies.pruning import prune
from s2l_lab.policies.transformers_engine import load_causal_lm
from s2l_lab.training.healing import Healing, SourceCompletion, divergence, heal
from s2l_lab.training.pruned_member import HealingPlan, make_pruned_member

SOURCE = "tiny-360k"
LAYERS = "0,2"
PLAN = HealingPlan(Healing(12, batch=6, rate=1e-3), ("countdown",), problems=12, rollouts=2, max_tokens=24)


@pytest.fixture(scope="module")
def healed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A healed member with the lines that were said while it was made."""
    out, lines = tmp_path_factory.mktemp("families") / "two-thirds", []
    make_pruned_member(SOURCE, LAYERS, out, PLAN, announce=lines.append)
    return out, lines


def model_of(directory: Path) -> Any:
    return load_causal_lm("m", directory, "float32")[1].eval()


def source_directory() -> Path:
    (found,) = locate([load_family("tiny").select(["tiny-360k"])[0]])
    return found.directory


def samples(rows: Sequence[tuple[int, int]], vocabulary: int) -> list[SourceCompletion]:
    rng = np.random.default_rng(0)
    return [
        SourceCompletion(tuple(rng.integers(0, vocabulary, p)), tuple(rng.integers(0, vocabulary, c))) for p, c in rows
    ]


def test_the_loss_is_the_divergence_written_out_token_by_token() -> None:
    source = model_of(source_directory())
    pruned = prune(source, (0, 2))
    rows = samples([(3, 4), (7, 1), (1, 9), (5, 5)], 30)
    terms = []
    for row in rows:
        for end in range(len(row.completion)):
            ids = torch.tensor([[*row.prompt, *row.completion[:end]]])
            with torch.no_grad():
                p, q = (model(input_ids=ids).logits[0, -1].double().log_softmax(-1) for model in (source, pruned))
            terms.append(float((p.exp() * (p - q)).sum()))
    expected = sum(terms) / len(terms)
    for batch in (1, 3, 8):
        assert divergence(pruned, source, rows, batch) == pytest.approx(expected, rel=1e-4)
    assert divergence(prune(source, (0, 1, 2)), source, rows) == 0


def test_healing_trains_the_layers_and_leaves_the_source_and_the_vocabulary_alone() -> None:
    source = model_of(source_directory())
    pruned = prune(source, (0, 2))
    before, of_source = (
        {name: tensor.clone() for name, tensor in model.state_dict().items()} for model in (pruned, source)
    )
    drawn = torch.get_rng_state()
    heal(pruned, source, samples([(4, 6)] * 5, 30), Healing(2, batch=3, rate=1e-3))
    assert torch.equal(torch.get_rng_state(), drawn)
    moved = {name for name, tensor in pruned.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {name for name, _ in pruned.named_parameters() if "embed" not in name}
    assert all(torch.equal(tensor, of_source[name]) for name, tensor in source.state_dict().items())


def test_healing_brings_the_member_nearer_to_its_source(healed: tuple[Path, list[str]]) -> None:
    """On problems that were not trained on, as the first and last line say, and as the written files have it."""
    _, lines = healed
    held_out = [float(line.split(": ")[1].split()[0]) for line in lines if line.startswith("held-out loss")]
    assert len(held_out) == 2
    assert held_out[1] < held_out[0] - 0.05


def test_the_same_seed_gives_the_same_bytes(healed: tuple[Path, list[str]], tmp_path: Path) -> None:
    out, _ = healed
    again, other = tmp_path / "two-thirds", tmp_path / "other"
    make_pruned_member(SOURCE, LAYERS, again, PLAN)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        path.name: path.read_bytes() for path in again.iterdir()
    }
    changed = HealingPlan(Healing(12, batch=6, rate=1e-3, seed=1), ("countdown",), 12, 2, 24)
    make_pruned_member(SOURCE, LAYERS, other, changed)
    assert (other / "model.safetensors").read_bytes() != (out / "model.safetensors").read_bytes()


def test_the_family_file_opens_both_members(healed: tuple[Path, list[str]]) -> None:
    out, _ = healed
    family = load_family(out / "family.toml")
    small, large = family.members
    assert (small.name, large.name) == ("two-thirds", "tiny-360k")
    check_members(family.members)  # files, fingerprints, one tokenizer
    sizes = []
    for member in family.members:
        policy = open_policy(member)
        assert policy.shape is not None
        sizes.append(policy.shape.parameters)
        policy.close()
    assert sizes == [small.parameters, large.parameters]


def test_the_tokenizer_is_the_sources_and_the_card_says_what_it_is(healed: tuple[Path, list[str]]) -> None:
    out, lines = healed
    for path in source_directory().glob("tokenizer*"):
        assert (out / path.name).read_bytes() == path.read_bytes()
    card = (out / "README.md").read_text(encoding="utf-8")
    (large,) = load_family(out / "family.toml").members[1:]
    end = next(line for line in lines if line.startswith("held-out loss after")).split(": ")[1].split()[0]
    said = (
        "tiny-360k",
        large.revision or "",
        "0, 2; left out: 1",
        "not a released model",
        "12 steps",
        "countdown",
        end,
    )
    assert all(word in card for word in said)


def test_what_is_not_healed_holds_the_sources_weights(tmp_path: Path) -> None:
    """Also in its own precision: bfloat16 comes out as bfloat16, bit for bit."""
    source, out = tmp_path / "large", tmp_path / "small"
    shutil.copytree(source_directory(), source)
    model_of(source).to(torch.bfloat16).save_pretrained(source)
    make_pruned_member(str(source), "0,2", out)
    kept, all_of_them = load_file(out / "model.safetensors"), load_file(source / "model.safetensors")
    for name, tensor in kept.items():
        assert torch.equal(tensor, all_of_them[name.replace("layers.1.", "layers.2.")])
        assert tensor.dtype == torch.bfloat16
    assert "lm_head.weight" not in kept  # tied, as it was
    assert json.loads((out / "config.json").read_text())["num_hidden_layers"] == 2
    assert load_family(out / "family.toml").members[1].source == str(source)


def test_an_unwritable_place_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        make_pruned_member(SOURCE, LAYERS, tmp_path / "file" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"out": "."}, UsageError, "exists already"),
        ({"out": "a b"}, UsageError, "is none"),
        ({"out": "tiny-360k"}, UsageError, "is called tiny-360k already"),
        ({"source": "tiny-361k"}, UsageError, "Did you mean tiny-360k"),
        ({"source": "x=http://localhost:1/v1"}, UsageError, "can only be run by the engine endpoint"),
        ({"source": "x=scripted:beta(1,1)"}, UsageError, "can only be run by the engine scripted"),
        ({"layers": "0,3"}, UsageError, "names layer 3"),
        ({"layers": "0-2"}, UsageError, "keeps all 3 layers"),
        ({"template": "chat"}, PolicyError, "no chat template"),
        ({"benchmark": "cuontdown"}, UsageError, "unknown benchmark"),
        ({"problems": 1}, UsageError, "2 problems at least"),
        ({"problems": 0}, UsageError, "0 were asked for"),
        ({"max_tokens": 0}, UsageError, "max_tokens"),
        ({"seed": -1}, UsageError, "seed"),
    ],
)
def test_what_cannot_be_made_is_one_line_and_nothing_is_written(
    change: dict[str, Any], kind: type[S2LError], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = {"source": SOURCE, "layers": LAYERS, "out": "new", "template": None, "benchmark": "countdown"} | change
    plan = HealingPlan(
        Healing(1),
        (asked["benchmark"],),
        problems=change.get("problems", 4),
        rollouts=1,
        max_tokens=change.get("max_tokens"),
    )
    places = {"template": asked["template"], "seed": change.get("seed", 0)}
    with pytest.raises(kind, match=message) as caught:
        make_pruned_member(asked["source"], asked["layers"], Path(asked["out"]), plan, **places)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Healing(-1), "1 step"),
        (lambda: Healing(1, batch=0), "1 completion"),
        (lambda: Healing(1, rate=0.0), "above 0"),
        (lambda: Healing(1, rate=float("nan")), "above 0"),
        (lambda: HealingPlan(Healing(1), ()), "--heal-benchmark"),
        (lambda: HealingPlan(Healing(1), ("countdown",), rollouts=0), "1 completion per problem"),
    ],
)
def test_a_wrong_plan_is_refused(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()
