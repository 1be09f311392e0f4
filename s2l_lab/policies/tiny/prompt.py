"""The compact prompt that the embedded family was trained on.

It is rendered from a problem's metadata, never by parsing the prompt in words, and so exists for Countdown problems
alone. Numbers are sorted: an item has one compact prompt whatever order its numbers were drawn in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2l_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.problems import Problem

TEMPLATE = "countdown-compact"


def compact_prompt(numbers: Sequence[int], target: int) -> str:
    """As `3 7 8 12=52` and a newline."""
    return " ".join(map(str, sorted(numbers))) + f"={target}\n"


def render_compact(problem: Problem) -> str:
    """The compact prompt of a Countdown problem. Raises UsageError for a problem without numbers and a target."""
    numbers, target = problem.metadata.get("numbers"), problem.metadata.get("target")
    if not isinstance(numbers, list) or not all(isinstance(n, int) for n in numbers) or not isinstance(target, int):
        raise UsageError(
            f"template {TEMPLATE} renders Countdown problems only, but problem {problem.id} of {problem.source!r} has "
            "no `numbers` (a list of integers) and `target` (an integer) in its metadata. The embedded family solves "
            "Countdown; use another family for this benchmark, or --benchmark countdown."
        )
    return compact_prompt(numbers, target)
