"""Layer pruning: from a causal language model to a smaller one with some of its layers and the same vocabulary.

Embedding, final norm and head are kept, and so is every kept layer to the bit; only its place changes. Whole layers are
what Shortened LLaMA (arXiv 2402.02834) and ShortGPT (2403.03853) leave out: a layer adds to the residual stream, so the
model without it is the same network with that sum left out.

What an architecture says about single layers stands in its configuration: lists with one entry per layer
(`layer_types`), lists of layers (`mlp_only_layers`), or rules by place (every fourth layer), which dropping layers
breaks. So a pruned model is not trusted by its configuration: `prune` compares every kept layer with the one that it
was, and one forward pass with the source whose dropped layers pass their input on.
"""

from __future__ import annotations

import copy
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch
from transformers.initialization import no_init_weights

from s2l_lab.errors import PolicyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_EXAMPLE = "For example --layers 0-9,20-29, which keeps twenty."
_PROBE_TOKENS = 16


def kept_layers(text: str, layers: int) -> tuple[int, ...]:
    """The layers, from 0, that a list such as `0-9,20-29` keeps of a model with so many.

    Raises UsageError for what is no list, does not ascend, names a layer that is not there, or keeps all.
    """
    kept: list[int] = []
    for part in text.replace(" ", "").split(","):
        match = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", part)
        if match is None:
            raise UsageError(f"--layers {text!r} is not a list of the layers to keep. {_EXAMPLE}")
        first, last = int(match[1]), int(match[2] or match[1])
        if max(first, last) >= layers:
            raise UsageError(
                f"--layers {text!r} names layer {max(first, last)}; the model has {layers} layers, 0 to {layers - 1}."
            )
        if last < first or (kept and first <= kept[-1]):
            raise UsageError(f"--layers {text!r} goes back at {part!r}; name each kept layer once, in ascending order.")
        kept += range(first, last + 1)
    if len(kept) == layers:
        raise UsageError(f"--layers {text!r} keeps all {layers} layers, so nothing would be pruned. Leave some out.")
    return tuple(kept)


def prune(model: Any, kept: Sequence[int]) -> Any:
    """A new model with these layers (ascending, from 0) of `model`, which stays as it is.

    Its logits equal, to the bit, those of `model` with every other layer replaced by the identity; so all layers give
    an equal model. Tied weights stay tied. Raises PolicyError for an architecture of which this cannot be had.
    """
    name, stack = _layer_stack(model)
    place = {old: new for new, old in enumerate(kept)}
    state = {}
    for key, tensor in model.state_dict().items():
        if key.startswith(f"{name}."):
            layer, _, rest = key.removeprefix(f"{name}.").partition(".")
            if int(layer) in place:
                state[f"{name}.{place[int(layer)]}.{rest}"] = tensor
        else:
            state[key] = tensor
    try:
        config = _pruned_config(model.config, kept)
        with no_init_weights():
            pruned = type(model)._from_config(
                config, dtype=model.dtype, attn_implementation=model.config._attn_implementation
            )
        pruned.tie_weights()
        pruned.load_state_dict(state)
    except (RuntimeError, ValueError, KeyError, IndexError) as error:
        reason = " ".join(str(error).split())[:300]
        raise PolicyError(f"{_no_pruning(model)}: {reason}") from error
    pruned.generation_config = copy.deepcopy(model.generation_config)
    pruned = pruned.to(model.device).train(model.training)
    _, pruned_stack = _layer_stack(pruned)
    for new, old in enumerate(kept):
        _require_same_layer(model, old, stack[old], new, pruned_stack[new])
    _require_same_logits(model, [stack[i] for i in range(len(stack)) if i not in place], pruned)
    return pruned


def _layer_stack(model: Any) -> tuple[str, torch.nn.ModuleList]:
    """The list of the decoder's layers with its name in the model."""
    layers = model.config.get_text_config(decoder=True).num_hidden_layers
    decoder = model.get_decoder()
    stacks = [child for child in decoder.children() if isinstance(child, torch.nn.ModuleList) and len(child) == layers]
    if len(stacks) != 1:
        raise PolicyError(f"{_no_pruning(model)}: its decoder has {len(stacks)} lists of {layers} layers, not one.")
    return next(name for name, module in model.named_modules() if module is stacks[0]), stacks[0]


def _pruned_config(config: Any, kept: Sequence[int]) -> Any:
    """A copy of the configuration for the kept layers: their number, and every list that speaks of single layers."""
    pruned = copy.deepcopy(config)
    text = pruned.get_text_config(decoder=True)
    layers = text.num_hidden_layers
    text.num_hidden_layers = len(kept)
    place = {old: new for new, old in enumerate(kept)}
    for key, value in list(vars(text).items()):
        if not isinstance(value, list) or key == "architectures" or "token" in key:
            continue
        if len(value) == layers:
            setattr(text, key, [value[i] for i in kept])
        elif "layer" in key and all(isinstance(i, int) for i in value):  # numbers of layers
            setattr(text, key, [place[i] for i in value if i in place])
    for part in {id(part): part for part in (pruned, text)}.values():
        if hasattr(part, "quantization_config"):  # of the file that the weights were read from; these are floats
            del part.quantization_config
    return pruned


def _require_same_layer(model: Any, old: int, source: torch.nn.Module, new: int, pruned: torch.nn.Module) -> None:
    """The layer is what it was, whatever its configuration says by place: sliding or full, dense or of experts."""
    for (_, before), (part, after) in zip(source.named_modules(), pruned.named_modules(), strict=True):
        mine, its = _settings(after), _settings(before)
        for key in sorted({*mine, *its}):
            if mine.get(key) != its.get(key):
                where = f"{part}.{key}".lstrip(".")
                raise PolicyError(
                    f"{_no_pruning(model)} in this way: layer {old} would be another at place {new} ({where} "
                    f"{mine.get(key)} instead of {its.get(key)}). Keep layers whose new places are of their kind."
                )


def _settings(module: torch.nn.Module) -> Mapping[str, object]:
    """Plain values of a module, but where it stands."""
    return {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, bool | int | float | str) and not key.startswith("_") and "layer_idx" not in key
    } | {"class": type(module).__name__}


@torch.no_grad()
def _require_same_logits(model: Any, dropped: Sequence[torch.nn.Module], pruned: Any) -> None:
    """One forward pass of both, the source's dropped layers handing their input on."""
    vocabulary = model.get_input_embeddings().weight.shape[0]
    ids = (torch.arange(_PROBE_TOKENS, device=model.device) * 7919 % vocabulary)[None]
    was_training = model.training
    with ExitStack() as hooks:
        for layer in dropped:
            hooks.callback(layer.register_forward_hook(_identity, with_kwargs=True).remove)
        expected = model.eval()(input_ids=ids, use_cache=False).logits
    found = pruned.eval()(input_ids=ids, use_cache=False).logits
    model.train(was_training)
    pruned.train(was_training)
    if not torch.allclose(found, expected, rtol=0, atol=0, equal_nan=True):
        raise PolicyError(
            f"{_no_pruning(model)}: without those layers it is not the source with its layers passed over (logits "
            f"differ by up to {float((found - expected).abs().max()):.3g})."
        )


def _identity(_: torch.nn.Module, positional: tuple[Any, ...], named: dict[str, Any], output: Any) -> Any:
    """What a layer that does nothing returns, in the form in which this one returns its states."""
    states = positional[0] if positional else named["hidden_states"]
    return (states, *output[1:]) if isinstance(output, tuple) else states


def _no_pruning(model: Any) -> str:
    return f"layers of {type(model).__name__} cannot be pruned"
