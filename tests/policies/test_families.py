"""The registry, family files and --policy: what is known, what is refused, and in which words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from s2l_lab.errors import DataError, PolicyError, UsageError
from s2l_lab.policies import SamplingParams, find_member, load_family, parse_policy, registry
from s2l_lab.policies.checkpoint import fingerprint, locate
from s2l_lab.policies.presets import card_params
from s2l_lab.policies.templates import TEMPLATES

if TYPE_CHECKING:
    from pathlib import Path

FILE = """
[[family]]
name = "mine"
template = "chat"
max_tokens = 99

[[family.members]]
name = "mine-small"
source = "small"
parameters = 10

[[family.members]]
name = "mine-large"
source = "org/large"
revision = "main"
parameters = 20
template = "raw"
"""


UNPINNED = {
    "gemma3-27b",
    "olmo2-13b-instruct",
    "olmo3-32b",
    "olmo3-32b-think",
    "pythia-12b",
    "qwen2.5-math-72b",
    "qwen2.5-math-72b-instruct",
}
"""Members whose commit no reference named where the file was written."""


def family_file(directory: Path, text: str = FILE) -> Path:
    path = directory / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_names_are_unique_sizes_ascend_and_hub_members_are_pinned() -> None:
    members = [m for family in registry() for m in family.members]
    assert len({m.name for m in members}) == len(members)
    for family in registry():
        sizes = [m.parameters or 0 for m in family.members]
        assert sizes == sorted(sizes)
        assert family.template in TEMPLATES
        assert {m.kind for m in family.members} == {family.kind}
    for member in members:
        pinned = member.revision is not None and len(member.revision) == 40 and int(member.revision, 16) >= 0
        assert member.embedded or pinned or member.name in UNPINNED, member


def test_the_issue_s_families_are_there() -> None:
    assert {"tiny", "tiny-rich", "qwen3", "qwen3-post", "qwen2.5", "internlm2.5", "smollm2", "llama3.2"} <= {
        f.name for f in registry()
    }
    assert {"qwen3.5", "gemma3", "olmo2", "olmo3", "pythia", "llama3.1", "smollm3", "qwen2.5-math"} <= {
        f.name for f in registry()
    }
    assert [m.name for m in load_family("qwen3").select(None)] == [
        f"qwen3-{s}-base" for s in ("1.7b", "4b", "8b", "14b")
    ]
    assert len(load_family("qwen3").members) == 5
    assert load_family("qwen3-post").members[-1].name == "qwen3-32b"


def test_select_keeps_the_family_s_order_and_refuses_strangers() -> None:
    family = load_family("qwen3")
    assert [m.name for m in family.select(["qwen3-8b-base", "qwen3-0.6b-base"])] == ["qwen3-0.6b-base", "qwen3-8b-base"]
    with pytest.raises(UsageError, match="Did you mean qwen3-8b-base"):
        family.select(["qwen3-8b"])


@pytest.mark.parametrize(("given", "near"), [("qwen-3", "qwen3"), ("tinyrich", "tiny-rich"), ("LLAMA3.2", "llama3.2")])
def test_an_unknown_family_names_its_neighbours(given: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_family(given)
    assert near in str(caught.value).partition("Known:")[0]
    assert "PATH.toml" in str(caught.value)


def test_an_unknown_member_names_its_neighbours() -> None:
    with pytest.raises(UsageError, match="Did you mean tiny-60k"):
        find_member("tiny-61k")


def test_a_family_file_inherits_and_resolves_directories(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    family = load_family(family_file(tmp_path))
    small, large = family.members
    assert (small.template, large.template, family.max_tokens) == ("chat", "raw", 99)
    assert small.source == str(tmp_path / "small")
    assert large.source == "org/large"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("max_tokens", "max_token", "Did you mean max_tokens"),
        ("revision", "revison", "Did you mean revision"),
        ('"mine-large"', '"mine-small"', "two members"),
        ("parameters = 20", "parameters = 5", "small to large"),
        ("parameters = 20", "parameters = 0", "family.0.members.1.parameters is 0; it is a whole number from 1"),
        ('source = "small"\n', "", "family.0.members.0.source is missing; it is text that is not empty"),
        ("[[family]]", "[[famly]]", "unknown key 'famly'. Did you mean family?"),
        ("max_tokens = 99", 'max_tokens = 99\ndefault = ["x"]', "names no member: x"),
        ("99", "", "cannot be read as TOML"),
        ('template = "chat"\n', 'template = "chat"\n[[family]]\nname="b"\n', "mine.toml"),
    ],
)
def test_a_broken_family_file_is_refused_with_the_place(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in FILE
    with pytest.raises((DataError, UsageError)) as caught:
        load_family(family_file(tmp_path, FILE.replace(old, new, 1)))
    assert says in str(caught.value)
    assert "mine.toml" in str(caught.value)


def test_a_family_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as TOML"):
        load_family(tmp_path / "none.toml")
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe[[")
    with pytest.raises(DataError, match="cannot be read as TOML"):
        load_family(tmp_path / "b.toml")


def test_policy_sources(tmp_path: Path) -> None:
    assert parse_policy(f"a={tmp_path}").source == str(tmp_path)
    hub = parse_policy("a=org/model@abc")
    assert (hub.source, hub.revision) == ("org/model", "abc")
    assert parse_policy("a=org/model").revision is None
    known = parse_policy("big=qwen3-32b")
    assert (known.name, known.source, known.revision) == ("big", "Qwen/Qwen3-32B", find_member("qwen3-32b").revision)
    assert parse_policy("s=scripted:beta(0.3,1);wrong=3").source == "scripted:beta(0.3,1);wrong=3"
    assert parse_policy("e=http://localhost:8000/v1#m=1").source == "http://localhost:8000/v1#m=1"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("checkpoints", "is not NAME=SOURCE"),
        ("=x", "is not NAME=SOURCE"),
        ("a=", "is not NAME=SOURCE"),
        ("a b=x/y", "may hold letters"),
        ("../a=x/y", "may hold letters"),
        ("a=qwen3-32", "Did you mean qwen3-32b"),
        ("a=/nowhere/at/all", "is no directory or GGUF file either"),
    ],
)
def test_a_policy_that_is_none(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_policy(text)
    assert says in str(caught.value)


def test_without_a_hub_every_missing_member_is_named_in_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    import huggingface_hub.constants as hub

    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    root = tmp_path / "models"
    (root / "Qwen3-4B-Base").mkdir(parents=True)
    (root / "Qwen3-4B-Base" / "config.json").write_text("{}")
    with pytest.raises(PolicyError) as caught:
        locate(load_family("qwen3").select(None), root)
    message = str(caught.value)
    assert "4 of 4 checkpoints" in message
    for name in ("qwen3-1.7b-base", "qwen3-8b-base", "qwen3-14b-base"):
        assert f"{name}: Qwen/Qwen3-" in message
    assert "Qwen3-4B-Base lacks a whole config.json, tokenizer files, weights (*.safetensors)" in message
    assert str(root / "Qwen" / "Qwen3-8B-Base") in message
    assert all(way in message for way in ("--model-root", "--policy NAME=PATH", "hf download"))


def test_model_root_must_exist(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="--model-root"):
        locate([find_member("qwen3-4b")], tmp_path / "none")


@pytest.mark.parametrize("place", ["Qwen3-4B", "Qwen/Qwen3-4B", "qwen3-4b"])
def test_model_root_is_looked_into_first(tmp_path: Path, place: str) -> None:
    directory = tmp_path / place
    directory.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (directory / name).write_text('{"a": 1}')
    (checkpoint,) = locate([find_member("qwen3-4b")], tmp_path)
    assert checkpoint.directory == directory
    assert checkpoint.revision == f"sha256:{fingerprint(directory)}"


def test_every_byte_of_a_checkpoint_is_in_its_fingerprint(tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    first = fingerprint(tmp_path)
    (tmp_path / "README.md").write_text("no part of the model")
    assert fingerprint(tmp_path) == first
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_text("{ }")
        assert fingerprint(tmp_path) != first
        first = fingerprint(tmp_path)


def test_missing_shards_are_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"a": 1}')
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model-1.safetensors").write_text("{}")
    index = '{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}'
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(PolicyError, match=r"lacks model-2\.safetensors"):
        locate([parse_policy(f"a={tmp_path}")])


# Cards.


def test_the_card_s_parameters_are_a_preset_under_the_flags() -> None:
    members = load_family("qwen3-post").select(["qwen3-4b", "qwen3-8b"])
    assert card_params(members) == SamplingParams(temperature=0.6, top_p=0.95, top_k=20, min_p=0)
    assert card_params(members, top_p=1, seed=3) == SamplingParams(temperature=0.6, top_k=20, seed=3)


def test_a_member_s_own_card_comes_before_its_family_s(tmp_path: Path) -> None:
    text = FILE.replace("max_tokens = 99", "max_tokens = 99\nsampling = { temperature = 0.3 }")
    text = text.replace('revision = "main"', 'revision = "main"\nsampling = { temperature = 0.9, top_k = 5 }')
    small, large = load_family(family_file(tmp_path, text)).members
    assert card_params([small]).temperature == 0.3
    assert card_params([large]) == SamplingParams(temperature=0.9, top_k=5)
    with pytest.raises(UsageError) as caught:
        card_params([small, large])
    assert "differ in temperature, top_k (mine-small: temperature 0.3; mine-large: temperature 0.9, top_k 5)" in str(
        caught.value
    )
    assert card_params([small, large], temperature=1.0, top_k=5) == SamplingParams(top_k=5)


def test_a_card_that_recommends_nothing_is_said() -> None:
    with pytest.raises(UsageError, match="no sampling parameters are known from the card of tiny-60k, tiny-360k"):
        card_params(load_family("tiny").members[:2])


def test_every_known_card_is_a_set_of_sampling_parameters() -> None:
    for family in registry():
        if family.sampling is not None:
            assert card_params(family.members).model_dump(exclude_defaults=True) == {
                key: value for key, value in family.sampling.values.items() if value != getattr(SamplingParams(), key)
            }


@pytest.mark.parametrize(
    ("card", "says"),
    [("{ temprature = 1 }", "Did you mean temperature"), ("{ top_p = 0 }", "family.0.sampling.top_p is 0")],
)
def test_a_card_with_a_fault_is_refused(tmp_path: Path, card: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        load_family(family_file(tmp_path, FILE.replace("max_tokens = 99", f"max_tokens = 99\nsampling = {card}")))
