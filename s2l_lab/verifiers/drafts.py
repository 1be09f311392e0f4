"""What a completion says after it has thought: drafts are no answers, for every verifier alike.

A draft stands between the tags that models and chat templates use, in any case of the letters:

- `<think>`, `<thinking>`, `<thought>`, `<thoughts>` and `<reasoning>` with their closing tags, also with a prefix, as
  in `<seed:think>`;
- `[THINK]` and `[/THINK]`, in capitals only; `◁think▷` and `◁/think▷`;
- `<|begin_of_thought|>` and `<|end_of_thought|>`;
- `<|channel|>analysis` (or `commentary`) and `<|end|>` or `<|channel|>final`, as gpt-oss writes them.

Which of them opened does not matter to the one that closes. A closing tag ends the draft however often one was opened,
since drafts mention tags. A closing tag without an opening one means that everything before it was a draft: the prompt
held the opening tag, or the drafts were nested. A draft that is never closed means that the completion has not come to
its answer, whatever it said before.

The scorers of arXiv 2605.30789 (`official`) do not know drafts; they are kept as they are described.
"""

from __future__ import annotations

import re

_NAME = r"(?:\w{1,20}:)?(?:think(?:ing)?|thoughts?|reasoning)"
_TAG = re.compile(
    rf"(?P<open><\s?{_NAME}\s?>|(?-i:\[THINK\])|◁think▷|<\|begin_of_thought\|>"
    rf"|<\|channel\|>\s?(?:analysis|commentary)\b)"
    rf"|<\s?/\s?{_NAME}\s?>|(?-i:\[/THINK\])|◁/think▷|<\|end_of_thought\|>"
    rf"|(?P<channel_ends><\|end\|>|<\|channel\|>\s?final\b(?:<\|message\|>)?)",
    re.IGNORECASE,
)


def final_parts(text: str) -> list[str]:
    """The stretches of `text` outside drafts, in order; none where a draft is open at the end. Linear in the text."""
    parts: list[str] = []
    start, drafting, channel = 0, False, False
    for tag in _TAG.finditer(text):
        if tag["channel_ends"] and not channel:
            continue  # messages that are no drafts end so too
        opens = tag["open"] is not None
        if opens and not drafting:
            parts.append(text[start : tag.start()])
        elif not opens and not drafting:
            parts = []
        channel = opens and (channel if drafting else tag["open"].startswith("<|channel"))
        start, drafting = tag.end(), opens
    return [] if drafting else [*parts, text[start:]]
