"""The designed experiment: every text is what the design says it is, and the three factors vary independently."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice, product
from typing import TYPE_CHECKING

import pytest
from tokenizers import Tokenizer

from s2l_lab.diversity.designed import (
    ORDER_LEVELS,
    PHRASING_LEVELS,
    REPLICATES,
    ROLLOUTS,
    STRATEGY_LEVELS,
    DesignedCell,
    design,
    designed_items,
    usable_classes,
)
from s2l_lab.diversity.strategies import distinct_strategies
from s2l_lab.errors import UsageError
from s2l_lab.policies.tiny.tokenizer import tokenizer_json
from s2l_lab.policies.tiny.traces import Trace, parse_trace
from s2l_lab.problems.countdown import countdown_items, problem_of, split_of
from s2l_lab.verifiers import verify

if TYPE_CHECKING:
    from s2l_lab.problems.countdown import Item


@pytest.fixture(scope="module")
def items() -> tuple[Item, ...]:
    return designed_items(4)


@pytest.fixture(scope="module")
def cells(items: tuple[Item, ...]) -> list[DesignedCell]:
    return [cell for item in items for cell in design(item)]


def traces(cell: DesignedCell) -> list[Trace]:
    parsed = [parse_trace(text) for text in cell.text_N]
    assert all(trace is not None for trace in parsed)
    return [trace for trace in parsed if trace is not None]


def orders(cell: DesignedCell) -> dict[str, set[tuple[tuple[int, str, int], ...]]]:
    """The step orders seen for each class."""
    seen: dict[str, set[tuple[tuple[int, str, int], ...]]] = {}
    for strategy, trace in zip(cell.strategy_N, traces(cell), strict=True):
        seen.setdefault(strategy, set()).add(tuple((s.a, s.op, s.b) for s in trace.steps))
    return seen


def test_every_text_verifies_as_correct_with_the_class_that_was_meant(cells: list[DesignedCell]) -> None:
    for cell in cells:
        problem = problem_of(cell.item)
        for text, strategy in zip(cell.text_N, cell.strategy_N, strict=True):
            verdict = verify(text, problem.answer, "countdown", metadata=problem.metadata)
            assert verdict.outcome.name == "CORRECT"
            assert verdict.canonical == strategy


def test_steps_are_sound_arithmetic(cells: list[DesignedCell]) -> None:
    operations = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__, "/": int.__floordiv__}
    for cell in cells[::7]:
        for trace in traces(cell):
            assert [s.result for s in trace.steps] == [operations[s.op](s.a, s.b) for s in trace.steps]
            assert trace.steps[-1].result == cell.item.target


def test_strategies_are_exactly_s_in_equal_numbers_whatever_the_wording_and_the_order(
    cells: list[DesignedCell],
) -> None:
    for cell in cells:
        assert sorted(Counter(cell.strategy_N).values()) == [ROLLOUTS // cell.strategies] * cell.strategies
        assert distinct_strategies(cell.strategy_N) == cell.strategies


def test_phrasings_are_at_most_f_each_step_drawn_alone(cells: list[DesignedCell]) -> None:
    used = {f: Counter[int]() for f in PHRASING_LEVELS}
    for cell in cells:
        wordings = [tuple(step.phrasing for step in trace.steps) for trace in traces(cell)]
        assert len({w for rollout in wordings for w in rollout}) == cell.phrasings  # 48 steps: none is missed
        if cell.phrasings > 1:
            assert len(set(wordings)) > 2
        used[cell.phrasings].update(w for rollout in wordings for w in rollout)
    for f, counter in used.items():  # over cells every phrasing is used alike
        assert set(counter) == {0, 1, 2, 3}
        assert max(counter.values()) < {1: 3, 2: 1.5, 4: 1.1}[f] * min(counter.values()), counter


def test_fixed_is_one_order_for_each_class_and_free_is_several(cells: list[DesignedCell]) -> None:
    for cell in cells:
        counts = [len(seen) for seen in orders(cell).values()]
        if cell.order == "fixed":
            assert counts == [1] * cell.strategies
        else:
            assert sum(counts) > cell.strategies


def test_factors_do_not_touch_each_other_or_the_number_of_steps(cells: list[DesignedCell]) -> None:
    lengths = Counter(len(trace.steps) for cell in cells for trace in traces(cell))
    assert set(lengths) == {3}
    one_way = [c for c in cells if (c.strategies, c.phrasings, c.order) == (1, 1, "fixed")]
    assert len(one_way) == 4 * REPLICATES
    assert all(len(set(c.text_N)) == 1 for c in one_way)
    # The number of orders of a class does not depend on f, nor that of wordings on s and order.
    free = [c for c in cells if c.order == "free" and c.strategies == 1]
    by_phrasing = [sum(len(o) for c in free if c.phrasings == f for o in orders(c).values()) for f in PHRASING_LEVELS]
    assert max(by_phrasing) < 1.4 * min(by_phrasing)


def test_cells_come_in_the_order_of_the_axes_and_replicates_differ(
    items: tuple[Item, ...], cells: list[DesignedCell]
) -> None:
    levels = [(c.strategies, c.phrasings, c.order, c.replicate) for c in cells[: len(cells) // 4]]
    assert levels == list(product(STRATEGY_LEVELS, PHRASING_LEVELS, ORDER_LEVELS, range(REPLICATES)))
    four = [cell.text_N for cell in cells[:REPLICATES]]
    assert len(set(four)) > 1
    assert {c.strategy_N for c in cells[:REPLICATES]} <= {(s.text,) * ROLLOUTS for s in usable_classes(items[0])}


def test_a_cell_depends_on_seed_item_and_levels_alone(items: tuple[Item, ...], cells: list[DesignedCell]) -> None:
    again = {(c.strategies, c.phrasings, c.order, c.replicate): c for c in design(items[1], replicates=2)}
    there = [c for c in cells if c.item == items[1] and c.replicate < 2]
    assert list(again.values()) == there
    other = list(design(items[1], seed=1, replicates=2))
    assert sum(a.text_N == b.text_N for a, b in zip(other, there, strict=True)) <= 2
    # A golden text: draws are promised to be equal on every machine.
    assert cells[0].text_N[0] == GOLDEN
    assert designed_items(2) == items[:2]
    assert designed_items(2, seed=1) != items[:2]


GOLDEN = "5 minus 4 is 1\n4 plus 1 is 5\n8 times 5 is 40\n#### 8*(4+5-4)"


def test_token_ids_are_those_of_the_embedded_familys_tokenizer(cells: list[DesignedCell]) -> None:
    tokenizer = Tokenizer.from_str(json.dumps(tokenizer_json()))
    for cell in cells[::5]:
        assert [list(ids) for ids in cell.token_ids] == [tokenizer.encode(text).ids for text in cell.text_N]


def test_items_are_easy_ones_of_the_training_split_with_four_classes_of_several_orders(items: tuple[Item, ...]) -> None:
    for item in items:
        assert split_of(item.numbers, item.target) == "train"
        assert not item.hard
        assert 1 not in item.numbers
        assert len(usable_classes(item)) >= 4
        assert set(usable_classes(item)) <= set(item.whole_classes)


def test_an_item_that_does_not_fit_is_refused() -> None:
    narrow = next(item for item in islice(countdown_items("train"), 100) if len(item.whole_classes) < 4)
    with pytest.raises(UsageError, match="needs 4 whole classes"):
        next(design(narrow))
