"""What an endpoint is sent, and whether its answer is one to what was asked.

A field that is not sent is not neutral. A server fills it in: llama.cpp with top-k 40, min-p .05 and whatever it was
started with, vLLM with the checkpoint's generation_config.json. So every sampling field is sent, at its neutral value
where the parameters do not ask for another one.

Servers whose own fields are known (`KNOWN`) take all of them by name. Of another server only OpenAI's fields are known
to count: it may drop the rest without a word, or refuse them with status 400. A refused field at its neutral value is
left out; in both cases what the server does instead is unknown, and is reported so, unless it echoes the setting.

llama.cpp has more samplers than these. It gets our chain (penalties, temperature, min-p, top-k, top-p) and its other
settings at neutral, and is asked to say what it used (`verbose`).
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from s2l_lab.policies.policy import SamplingParams

VLLM, LLAMA_CPP, SGLANG = "vllm", "llamacpp", "sglang"
"""`owned_by` in the models' list of these servers."""
KNOWN = (VLLM, LLAMA_CPP, SGLANG)
EXTENSIONS = ("top_k", "min_p", "repetition_penalty")
"""Not in OpenAI's protocol: another server may drop them silently."""
_LLAMA_CPP_NEUTRAL: dict[str, Any] = {
    "repeat_penalty": 1.0,
    "typical_p": 1.0,
    "top_n_sigma": -1.0,
    "xtc_probability": 0.0,
    "dry_multiplier": 0.0,
    "dynatemp_range": 0.0,
    "mirostat": 0,
    "adaptive_target": -1.0,
    "ignore_eos": False,
    "logit_bias": [],
}
NEUTRAL: dict[str, Any] = {
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    **_LLAMA_CPP_NEUTRAL,
}
"""Settings that change nothing at this value."""
_ASIDE = ("logprobs", "top_logprobs", "return_token_ids", "verbose", "return_tokens", "post_sampling_probs")
"""Wishes about the answer, not about the draw."""
_SAMPLERS = ["penalties", "temperature", "min_p", "top_k", "top_p"]
_LLAMA_CPP_SEEDS = 2**32 - 1
"""It keeps 32 bits of a seed, and the highest value means a random one."""
_ECHOED_AS = {
    "repeat_penalty": "repetition_penalty",
    "max_new_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "n_predict": "max_tokens",
}
_COMPARED = {"temperature", "max_tokens", "seed", "stop", "samplers", *NEUTRAL, *_ECHOED_AS}


def sampling_fields(
    kind: str, route: str, sampling: SamplingParams, seed: int, eos_ids: Iterable[int] = ()
) -> dict[str, Any]:
    """Every sampling field for one draw from a server of this kind (`owned_by`) by this route (`chat` or `text`).

    `eos_ids` are the ids that end a completion where the tokenizer's files are known: vLLM by itself leaves out those
    that config.json alone names.
    """
    fields: dict[str, Any] = {
        "n": 1,
        "seed": seed % _LLAMA_CPP_SEEDS if kind == LLAMA_CPP else seed,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repetition_penalty": NEUTRAL["repetition_penalty"],
        "frequency_penalty": NEUTRAL["frequency_penalty"],
        "presence_penalty": sampling.presence_penalty,
        "max_tokens": sampling.max_tokens,
        "stop": list(sampling.stop) or None,
        "logprobs": 1,
    }
    if route == "chat":  # llama.cpp gives none where the list of likely tokens is empty
        fields |= {"logprobs": True, "top_logprobs": 1 if kind == LLAMA_CPP else 0}
    if kind == LLAMA_CPP:
        fields |= {**_LLAMA_CPP_NEUTRAL, "samplers": _SAMPLERS, "verbose": True, "return_tokens": True}
        # Without it, log-probabilities are the model's own at temperature 1, whatever was asked for.
        fields["post_sampling_probs"] = True
    if kind == VLLM:
        fields["return_token_ids"] = True
        if eos_ids:
            fields["stop_token_ids"] = sorted(eos_ids)
    return fields


def is_neutral(name: str, value: object) -> bool:
    """True if leaving the field out could only change something by a default of the server's own."""
    return name in _ASIDE or (name in NEUTRAL and _same(name, NEUTRAL[name], value))


