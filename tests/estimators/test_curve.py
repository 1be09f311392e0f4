"""Curves: unknown outcomes, what each interval promises at its edges, and that every argument matters."""

from __future__ import annotations

import numpy as np
import pytest

from s2l_lab.errors import UsageError
from s2l_lab.estimators import Curve, pass_at_k, pass_at_k_curve


def scripted(problems: int = 40, rollouts: int = 64, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.binomial(rollouts, rng.beta(0.3, 1, problems)), np.full(problems, rollouts)


def curve(interval: str, correct: np.ndarray, total: np.ndarray, seed: int = 1, **options: object) -> Curve:
    return pass_at_k_curve(correct, total, interval=interval, rng=np.random.default_rng(seed), **options)  # type: ignore[arg-type]  # one call for both intervals


def same_bits(one: Curve, other: Curve) -> bool:
    names = ("value", "lower", "upper", "band_lower", "band_upper")
    return all(getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in names)


@pytest.mark.parametrize("interval", ["rollouts", "problems"])
def test_the_centre_is_unbiased_and_the_ends_enclose_it(interval: str) -> None:
    correct, total = scripted()
    seen = curve(interval, correct, total)
    np.testing.assert_allclose(seen.value, pass_at_k(correct, total, None))
    assert (seen.lower <= seen.value).all()
    assert (seen.value <= seen.upper).all()
    assert (seen.lower >= 0).all()
    assert (seen.upper <= 1).all()
    assert (seen.n_problems, seen.n_rollouts, seen.interval, seen.k[-1]) == (40, 64, interval, 64)


@pytest.mark.parametrize("interval", ["rollouts", "problems"])
def test_one_verifier_error_in_256_gives_bounds_and_leaves_k_256_available(interval: str) -> None:
    correct, total = np.array([0, 3, 200]), np.full(3, 256)
    unknown = np.array([0, 1, 0])
    seen = curve(interval, correct, total, unknown_P=unknown)
    assert seen.k[-1] == 256
    assert np.isnan(seen.value[0])
    assert seen.bound_high[0] - seen.bound_low[0] == pytest.approx(1 / 256 / 3)
    # At k = 256 the second problem is solved whatever the verifier would have said, so there is a value again.
    assert seen.value[-1] == pytest.approx(2 / 3)
    assert (seen.lower <= seen.bound_low).all()
    assert (seen.bound_high <= seen.upper).all()
    # The naive readings lose the curve's end or the outcome itself.
    with pytest.raises(UsageError):
        pass_at_k(correct, total - unknown, 256)
    assert not np.isnan(curve(interval, correct, total).value[0])


def test_an_unknown_rollout_of_an_unsolved_problem_is_felt_at_every_k() -> None:
    seen = curve("problems", np.array([0, 3]), np.array([8, 8]), unknown_P=np.array([1, 0]))
    assert np.isnan(seen.value).all()
    assert seen.bound_high[-1] - seen.bound_low[-1] == pytest.approx(0.5)


@pytest.mark.parametrize("solved", [0, 64])
def test_all_wrong_and_all_right_keep_a_width(solved: int) -> None:
    """The u-statistic and the bootstrap both say 0 here."""
    correct, total = np.full(30, solved), np.full(30, 64)
    for interval in ("rollouts", "problems"):
        seen = curve(interval, correct, total, ks=[1, 4])
        assert (seen.upper - seen.lower > 0).all()
        assert (seen.value == (solved > 0)).all()
    # 0 of 30 problems: the exact binomial end, 1 - .025^(1/30).
    width = curve("problems", correct, total)
    np.testing.assert_allclose(width.upper - width.lower, 1 - 0.025 ** (1 / 30))
    # 0 (or all) of 30 * 64 rollouts at k = 1: the exact binomial end for pooled rollouts.
    at_1 = curve("rollouts", correct, total, ks=[1])
    assert at_1.upper[0] - at_1.lower[0] == pytest.approx(1 - 0.025 ** (1 / (30 * 64)))
    assert "exact" in at_1.method[0]


def test_exact_ends_hold_for_any_solve_rates_with_that_chance() -> None:
    """Search: no rates under which all 5 x 8 rollouts are wrong (right) with chance .025 pass beyond the end."""
    rng = np.random.default_rng(0)
    none, every = (curve("rollouts", np.full(5, solved), np.full(5, 8)) for solved in (0, 8))
    worst_none, worst_all = np.zeros(8), np.ones(8)
    for _ in range(4_000):
        share = rng.dirichlet(np.full(5, rng.choice([0.05, 1, 50])))
        rare = np.exp(np.log(0.025) / 8 * share)  # product of rare^8 is .025
        worst_none = np.maximum(worst_none, 1 - (rare[:, None] ** none.k).mean(0))
        worst_all = np.minimum(worst_all, 1 - ((1 - rare)[:, None] ** every.k).mean(0))
    assert (worst_none <= none.upper + 1e-12).all()
    assert (worst_all >= every.lower - 1e-12).all()
    np.testing.assert_allclose(worst_none, none.upper, rtol=0.05)
    np.testing.assert_allclose(1 - worst_all, 1 - every.lower, rtol=0.05)


def test_problems_of_extremes_alone_keep_a_rollouts_width() -> None:
    """Each problem is all wrong or all right: the u-statistic is 0 at every k."""
    seen = curve("rollouts", np.array([0, 0, 0, 64]), np.full(4, 64))
    assert (seen.upper - seen.lower > 1e-4).all()
    assert "u-statistic is 0" in seen.method[0]


def test_methods_say_where_an_interval_rests_on_the_prior() -> None:
    seen = curve("rollouts", *scripted())
    by_k = dict(zip(seen.k.tolist(), seen.method, strict=True))
    assert by_k[16] == "u-statistic"
    assert by_k[17] == by_k[32] == "larger of u-statistic and eb-beta-binomial"
    assert "prior-dependent" in by_k[33]
    assert "N >= 4k = 256" in by_k[64]


def test_rollouts_ends_rise_with_k_and_have_no_band() -> None:
    for seed in (1, 5):  # unsorted, the lower ends of seed 1 and the upper ones of seed 5 fall somewhere
        rng = np.random.default_rng(seed)
        correct = rng.binomial(64, np.where(rng.random(20) < 0.3, 0, rng.beta(0.5, 1, 20)))
        seen = curve("rollouts", correct, np.full(20, 64))
        assert (np.diff(seen.lower) >= 0).all()
        assert (np.diff(seen.upper) >= 0).all()
    assert np.isnan(seen.band_lower).all()


def test_the_band_encloses_the_interval_and_grows_with_the_ks_it_covers() -> None:
    correct, total = scripted()
    every, few = curve("problems", correct, total), curve("problems", correct, total, ks=[1])
    assert (every.band_lower <= every.lower).all()
    assert (every.upper <= every.band_upper).all()
    assert every.band_upper[0] - every.band_lower[0] > few.band_upper[0] - few.band_lower[0]


@pytest.mark.parametrize("interval", ["rollouts", "problems"])
def test_level_and_rollouts_matter(interval: str) -> None:
    correct, total = scripted()
    wide, narrow = (curve(interval, correct, total, level=level) for level in (0.99, 0.8))
    assert (wide.upper - wide.lower > narrow.upper - narrow.lower).all()
    assert wide.level == 0.99


def test_rollouts_interval_shrinks_with_rollouts_and_problems_interval_does_not() -> None:
    rates = np.random.default_rng(0).beta(0.3, 1, 50)
    widths = {}
    for n in (64, 1024):
        correct = np.random.default_rng(1).binomial(n, rates)
        for interval in ("rollouts", "problems"):
            seen = curve(interval, correct, np.full(50, n), ks=[1, 8])
            widths[interval, n] = seen.upper - seen.lower
    np.testing.assert_allclose(widths["rollouts", 1024] / widths["rollouts", 64], 1 / 4, rtol=0.15)
    np.testing.assert_allclose(widths["problems", 1024] / widths["problems", 64], 1, rtol=0.1)


def test_same_seed_same_bits_and_another_seed_other_bits() -> None:
    correct, total = scripted()
    assert same_bits(curve("problems", correct, total), curve("problems", correct, total))
    assert not same_bits(curve("problems", correct, total), curve("problems", correct, total, seed=2))
    assert not same_bits(curve("problems", correct, total), curve("problems", correct, total, replicates=500))


@pytest.mark.parametrize("interval", ["rollouts", "problems"])
def test_unequal_rollouts_have_intervals_too(interval: str) -> None:
    rng = np.random.default_rng(0)
    total = rng.integers(32, 65, 40)
    correct = rng.binomial(total, rng.beta(0.3, 1, 40))
    seen = curve(interval, correct, total)
    assert seen.k[-1] == total.min()
    np.testing.assert_allclose(seen.value, pass_at_k(correct, total, None))
    assert (seen.upper > seen.lower).all()


@pytest.mark.parametrize("interval", ["rollouts", "problems"])
def test_the_order_of_problems_changes_nothing(interval: str) -> None:
    correct, total = scripted()
    mixed = np.random.default_rng(3).permutation(correct)
    assert same_bits(curve(interval, correct, total), curve(interval, mixed, total))


def test_one_problem_has_no_problems_interval_but_a_rollouts_interval() -> None:
    correct, total = np.array([3]), np.array([16])
    assert np.isnan(curve("problems", correct, total).lower).all()
    seen = curve("rollouts", correct, total, ks=[1, 4])
    assert (seen.lower < seen.value).all()
    assert (seen.value < seen.upper).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interval": "seeds"}, "seeds_curve"),
        ({"interval": "problems", "rng": 0.5}, "default_rng"),
        ({"cluster": ["x"]}, "one label per problem"),
        ({"cluster": [None] * 40}, "no cluster label"),
        ({"level": 95}, r"Did you mean 0\.95"),
        ({"ks": [4, 2]}, "increase"),
        ({"ks": [65]}, r"1\.\.64"),
        ({"unknown_P": [1]}, "unknown_P has 1"),
        ({"unknown_P": np.full(40, -1)}, "unknown"),
        ({"unknown_P": np.full(40, 64)}, "unknown"),
        ({"replicates": 10}, "200"),
    ],
)
def test_wrong_requests(options: dict, message: str) -> None:
    correct, total = scripted()
    with pytest.raises(UsageError, match=message):
        pass_at_k_curve(correct, total, **{"rng": np.random.default_rng(0), **options})


@pytest.mark.parametrize("interval", ["rollouts", "problems"])
def test_one_total_holds_for_every_problem(interval: str) -> None:
    correct, total = scripted()
    assert same_bits(curve(interval, correct, total), curve(interval, correct.tolist(), 64))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"total_P = 2\.5 was given"):
        pass_at_k_curve(correct, 2.5)  # type: ignore[arg-type]  # no number of rollouts


def test_the_defaults_are_intervals_about_problems_from_seed_0() -> None:
    correct, total = scripted()
    assert same_bits(pass_at_k_curve(correct, total), pass_at_k_curve(correct, total, interval="problems", rng=0))
