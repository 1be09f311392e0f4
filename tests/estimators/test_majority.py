"""maj@k against enumeration of all subsets, exact and sampled."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from s2l_lab.errors import DataError, UsageError
from s2l_lab.estimators import Votes, maj_at_k, majority, pass_at_k
from s2l_lab.estimators.vote_interval import vote_score

RIGHT = frozenset({"r"})


def by_enumeration(votes: Votes, k: int) -> float:
    """Mean over all k-subsets of the share of tied winners that are correct."""
    rollouts = [answer for answer, n in votes.answers.items() for _ in range(n)] + [None] * votes.silent
    scores = []
    for chosen in itertools.combinations(rollouts, k):
        tally = Counter(answer for answer in chosen if answer is not None)
        winners = [answer for answer, n in tally.items() if n == max(tally.values())]
        scores.append(sum(answer in votes.correct for answer in winners) / len(winners) if winners else 0.0)
    return float(np.mean(scores))


CASES = {
    "clear": Votes({"r": 5, "w": 3}, RIGHT),
    "ties": Votes({"r": 3, "w": 3, "x": 3}, RIGHT),
    "silent": Votes({"r": 2, "w": 1}, RIGHT, silent=5),
    "scattered": Votes({"r": 2} | {f"w{i}": 1 for i in range(7)}, RIGHT),
    "two right forms": Votes({"r": 2, "s": 2, "w": 4}, frozenset({"r", "s"})),
    "never right": Votes({"w": 4, "x": 2}, RIGHT, silent=1),
    "all silent": Votes({}, RIGHT, silent=4),
}


def value(votes: list[Votes], ks: list[int] | None = None, **options: object) -> np.ndarray:
    return maj_at_k(votes, ks, rng=np.random.default_rng(0), **options).value  # type: ignore[arg-type]  # any option


@pytest.mark.parametrize("case", CASES)
def test_every_k_by_enumeration(case: str) -> None:
    votes = CASES[case]
    expected = [by_enumeration(votes, k) for k in range(1, votes.total + 1)]
    np.testing.assert_allclose(value([votes]), expected, atol=1e-12)


def test_sampled_orders_agree_with_the_exact_value(monkeypatch: pytest.MonkeyPatch) -> None:
    votes = [CASES["scattered"], CASES["silent"], CASES["two right forms"]]
    exact = value(votes)
    monkeypatch.setattr(majority, "_ENUMERABLE", 0)
    sampled = value(votes, subsets=4_000)
    assert 0 < np.abs(sampled - exact).max() < 0.02
    assert np.abs(value(votes, subsets=50) - exact).max() > np.abs(sampled - exact).max()


def test_many_distinct_answers_at_full_size() -> None:
    """256 rollouts, 12 right, the rest scattered singly: nearly always right at k = 256, c/N at k = 1."""
    votes = Votes({"r": 12} | {f"w{i}": 1 for i in range(244)}, RIGHT)
    seen = value([votes], [1, 256], subsets=200)
    assert seen[0] == pytest.approx(12 / 256, abs=0.04)
    assert seen[1] == 1.0


def test_at_1_it_is_pass_at_1_and_the_mean_over_problems() -> None:
    votes = [CASES["clear"], CASES["silent"], CASES["never right"]]
    correct, total = [5, 2, 0], [8, 8, 7]
    assert value(votes, [1])[0] == pytest.approx(pass_at_k(correct, total, 1))


def test_naive_tie_breaking_differs() -> None:
    """Counting a tie as a win, or dropping silent rollouts, gives other numbers; the cases above can tell."""
    assert value([Votes({"r": 1, "w": 1}, RIGHT)], [2])[0] == 0.5
    with_silence = value([Votes({"r": 1, "w": 2}, RIGHT, silent=3)], [2])[0]
    assert with_silence != pytest.approx(value([Votes({"r": 1, "w": 2}, RIGHT)], [2])[0])


def test_an_unknown_rollout_gives_bounds() -> None:
    votes = [Votes({"r": 3, "w": 2}, RIGHT, unknown=1), CASES["clear"]]
    seen = maj_at_k(votes, [1, 3], rng=np.random.default_rng(0))
    assert np.isnan(seen.value).all()
    against, favour = Votes({"r": 3, "w": 3}, RIGHT), Votes({"r": 4, "w": 2}, RIGHT)
    for i, k in enumerate([1, 3]):
        rest = by_enumeration(CASES["clear"], k)
        assert seen.bound_low[i] == pytest.approx((by_enumeration(against, k) + rest) / 2)
        assert seen.bound_high[i] == pytest.approx((by_enumeration(favour, k) + rest) / 2)
    assert (seen.lower <= seen.bound_low).all()
    assert (seen.bound_high <= seen.upper).all()
    # Without any answer of that side, unknown rollouts stand for one.
    lost = maj_at_k([Votes({}, RIGHT, unknown=2)], [2], rng=np.random.default_rng(0))
    assert (lost.bound_low[0], lost.bound_high[0]) == (0.0, 1.0)


def test_interval_seed_and_level() -> None:
    votes = [Votes({"r": c, "w": 8 - c}, RIGHT) for c in (1, 2, 4, 5, 6, 7, 3, 1, 7, 5)]
    wide, narrow = (
        maj_at_k(votes, [1, 5], rng=np.random.default_rng(0), level=level, replicates=500) for level in (0.99, 0.8)
    )
    assert (wide.upper - wide.lower > narrow.upper - narrow.lower).all()
    assert (wide.n_problems, wide.n_rollouts, wide.interval) == (10, 8, "problems")
    again = maj_at_k(votes, [1, 5], rng=np.random.default_rng(0), level=0.99, replicates=500)
    assert again.upper.tobytes() == wide.upper.tobytes()


def test_impossible_votes_are_refused() -> None:
    with pytest.raises(DataError):
        Votes({"r": 0}, RIGHT)
    with pytest.raises(DataError):
        Votes({"r": 1}, RIGHT, silent=-1)
    with pytest.raises(UsageError, match="at least one problem"):
        value([])
    with pytest.raises(UsageError, match=r"1\.\.7"):
        value([CASES["never right"]], [8])


def drawn(rng: np.random.Generator, rollouts: int, right: float) -> Votes:
    """One right answer, three wrong ones of .3 : .2 : .1, and else something new."""
    wrong = (1 - right) * np.array([0.3, 0.2, 0.1, 0.4])
    counts = rng.multinomial(rollouts, [right, *wrong]).tolist()
    answers = {name: n for name, n in zip("rabc", counts, strict=False) if n}
    return Votes(answers | {f"new {i}": 1 for i in range(counts[-1])}, RIGHT)


@pytest.mark.parametrize("repetitions", [12, pytest.param(60, marks=pytest.mark.slow)])
def test_rollouts_intervals_cover_these_problems_and_are_narrower_than_those_over_problems(repetitions: int) -> None:
    """20 problems at rates of .02 to .8, N = 16: the truth is the mean over some 10,000 votes each."""
    rng, ks = np.random.default_rng(4), [1, 3, 8]
    rates = np.linspace(0.02, 0.8, 20)
    truth = np.mean([value([drawn(rng, 900, rate) for _ in range(12)], ks, subsets=400) for rate in rates], axis=0)
    hits, width = np.zeros(3), np.zeros((2, 3))
    for _ in range(repetitions):
        votes = [drawn(rng, 16, rate) for rate in rates]
        seen = maj_at_k(votes, ks, rng=rng, interval="rollouts", subsets=200)
        hits += (seen.lower <= truth + 0.003) & (truth <= seen.upper + 0.003)
        others = maj_at_k(votes, ks, rng=rng, subsets=200, replicates=200)
        width += np.array([seen.upper - seen.lower, others.upper - others.lower])
    assert (hits / repetitions > 0.92 - 3 * np.sqrt(0.92 * 0.08 / repetitions)).all()
    assert (width[0] < 0.6 * width[1]).all()


def test_rollouts_interval_keeps_the_value_names_its_prior_and_leaves_something_open() -> None:
    votes = [CASES["clear"], CASES["never right"], Votes({"r": 8}, RIGHT)]
    about_rollouts, about_problems = (
        maj_at_k(votes, rng=np.random.default_rng(0), interval=interval)  # type: ignore[arg-type]  # both are allowed
        for interval in ("rollouts", "problems")
    )
    np.testing.assert_array_equal(about_rollouts.value, about_problems.value)
    assert about_rollouts.interval == "rollouts"
    assert ["prior-dependent" in method for method in about_rollouts.method] == [False] * 3 + [True] * 4
    assert (about_rollouts.lower < about_rollouts.upper).all()
    assert np.isnan(about_rollouts.band_lower).all()
    certain = maj_at_k([Votes({"r": 8}, RIGHT)] * 3, rng=np.random.default_rng(0), interval="rollouts")
    assert (certain.lower < 1).all()
    with pytest.raises(UsageError, match="interval = 'seeds'"):
        maj_at_k(votes, rng=np.random.default_rng(0), interval="seeds")  # type: ignore[arg-type]


def test_unknown_rollouts_bound_the_rollouts_interval_too() -> None:
    seen = maj_at_k([Votes({"r": 3, "w": 3}, RIGHT, unknown=2)] * 4, rng=np.random.default_rng(0), interval="rollouts")
    assert np.isnan(seen.value[0])
    assert (seen.lower <= seen.bound_low).all()
    assert (seen.upper >= seen.bound_high).all()


def test_a_new_answer_never_gathers_votes() -> None:
    """Rows of votes by hand: 0 is right, 1 is a wrong answer, 2 is new each time, 3 is silence."""
    rows = np.array([[2, 2, 2, 0], [1, 1, 0, 0], [2, 0, 0, 1], [3, 3, 3, 3], [3, 3, 2, 2]])
    score = vote_score(rows, np.array([True, False, False, False]), 2)
    assert score.tolist() == [0.25, 0.5, 1.0, 0.0, 0.0]
