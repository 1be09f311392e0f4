"""A frame of counts is its arrays: the same numbers, the same clusters, and nothing that is quietly read otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2l_lab.errors import UsageError
from s2l_lab.estimators import Counts, compare_all, pass_at_k_curve
from s2l_lab.estimators.compare import compare
from s2l_lab.figures.numbers import plain

P, N = 8, 6
ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), st.sampled_from("xyz")), min_size=2 * P, max_size=2 * P)


def frame(rows: list[tuple[int, int, str]], *, clustered: bool = True) -> pd.DataFrame:
    """Two policies on P problems; every policy has the clusters of the first."""
    labels = [label for *_, label in rows[:P]] * 2 if clustered else [None] * (2 * P)
    index = pd.MultiIndex.from_product([["a", "b"], [f"p{i}" for i in range(P)]], names=["policy", "problem"])
    columns = {"correct": [r[0] for r in rows], "total": N, "unknown": [r[1] for r in rows], "cluster": labels}
    return pd.DataFrame(columns, index=index)


@given(ROWS, st.booleans())
def test_a_frame_is_its_arrays_and_its_clusters(rows: list[tuple[int, int, str]], clustered: bool) -> None:
    counts = frame(rows, clustered=clustered)
    one = counts.loc["a"]
    cluster = one["cluster"].tolist() if clustered else None
    by_hand = pass_at_k_curve(
        one["correct"].to_numpy(), N, [1, 3], unknown_P=one["unknown"].to_numpy(), cluster=cluster, replicates=200
    )
    assert plain(pass_at_k_curve(one, ks=[1, 3], replicates=200)) == plain(by_hand)
    labels = None if cluster is None else tuple(cluster)
    columns = ("correct", "total", "unknown")
    named = {
        name: Counts(tuple(part.index), *(part[column].to_numpy() for column in columns), labels)
        for name, part in (("a", one), ("b", counts.loc["b"]))
    }
    (wanted,) = compare_all(named, [1, 3], replicates=200)
    assert plain(compare(counts, [1, 3], replicates=200)) == plain(wanted)
    # Problems are matched by the index, in any order.
    parts = {"a": one, "b": counts.loc["b"].iloc[::-1]}
    assert plain(compare(parts, [1, 3], replicates=200)) == plain(wanted)


ONE = frame([(1, 0, "x")] * (2 * P)).loc["a"]
WRONG: dict[str, tuple[Any, str]] = {
    "no total": (ONE[["correct"]], "no columns correct and total"),
    "two policies": (frame([(1, 0, "x")] * (2 * P)), "several policies"),
    "a problem twice": (pd.concat([ONE, ONE]), "names a problem twice"),
    "part of the clusters": (ONE.assign(cluster=[None, *"xyzxyzx"]), "no cluster label"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_frame_that_says_something_else_is_refused(name: str) -> None:
    given, words = WRONG[name]
    with pytest.raises(UsageError, match=words):
        pass_at_k_curve(given)


def test_a_frame_stands_alone() -> None:
    with pytest.raises(UsageError, match="brings its own total"):
        pass_at_k_curve(ONE, N)
    with pytest.raises(UsageError, match="total_P is missing"):
        pass_at_k_curve([1, 2])
    with pytest.raises(UsageError, match="frames for all policies"):
        compare({"a": ONE, "b": (np.ones(P, np.int64), N)})
    with pytest.raises(UsageError, match=r"index \(policy, problem\)"):
        compare(ONE)
