"""Comparisons matched by problem, and crossings read from the band alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2l_lab.errors import DataError, UsageError
from s2l_lab.estimators import Comparison, Counts, compare_all, compare_counts, pass_at_k
from s2l_lab.estimators.compare import compare as compare_named
from s2l_lab.estimators.estimate import Comparisons

ARRAYS = ("value", "lower", "upper", "band_lower", "band_upper", "bound_low", "bound_high")


def counts(rates: np.ndarray, rollouts: int = 64, seed: int = 0, unknown: int = 0) -> Counts:
    correct = np.random.default_rng(seed).binomial(rollouts, rates)
    lost = np.minimum(unknown, rollouts - correct)
    ids = tuple(f"p{i}" for i in range(rates.size))
    return Counts(ids, correct, np.full(rates.size, rollouts), lost)


def compare(a: Counts, b: Counts, seed: int = 0, **options: object) -> Comparison:
    return compare_counts(a, b, rng=np.random.default_rng(seed), **options)  # type: ignore[arg-type]  # any option


def same_bits(one: Comparison, other: Comparison) -> bool:
    return all(getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in ARRAYS)


RATES = np.random.default_rng(5).beta(0.3, 1, 60)
FLAT = np.clip(RATES, 0.03, 0.5)
"""Overtakes RATES: worse on what RATES solves well, never hopeless."""


def test_counts_against_themselves_are_0_with_the_exact_paired_ends_at_every_k() -> None:
    """Width 0, and "equal at every k", was said of two policies that solve nothing."""
    for a in (counts(RATES), counts(np.zeros(60)), counts(np.ones(60))):
        seen = compare(a, a)
        for name in ("value", "bound_low", "bound_high"):
            assert (getattr(seen, name) == 0).all()
        rule_of_three = 1 - 0.025 ** (1 / 60)  # no difference in 60 problems
        np.testing.assert_allclose(seen.upper, rule_of_three)
        np.testing.assert_allclose(seen.lower, -rule_of_three)
        assert (seen.band_upper >= seen.upper).all()
        assert (seen.crossing.outcome, seen.crossing.sign_changes, seen.crossing.leader) == ("undetermined", 0, None)


def test_rare_differences_that_no_draw_shows_are_not_ruled_out() -> None:
    """Rates .0005 against .002 at N = 4: nine draws in ten of 30 problems show no difference, and had width 0."""
    hits, rng = 0, np.random.default_rng(3)
    for _ in range(100):
        ids, total = tuple(map(str, range(30))), np.full(30, 4)
        a, b = (Counts(ids, rng.binomial(4, p, 30), total, np.zeros_like(total)) for p in (0.0005, 0.002))
        seen = compare_counts(a, b, rng=rng, replicates=200)
        assert (seen.upper > seen.lower).all()
        truth = (1 - 0.0005) ** seen.k - (1 - 0.002) ** seen.k
        hits += bool(((seen.lower <= truth) & (truth <= seen.upper)).all())
    assert hits >= 88


def test_one_differing_problem_leaves_no_room_for_the_whole_range() -> None:
    """A ceiling benchmark: one problem of 30 differs, and bootstrap-t alone gave [-1, 1]."""
    right = np.full(30, 64)
    a = Counts(tuple(map(str, range(30))), right, right, np.zeros_like(right))
    b = Counts(a.problem_ids, np.where(np.arange(30) == 0, 4, 64), right, a.unknown_P)
    seen = compare(a, b, ks=[1, 4])
    assert (seen.upper - seen.lower < 0.3).all()
    # Gaffke's ends: of one failure of size .94 in 30, near the binomial ones.
    assert -0.18 < seen.lower[0] < -0.12
    assert 0.05 < seen.upper[0] < 0.12


@settings(max_examples=60)
@given(st.data())
def test_ends_are_ordered_finite_within_the_range_and_inside_the_band(data: st.DataObject) -> None:
    problems, rollouts = data.draw(st.integers(2, 12)), data.draw(st.integers(1, 12))
    pairs = []
    for _ in "ab":
        correct = np.array(data.draw(st.lists(st.integers(0, rollouts), min_size=problems, max_size=problems)))
        lost = np.array([data.draw(st.integers(0, rollouts - int(c))) for c in correct]) * data.draw(st.booleans())
        ids = tuple(f"p{i}" for i in range(problems))
        pairs.append(Counts(ids, correct, np.full(problems, rollouts), lost))
    cluster = data.draw(st.none() | st.lists(st.sampled_from("xyz"), min_size=problems, max_size=problems))
    if cluster is not None:
        pairs = [dataclasses.replace(one, cluster=tuple(cluster)) for one in pairs]
    seen = compare(*pairs, replicates=200)
    if len(set(cluster or "xy")) == 1:
        assert np.isnan(seen.lower).all()
        return
    assert (seen.band_lower >= -1).all()
    assert (seen.band_lower <= seen.lower).all()
    assert (seen.lower <= seen.bound_low + 1e-12).all()
    assert (seen.bound_high <= seen.upper + 1e-12).all()
    assert (seen.upper <= seen.band_upper).all()
    assert (seen.band_upper <= 1).all()
    assert (seen.upper > seen.lower).all()


def test_shuffled_ids_change_nothing_and_shuffled_problems_would() -> None:
    a, b = counts(RATES), counts(FLAT, seed=1)
    order = np.random.default_rng(2).permutation(RATES.size)
    mixed = Counts(tuple(b.problem_ids[i] for i in order), b.correct_P[order], b.total_P[order], b.unknown_P[order])
    assert same_bits(compare(a, b), compare(a, mixed))
    torn = Counts(b.problem_ids, b.correct_P[order], b.total_P, b.unknown_P)
    np.testing.assert_allclose(compare(a, torn).value, compare(a, b).value)  # the mean cannot tell
    assert compare(a, torn).upper[0] - compare(a, torn).lower[0] > compare(a, b).upper[0] - compare(a, b).lower[0]


def test_the_difference_is_b_minus_a_up_to_the_smallest_n_of_both() -> None:
    a, b = counts(RATES, rollouts=32), counts(FLAT, rollouts=64, seed=1)
    seen = compare(a, b)
    expected = pass_at_k(b.correct_P, b.total_P, range(1, 33)) - pass_at_k(a.correct_P, a.total_P, range(1, 33))
    np.testing.assert_allclose(seen.value, expected, atol=1e-14)
    assert (seen.k[-1], seen.n_rollouts, seen.n_problems, seen.n_pairs) == (32, 32, 60, 1)
    swapped = compare(b, a)
    np.testing.assert_allclose(swapped.value, -seen.value, atol=1e-14)
    with pytest.raises(UsageError, match=r"1\.\.32"):
        compare(a, b, ks=[64])


def test_matching_narrows_the_interval() -> None:
    """Unmatched, two independent curves give sqrt(se_a^2 + se_b^2); sharing the problems must be far narrower."""
    a, b = counts(RATES), counts(RATES, seed=1)
    seen = compare(a, b, ks=[8])
    solve = [1 - np.array([pass_at_k([c], [64], 8) for c in one.correct_P]) for one in (a, b)]
    unmatched = 2 * 1.96 * np.sqrt(sum(np.var(s, ddof=1) / s.size for s in solve))
    assert seen.upper[0] - seen.lower[0] < unmatched / 3


def test_a_crossing_that_is_there_is_found() -> None:
    rng = np.random.default_rng(0)
    sharp = np.where(np.arange(200) < 120, 0.9, 0.0)
    flat = np.full(200, 0.15) + 0.1 * rng.random(200)
    seen = compare(counts(flat, seed=1), counts(sharp, seed=2))
    true_flat = np.array([1 - ((1 - flat) ** k).mean() for k in seen.k])
    true_sharp = np.array([1 - ((1 - sharp) ** k).mean() for k in seen.k])
    crosses = int(seen.k[np.argmax(true_flat > true_sharp)])
    found = seen.crossing
    assert (found.outcome, found.leader, found.sign_changes, found.resampled) == ("at", "b", 1, "problems")
    assert found.k_set is not None
    assert found.k_set[1] is not None
    assert found.k_set[0] <= crosses <= found.k_set[1]
    assert found.k is not None
    assert abs(found.k - crosses) <= 1


def test_ahead_and_none_mean_no_crossing() -> None:
    better = np.clip(RATES * 0.5 + 0.4, 0, 1)
    a, b = counts(RATES), counts(better, seed=1)
    assert compare(a, b, ks=[1, 4, 8]).crossing.outcome == "ahead"
    assert compare(b, a, ks=[1, 4, 8]).crossing.outcome == "none"
    assert compare(a, b, ks=[1, 4, 8]).crossing.k_set is None


def test_an_atlas_shares_one_band_over_all_pairs() -> None:
    policies = {"small": counts(FLAT, seed=1), "middle": counts(RATES), "large": counts(RATES, seed=2)}
    atlas = compare_all(policies, rng=np.random.default_rng(0))
    assert [(one.a, one.b) for one in atlas] == [("small", "middle"), ("small", "large"), ("middle", "large")]
    alone = compare(policies["small"], policies["large"])
    np.testing.assert_allclose(atlas[1].value, alone.value)
    assert {one.n_pairs for one in atlas} == {3}
    wider = (atlas[1].band_upper - atlas[1].band_lower) / (alone.band_upper - alone.band_lower)
    assert wider.mean() > 1.05


def test_unknown_rollouts_widen_to_bounds_and_never_vanish() -> None:
    a, b = counts(RATES), counts(FLAT, seed=1, unknown=2)
    sure, seen = compare(a, counts(FLAT, seed=1)), compare(a, b)
    assert np.isnan(seen.value[0])
    assert (seen.bound_low <= sure.value + 1e-15).all()
    assert (seen.bound_high >= sure.value - 1e-15).all()
    assert (seen.lower <= seen.bound_low).all()
    assert (seen.upper >= seen.bound_high).all()
    assert seen.upper[0] > sure.upper[0]
    reverse = compare(b, a)
    np.testing.assert_allclose(reverse.bound_low, -seen.bound_high, atol=1e-14)


def test_seed_level_and_replicates_matter() -> None:
    a, b = counts(RATES), counts(FLAT, seed=1)
    assert same_bits(compare(a, b), compare(a, b))
    assert not same_bits(compare(a, b), compare(a, b, seed=1))
    assert not same_bits(compare(a, b), compare(a, b, replicates=500))
    assert (compare(a, b, level=0.99).band_upper >= compare(a, b, level=0.8).band_upper).all()


def test_unmatched_problems_and_impossible_counts_are_refused() -> None:
    a, b = counts(RATES), counts(RATES[:-1])
    with pytest.raises(UsageError, match=r"differ in 1 of them \(as p59"):
        compare(a, b)
    with pytest.raises(UsageError, match="at least two"):
        compare_all({"a": a}, rng=np.random.default_rng(0))
    with pytest.raises(DataError, match="stands twice"):
        Counts(("x", "x"), np.array([1, 1]), np.array([2, 2]), np.array([0, 0]))
    with pytest.raises(DataError, match="lengths"):
        Counts(("x",), np.array([1, 1]), np.array([2, 2]), np.array([0, 0]))
    with pytest.raises(UsageError, match="unknown"):
        compare(a, Counts(a.problem_ids, a.correct_P, a.total_P, np.full(60, 65)))


def test_one_problem_supports_nothing() -> None:
    one, other = (Counts(("p",), np.array([c]), np.array([8]), np.array([0])) for c in (1, 7))
    seen = compare(one, other)
    assert np.isnan(seen.band_lower).all()
    assert seen.crossing.outcome == "undetermined"


SMALL, LARGE = np.array([9, 0, 20, 12, 1, 7]), np.array([30, 0, 41, 11, 9, 16])


def test_names_with_arrays_give_what_counts_give() -> None:
    ids = tuple(map(str, range(6)))
    zero, total = np.zeros(6, np.int64), np.full(6, 64)
    expected = compare_counts(Counts(ids, SMALL, total, zero), Counts(ids, LARGE, total, zero))
    for given_total in (64, total, total.tolist()):
        found = compare_named({"1.7B": (SMALL.tolist(), given_total), "8B": (LARGE, given_total)})
        assert isinstance(found, Comparison)
        assert (found.a, found.b) == ("1.7B", "8B")
        assert same_bits(found, expected)


@given(st.permutations(range(6)))
@settings(max_examples=20)
def test_ids_match_problems_in_any_order(order: list[int]) -> None:
    at = np.array(order)
    pair = {"1.7B": (SMALL, 64), "8B": (LARGE[at], 64)}
    found = compare_named(pair, [1, 8], ids={"1.7B": range(6), "8B": order}, replicates=200)
    expected = compare_named({"1.7B": (SMALL, 64), "8B": (LARGE, 64)}, [1, 8], replicates=200)
    assert same_bits(found, expected)  # type: ignore[arg-type]  # two names give one comparison


def test_more_than_two_names_give_every_pair_with_its_names() -> None:
    found = compare_named({"a": (SMALL, 64), "b": (LARGE, 64), "c": (SMALL, 64)})
    assert isinstance(found, Comparisons)
    assert [(one.a, one.b) for one in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert all(f"{b} minus {a}" in repr(found) for a, b in [("a", "b"), ("a", "c"), ("b", "c")])


@pytest.mark.parametrize(
    ("counts", "options", "said"),
    [
        ({"a": (SMALL, 64), "b": (LARGE[:5], 64)}, {}, "a has 6 problems, b has 5 problems"),
        ({"a": (SMALL, 64)}, {}, "at least two policies"),
        ({"a": (SMALL, 64), "b": SMALL}, {}, "counts of 'b' are not"),
        ({"a": (SMALL, 64), "b": 3}, {}, "counts of 'b' are not"),
        ({"a": (SMALL, 64), "b": (LARGE, 8)}, {}, "30 correct of 8"),
        ({"a": (SMALL, 64), "b": (LARGE, 64)}, {"ids": {"a": range(6)}}, "name the same policies"),
        ({"a": (SMALL, 64), "b": (LARGE, 64)}, {"ids": {"a": range(6), "b": range(5)}}, "'b' has counts of 6 problems"),
        ({"a": (SMALL, 64), "b": (LARGE, 64)}, {"ids": {"a": range(6), "b": range(1, 7)}}, "differ in 2 of them"),
        (
            {"a": (pd.Series(SMALL, list("pqrstu")), 64), "b": (pd.Series(LARGE, list("qprstu")), 64)},
            {},
            "a and b have different indices",
        ),
    ],
)
def test_what_cannot_be_matched_is_refused_in_one_message(counts: dict, options: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        compare_named(counts, **options)
