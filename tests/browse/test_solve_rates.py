"""The matrix of solve rates is the store's own counts, and every problem is in one list of who solves it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta
from small_store import ORDER, VERSION, N, make, manifest

from s2l_lab.browse.solve_rates import SolveRates, solve_rates
from s2l_lab.browse.store import open_store
from s2l_lab.browse.who_solves import SolveRule, only_solved
from s2l_lab.errors import UsageError
from s2l_lab.rollouts import RolloutStore


@pytest.mark.parametrize("n", [None, 1, 3, N])
def test_rates_are_the_counts_of_the_store(tmp_path: Path, n: int | None) -> None:
    make(tmp_path / "run")
    rates = solve_rates(open_store(tmp_path / "run"), n=n)
    assert rates.policies == ORDER
    assert rates.version == VERSION
    with RolloutStore(tmp_path / "run") as store:
        for m, policy in enumerate(rates.policies):
            (origin,) = (o for o in store.origins() if o.policy == policy)
            counts = store.counts(origin, VERSION, rates.problem_ids, n)
            assert rates.correct_PM[:, m].tolist() == counts.correct_P.tolist()
            assert rates.total_PM[:, m].tolist() == counts.total_P.tolist()
            assert rates.unknown_PM[:, m].tolist() == counts.unknown_P.tolist()
    cells = rates.cells().to_pylist()
    assert len(cells) == rates.correct_PM.size
    assert cells[1] | {"rate": 0, "lower": 0, "upper": 0} == {
        "problem_id": rates.problem_ids[0],
        "policy": ORDER[1],
        "correct": rates.correct_PM[0, 1],
        "total": rates.total_PM[0, 1],
        "unknown": rates.unknown_PM[0, 1],
        "rate": 0,
        "lower": 0,
        "upper": 0,
    }


def test_a_store_without_rollouts_has_no_rates(tmp_path: Path) -> None:
    RolloutStore.open(tmp_path / "run", manifest(), {}).close()
    rates = solve_rates(open_store(tmp_path / "run"))
    assert (rates.policies, rates.problem_ids, rates.version, rates.correct_PM.shape) == ((), (), None, (0, 0))
    assert rates.order("spread").tolist() == []
    assert rates.cells().num_rows == 0


@st.composite
def matrices(draw: st.DrawFn) -> SolveRates:
    p, m = draw(st.integers(0, 6)), draw(st.integers(1, 4))
    total_PM = np.array(draw(st.lists(st.integers(0, 5), min_size=p * m, max_size=p * m)), np.int64).reshape(p, m)
    share_PM = np.array(draw(st.lists(st.integers(0, 5), min_size=p * m, max_size=p * m)), np.int64).reshape(p, m)
    ids, names = (tuple(f"{kind}{i}" for i in range(n)) for kind, n in (("p", p), ("m", m)))
    return SolveRates(names, ids, np.minimum(total_PM, share_PM), total_PM, np.zeros((p, m), np.int64), "v")


@given(matrices())
def test_intervals_hold_their_rates_and_nothing_is_known_of_nothing(rates: SolveRates) -> None:
    empty_PM = rates.total_PM == 0
    for values in (rates.rate_PM, rates.lower_PM, rates.upper_PM):
        assert (np.isnan(values) == empty_PM).all()
    there = ~empty_PM
    assert (rates.lower_PM[there] <= rates.rate_PM[there]).all()
    assert (rates.rate_PM[there] <= rates.upper_PM[there]).all()
    inner = there & (rates.correct_PM > 0) & (rates.correct_PM < rates.total_PM)
    a, b = rates.correct_PM[inner] + 0.5, (rates.total_PM - rates.correct_PM)[inner] + 0.5
    assert rates.lower_PM[inner] == pytest.approx(beta.ppf(0.025, a, b))
    assert rates.upper_PM[inner] == pytest.approx(beta.ppf(0.975, a, b))


@given(matrices(), st.data())
def test_an_order_is_a_permutation_sorted_by_what_it_says(rates: SolveRates, data: st.DataObject) -> None:
    a, b = (data.draw(st.sampled_from(rates.policies)) for _ in range(2))
    sums = {
        "hardest": np.mean,
        "easiest": lambda row: -np.mean(row),
        "spread": lambda row: np.min(row) - np.max(row),
    }
    for by in ("arrival", "easiest", "hardest", "spread", "policy", "difference"):
        order = rates.order(by, a, b)
        assert sorted(order.tolist()) == list(range(len(rates.problem_ids)))
        taken = rates.take(order)
        keys = []
        for row in taken.rate_PM:
            known = row[~np.isnan(row)]
            if by in sums:
                keys.append(sums[by](known) if known.size else np.inf)
            elif by == "policy":
                keys.append(-row[rates.column(a)])
            elif by == "difference":
                keys.append(row[rates.column(b)] - row[rates.column(a)])
        keys = [np.inf if np.isnan(key) else round(key, 9) for key in keys]
        assert keys == sorted(keys)


@given(matrices(), st.none() | st.sampled_from([0.01, 0.2, 0.5, 0.6, 1.0]), st.data())
def test_every_problem_is_in_one_list(rates: SolveRates, tau: float | None, data: st.DataObject) -> None:
    a, b = (data.draw(st.sampled_from(rates.policies)) for _ in range(2))
    found = only_solved(rates, a, b, SolveRule(tau))
    lists = (found.a_only, found.b_only, found.both, found.neither)
    listed = [cell.problem_id for cells in lists for cell in cells] + list(found.unpaired)
    assert sorted(listed) == sorted(rates.problem_ids)
    least = 1e-9 if tau is None else tau
    for cells, a_solves, b_solves in zip(lists, (True, False, True, False), (False, True, True, False), strict=True):
        for cell in cells:
            assert (cell.correct_a / cell.total_a >= least) == a_solves
            assert (cell.correct_b / cell.total_b >= least) == b_solves
        gaps = [abs(cell.correct_a / cell.total_a - cell.correct_b / cell.total_b) for cell in cells]
        assert gaps == sorted(gaps, reverse=True)
    assert f"n = {len(listed) - len(found.unpaired)}" in found.statement
    assert ("at least one rollout" in found.statement) == (tau is None)


def test_unequal_n_is_warned_of_where_it_matters() -> None:
    total_PM = np.array([[2, 8]])
    rates = SolveRates(("a", "b"), ("p",), np.array([[0, 1]]), total_PM, np.zeros((1, 2), int), "v")
    assert "different N" in only_solved(rates, "a", "b").statement
    assert "different N" not in only_solved(rates, "a", "b", SolveRule(0.1)).statement


def test_misuse_is_refused() -> None:
    rates = SolveRates(("a",), (), np.zeros((0, 1), int), np.zeros((0, 1), int), np.zeros((0, 1), int), None)
    with pytest.raises(UsageError, match="unknown policy 'b'"):
        only_solved(rates, "a", "b")
    with pytest.raises(UsageError, match="unknown order"):
        rates.order("best")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="tau"):
        SolveRule(0.0)
