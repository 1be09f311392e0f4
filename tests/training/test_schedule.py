"""Laws of the annealing schedule, by exact integers."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2l_lab.errors import UsageError
from s2l_lab.training.schedule import (
    AnnealingSchedule,
    explorer_mask,
    explorer_slots,
    released_learner_slots,
    round_index,
)

SIZES = st.integers(1, 64)
KINDS = st.sampled_from(["linear", "cosine", "step", "step_equal_slots", "constant"])
FRACTIONS = st.fractions(0, 1, max_denominator=32)


def sequence(group_size: int, mix_steps: int, kind: str = "linear", rounds: int | None = None) -> list[int]:
    schedule = AnnealingSchedule(kind, mix_steps)  # type: ignore[arg-type]  # a literal, by parametrisation
    return [schedule.slots(group_size, i) for i in range(1, (rounds or mix_steps) + 1)]


@pytest.mark.parametrize(
    ("group_size", "mix_steps", "expected"),
    [
        (16, 8, [16, 14, 12, 10, 7, 5, 3, 0]),
        (16, 5, [16, 12, 8, 4, 0]),
        (8, 4, [8, 6, 3, 0]),
        (8, 8, [8, 7, 6, 5, 4, 3, 2, 0]),
        (16, 1, [16]),
        (16, 2, [16, 0]),
    ],
)
def test_the_papers_schedules(group_size: int, mix_steps: int, expected: list[int]) -> None:
    assert [explorer_slots(group_size, mix_steps, i) for i in range(1, mix_steps + 1)] == expected
    assert explorer_slots(group_size, mix_steps, mix_steps + 1) == 0


@given(group_size=SIZES, mix_steps=st.integers(1, 40), step=st.integers(1, 60))
def test_slots_are_the_integer_ceiling(group_size: int, mix_steps: int, step: int) -> None:
    """By whole numbers alone: -(-a // b) is the ceiling of a / b."""
    if step > mix_steps:
        expected = 0
    elif mix_steps == 1:
        expected = group_size
    else:
        expected = -(-group_size * (mix_steps - step) // (mix_steps - 1))
    assert explorer_slots(group_size, mix_steps, step) == expected


@given(kind=KINDS, group_size=SIZES, mix_steps=st.integers(1, 20), fraction=FRACTIONS, step=st.integers(1, 45))
def test_sources_share_a_group_and_the_explorers_part_never_grows(
    kind: str, group_size: int, mix_steps: int, fraction: Fraction, step: int
) -> None:
    schedule = AnnealingSchedule(kind, mix_steps, fraction)  # type: ignore[arg-type]
    slots = schedule.slots(group_size, step)
    assert 0 <= schedule.slots(group_size, step + 1) <= slots <= group_size
    mask = explorer_mask(group_size, slots)
    assert len(mask) == group_size
    assert sum(mask) == slots, "learner and explorer slots sum to G"
    for end in range(group_size + 1):
        assert sum(mask[:end]) == end * slots // group_size, "spread evenly"


def test_floats_of_the_released_script_give_a_slot_too_many() -> None:
    assert AnnealingSchedule(mix_steps=8).slots(7, 7) == 1
    assert AnnealingSchedule(mix_steps=8, rounding="released").slots(7, 7) == 2
    offline = [AnnealingSchedule(mix_steps=8, rounding="released").slots(16, i) for i in range(1, 9)]
    online = [released_learner_slots(16, 8, i) for i in range(1, 9)]
    assert [a + b for a, b in zip(offline, online, strict=True)] == [16, 17, 17, 17, 17, 17, 17, 16]


def test_cosine_has_the_ends_of_linear_and_exact_middles() -> None:
    assert sequence(16, 8, "cosine") == [math.ceil(8 * (1 + math.cos(math.pi * i / 7))) for i in range(7)] + [0]
    assert sequence(16, 3, "cosine") == [16, 8, 0]


@given(group_size=SIZES, mix_steps=st.integers(1, 12))
def test_an_abrupt_switch_at_equal_slots_spends_what_linear_spends(group_size: int, mix_steps: int) -> None:
    total = sum(sequence(group_size, mix_steps))
    equal = sequence(group_size, mix_steps, "step_equal_slots")
    assert sum(equal) == total
    assert all(slots in (0, group_size) for slots in equal[: total // group_size])
    if (group_size, mix_steps) == (16, 8):
        assert total == 67


def test_an_abrupt_switch_at_equal_mix_steps() -> None:
    assert sequence(16, 3, "step", rounds=5) == [16, 16, 16, 0, 0]
    assert sequence(16, 8, "step_equal_slots", rounds=6) == [16, 16, 16, 16, 3, 0]


def test_a_constant_fraction_knows_no_end() -> None:
    assert AnnealingSchedule("constant", 1, Fraction("0.3")).slots(10, 1_000) == 3
    assert AnnealingSchedule("constant", 1, Fraction(0)).slots(10, 1) == 0


@pytest.mark.parametrize(
    ("accumulation", "per_round", "rounds"),
    [(2, 4, [1, 1, 1, 1, 2, 2, 2, 2]), (4, 2, [1, 1, 2, 2, 3, 3, 4, 4]), (2, 2, [1, 1, 2, 2, 3, 3, 4, 4])],
)
def test_rounds_count_generations(accumulation: int, per_round: int, rounds: list[int]) -> None:
    """A round that begins inside an optimiser step is a round of its own: global_step alone would call it the first."""
    found = [
        round_index(i // accumulation, i % accumulation, accumulation=accumulation, micro_steps_per_round=per_round)
        for i in range(8)
    ]
    assert found == rounds


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: AnnealingSchedule(kind="lineal"), "Did you mean linear"),
        (lambda: AnnealingSchedule(mix_steps=0), "1 or more"),
        (lambda: AnnealingSchedule(fraction=Fraction(3, 2)), "more slots than a group has"),
        (lambda: AnnealingSchedule(kind="cosine", rounding="released"), "only linear"),
        (lambda: explorer_slots(16, 8, 0), "1 or more"),
        (lambda: explorer_mask(8, 9), "0 to 8"),
    ],
)
def test_impossible_schedules_are_refused(make, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make()
