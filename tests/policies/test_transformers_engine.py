"""The transformers engine: a checkpoint becomes a policy with an identity, or a message that says what is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from tiny_checkpoints import write_checkpoint, write_tokenizer

from s2l_lab.errors import PolicyError
from s2l_lab.policies import Draws, SamplingParams, open_policy
from s2l_lab.policies.transformers_engine import TransformersPolicy
from s2l_lab.problems import Problem

if TYPE_CHECKING:
    from pathlib import Path

PROBLEMS = [Problem.make(text, "1", "math", "test", {}) for text in ("1+2=", "what is 3*4?", "7")]
SAMPLING = SamplingParams(max_tokens=12, seed=3)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "member")


def load(directory: Path, name: str = "m", template: str = "t", dtype: str = "float32") -> TransformersPolicy:
    return TransformersPolicy.load(name, directory, None, lambda p: p.prompt, template, dtype)


def test_samples_what_is_asked_for(checkpoint: Path) -> None:
    policy = load(checkpoint)
    requests = [Draws(PROBLEMS[0], (4, 2)), Draws(PROBLEMS[1], ()), Draws(PROBLEMS[2], (0,))]
    draws = list(policy.sample(requests, SAMPLING))
    assert {(d.problem_id, d.index) for d in draws} == {(PROBLEMS[0].id, 4), (PROBLEMS[0].id, 2), (PROBLEMS[2].id, 0)}
    assert {d.completion.prompt_tokens for d in draws} == {4, 1}
    assert list(policy.sample([], SAMPLING)) == []


def test_is_what_open_policy_opens(checkpoint: Path) -> None:
    policy = open_policy(f"m={checkpoint}", engine="transformers", template="raw")
    assert policy.engine == "transformers"
    a = {d.index: d.completion for d in policy.sample([Draws(PROBLEMS[0], (0, 1, 2))], SAMPLING)}
    again = open_policy(f"m={checkpoint}", engine="transformers", template="raw")
    b = {d.index: d.completion for d in again.sample([Draws(PROBLEMS[0], (2,))], SAMPLING)}
    assert np.array_equal(a[2].token_ids, b[2].token_ids)
    assert np.array_equal(a[2].logprobs, b[2].logprobs)


def test_a_promise_that_departs_from_the_rule_is_part_of_the_digest(checkpoint: Path) -> None:
    """A small model on a CPU is exact by the rule, so asking for that changes nothing."""

    def promised(exact: bool | None) -> TransformersPolicy:
        return TransformersPolicy.load("m", checkpoint, None, lambda p: p.prompt, "t", "float32", exact=exact)

    assert promised(None).exact
    assert promised(True).digest == promised(None).digest == load(checkpoint).digest
    assert not promised(False).exact
    assert promised(False).digest != promised(None).digest


def test_the_digest_identifies_all_that_shapes_a_draw(checkpoint: Path, tmp_path: Path) -> None:
    base = load(checkpoint).digest
    assert load(checkpoint).digest == base
    other = write_checkpoint(tmp_path / "other", seed=1)
    changed = [
        load(checkpoint, name="n"),
        load(checkpoint, template="u"),
        load(checkpoint, dtype="bfloat16"),
        load(other),
    ]
    write_tokenizer(checkpoint, chat_template="{{ messages }}")
    changed.append(load(checkpoint))
    assert len({base, *(p.digest for p in changed)}) == 6


def test_shape_counts_tied_embeddings_once(checkpoint: Path) -> None:
    stored = load_file(checkpoint / "model.safetensors")
    shape = load(checkpoint).shape
    assert shape is not None
    assert shape.parameters == sum(t.numel() for n, t in stored.items() if n != "lm_head.weight")
    assert shape.non_embedding_parameters == shape.parameters - shape.vocabulary * shape.width
    assert (shape.layers, shape.heads, shape.head_dim, shape.width) == (2, 2, 32, 64)


def test_a_prompt_that_fills_the_context_is_refused_before_anything_is_sampled(checkpoint: Path) -> None:
    policy = load(checkpoint)
    long = Problem.make("1" * 256, "1", "math", "test", {})
    with pytest.raises(PolicyError, match=rf"{long.id} has 256 tokens and the model's context is 256"):
        policy.sample([Draws(PROBLEMS[0], (0,)), Draws(long, (0,))], SAMPLING)
    fits = Problem.make("1" * 255, "1", "math", "test", {})
    (draw,) = policy.sample([Draws(fits, (0,))], SAMPLING)
    assert len(draw.completion.token_ids) == 1


def test_a_template_that_renders_nothing_is_refused(checkpoint: Path) -> None:
    policy = TransformersPolicy.load("m", checkpoint, None, lambda _: "", "t", "float32")
    with pytest.raises(PolicyError, match="has no tokens"):
        policy.sample([Draws(PROBLEMS[0], (0,))], SAMPLING)


def test_closing_twice_is_safe_and_sampling_then_is_not(checkpoint: Path) -> None:
    policy = load(checkpoint)
    policy.close()
    policy.close()
    with pytest.raises(PolicyError, match="was closed"):
        policy.sample([Draws(PROBLEMS[0], (0,))], SAMPLING)


def test_what_it_loaded_and_the_prompt_that_it_samples_from_can_be_had_until_it_is_closed(checkpoint: Path) -> None:
    policy = TransformersPolicy.load("m", checkpoint, None, lambda p: f"{p.prompt}?", "t", "float32")
    ids = policy.encode(PROBLEMS[0])
    assert ids == tuple(policy.tokenizer("1+2=?")["input_ids"])
    (draw,) = policy.sample([Draws(PROBLEMS[0], (0,))], SAMPLING)
    assert draw.completion.prompt_tokens == len(ids)
    assert policy.model.get_output_embeddings().weight.shape[0] == policy.shape.vocabulary  # type: ignore[union-attr]
    policy.close()
    for use in (lambda: policy.model, lambda: policy.encode(PROBLEMS[0])):
        with pytest.raises(PolicyError, match="was closed"):
            use()


def test_torn_weights(checkpoint: Path) -> None:
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(PolicyError, match=r"m: the checkpoint in .* does not load: .*[Ii]ncomplete"):
        load(checkpoint)


def test_missing_weights_are_not_made_up(checkpoint: Path) -> None:
    weights = load_file(checkpoint / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, checkpoint / "model.safetensors", {"format": "pt"})
    with pytest.raises(PolicyError, match=r"lacks 1 of its model's weights \(model.layers.1.mlp.up_proj.weight"):
        load(checkpoint)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
def test_missing_files(checkpoint: Path, file: str) -> None:
    (checkpoint / file).unlink()
    with pytest.raises(PolicyError, match=r"m: the checkpoint in .* does not load: .* fetch or write them again"):
        load(checkpoint)


def test_a_tokenizer_of_another_model(checkpoint: Path) -> None:
    size = write_tokenizer(checkpoint, "".join(chr(i) for i in range(33, 127)))
    with pytest.raises(PolicyError, match=rf"its tokenizer has {size} tokens and its model only"):
        load(checkpoint)


def test_weights_of_another_shape(checkpoint: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps({**config, "hidden_size": 96}))
    with pytest.raises(PolicyError, match="does not load"):
        load(checkpoint)


def test_unknown_precision(checkpoint: Path) -> None:
    with pytest.raises(PolicyError, match="'int3' is not one of float64, float32, bfloat16, float16"):
        load(checkpoint, dtype="int3")
