"""Countdown: reach a target with all the given numbers. Seeded, endless, with the whole answer set known.

An item is four numbers in 1..13 and a target in 10..99 that can be reached with positive whole numbers throughout.
Candidates come from a hash of (version, seed, split, candidate number), so they are equal on every machine; the items
of a split are the candidates that belong to it, each once, in that order. Item i therefore depends on
(seed, split, i) only, and a longer benchmark begins with a shorter one.

Which split an item belongs to is a hash of the item itself (one in 16 test, one in 16 validation), whatever the order
of its numbers. So no training set of any size or seed holds a validation or test item.

Validation and test items are harder than the training draw, half of which they leave out: see `Item.hard`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import count, islice
from typing import TYPE_CHECKING, Literal

from s2l_lab.errors import UsageError, unknown_name
from s2l_lab.problems.countdown_solver import Sum, solution_classes
from s2l_lab.problems.problem import Benchmark, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = "countdown-1"
Split = Literal["train", "validation", "test"]

_LARGEST = {"train": 50_000, "validation": 1_000, "test": 1_000}
"""Items that can be asked for. Each split has more, but finding the last new ones would take ever longer."""


@dataclass(frozen=True, slots=True)
class Item:
    """A Countdown item with its whole answer set."""

    numbers: tuple[int, ...]
    target: int
    classes: tuple[Sum, ...]
    """All solution classes of the problem."""

    @property
    def whole_classes(self) -> tuple[Sum, ...]:
        """Those that positive whole numbers suffice for."""
        return tuple(c for c in self.classes if c.whole)

    @property
    def hard(self) -> bool:
        """True if every whole class has brackets: no sum or difference of products will do, a sum must be made first.

        Half of the training draw is hard. Hard items have fewer whole classes (1.7 on average instead of 2.3), but not
        only one, so a correct rollout can still be one strategy of several.
        """
        return all("(" in c.text for c in self.whole_classes)


def split_of(numbers: tuple[int, ...], target: int) -> Split:
    """The split that an item belongs to, whatever the order of its numbers."""
    bucket = _hash(f"split {sorted(numbers)} {target}")[0] % 16
    return "test" if bucket == 0 else "validation" if bucket == 1 else "train"


def _hash(text: str) -> bytes:
    return hashlib.sha256(f"{VERSION} {text}".encode()).digest()


def _candidate(seed: int, split: Split, i: int) -> tuple[tuple[int, ...], int]:
    words = _hash(f"candidate {seed} {split} {i}")
    a, b, c, d, t = (int.from_bytes(words[4 * j : 4 * j + 4]) for j in range(5))
    return (a % 13 + 1, b % 13 + 1, c % 13 + 1, d % 13 + 1), t % 90 + 10


def countdown_items(split: Split, seed: int = 0) -> Iterator[Item]:
    """The endless stream of distinct items of a split (distinct up to the order of the numbers)."""
    seen: set[tuple[tuple[int, ...], int]] = set()
    for i in count():
        numbers, target = _candidate(seed, split, i)
        key = (tuple(sorted(numbers)), target)
        if key in seen or split_of(numbers, target) != split:
            continue
        seen.add(key)
        item = Item(numbers, target, solution_classes(numbers, target))
        if item.whole_classes and (split == "train" or item.hard):
            yield item


def problem_of(item: Item) -> Problem:
    """The item as a problem: instruction in words, one whole-number solution as the gold answer, facts as metadata."""
    numbers = ", ".join(map(str, item.numbers))
    prompt = (
        f"Using each of the numbers {numbers} exactly once and only the operations +, -, * and / with parentheses, "
        f"write an expression that equals {item.target}. Work step by step, then end with a line of the form\n"
        "#### expression"
    )
    metadata = {
        "numbers": list(item.numbers),
        "target": item.target,
        "n_classes": len(item.classes),
        "n_whole_classes": len(item.whole_classes),
    }
    return Problem.make(prompt, item.whole_classes[0].text, "countdown", "countdown", metadata)


def countdown_benchmark(n: int, seed: int = 0, split: Split = "test") -> Benchmark:
    """The first n items of a split. Raises UsageError for an unknown split or n out of range."""
    if split not in _LARGEST:
        raise unknown_name("split", split, _LARGEST)
    if not 1 <= n <= _LARGEST[split]:
        raise UsageError(f"Countdown has 1 to {_LARGEST[split]:,} {split} problems, {n} were asked for. Ask for fewer.")
    problems = tuple(problem_of(item) for item in islice(countdown_items(split, seed), n))
    name = "countdown" if split == "test" else f"countdown-{split}"
    provenance = {"generator": VERSION, "seed": str(seed), "split": split}
    return Benchmark(name=name, problems=problems, kind="countdown", answer_space=None, provenance=provenance)
