"""Laws of pruning: the pruned model is its source with layers passed over, to the bit, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen3_5ForCausalLM,
    Qwen3_5TextConfig,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

from s2l_lab.errors import PolicyError, UsageError
from s2l_lab.policies.pruning import kept_layers, prune

SHAPE: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 6,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "eos_token_id": [1, 2, 3, 4, 5, 6],  # as long as the model is deep, and nothing to do with its layers
}


def qwen3() -> Any:
    return Qwen3ForCausalLM(Qwen3Config(**SHAPE, tie_word_embeddings=True))


def llama() -> Any:
    return LlamaForCausalLM(LlamaConfig(**SHAPE, tie_word_embeddings=False))


def gemma3() -> Any:
    """Sliding windows of four tokens in five layers of six."""
    return Gemma3ForCausalLM(Gemma3TextConfig(**SHAPE, sliding_window=4))


def qwen3_5() -> Any:
    """Linear attention in three layers of four."""
    return Qwen3_5ForCausalLM(Qwen3_5TextConfig(**SHAPE, linear_num_key_heads=2, linear_num_value_heads=2))


def gpt2() -> Any:
    return GPT2LMHeadModel(GPT2Config(vocab_size=40, n_positions=64, n_embd=32, n_layer=6, n_head=2))


MAKERS = (qwen3, llama, gemma3, qwen3_5, gpt2)
KEPT = ((0, 1, 4, 5), (1, 2, 5), (3,), (0, 1, 2, 3, 4, 5))


def made(maker: Callable[[], Any]) -> Any:
    torch.manual_seed(0)
    model = maker().eval()
    with torch.no_grad():
        for parameter in model.parameters():  # random norms too, or some layers could be mistaken for others
            parameter.add_(torch.randn(parameter.shape) * 0.2)
    return model


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=torch.arange(24)[None] % 40, use_cache=False).logits
    return found


class PassesOn(torch.nn.Module):
    """A layer that does nothing, in the place of the one that it holds."""

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer = [layer]  # not a submodule

    def __getattr__(self, name: str) -> Any:
        held = self.__dict__.get("layer")
        return getattr(held[0], name) if held and not name.startswith("_") else super().__getattr__(name)

    def forward(self, hidden_states: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        return hidden_states


@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("maker", MAKERS)
def test_pruning_is_the_identity_in_place_of_the_dropped_layers(
    maker: Callable[[], Any], kept: tuple[int, ...]
) -> None:
    model = made(maker)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    pruned = prune(model, kept)
    stack = model.get_decoder().h if maker is gpt2 else model.get_decoder().layers
    for i in set(range(6)) - set(kept):
        stack[i] = PassesOn(stack[i])
    assert torch.equal(logits(pruned), logits(model))
    assert pruned.config.num_hidden_layers == len(kept)
    unchanged = model.state_dict()
    assert all(torch.equal(tensor, before[name]) for name, tensor in unchanged.items())


@pytest.mark.parametrize("maker", MAKERS)
def test_a_pruned_model_decodes_with_its_cache_as_without(maker: Callable[[], Any]) -> None:
    """The cache is looked up by a layer's new place."""
    pruned = prune(made(maker), (0, 3, 5))
    ids = torch.arange(9)[None]
    with torch.no_grad():
        first = pruned(input_ids=ids[:, :5], use_cache=True)
        later = pruned(input_ids=ids[:, 5:], past_key_values=first.past_key_values, use_cache=True).logits
        whole = pruned(input_ids=ids, use_cache=False).logits
    torch.testing.assert_close(later, whole[:, 5:], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("maker", MAKERS)
def test_what_is_written_loads_as_the_same_model(maker: Callable[[], Any], tmp_path: Any) -> None:
    """The configuration alone says what a layer is, so lists that speak of layers must have followed."""
    pruned = prune(made(maker), (1, 3, 5))
    pruned.save_pretrained(tmp_path)
    again = type(pruned).from_pretrained(tmp_path)
    assert torch.equal(logits(again), logits(pruned))
    assert again.config.eos_token_id == pruned.config.eos_token_id


@pytest.mark.parametrize(("maker", "tied"), [(qwen3, True), (llama, False)])
def test_tied_weights_stay_tied(maker: Callable[[], Any], tied: bool) -> None:
    pruned = prune(made(maker), (0, 2))
    same = pruned.get_input_embeddings().weight is pruned.get_output_embeddings().weight
    assert same is tied


def test_a_pruned_model_shares_no_memory_with_its_source() -> None:
    model = made(qwen3)
    pruned = prune(model, (0, 1))
    expected = logits(model)
    with torch.no_grad():
        for parameter in pruned.parameters():
            parameter.zero_()
    assert torch.equal(logits(model), expected)


def test_layers_whose_kind_follows_from_their_place_are_refused() -> None:
    """Experts in every second layer: the second of layers 0 and 2 would get experts by its new place."""
    settings = {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 16, "decoder_sparse_step": 2}
    model = made(lambda: Qwen3MoeForCausalLM(Qwen3MoeConfig(**SHAPE, **settings)))
    with pytest.raises(PolicyError, match="layers of Qwen3MoeForCausalLM cannot be pruned"):
        prune(model, (0, 2))
    assert torch.isfinite(logits(prune(model, (0, 1, 4, 5)))).all()


def test_a_model_without_one_list_of_layers_is_refused() -> None:
    model = made(qwen3)
    model.model.layers = torch.nn.ModuleList(list(model.model.layers)[:4])
    with pytest.raises(PolicyError, match="its decoder has 0 lists of 6 layers"):
        prune(model, (0, 1))


@given(st.integers(2, 40).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), min_size=1))))
def test_a_list_of_layers_is_read_as_it_is_written(case: tuple[int, set[int]]) -> None:
    layers, kept = case
    runs: list[list[int]] = []
    for i in sorted(kept):
        if runs and i == runs[-1][-1] + 1:
            runs[-1].append(i)
        else:
            runs.append([i])
    text = ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
    if len(kept) == layers:
        with pytest.raises(UsageError, match="keeps all"):
            kept_layers(text, layers)
    else:
        assert kept_layers(text, layers) == tuple(sorted(kept))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a list of the layers"),
        ("0-", "is not a list of the layers"),
        ("0,,2", "is not a list of the layers"),
        ("-1", "is not a list of the layers"),
        ("a-b", "is not a list of the layers"),
        ("1.5", "is not a list of the layers"),
        ("0-30", "names layer 30; the model has 30 layers, 0 to 29"),
        ("0-99999999999999", "is not a list of the layers"),
        ("0-999999999", "names layer 999999999"),
        ("5-3", "goes back at '5-3'"),
        ("3,3", "goes back at '3'"),
        ("20-29,0-9", "goes back at '0-9'"),
        ("0-9,9-12", "goes back at '9-12'"),
        ("0-29", "keeps all 30 layers"),
    ],
)
def test_a_wrong_list_of_layers_is_one_clear_line(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        kept_layers(text, 30)
    assert "\n" not in str(caught.value)
