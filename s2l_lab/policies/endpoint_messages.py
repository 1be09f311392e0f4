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

from s2l_lab.digest import content_digest
from s2l_lab.errors import UsageError
from s2l_lab.policies.templates import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from s2l_lab.problems import Problem

Messages = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Chat:
    """How problems become messages; the server's own chat template makes the prompt of them."""

    digest: str
    """Identity of everything that shapes the messages."""
    messages: Callable[[Problem], Messages]
    template_args: Mapping[str, Any] = field(default_factory=dict)
    """Variables for the server's chat template, as enable_thinking."""

    def text(self, problem: Problem) -> str:
        """The messages as a reader of the rollouts sees them: JSON."""
        return json.dumps(self.messages(problem), ensure_ascii=False)


def chat_of(template: str, policy: str) -> Chat:
    """The chat of a template: the problem's own messages or its prompt as the user's, and the template's suffix.

    Raises UsageError for a template that writes no messages.
    """
    if template not in SUFFIXES:
        raise UsageError(
            f"{policy}: template {template} writes text, and this route takes chat messages. Leave --template out or "
            f"give {', '.join(SUFFIXES)}; where the server has text completions, text:http://... takes it."
        )
    suffix = SUFFIXES[template]

    def messages(problem: Problem) -> Messages:
        given = problem.metadata.get("messages")
        found = [dict(m) for m in given] if given else [{"role": "user", "content": problem.prompt}]
        found[-1]["content"] += suffix
        return found

    return Chat(content_digest(["messages", suffix]), messages)


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
