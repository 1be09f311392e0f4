"""GGUF files as policies: the same ids as llama.cpp, the weights of the file, and one line for a file that cannot be.

`gguf_cases.json` holds what llama.cpp's /tokenize gives for texts, by the split that a file names, for the vocabulary
of `gguf_files`.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from gguf_files import CHAT, VOCABULARY, write_gguf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from s2l_lab.errors import PolicyError, UsageError
from s2l_lab.policies import Draws, SamplingParams, load_family, open_policy, parse_policy
from s2l_lab.policies.checkpoint import find_here, locate
from s2l_lab.policies.families import named_member
from s2l_lab.policies.gguf_file import converted, sha256_of
from s2l_lab.policies.gguf_tokenizer import SPLITS, tokenizer_of
from s2l_lab.policies.opening import choose_engine, member_here
from s2l_lab.problems import Problem

CASES = json.loads((Path(__file__).parent / "gguf_cases.json").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "s2l-lab"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "small.gguf")


def made(path: Path) -> Path:
    return converted(path)[0]


def metadata(path: Path) -> dict[str, Any]:
    return {name: field.contents() for name, field in GGUFReader(path).fields.items()}


# The tokenizer.


@pytest.mark.parametrize("split", SPLITS)
def test_ids_are_those_of_llama_cpp_for_every_known_split(tmp_path: Path, split: str) -> None:
    tokenizer = tokenizer_of(metadata(write_gguf(tmp_path / "m.gguf", tokenizer__ggml__pre=split)))
    assert [tokenizer(text)["input_ids"] for text in CASES["texts"]] == CASES["ids"][split]


def test_the_cases_tell_the_splits_apart() -> None:
    kinds = {json.dumps(ids) for split, ids in CASES["ids"].items()}
    assert set(CASES["ids"]) == set(SPLITS)
    assert len(kinds) >= len(set(SPLITS.values()))


@pytest.mark.parametrize("adds", [False, True])
def test_the_saved_tokenizer_spells_as_the_one_in_memory_and_keeps_its_roles(tmp_path: Path, adds: bool) -> None:
    path = write_gguf(tmp_path / "m.gguf", tokenizer__ggml__add_bos_token=adds, tokenizer__ggml__bos_token_id=0)
    tokenizer = AutoTokenizer.from_pretrained(made(path))
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|endoftext|>", "<|im_end|>")
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (0, 2, 2)
    assert tokenizer.chat_template == CHAT
    assert tokenizer.get_vocab() == {token: i for i, token in enumerate(VOCABULARY)}
    smollm = CASES["ids"]["smollm"]
    for text, ids in zip(CASES["texts"], smollm, strict=True):
        assert tokenizer(text)["input_ids"] == [0] * adds + ids
        assert tokenizer.decode(ids) == text


# The checkpoint.


@pytest.mark.parametrize(("eos", "eot", "ends"), [(2, None, 2), (0, None, 0), (2, 3, [2, 3]), (2, 2, 2)])
def test_what_ends_a_text_is_what_the_file_says(tmp_path: Path, eos: int, eot: int | None, ends: object) -> None:
    directory = made(
        write_gguf(tmp_path / "m.gguf", tokenizer__ggml__eos_token_id=eos, tokenizer__ggml__eot_token_id=eot)
    )
    config = json.loads((directory / "config.json").read_text())
    assert config["eos_token_id"] == eos
    assert config["bos_token_id"] == 1
    assert GenerationConfig.from_pretrained(directory).eos_token_id == ends
    assert not [key for key in config if "quantiz" in key]


@pytest.mark.parametrize("tied", [True, False])
def test_the_weights_are_those_of_the_file(tmp_path: Path, tied: bool) -> None:
    head = np.random.default_rng(1).normal(size=(len(VOCABULARY), 64)).astype(np.float32)
    path = write_gguf(tmp_path / "m.gguf", extra={} if tied else {"output.weight": head})
    directory = made(path)
    saved = load_file(directory / "model.safetensors")
    theirs = {tensor.name: np.asarray(tensor.data) for tensor in GGUFReader(path).tensors}
    assert np.array_equal(saved["model.embed_tokens.weight"], theirs["token_embd.weight"])
    assert np.array_equal(saved["model.layers.1.mlp.down_proj.weight"], theirs["blk.1.ffn_down.weight"])
    assert ("lm_head.weight" in saved) is not tied
    reloaded = AutoModelForCausalLM.from_pretrained(directory)
    direct = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name)
    ids = torch.tensor([[5, 9, 30, 2, 7]])
    assert torch.equal(reloaded(ids).logits, direct(ids).logits)


def test_the_identity_is_the_file_s_sha256_wherever_it_lies(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path / "other" / "renamed.gguf"
    elsewhere.parent.mkdir()
    shutil.copy(model, elsewhere)
    here = [parse_policy(f"a={source}") for source in ("small.gguf", "other/renamed.gguf", str(model))]
    found = locate([member.model_copy(update={"name": f"m{i}"}) for i, member in enumerate(here)])
    assert {one.revision for one in found} == {f"sha256:{sha256_of(model)}"}
    assert len({one.directory for one in found}) == 1
    # The directory that was made is the same policy, named by itself.
    (itself,) = locate([parse_policy(f"a={found[0].directory}")])
    assert itself.revision == found[0].revision


def test_a_file_is_converted_once(model: Path) -> None:
    first = made(model)
    stamp = (first / "model.safetensors").stat().st_mtime_ns
    assert made(model) == first
    assert (first / "model.safetensors").stat().st_mtime_ns == stamp
    assert [path.name for path in first.parent.iterdir()] == [first.name]


def test_a_gguf_policy_is_sampled_by_name_by_path_and_in_a_family_file(tmp_path: Path, model: Path) -> None:
    (tmp_path / "family.toml").write_text(
        '[[family]]\nname = "mine"\n[[family.members]]\nname = "one"\nsource = "small.gguf"\n', encoding="utf-8"
    )
    (member,) = load_family(tmp_path / "family.toml").members
    assert named_member(str(model)).name == "small"
    problem, params = Problem.make("12+1=", "13", "math", "test", {}), SamplingParams(max_tokens=6)
    drawn = []
    for one in (member, f"one={model}"):
        policy = open_policy(one)
        assert policy.prompt(problem) == f"<|im_start|>user\n{problem.prompt}<|im_end|>\n<|im_start|>assistant\n"
        drawn.append([d.completion.token_ids.tolist() for d in policy.sample([Draws(problem, (0, 1))], params)])
        policy.close()
    assert drawn[0] == drawn[1]


def test_a_run_s_policy_is_found_again_without_its_file(model: Path) -> None:
    (checkpoint,) = locate([parse_policy(f"a={model}")])
    config = {"policies": {"a": {"source": str(model), "revision": checkpoint.revision, "template": "chat"}}}
    model.rename(model.with_name("moved.gguf"))
    found = member_here(config, "a")
    assert not isinstance(found, str)
    assert locate([found])[0].directory == checkpoint.directory
    shutil.rmtree(checkpoint.directory)
    assert member_here(config, "a") == f"a: {model} is not on this machine."


def test_another_file_under_a_recorded_hash_is_refused(tmp_path: Path, model: Path) -> None:
    member = parse_policy(f"a={model}").model_copy(update={"revision": f"sha256:{'0' * 64}"})
    with pytest.raises(PolicyError, match="does not hold the files that are asked for"):
        locate([member])
    assert find_here(member) == model


# What is refused.


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"general__architecture": "mpt"}, "architecture 'mpt'"),
        ({"tokenizer__ggml__model": "llama"}, "a tokenizer of the kind 'llama'"),
        ({"tokenizer__ggml__model": None}, "holds no tokenizer"),
        ({"tokenizer__ggml__pre": "klingon"}, "splits text by 'klingon'"),
        ({"tokenizer__ggml__pre": None}, "splits text by 'default'"),
        ({"llama__rope__scaling__type": "yarn"}, "positions scaled by 'yarn'"),
        ({"extra": {"rope_freqs.weight": np.ones(16, np.float32)}}, "rope_freqs.weight"),
        ({"leave_out": ("blk.1.ffn_up.weight",)}, "lacks weights"),
        ({"split__count": 3}, "one of 3 parts"),
    ],
)
def test_a_file_that_would_be_read_wrongly_is_refused(
    tmp_path: Path, cache: Path, change: dict[str, Any], says: str
) -> None:
    path = write_gguf(tmp_path / "m.gguf", **change)
    with pytest.raises(PolicyError) as caught:
        converted(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(cache.rglob("*.safetensors"))


def test_a_part_of_a_split_file_is_named_as_one(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m-00001-of-00003.gguf")
    with pytest.raises(PolicyError, match=r"one of 3 parts of a split GGUF file\. Join them first"):
        converted(path)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 0.999))
def test_a_file_cut_anywhere_is_one_line(tmp_path: Path, cache: Path, share: float) -> None:
    whole = write_gguf(tmp_path / "whole.gguf").read_bytes()
    path = tmp_path / "cut.gguf"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(PolicyError) as caught:
        locate([parse_policy(f"a={path}")])
    assert "\n" not in str(caught.value)
    assert "cut.gguf" in str(caught.value)
    assert not list(cache.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("none/x.gguf", "there is no GGUF file none/x.gguf"),
        ("{here}/notes.txt", "is a file, but no GGUF file"),
        ("ollama:llama3:8b", "`ollama pull llama3:8b`, then --policy a=http://localhost:11434/v1#llama3:8b"),
        ("package:thing/x.gguf", "is not package:NAME==VERSION/FILE"),
    ],
)
def test_a_source_that_cannot_be_is_said_in_one_line(tmp_path: Path, source: str, says: str) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(UsageError) as caught:
        parse_policy(f"a={source.format(here=tmp_path)}")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_text_called_gguf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_text("a page that a proxy sent instead")
    with pytest.raises(PolicyError, match=r"a: .*x.gguf is no GGUF file"):
        locate([parse_policy(f"a={tmp_path / 'x.gguf'}")])


def test_the_endpoint_engine_says_what_to_start(model: Path) -> None:
    with pytest.raises(UsageError, match=r"llama-server -m .*small.gguf --port 8080, then --policy a=http://localhost"):
        choose_engine(parse_policy(f"a={model}"), "endpoint")
    with pytest.raises(UsageError, match="ollama serve"):
        choose_engine(parse_policy(f"a={model}").model_copy(update={"source": "ollama:x"}), "auto")


def test_without_the_package_the_pip_command_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(PolicyError, match=r"pip install -c constraints.txt 's2l-lab\[gguf\]'"):
        converted(model)
