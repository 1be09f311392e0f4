"""Chat messages: what a chat server is sent for a problem, and what its answer says.

Servers that know a model's thought (vLLM with a reasoning parser as `reasoning`, llama.cpp as `reasoning_content`) give
it apart from the answer. Here both become one text, the thought between `<think>` and `</think>` before the answer: the
form in which these models write it themselves, so that a rollout reads the same by either route, the thought is kept,
its tokens count, and every verifier takes it for a draft and reads the answer alone. Where there is no answer (cut
inside the thought, or ended there) the draft stays open, which verifiers read as "no answer yet".
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from s2l_lab.errors import DataError, UsageError
from s2l_lab.policies.jinja_text import read_jinja
from s2l_lab.policies.templates import SUFFIXES, Messages, Prompting, served_messages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from s2l_lab.policies.jinja_text import JinjaText
    from s2l_lab.problems import Problem


@dataclass(frozen=True, slots=True)
class Chat:
    """How problems become messages; the server's own chat template makes the prompt of them."""

    digest: str
    """Identity of everything that shapes the messages."""
    messages: Callable[[Problem], Messages]
    template_args: Mapping[str, Any] = field(default_factory=dict)
    """Variables for the server's chat template, as enable_thinking."""
    remark: str = ""
    """What a reader of the rollouts must know of them."""

    def text(self, problem: Problem) -> str:
        """The messages as a reader of the rollouts sees them: JSON."""
        return json.dumps(self.messages(problem), ensure_ascii=False)


def chat_of(template: str, policy: str, prompting: Prompting, own: str | None = None) -> Chat:
    """The chat of a template: the problem's own messages or its prompt as the user's, and what is said around it.

    `own` is the text of the server's chat template, where it can be seen. Raises UsageError for a template that writes
    no messages, and for variables that the server's template does not read.
    """
    if template not in SUFFIXES:
        raise UsageError(
            f"{policy}: template {template} writes text, and this route takes chat messages. Leave --template out or "
            f"give {', '.join(SUFFIXES)}; where the server has text completions, text:http://... takes it."
        )
    seen = None if own is None else _seen(own, f"{policy}: the server's chat template")
    digest, messages = served_messages(template, prompting, seen)
    told = ", ".join(prompting.template_args) if seen is None else ""
    remark = f"whether the server's chat template reads {told} cannot be seen" if told else ""
    return Chat(digest, messages, prompting.template_args, remark)


def _seen(own: str, where: str) -> JinjaText | None:
    """The template, unless it is one that only the server can read."""
    try:
        return read_jinja(own, where)
    except DataError:
        return None


def text_of_message(message: Mapping[str, Any]) -> str | None:
    """The text of an assistant's message, its thought as a draft before the answer; None if it holds no text."""
    content = message.get("content")
    answer = content if content is not None else message.get("refusal")
    thought = message.get("reasoning_content") or message.get("reasoning")
    if not isinstance(thought, str) or not thought.strip():
        return answer if isinstance(answer, str) else None
    draft = f"<think>\n{thought.strip()}\n"
    if not answer:
        return draft
    return f"{draft}</think>\n\n{answer.lstrip()}" if isinstance(answer, str) else None