def refused_fields(body: str, sent: Mapping[str, Any]) -> tuple[str, ...]:
    """Which of the sent fields a refusal names, of those that a server may not have.

    The places of a validation error count first, then OpenAI's `param`, then words of the message: a body may repeat
    the whole request beside the one field that is at fault.
    """
    candidates = [name for name in sent if name in NEUTRAL or name in _ASIDE or name == "samplers"]
    places = re.findall(r"""["']loc["']\s*:\s*[\[(]([^\])]*)[\])]""", body.replace("\\", ""))
    for text in (" ".join(places), _param(body), body):
        if named := tuple(name for name in candidates if re.search(rf"(?<!\w){name}(?!\w)", text)):
            return named
    return ()


def echoed_settings(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Sampling settings that an answer says it was made with, under the server's names; empty for most servers."""
    found: dict[str, Any] = {}
    for place in _places(answer):
        found |= {name: place[name] for name in _COMPARED & set(place) if place[name] is not None}
    if isinstance(found.get("stop"), bool):  # llama.cpp's word for "has ended"
        del found["stop"]
    return found


def differing_settings(echoed: Mapping[str, Any], sent: Mapping[str, Any]) -> list[str]:
    """`name = value, asked: value` for every echoed setting that is not what was sent (or, unsent, not neutral)."""
    asked_of = {name: name if name in sent else _ECHOED_AS.get(name, name) for name in echoed}
    wanted = {name: sent[asked] if asked in sent else NEUTRAL.get(asked) for name, asked in asked_of.items()}
    return [
        f"{name} = {value!r}, asked: {wanted[name]!r}"
        for name, value in sorted(echoed.items())
        if not (wanted[name] is None and name != "stop") and not _same(name, wanted[name], value)
    ]


def unknown_settings(kind: str, echoed: Mapping[str, Any], sent: Mapping[str, Any]) -> list[str]:
    """Settings about which the server leaves in the dark: not sent since it refused them, or not known to count."""
    said = {_ECHOED_AS.get(name, name) for name in echoed}
    wanted = ("top_p", *EXTENSIONS, "frequency_penalty", "presence_penalty")
    return [
        name for name in wanted if name not in said and (name not in sent or (kind not in KNOWN and name in EXTENSIONS))
    ]


def same_model(asked: str, echoed: str) -> bool:
    """True for the asked name, the same name without a folder before it, or with a version after it."""
    return asked.endswith(f"/{echoed}") or re.fullmatch(rf"{re.escape(asked)}([-:@/.].*)?", echoed) is not None


def _places(answer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The objects of an answer that may hold settings."""
    choices = answer.get("choices")
    for holder in (answer, answer.get("__verbose"), choices[0] if isinstance(choices, list) and choices else None):
        if isinstance(holder, dict):
            yield from (holder[name] for name in _SETTINGS if isinstance(holder.get(name), dict))
    yield answer


_SETTINGS = ("generation_settings", "sampling_params", "sampling_parameters", "parameters")


def _param(body: str) -> str:
    try:
        error = json.loads(body)
    except ValueError:
        return ""
    inner = error.get("error", error) if isinstance(error, dict) else None
    return str(inner.get("param") or "") if isinstance(inner, dict) else ""


def _same(name: str, asked: Any, echoed: Any) -> bool:
    """Whether two spellings are one setting: float32 rounding, -1 and 0 for "off", 32 bits of a seed."""
    if name in ("stop", "samplers", "logit_bias"):
        return bool(_listed(asked) == _listed(echoed))
    if not isinstance(asked, int | float) or not isinstance(echoed, int | float):
        return bool(asked == echoed)
    if name == "n_predict":  # older llama.cpp: the most that the server allows, -1 for no bound
        return bool(echoed < 0 or echoed >= asked)
    if name in ("top_k", "top_n_sigma") and asked <= 0:
        return bool(echoed <= 0 or echoed >= 2**20)  # some servers say "all" by a number above every vocabulary
    return any(math.isclose(value, echoed, rel_tol=1e-6, abs_tol=1e-9) for value in (asked, _low_bits(name, asked)))


def _low_bits(name: str, asked: float) -> float:
    return int(asked) % 2**32 if name == "seed" else asked


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) and value else (value or [])
