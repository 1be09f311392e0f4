"""`spread`: labels apart, in order, moved as little as possible."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from s2l_lab.figures.markup import shortened
from s2l_lab.figures.panel import spread

places_on_a_panel = st.lists(st.floats(0, 370), min_size=1, max_size=8)


@given(places_on_a_panel)
def test_labels_are_apart_inside_and_in_order(places: list[float]) -> None:
    moved = spread(places, gap=17, height=370)
    ranks = sorted(range(len(places)), key=lambda i: places[i])
    steps = np.diff([moved[i] for i in ranks])
    assert (steps >= 17 - 1e-6).all()
    assert min(moved) >= -1e-6
    assert max(moved) <= 370 + 1e-6


@given(places_on_a_panel, st.randoms(use_true_random=False))
def test_no_other_arrangement_moves_them_less(places: list[float], random) -> None:
    ordered = sorted(places)
    cost = sum((a - b) ** 2 for a, b in zip(spread(ordered, 17, 370), ordered, strict=True))
    free = 370 - 17 * (len(places) - 1)
    for _ in range(20):
        other = [u + 17 * i for i, u in enumerate(sorted(random.uniform(0, free) for _ in places))]
        assert cost <= sum((a - b) ** 2 for a, b in zip(other, ordered, strict=True)) + 1e-6


def test_labels_that_do_not_touch_stay() -> None:
    assert spread([100.0, 10.0, 300.0], 17, 370) == [100.0, 10.0, 300.0]


def test_two_equal_ends_part_around_their_place() -> None:
    assert spread([100.0, 100.0], 20, 370) == [90.0, 110.0]


def test_more_labels_than_fit_start_at_the_bottom_and_keep_their_distance() -> None:
    assert spread([5.0, 6.0, 7.0], 20, 30) == [0.0, 20.0, 40.0]


def test_long_names_lose_their_middle() -> None:
    assert shortened("short", 8) == "short"
    assert shortened("Qwen3-0.6B-Base-v2", 9) == "Qwen..-v2"
    assert len(shortened("x" * 50, 17)) == 17
