"""Sampling presets by name, and their precedence: preset first, then what was asked for explicitly.

`card` is what the members' own cards recommend (families.toml); the others are the same for every model.

`think` and `nothink` are the evaluation settings of arXiv 2605.30789 (Fig. 2; its released `eval/` scripts): sampling
parameters, and the template that writes the paper's ` /think` or ` /no_think`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from s2l_lab.errors import UsageError, unknown_name
from s2l_lab.plans import faults
from s2l_lab.policies.policy import SamplingParams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.policies.families import Member

CARD = "card"
PRESETS: dict[str, dict[str, Any]] = {
    "default": {"temperature": 1.0},
    "think": {"temperature": 0.6, "top_p": 0.95, "top_k": 20},
    "nothink": {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "presence_penalty": 1.5},
}

PRESET_TEMPLATES = {"think": "chat-think", "nothink": "chat-no-think"}
"""The template that a preset brings where none is asked for."""


def sampling_params(preset: str = "default", /, **chosen: Any) -> SamplingParams:
    """The preset's parameters with `chosen` over them. Raises UsageError for unknown names and values out of range."""
    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS)
    return _checked({**PRESETS[preset], **chosen})


def card_params(members: Sequence[Member], **chosen: Any) -> SamplingParams:
    """What the cards of all `members` recommend, with `chosen` over it: one set, since a run has one.

    Raises UsageError where a card recommends nothing, or two differ in what is not chosen.
    """
    if silent := [m.name for m in members if m.sampling is None]:
        raise UsageError(
            f"--preset card: no sampling parameters are known from the card of {', '.join(silent)}. Leave --preset "
            "out, or give the values (--temperature, --top-p, --top-k)."
        )
    cards = {m.name: m.sampling.values for m in members if m.sampling is not None}
    first = next(iter(cards.values()), {})
    for name, values in cards.items():
        differing = [key for key in {**first, **values} if key not in chosen and first.get(key) != values.get(key)]
        if differing:
            said = "; ".join(f"{n}: {', '.join(f'{k} {v:g}' for k, v in c.items())}" for n, c in cards.items())
            raise UsageError(
                f"--preset card: a run has one set of sampling parameters, and the cards differ in "
                f"{', '.join(differing)} ({said}). Run {name} by itself, or give those values."
            )
    return _checked({**first, **chosen})


def _checked(values: dict[str, Any]) -> SamplingParams:
    try:
        return SamplingParams(**values)
    except ValidationError as error:
        found = "; ".join(words for _, words in faults(error, SamplingParams, values))
        raise UsageError(f"sampling parameters: {found}.") from error
