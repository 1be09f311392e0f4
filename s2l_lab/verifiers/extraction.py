r"""Where a completion's final answer stands: one rule for all verifiers but the paper's own.

1. the last `\boxed{...}` with balanced braces (a nested box is later than the one around it; empty ones, which are
   mostly an instruction repeated, do not count);
2. else the last line with `####`;
3. else the last `Answer:`;
4. else nothing.

There is no "last line" and no "last number" rule, and nothing searches for the gold answer: each of those turns wrong
completions into right ones, the more often the larger k is. Every step takes time linear in the text.
"""

from __future__ import annotations

import re

_BRACES = re.compile(r"\\boxed\s*\{|\\.|[{}]", re.DOTALL)
_HASHES = re.compile(r"(?<!#)####(?!#)([^\n]*)")
_ANSWER = re.compile(r"\banswer[ \t]*:([^\n]*)", re.IGNORECASE)
_TAGGED = re.compile(r"<answer>((?:(?!</?answer>).)*)</answer>", re.DOTALL)


def extract_answer(text: str) -> str | None:
    """The final answer without outer blanks and emphasis, or None where no rule finds one."""
    return last_boxed(text) or _last_of(_HASHES, text) or _last_of(_ANSWER, text)


def last_boxed(text: str) -> str | None:
    r"""Content of the non-empty balanced `\boxed{...}` that begins last. `\{`, `\}` and other escapes do not nest."""
    open_at: list[int | None] = []  # for each open brace: where the box's content begins, or None for a plain brace
    best_start, best = -1, None
    for match in _BRACES.finditer(text):
        token = match.group()
        if token.endswith("{") and token != "\\{":
            open_at.append(match.end() if len(token) > 1 else None)
        elif token == "}" and open_at:
            start = open_at.pop()
            if start is not None and start > best_start:
                content = text[start : match.start()].strip()
                if content:
                    best_start, best = start, content
    return best


def last_tagged(text: str) -> str | None:
    """Content of the last `<answer>...</answer>`, the form in which reasoning-gym asks for answers."""
    found = [m.group(1).strip() for m in _TAGGED.finditer(text)]
    return next((answer for answer in reversed(found) if answer), None)


def _last_of(pattern: re.Pattern[str], text: str) -> str | None:
    """The last match's group that holds more than blanks and Markdown emphasis."""
    last = None
    for match in pattern.finditer(text):
        last = _bare(match.group(1)) or last
    return last


def _bare(answer: str) -> str:
    """Without outer blanks, Markdown emphasis and a full stop at the end."""
    return answer.strip(" \t\r*`_").removesuffix(".").rstrip(" *`_")
