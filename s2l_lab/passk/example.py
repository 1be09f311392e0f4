"""One rendered prompt and one completion in a line each: what a person wants to see before a long run.

A wrong template is seen in the first line (a chat model that is given the bare problem, a second BOS), and what the
model makes of it in the second. Texts are shown as Python writes them, so that nothing in them can move the terminal's
cursor, and their middle is left out where they are long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2l_lab.policies import Completion, StopReason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from s2l_lab.problems import Problem
    from s2l_lab.rollouts import Verify
    from s2l_lab.verifiers import Verdict

_HEAD, _TAIL = 320, 160
"""Characters that are shown of a text's beginning and end."""
_ENDS = {StopReason.EOS: "ended", StopReason.STOP: "met a stop string", StopReason.LENGTH: "cut at max-tokens"}


def prompt_line(policy: str, template: str | None, problem: Problem, prompt: str) -> str:
    """The prompt of one problem."""
    return f"{policy}, prompt of {problem.id} (template {template}): {shortened(prompt)}"


def completion_line(policy: str, problem: Problem, completion: Completion) -> str:
    """One completion, with how it ended."""
    tokens = "" if completion.token_ids is None else f"{len(completion.token_ids):,} tokens, "
    end = _ENDS[completion.stop_reason]
    return f"{policy}, a completion of {problem.id} ({tokens}{end}): {shortened(completion.text)}"


def shortened(text: str) -> str:
    """The text as a Python literal, control characters escaped, without its middle where it is long."""
    left_out = len(text) - _HEAD - _TAIL
    if left_out <= 0:
        return repr(text)
    return f"{text[:_HEAD]!r} ... {left_out:,} characters ... {text[-_TAIL:]!r}"


def showing_first(verify: Verify, policy: str, show: Callable[[str], None]) -> Verify:
    """The verifier, which shows the first completion that it is given."""
    shown = False

    def verify_and_show(pairs: Sequence[tuple[Problem, Completion]]) -> list[Verdict]:
        nonlocal shown
        if pairs and not shown:
            shown = True
            show(completion_line(policy, *pairs[0]))
        return verify(pairs)

    return verify_and_show
