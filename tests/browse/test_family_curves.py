"""The Family view's numbers are the estimators' over the problems that are said; a bad numbers.json is no numbers."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_store import ORDER, N, make

from s2l_lab.browse.catalog import bundled_runs
from s2l_lab.browse.exports import csv_bytes, parquet_bytes
from s2l_lab.browse.family_curves import (
    MOST_KS,
    NUMBERS,
    crossings_table,
    differences_table,
    family_comparisons,
    family_covers,
    family_curves,
    recorded,
    thinned,
)
from s2l_lab.browse.solve_rates import SolveRates, solve_rates
from s2l_lab.browse.store import BrowsedStore, open_store
from s2l_lab.errors import UsageError
from s2l_lab.estimators import compare_all, pass_at_k, pass_at_k_curve
from s2l_lab.estimators.cells import Cells
from s2l_lab.estimators.estimate import Counts, Curve
from s2l_lab.estimators.rate_posterior import posterior_rates

NAMES = ("small", "middle", "large")


def rates_of(correct_PM: Any, total_PM: Any, unknown_PM: Any = 0, names: Sequence[str] = NAMES) -> SolveRates:
    correct, total = np.asarray(correct_PM, np.int64), np.asarray(total_PM, np.int64)
    ids = tuple(f"problem-{i}" for i in range(len(correct)))
    return SolveRates(tuple(names), ids, correct, total, np.zeros_like(total) + unknown_PM, "countdown-1")


def scripted(problems: int = 12, rollouts: int = 8, seed: int = 0) -> SolveRates:
    rng = np.random.default_rng(seed)
    total = np.full((problems, len(NAMES)), rollouts)
    return rates_of(rng.binomial(rollouts, rng.beta(0.5, [3, 2, 1], total.shape)), total)


def enumerated(outcomes: Sequence[Sequence[bool]], k: int) -> float:
    """pass@k by its definition: over all sets of k rollouts of a problem, how many hold a success; mean of problems."""
    return float(np.mean([np.mean([any(c) for c in itertools.combinations(one, k)]) for one in outcomes]))


def spelled(correct: Iterable[int], total: Iterable[int]) -> list[list[bool]]:
    return [[i < c for i in range(n)] for c, n in zip(correct, total, strict=True)]


def same_curve(one: Curve, other: Curve) -> bool:
    arrays = ("k", "value", "lower", "upper", "bound_low", "bound_high")
    plain = ("method", "interval", "level", "n_problems", "n_rollouts")
    return all(np.array_equal(getattr(one, a), getattr(other, a), equal_nan=True) for a in arrays) and all(
        getattr(one, a) == getattr(other, a) for a in plain
    )


def test_curves_are_enumerated_from_the_rollouts_of_a_store(tmp_path: Path) -> None:
    """Every set of k verified rollouts of the store; what the verifier could not judge is wrong below, right above."""
    known = make(tmp_path / "run")
    family = family_curves(solve_rates(open_store(tmp_path / "run")), ORDER)
    assert (family.n_problems, family.n_rollouts) == (4, N - 1)
    for policy in ORDER:
        cells: dict[str, list[str]] = {}
        for one in known:
            if one.policy == policy and one.outcome != "unverified":
                cells.setdefault(one.problem_id, []).append(one.outcome)
        curve = family.curves[policy]
        assert curve.k.tolist() == list(range(1, N))
        for solved, bound in ((("correct",), curve.bound_low), (("correct", "verifier_error"), curve.bound_high)):
            wanted = [enumerated([[o in solved for o in cell] for cell in cells.values()], k) for k in range(1, N)]
            np.testing.assert_allclose(bound, wanted)
    assert any("verifier failed" in note for note in family.notes)


@pytest.mark.parametrize("interval", ["rollouts", "problems"])
def test_a_curve_is_the_estimators_on_the_counts(interval: Any) -> None:
    rates = scripted()
    family = family_curves(rates, NAMES, interval)
    for m, name in enumerate(NAMES):
        rng = np.random.default_rng(0)
        correct_P, total_P = rates.correct_PM[:, m], rates.total_PM[:, m]
        wanted = pass_at_k_curve(correct_P, total_P, thinned(8), interval=interval, rng=rng)
        curve = family.curves[name]
        assert curve.interval == interval
        np.testing.assert_array_equal(curve.value, wanted.value)
        np.testing.assert_allclose(curve.value, [enumerated(spelled(correct_P, total_P), k) for k in range(1, 9)])
        if interval == "rollouts":
            assert same_curve(curve, wanted)
    assert family.notes == ()


def test_cover_is_the_share_of_problems_at_or_above_each_tau() -> None:
    rates = scripted()
    covers = family_covers(rates, NAMES)
    for m, name in enumerate(NAMES):
        cover = covers.curves[name]
        correct_P, total_P = rates.correct_PM[:, m], rates.total_PM[:, m]
        assert cover.tau.tolist() == [k / 8 for k in range(1, 9)]
        assert cover.plug_in.tolist() == pytest.approx([np.mean([c >= k for c in correct_P]) for k in range(1, 9)])
        one_by_one = Cells(correct_P, total_P, np.ones_like(correct_P))
        smoothed = posterior_rates(one_by_one).share_above(cover.tau[:-1]).mean(axis=0)
        np.testing.assert_allclose(cover.smoothed[:-1], smoothed)
        assert math.isnan(cover.smoothed[-1])
        assert (cover.n_problems, cover.n_rollouts) == (12, 8)
        row = covers.table().to_pylist()[8 * m + 3]
        assert (row["npmle"], row["bounds_lower"]) == (cover.npmle[3], cover.bounds_lower[3])


@pytest.mark.parametrize("order", list(itertools.permutations(NAMES)))
def test_policies_keep_the_order_that_is_asked(order: tuple[str, ...]) -> None:
    family, covers = family_curves(scripted(4, 3), order), family_covers(scripted(4, 3), order)
    assert tuple(family.curves) == tuple(covers.curves) == order
    assert tuple(dict.fromkeys(family.table()["policy"].to_pylist())) == order
    assert tuple(dict.fromkeys(covers.table()["policy"].to_pylist())) == order
    pairs = [(c.a, c.b) for c in family_comparisons(scripted(4, 3), order)]
    assert pairs == list(itertools.combinations(order, 2))


@st.composite
def being_written(draw: st.DrawFn) -> SolveRates:
    """Every cell with its own number of rollouts, some with none."""
    problems = draw(st.integers(1, 7))
    total = [[draw(st.integers(0, 5)) for _ in NAMES[:2]] for _ in range(problems)]
    correct = [[draw(st.integers(0, n)) for n in row] for row in total]
    return rates_of(correct, total, names=NAMES[:2])


@settings(max_examples=40)
@given(being_written())
def test_a_run_being_written_is_shown_at_what_half_of_its_problems_have(rates: SolveRates) -> None:
    family, covers = family_curves(rates, rates.policies), family_covers(rates, rates.policies)
    least = [min(row) for row in rates.total_PM.tolist()]
    begun = [n for n in least if n > 0]
    if not begun:
        assert not family.curves
        return
    n = max(n for n in begun if sum(other >= n for other in begun) * 2 >= len(begun))
    kept = [i for i, other in enumerate(least) if other >= n]
    assert (family.n_rollouts, family.n_problems) == (n, len(kept))
    short, without = len(begun) - len(kept), least.count(0)
    expected = [f"{short} problems with fewer than {n} verified"] * (short > 0)
    expected += [f"{without} problems without any"] * (without > 0)
    assert len(family.notes) == len(expected)
    assert all(note.startswith(words) for note, words in zip(family.notes, expected, strict=True))
    for m, name in enumerate(rates.policies):
        outcomes = spelled(rates.correct_PM[kept, m], rates.total_PM[kept, m])
        assert family.curves[name].k.tolist() == list(range(1, n + 1))
        np.testing.assert_allclose(family.curves[name].value, [enumerated(outcomes, k) for k in range(1, n + 1)])
        reached = [np.mean([sum(one) * n >= k * len(one) for one in outcomes]) for k in range(1, n + 1)]
        np.testing.assert_allclose(covers.curves[name].plug_in, reached)
    for comparison in family_comparisons(rates, rates.policies):
        assert (comparison.n_problems, comparison.k[-1]) == (len(kept), n)


@pytest.mark.parametrize(
    ("total", "chosen"), [([[3, 0, 3], [0, 3, 0]], NAMES[:2]), ([[0, 0, 0]], NAMES), ([[3, 3, 3]], ()), ([], NAMES)]
)
def test_without_a_problem_that_all_have_there_is_nothing_but_the_reason(total: Any, chosen: Sequence[str]) -> None:
    total_PM = np.array(total, np.int64).reshape(-1, 3)
    rates = rates_of(np.zeros_like(total_PM), total_PM)
    family = family_curves(rates, chosen)
    covers = family_covers(rates, chosen)
    assert (family.curves, covers.curves, family.n_problems, family.n_rollouts) == ({}, {}, 0, 0)
    assert family.notes == ("No problem has verified rollouts of every policy that is chosen.",)
    assert family.table().num_rows == covers.table().num_rows == 0
    assert family_comparisons(rates, chosen) == ()


@pytest.mark.parametrize("make_numbers", [family_curves, family_covers, family_comparisons])
def test_an_unknown_policy_is_refused_with_a_near_name(make_numbers: Any) -> None:
    with pytest.raises(UsageError, match=r"unknown policy 'midle'\. Did you mean middle\?"):
        make_numbers(scripted(2, 2), ["small", "midle"])


def test_rollouts_that_nobody_could_judge_are_bounds_and_a_note() -> None:
    rates = rates_of([[1, 0], [2, 4]], [[4, 4], [4, 4]], [[1, 0], [0, 0]], names=NAMES[:2])
    family = family_curves(rates, rates.policies)
    (note,) = family.notes
    assert note.startswith("1 rollouts have no verdict because the verifier failed; pass@k and Cover@tau have bounds")
    small, middle = family.curves.values()
    low, high = ([enumerated(spelled(c, [4, 4]), k) for k in range(1, 5)] for c in ([1, 2], [2, 2]))
    np.testing.assert_allclose(small.bound_low, low)
    np.testing.assert_allclose(small.bound_high, high)
    # With k = 4 the first problem is solved whatever the verifier would have said.
    assert np.isnan(small.value).tolist() == [True, True, True, False]
    assert np.isfinite(middle.value).all()
    rows = [row for row in family.table().to_pylist() if row["policy"] == "small"]
    assert [row["value"] for row in rows] == [None, None, None, 1.0]
    assert [(row["bound_low"], row["bound_high"]) for row in rows] == list(
        zip(small.bound_low.tolist(), small.bound_high.tolist(), strict=True)
    )
    cover = family_covers(rates, rates.policies).curves["small"]
    np.testing.assert_array_equal(cover.plug_in, [1.0, np.nan, 0.0, 0.0])  # half of the problems, or both, reach 1/2
    assert (cover.plug_in_lower <= np.array([1.0, 0.5, 0.0, 0.0])).all()
    assert (cover.plug_in_upper >= np.array([1.0, 1.0, 0.0, 0.0])).all()
    (comparison,) = family_comparisons(rates, rates.policies)
    first = differences_table([comparison]).to_pylist()[0]
    assert first["value"] is None
    assert (first["bound_low"], first["bound_high"]) == pytest.approx((4 / 8 - 4 / 8, 4 / 8 - 3 / 8))


@given(st.integers(1, 5_000))
def test_ks_rise_from_one_to_n_and_all_are_there_while_they_are_few(n: int) -> None:
    ks = thinned(n)
    assert (ks[0], ks[-1]) == (1, n)
    assert (np.diff(ks) > 0).all()
    if n <= MOST_KS:
        assert ks.tolist() == list(range(1, n + 1))
    else:
        assert MOST_KS / 2 < len(ks) <= MOST_KS


def test_values_of_k_that_are_not_drawn_are_counted() -> None:
    rates = rates_of([[3], [0], [90]], [[100]] * 3, names=["one"])
    family = family_curves(rates, ["one"])
    ks = family.curves["one"].k
    assert ks.tolist() == list(range(1, 101))
    assert family.notes == (f"{len(thinned(100))} of the 100 values of k are drawn; the files have all.",)
    np.testing.assert_allclose(family.curves["one"].value, pass_at_k([3, 0, 90], [100] * 3, ks))


def test_the_same_rollouts_give_the_same_band_whatever_else_is_chosen() -> None:
    rates = scripted()

    def both(chosen: Sequence[str]) -> tuple[pa.Table, pa.Table]:
        return family_curves(rates, chosen, "problems").table(), family_covers(rates, chosen).table()

    rows = [table.to_pylist() for table in both(NAMES)]
    assert [table.to_pylist() for table in both(NAMES)] == rows
    for chosen in (("large",), ("large", "small"), ("middle", "large", "small")):
        for name in chosen:
            for table, all_rows in zip(both(chosen), rows, strict=True):
                mine = [row for row in table.to_pylist() if row["policy"] == name]
                assert mine == [row for row in all_rows if row["policy"] == name]
    first, second = (family_comparisons(rates, NAMES) for _ in range(2))
    assert differences_table(first).equals(differences_table(second))
    # Other problems with the same counts are other draws.
    other = SolveRates(
        rates.policies, tuple(f"{i}'" for i in rates.problem_ids), *(rates.correct_PM, rates.total_PM),
        rates.unknown_PM, rates.version,
    )  # fmt: skip
    assert family_curves(other, NAMES, "problems").table().to_pylist() != rows[0]


def test_every_pair_is_compared_under_one_band_and_the_larger_comes_first() -> None:
    rates = scripted()
    found = family_comparisons(rates, NAMES)
    assert [(c.a, c.b) for c in found] == [("small", "middle"), ("small", "large"), ("middle", "large")]
    assert {c.n_pairs for c in found} == {3}
    counts = {
        name: Counts(rates.problem_ids, rates.correct_PM[:, m], rates.total_PM[:, m], rates.unknown_PM[:, m])
        for m, name in enumerate(NAMES)
    }
    drawn = compare_all(counts, thinned(8), rng=np.random.default_rng(0))
    for c, same in zip(found, drawn, strict=True):
        a, b = (pass_at_k(rates.correct_PM[:, NAMES.index(n)], [8] * 12, thinned(8)) for n in (c.a, c.b))
        np.testing.assert_allclose(c.value, b - a)
        np.testing.assert_allclose(c.value, same.value)
        # Two draws of the same band: one band over fewer pairs would be narrower than draws differ.
        np.testing.assert_allclose(c.band_upper - c.band_lower, same.band_upper - same.band_lower, rtol=0.08)
    (better,) = family_comparisons(rates_of([[0, 4], [0, 3]], np.full((2, 2), 4), names=NAMES[:2]), NAMES[:2])
    assert (better.value > 0).all()
    (alone,) = family_comparisons(rates, ("small", "large"))
    assert alone.n_pairs == 1
    assert (alone.band_upper - alone.band_lower).sum() < (found[1].band_upper - found[1].band_lower).sum()
    assert family_comparisons(rates, ("small",)) == ()


def test_the_verdict_of_a_pair_stands_beside_its_first_and_last_difference() -> None:
    found = family_comparisons(scripted(), NAMES)
    for row, c in zip(crossings_table(found).to_pylist(), found, strict=True):
        assert (row["smaller"], row["larger"], row["outcome"], row["k"]) == (c.a, c.b, c.crossing.outcome, c.crossing.k)
        assert (row["first_k"], row["last_k"]) == (1, 8)
        assert (row["first_difference"], row["last_difference"]) == (c.value[0], c.value[-1])
        assert (row["first_band_lower"], row["last_band_upper"]) == (c.band_lower[0], c.band_upper[-1])
        assert (row["n_problems"], row["n_rollouts"]) == (12, 8)


def test_tables_leave_whole_and_what_is_not_known_is_null() -> None:
    rates = rates_of([[1, 0, 1], [2, 4, 0]], np.full((2, 3), 4), [[1, 0, 0], [0, 0, 0]])
    family, pairs = family_curves(rates, NAMES), family_comparisons(rates, NAMES)
    tables = (family.table(), family_covers(rates, NAMES).table(), crossings_table(pairs), differences_table(pairs))
    nulls = 0
    for table in tables:
        assert pq.read_table(io.BytesIO(parquet_bytes(table))).equals(table)
        header, *cells = csv.reader(io.StringIO(csv_bytes(table).decode(), newline=""))
        assert len(cells) == table.num_rows
        assert header == table.column_names
        for column in table.columns:
            nulls += column.null_count
            if pa.types.is_floating(column.type):
                assert not any(math.isnan(value) for value in column.drop_null().to_pylist())
    assert [row["smoothed"] for row in tables[1].to_pylist() if row["tau"] == 1] == [None] * 3
    assert nulls >= 3 + 3  # no smoothed Cover at tau = 1, and no value of "small" below k = 4


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> BrowsedStore:
    place = tmp_path_factory.mktemp("recorded") / "run"
    make(place)
    return open_store(place)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)
GUESS = JSON | st.fixed_dictionaries({}, optional={"k": JSON, "uniform": JSON, "own_answers": JSON})
NEAR = st.fixed_dictionaries(
    {},
    optional={
        "policy": st.text(max_size=4) | JSON,
        "guess": GUESS,
        "cost": JSON | st.fixed_dictionaries({"flops_per_rollout": JSON}),
    },
)
ABOUT = {"benchmark": JSON | st.fixed_dictionaries({"n_problems": JSON}), "n_rollouts": JSON, "verifier_version": JSON}
SHAPES = JSON | st.fixed_dictionaries({"policies": st.lists(NEAR | JSON, max_size=3) | JSON}, optional=ABOUT)


@settings(max_examples=300)
@given(content=SHAPES)
def test_no_shape_of_numbers_json_raises(store: BrowsedStore, content: Any) -> None:
    (store.path / NUMBERS).write_text(json.dumps(content))
    found = recorded(store)
    listed = content.get("policies") if isinstance(content, dict) else None
    rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
    assert set(found) == {row["policy"] for row in rows if isinstance(row.get("policy"), str)}
    for one in found.values():
        assert isinstance(one.flops_per_rollout, float)
        assert not math.isinf(one.flops_per_rollout)
        for guesses in (one.uniform, one.own_answers):
            assert all(type(k) is int and math.isfinite(value) for k, value in guesses.items())


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe\x00", b"[]", b"null", b'{"schema": 1}', b'{"policies": {"a": 1}}', b"{}" * 2]
)
def test_damaged_and_older_numbers_are_none(store: BrowsedStore, content: bytes) -> None:
    (store.path / NUMBERS).write_bytes(content)
    assert recorded(store) == {}


def test_missing_numbers_are_none(tmp_path: Path) -> None:
    make(tmp_path / "run")
    assert recorded(open_store(tmp_path / "run")) == {}
    (tmp_path / "run" / NUMBERS).mkdir()
    assert recorded(open_store(tmp_path / "run")) == {}


def test_what_is_recorded_is_read(store: BrowsedStore) -> None:
    guess = {"k": [1, 2, 4], "uniform": [0.25, None, 0.5], "own_answers": [0.1, 0.2]}
    policies = [
        {"policy": "a", "cost": {"flops_per_rollout": 12}, "guess": guess},
        {"policy": "b", "cost": {"flops_per_rollout": True}, "guess": {"k": [1], "uniform": None}},
        {"policy": "c", "cost": {"flops_per_rollout": 10**400}},
    ]
    about = {"benchmark": {"n_problems": 12}, "n_rollouts": 16, "verifier_version": "v"}
    (store.path / NUMBERS).write_text(json.dumps(about | {"policies": policies}))
    found = recorded(store)
    assert {one.rests_on for one in found.values()} == {"n = 12 problems, N = 16 rollouts, verifier v"}
    assert list(found) == ["a", "b", "c"]
    assert (found["a"].flops_per_rollout, found["a"].uniform) == (12.0, {1: 0.25, 4: 0.5})
    assert found["a"].own_answers == {1: 0.1, 2: 0.2}
    assert all(math.isnan(found[name].flops_per_rollout) and not found[name].uniform for name in "bc")


def test_the_bundled_run_says_what_its_policies_cost() -> None:
    runs = bundled_runs()
    assert runs is not None
    found = recorded(open_store(runs / "passk-tiny-countdown"))
    costs = [found[name].flops_per_rollout for name in ("tiny-60k", "tiny-360k", "tiny-2m")]
    assert 0 < costs[0] < costs[1] < costs[2] < math.inf
