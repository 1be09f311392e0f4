"""The designed experiment: texts in which strategies, phrasings and step order vary independently, by construction.

Metrics of wording and of embeddings are read as if they measured how many ways a policy knows. Here the truth is set.
A cell is N = 16 correct Countdown traces of one item, with

- `strategies` s = 1, 2 or 4: the rollouts share s of the item's solution classes, 16 / s each;
- `phrasings` f = 1, 2 or 4: each step is worded in one of f of the four phrasings, drawn independently;
- `order`: `fixed`, every class is worked in one order of its steps; `free`, every rollout draws an order of its own.

Nothing else differs: length in steps, format, correctness and N are the same in every cell. A cell is drawn several
times (`replicate`), with other classes, phrasings and orders each time, so that what a metric does is told from chance.

Items are those of the training split that are not hard and have at least four whole classes that can be worked in more
than one order; only these classes are used, or `free` would be `fixed` for some of them and order would depend on s.
Items with a 1 among their numbers are left out: three in five of those that would fit, and their classes (`9*1*4+11`,
`9/1*4+11`, `9*4+11*1`) are different ways of writing one way of solving.

What would surprise: with s = f = 1 and a fixed order all 16 texts are one text; metrics must be defined there. A free
order also changes the order of numbers in the final expression. Each cell has draws of its own: cells share no noise.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import TYPE_CHECKING, Literal, TypeVar

from s2l_lab.errors import UsageError
from s2l_lab.policies.tiny.tokenizer import TOKENS
from s2l_lab.policies.tiny.traces import PHRASINGS, Trace, draw_trace
from s2l_lab.problems.countdown import Item, countdown_items

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from s2l_lab.problems.countdown_solver import Sum

Order = Literal["fixed", "free"]

STRATEGY_LEVELS = (1, 2, 4)
PHRASING_LEVELS = (1, 2, 4)
ORDER_LEVELS: tuple[Order, ...] = ("fixed", "free")
ROLLOUTS = 16
"""Number of texts in a cell."""
REPLICATES = 4

_ORDERS_TRIED = 16
_TOKEN = re.compile("|".join([*(re.escape(t) for t in TOKENS if len(t) > 1 and t[0] != "<"), r"[\s\S]"]))
_ID = {token: i for i, token in enumerate(TOKENS)}

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class DesignedCell:
    """ROLLOUTS correct completions of one item, and what is true of them."""

    item: Item
    strategies: int
    phrasings: int
    order: Order
    replicate: int
    text_N: tuple[str, ...]
    strategy_N: tuple[str, ...]
    """The solution class of each text, as a correct verdict's canonical answer has it."""

    @property
    def token_ids(self) -> tuple[tuple[int, ...], ...]:
        """The texts in ids of the embedded family's tokenizer, without EOS; characters are the texts themselves."""
        return tuple(tuple(_ID[token] for token in _TOKEN.findall(text)) for text in self.text_N)


def designed_items(n: int, seed: int = 0) -> tuple[Item, ...]:
    """The first n items of the training split that the design can be made with; about one in forty can."""
    return tuple(islice(filter(_fits, countdown_items("train", seed)), n))


def _fits(item: Item) -> bool:
    enough = max(STRATEGY_LEVELS)
    easy = not item.hard and 1 not in item.numbers and len(item.whole_classes) >= enough
    return easy and len(usable_classes(item)) >= enough


def usable_classes(item: Item) -> tuple[Sum, ...]:
    """The whole classes that can be worked in more than one order."""
    tries = range(_ORDERS_TRIED)
    return tuple(c for c in item.whole_classes if len({_order(c, f"order {k}") for k in tries}) > 1)


def design(item: Item, *, seed: int = 0, replicates: int = REPLICATES) -> Iterator[DesignedCell]:
    """All cells of an item: strategies, phrasings, orders, replicates, the last running fastest (3 x 3 x 2 x R).

    Each cell is a function of (seed, item, its own levels) alone, on every machine. Raises UsageError for an item with
    fewer than four usable classes.
    """
    classes = usable_classes(item)
    if len(classes) < max(STRATEGY_LEVELS):
        raise UsageError(
            f"the design needs {max(STRATEGY_LEVELS)} whole classes that can be worked in several orders; the item "
            f"{item.numbers} = {item.target} has {len(classes)}. Take items from designed_items."
        )
    for strategies, phrasings, order, replicate in product(
        STRATEGY_LEVELS, PHRASING_LEVELS, ORDER_LEVELS, range(replicates)
    ):
        key = f"{seed} {item.numbers} {item.target} {strategies} {phrasings} {order} {replicate}"
        text_N, strategy_N = _draw(classes, strategies, phrasings, order, key)
        yield DesignedCell(item, strategies, phrasings, order, replicate, text_N, strategy_N)


def _draw(
    usable: tuple[Sum, ...], strategies: int, phrasings: int, order: Order, key: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The texts of a cell and their classes."""
    rng = random.Random(key)
    classes = _choose(rng, usable, strategies)
    wordings = _choose(rng, range(len(PHRASINGS)), phrasings)
    strategy_N = tuple(classes[i % strategies] for i in range(ROLLOUTS))
    text_N = []
    for i, strategy in enumerate(strategy_N):
        # A trace is a function of its classes and seed text: one seed for all rollouts is one order for each class.
        trace = draw_trace((strategy,), key if order == "fixed" else f"{key} {i}")
        worded = (replace(step, phrasing=wordings[int(rng.random() * phrasings)]) for step in trace.steps)
        text_N.append(str(Trace(tuple(worded), trace.expression)))
    return tuple(text_N), tuple(strategy.text for strategy in strategy_N)


def _order(strategy: Sum, seed: str) -> tuple[tuple[int, str, int], ...]:
    return tuple((step.a, step.op, step.b) for step in draw_trace((strategy,), seed).steps)


def _choose(rng: random.Random, options: Sequence[_T], n: int) -> list[_T]:
    """n different ones, each set equally likely; with random() alone, which Python promises never to change."""
    keys = [rng.random() for _ in options]
    return [options[i] for i in sorted(range(len(options)), key=keys.__getitem__)[:n]]
