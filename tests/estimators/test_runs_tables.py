"""IQM, probability of improvement and performance profiles: rliable as the oracle, and what it does not ask.

The golden numbers are those of rliable 1.2.0 (numpy 2.4, pandas 2.3) on `A` and `B`:

    metrics.aggregate_iqm(A); metrics.probability_of_improvement(B, A)
    library.get_interval_estimates({"a": A}, lambda x: np.array([metrics.aggregate_iqm(x)]), reps=50_000)
    library.get_interval_estimates({"p": (B, A)}, lambda x, y: ..., reps=20_000)
    library.create_performance_profile({"a": A}, np.array([0.1, 0.3, 0.5, 0.7]), reps=20_000)
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import norm, trim_mean

from s2l_lab.errors import UsageError
from s2l_lab.estimators import interquartile_mean, performance_profile, probability_of_improvement

A = np.round(np.random.default_rng(1).beta(2, 3, (5, 7)), 3)
B = np.round(np.random.default_rng(2).beta(2, 3, (4, 7)) + 0.06, 3)
TAUS = [0.1, 0.3, 0.5, 0.7]

tables = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6),
    elements=st.floats(-5, 5).map(lambda x: round(x, 1)),
)


def test_values_are_rliables() -> None:
    assert interquartile_mean(A, runs="separate").value == pytest.approx(0.4326315789473685, abs=1e-14)
    assert interquartile_mean(B, runs="shared").value == pytest.approx(0.4618571428571429, abs=1e-14)
    assert probability_of_improvement(A, B, runs="separate").value == pytest.approx(0.55, abs=1e-14)
    with_ties = probability_of_improvement(np.round(A, 1), np.round(B, 1), runs="shared")
    assert with_ties.value == pytest.approx(0.5571428571428572, abs=1e-14)
    share = performance_profile(A, TAUS, runs="separate").share
    np.testing.assert_allclose(share, [0.94285714, 0.8, 0.34285714, 0.05714286], atol=5e-9)


def test_stratified_ends_are_rliables_up_to_the_draws() -> None:
    iqm = interquartile_mean(A, runs="separate", replicates=20_000)
    np.testing.assert_allclose([iqm.lower, iqm.upper], [0.37715789, 0.48678947], atol=0.003)
    better = probability_of_improvement(A, B, runs="separate", replicates=20_000)
    np.testing.assert_allclose([better.lower, better.upper], [0.4, 0.69285714], atol=0.008)
    profile = performance_profile(A, TAUS, runs="separate", replicates=20_000)
    np.testing.assert_allclose(profile.lower, [0.88571429, 0.68571429, 0.2, 0.0], atol=1e-8)
    np.testing.assert_allclose(profile.upper, [1.0, 0.91428571, 0.48571429, 0.14285714], atol=1e-8)


@given(tables)
def test_the_iqm_is_the_mean_of_the_middle_half(scores: np.ndarray) -> None:
    assert interquartile_mean(scores, runs="shared", replicates=200).value == pytest.approx(
        trim_mean(scores, 0.25, axis=None), abs=1e-12
    )


@given(tables, st.integers(1, 4), st.integers(0, 2**32))
def test_improvement_counts_pairs_and_turns_over_with_the_methods(a: np.ndarray, seeds: int, seed: int) -> None:
    b = np.round(np.random.default_rng(seed).normal(0, 2, (seeds, a.shape[1])), 1)
    pairs = [
        1.0 if y > x else 0.5 if y == x else 0.0
        for t in range(a.shape[1])
        for x, y in itertools.product(a[:, t], b[:, t])
    ]
    for runs in ("shared", "separate"):
        ours = probability_of_improvement(a, b, runs=runs, replicates=200)
        back = probability_of_improvement(b, a, runs=runs, replicates=200)
        assert ours.value == pytest.approx(np.mean(pairs))
        assert back.value == pytest.approx(1 - ours.value)
        if seeds > 1 and len(a) > 1:
            assert 0 <= ours.lower <= ours.value + 1e-12
            assert ours.value - 1e-12 <= ours.upper <= 1
            assert ours.upper > ours.lower


@given(tables, st.sampled_from(["shared", "separate"]))
def test_profiles_fall_and_their_ends_with_them(scores: np.ndarray, runs) -> None:
    seen = performance_profile(scores, np.linspace(-5.1, 5.1, 9), runs=runs, replicates=200)
    assert seen.share[0] == 1
    assert seen.share[-1] == 0
    for ends in (seen.share, seen.lower, seen.upper, seen.band_lower, seen.band_upper):
        assert (np.diff(ends[np.isfinite(ends)]) <= 1e-12).all()
    if len(scores) > 1:
        assert (seen.band_lower <= seen.lower).all()
        assert (seen.lower <= seen.share + 1e-12).all()
        assert (seen.share <= seen.upper + 1e-12).all()
        assert (seen.upper <= seen.band_upper).all()
        assert (seen.upper > seen.lower).all()


def test_same_seed_same_bits_whatever_names_it() -> None:
    for make in (
        lambda rng: interquartile_mean(A, runs="separate", rng=rng),
        lambda rng: probability_of_improvement(A, B, runs="separate", rng=rng),
        lambda rng: performance_profile(A, TAUS, runs="shared", rng=rng).band_upper.tolist(),
    ):
        assert make(None) == make(0) == make(np.random.default_rng(0))
        assert make(1) != make(0)
        with pytest.raises(UsageError, match="whole number"):
            make(0.5)


@pytest.mark.parametrize("repetitions", [60, pytest.param(200, marks=pytest.mark.slow)])
def test_runs_that_all_tasks_share_are_resampled_whole(repetitions: int) -> None:
    """Ten runs of one spread on 30 tasks: strata average it away and cover about .4, rows cover the level."""
    covered = {"shared": 0, "separate": 0}
    for i in range(repetitions):
        rng = np.random.default_rng(i)
        scores = 0.5 + rng.normal(0, 0.05, (10, 1)) + rng.normal(0, 0.05, (10, 30))
        for runs in covered:
            seen = interquartile_mean(scores, runs=runs, rng=rng, replicates=200)
            covered[runs] += seen.lower <= 0.5 <= seen.upper
    assert covered["shared"] / repetitions > 0.95 - 3 * np.sqrt(0.95 * 0.05 / repetitions)
    assert covered["separate"] / repetitions < 0.6


@pytest.mark.parametrize("repetitions", [60, pytest.param(200, marks=pytest.mark.slow)])
def test_shared_rows_cover_for_improvement_and_profiles(repetitions: int) -> None:
    hits, band_hits = 0, 0
    taus = np.array([0.42, 0.5, 0.58])
    truth = norm.sf((taus - 0.5) / np.hypot(0.05, 0.05))
    for i in range(repetitions):
        rng = np.random.default_rng(i)
        a, b = (0.5 + rng.normal(0, 0.05, (n, 1)) + rng.normal(0, 0.05, (n, 20)) for n in (5, 10))
        better = probability_of_improvement(a, b, runs="shared")
        hits += better.lower <= 0.5 <= better.upper
        seen = performance_profile(b, taus, runs="shared", rng=rng, replicates=200)
        band_hits += bool(((seen.band_lower <= truth) & (truth <= seen.band_upper)).all())
    floor = 0.95 - 3 * np.sqrt(0.95 * 0.05 / repetitions)
    assert hits / repetitions > floor
    assert band_hits / repetitions > 0.90 - 3 * np.sqrt(0.9 * 0.1 / repetitions)


def test_complete_separation_is_no_certainty() -> None:
    """Five runs that all beat five others: the ends are those of 5 of 5, or of 35 of 35 where tasks have own runs."""
    worse, better = np.zeros((5, 7)), np.ones((5, 7))
    shared = probability_of_improvement(worse, better, runs="shared")
    apart = probability_of_improvement(worse, better, runs="separate")
    assert (shared.value, shared.upper) == (1, 1)
    assert shared.lower == pytest.approx(0.025 ** (1 / 5))
    assert apart.lower == pytest.approx(0.025 ** (1 / 35))


def test_counts_and_what_few_runs_can_tell() -> None:
    seen = interquartile_mean(A, runs="shared")
    assert (seen.n_seeds, seen.n_problems, seen.n_rollouts, seen.interval, seen.level) == (5, 7, 35, "seeds", 0.95)
    assert "cannot tell: 5 of the 10 seeds" in seen.method
    assert "cannot tell" not in interquartile_mean(np.tile(A, (2, 1)), runs="shared").method
    assert "cannot tell: 4 of" in probability_of_improvement(A, B, runs="shared").method
    for one in (interquartile_mean(A[:1], runs="shared"), probability_of_improvement(A[:1], B, runs="separate")):
        assert np.isnan([one.lower, one.upper]).all()
    assert np.isnan(performance_profile(A[:1], TAUS, runs="separate").band_upper).all()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: interquartile_mean([1.0, 2.0], runs="shared"), r"shape \(S, T\)"),
        (lambda: interquartile_mean([[1.0, np.nan]], runs="shared"), "no finite score for run 0 of task 1"),
        (lambda: interquartile_mean([["a", "b"]], runs="shared"), "must hold numbers"),
        (lambda: interquartile_mean(np.ma.masked_less(A, 0.2), runs="shared"), "masked array"),
        (lambda: interquartile_mean(A, runs="paired"), "say 'shared'"),
        (lambda: interquartile_mean(A, runs="shared", level=95), "Did you mean 0.95"),
        (lambda: interquartile_mean(A, runs="shared", replicates=10), "at least 200"),
        (lambda: probability_of_improvement(A, B[:, :3], runs="shared"), "same tasks"),
        (lambda: performance_profile(A, [0.5, 0.1], runs="shared"), "increase strictly"),
        (lambda: performance_profile(A, [], runs="shared"), "increase strictly"),
    ],
)
def test_wrong_input_gets_one_message(call, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        call()
