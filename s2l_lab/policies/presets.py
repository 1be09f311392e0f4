"""Sampling presets by name, and their precedence: preset first, then what was asked for explicitly.

`think` and `nothink` are the evaluation settings of arXiv 2605.30789 (Fig. 2; its released `eval/` scripts): sampling
parameters, and the template that writes the paper's ` /think` or ` /no_think`.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from s2l_lab.errors import UsageError, unknown_name
from s2l_lab.plans import faults
from s2l_lab.policies.policy import SamplingParams

PRESETS: dict[str, dict[str, Any]] = {
    "default": {"temperature": 1.0},
    "think": {"temperature": 0.6, "top_p": 0.95, "top_k": 20},
    "nothink": {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "presence_penalty": 1.5},
}

PRESET_TEMPLATES = {"think": "chat-think", "nothink": "chat-no-think"}
"""The template that a preset brings where none is asked for."""


def sampling_params(preset: str = "default", **chosen: Any) -> SamplingParams:
    """The preset's parameters with `chosen` over them. Raises UsageError for unknown names and values out of range."""
    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS)
    values = {**PRESETS[preset], **chosen}
    try:
        return SamplingParams(**values)
    except ValidationError as error:
        found = "; ".join(words for _, words in faults(error, SamplingParams, values))
        raise UsageError(f"sampling parameters: {found}.") from error
