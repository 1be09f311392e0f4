"""Prompt templates: from a problem to the exact text that a policy continues.

A rendered prompt holds *every* special token that the model expects, as text, and `encode_prompt` adds none: chat
templates write their own BOS, and a second one would change what is measured. So `raw` writes the BOS of tokenizers
that add one (Llama, InternLM) and nothing for those that do not (Qwen). Engines, trainer, banks and scoring all encode
by `encode_prompt`, so the ids that are trained on are the ids that are sampled from.

The paper (arXiv 2605.30789) evaluates through the chat template with ` /no_think` or ` /think` after the problem, no
system message, no instruction to box the answer and `enable_thinking` unset: `chat-no-think` and `chat-think`. Base
models do not know these switches; the suffix is just text to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s2l_lab.digest import content_digest
from s2l_lab.errors import PolicyError, unknown_name
from s2l_lab.policies.tiny.prompt import render_compact

if TYPE_CHECKING:
    from collections.abc import Callable

    from s2l_lab.problems import Problem

SUFFIXES = {"chat": "", "chat-no-think": " /no_think", "chat-think": " /think"}
"""What each chat template writes after the problem, inside the user's message."""

FIXED_DATE = "26 Jul 2024"
"""Llama 3.2's chat template writes today's date, and a prompt must not change overnight: its own fall-back date."""

TEMPLATES = ("raw", *SUFFIXES, "countdown-compact")


@dataclass(frozen=True, slots=True)
class Template:
    """A template bound to one tokenizer."""

    name: str
    digest: str
    """Identity of everything that shapes the text: the name, the suffix, the tokenizer's chat template or BOS."""
    render: Callable[[Problem], str]


def bind_template(name: str, tokenizer: Any | None, policy: str) -> Template:
    """The template `name` for one policy's tokenizer (a transformers tokenizer; None where there is none to see).

    Raises UsageError for an unknown name, PolicyError where the tokenizer has no chat template or is needed and absent.
    """
    if name not in TEMPLATES:
        raise unknown_name("template", name, TEMPLATES)
    if name == "countdown-compact":
        return Template(name, content_digest([name]), render_compact)
    if name == "raw":
        bos = added_bos(tokenizer) if tokenizer is not None else ""
        return Template(name, content_digest([name, bos]), lambda problem: bos + problem.prompt)
    if tokenizer is None:
        raise PolicyError(
            f"{policy}: template {name!r} needs the model's tokenizer, and there is none to see. Serve it with vLLM, "
            "under its hub id, and give the tokenizer's files with --model-root DIR, or use --template raw."
        )
    own = getattr(tokenizer, "chat_template", None)
    if own is None or (isinstance(own, dict) and "default" not in own):
        raise PolicyError(
            f"{policy}: its tokenizer has no chat template (many base models have none), so template {name!r} cannot "
            "be rendered. Use --template raw."
        )
    return Template(name, content_digest([name, SUFFIXES[name], own]), _chat(tokenizer, SUFFIXES[name]))


def encode_prompt(tokenizer: Any, prompt: str) -> tuple[int, ...]:
    """Token ids of a rendered prompt: what it says, and no special token besides."""
    return tuple(tokenizer(prompt, add_special_tokens=False)["input_ids"])


def added_bos(tokenizer: Any) -> str:
    """The BOS as text if this tokenizer puts one before every text, else nothing."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    dressed = tokenizer("a", add_special_tokens=True)["input_ids"]
    starts_with_bos = len(dressed) > len(bare) and dressed[0] == tokenizer.bos_token_id
    return str(tokenizer.bos_token) if starts_with_bos else ""


def _chat(tokenizer: Any, suffix: str) -> Callable[[Problem], str]:
    def render(problem: Problem) -> str:
        message = {"role": "user", "content": problem.prompt + suffix}
        return str(
            tokenizer.apply_chat_template([message], tokenize=False, add_generation_prompt=True, date_string=FIXED_DATE)
        )

    return render
