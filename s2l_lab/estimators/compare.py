"""Differences of pass@k between policies, matched by problem: from counts, never from finished curves.

Two curves over the same problems share the problems' difficulty, so the difference is far better known than either
curve. `compare_counts` and `compare_all` therefore take counts with problem ids, put all policies on the same problems,
and draw one multinomial (intervals) and one set of multipliers (band) for all policies, all pairs and all k.

The resampled unit is the problem. A comparison on fixed problems (other rollouts only) would need the joint law of the
estimates over k, which no rollout speaks of above N/2; it is not offered.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from s2l_lab.errors import UsageError
from s2l_lab.estimators.cells import check_aligned, check_counts, check_increasing, check_ks, check_level, check_unknown
from s2l_lab.estimators.counts_frame import counts_of_frame, is_frame, policies_of_frame
from s2l_lab.estimators.crossing import find_crossing
from s2l_lab.estimators.curve import settled
from s2l_lab.estimators.estimate import Comparison, Comparisons, Counts, Floats, Ints
from s2l_lab.estimators.problem_interval import ProblemEnds, difference_ends
from s2l_lab.estimators.randomness import generator
from s2l_lab.estimators.unbiased import subset_ratio
from s2l_lab.estimators.units import cluster_codes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike


def compare(
    counts: Mapping[str, Sequence[ArrayLike] | pd.DataFrame] | pd.DataFrame,
    ks: Sequence[int] | Ints | None = None,
    *,
    ids: Mapping[str, Sequence[object]] | None = None,
    rng: int | np.random.Generator | None = 0,
    level: float = 0.95,
    replicates: int = 2_000,
) -> Comparison | Comparisons:
    """Differences of pass@k between policies on the same problems: the second name minus the first.

    `counts` maps each policy's name to (correct, total) or (correct, total, unknown): shapes (P,), total may be one
    number, as in `pass_at_k_curve`. Put small members first: a positive difference then says that the larger one is
    better. Entries of all policies belong to the same problems in the same order; pandas Series must have equal
    indices. With `ids` (name -> P problem ids) the problems are matched by id instead, in any order. A frame of
    `open_run(...).counts()` is all of this at once, and so is one frame a name: problems are then matched by the index,
    and where the column `cluster` says which belong together, whole clusters are resampled.

    Two names give a `Comparison`; more give `Comparisons`, a tuple of every pair in the mapping's order, whose band is
    simultaneous over k and over all pairs. Intervals resample problems, paired, at `level`; the `crossing` rests on the
    band alone. `ks`, `rng` and `replicates` are those of `pass_at_k_curve`.

    UsageError for fewer than two names, for lengths or ids that do not match, and for counts that cannot be.

    >>> import s2l_lab as s2l
    >>> small, large = [9, 0, 20, 12, 1, 7], [30, 0, 41, 11, 9, 16]
    >>> s2l.compare({"1.7B": (small, 64), "8B": (large, 64)}, [1, 64])
    <Comparison 8B minus 1.7B: k = 1: +0.151 [...], k = 64: +0 [...]; 95% CI over problems; n = 6 problems,
    N = 64 rollouts per problem; cannot tell who is ahead at any k to 64>
    >>> a, b = ["p1", "p2", "p3"], ["p3", "p1", "p2"]
    >>> moved = s2l.compare({"1.7B": ([1, 2, 3], 4), "8B": ([3, 1, 2], 4)}, ids={"1.7B": a, "8B": b})
    >>> moved.value.tolist()
    [0.0, 0.0, 0.0, 0.0]
    """
    named: Any = policies_of_frame(counts) if is_frame(counts) else counts
    pairs = compare_all(_named_counts(named, ids), ks, rng=rng, level=level, replicates=replicates)
    return pairs[0] if len(pairs) == 1 else Comparisons(pairs)


def _named_counts(
    counts: Mapping[str, Sequence[ArrayLike] | pd.DataFrame], ids: Mapping[str, Sequence[object]] | None
) -> dict[str, Counts]:
    """Checked counts of every policy; without ids, places are the problems."""
    framed = {name: one for name, one in counts.items() if is_frame(one)}
    if framed:
        if len(framed) < len(counts) or ids is not None:
            raise UsageError("a frame names its own problems: give frames for all policies, and no ids.")
        return {name: counts_of_frame(one, repr(name)) for name, one in framed.items()}
    if ids is not None and set(ids) != set(counts):
        raise UsageError(
            f"ids is given for {', '.join(ids)} and counts for {', '.join(counts)}; name the same policies."
        )
    made: dict[str, Counts] = {}
    for name, given in counts.items():
        if isinstance(given, str | dict) or not hasattr(given, "__len__") or not 2 <= len(given) <= 3:
            raise UsageError(
                f"the counts of {name!r} are not (correct, total) or (correct, total, unknown). Give two or three "
                "arrays of one entry per problem."
            )
        correct, total = check_counts(given[0], given[1])
        unknown = check_unknown(given[2], correct, total) if len(given) > 2 else np.zeros_like(correct)
        problems = range(correct.size) if ids is None else ids[name]
        if len(problems) != correct.size:
            raise UsageError(
                f"{name!r} has counts of {correct.size} problems and {len(problems)} ids; give one id each."
            )
        made[name] = Counts(tuple(map(str, problems)), correct, total, unknown)
    if ids is None:
        _refuse_misaligned(counts, made)
    return made


def _refuse_misaligned(counts: Mapping[str, Any], made: Mapping[str, Counts]) -> None:
    """UsageError where entries at one place cannot belong to one problem."""
    sizes = {name: one.total_P.size for name, one in made.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name} has {size} problems" for name, size in sizes.items())
        raise UsageError(
            f"policies are compared on the same problems, in one order, but {listed}. Keep the problems of all, or "
            "give ids= to match them."
        )
    check_aligned(**{name: given[0] for name, given in counts.items()})


def compare_counts(
    a: Counts,
    b: Counts,
    ks: Sequence[int] | Ints | None = None,
    *,
    rng: int | np.random.Generator | None = 0,
    level: float = 0.95,
    replicates: int = 2_000,
) -> Comparison:
    """pass@k of `b` minus pass@k of `a` at increasing `ks` (None: every k up to the smallest N of both).

    Problems are matched by id, in any order; both must hold the same ids. Positive values mean that b is better. By
    convention a is the smaller member and b the larger: outcome `ahead` then says that the larger one leads at every
    k, `at` with leader b that the smaller one overtakes it (`crossing.py`). The band is simultaneous over k.
    Where counts carry clusters, whole clusters are drawn. `rng` (a seed, a Generator, None for seed 0) drives
    `replicates` draws. UsageError for unmatched problems, impossible counts or k outside 1..N.
    """
    return compare_all({"a": a, "b": b}, ks, rng=rng, level=level, replicates=replicates)[0]


def compare_all(
    counts: Mapping[str, Counts],
    ks: Sequence[int] | Ints | None = None,
    *,
    rng: int | np.random.Generator | None = 0,
    level: float = 0.95,
    replicates: int = 2_000,
) -> list[Comparison]:
    """Every pair (a, b) of `counts`, a before b in the mapping's order (put members in order of size, smallest first).

    As `compare_counts`, but the band is simultaneous over k *and* over all M (M - 1) / 2 pairs, so that the crossings
    of the whole atlas hold together at `level`. Pointwise intervals are not adjusted for the number of pairs.
    """
    check_level(level)
    if len(counts) < 2:
        raise UsageError(f"a comparison needs at least two policies; given: {', '.join(counts) or 'none'}.")
    names = list(counts)
    matched_M3P = match_problems(counts)
    n_rollouts = int(matched_M3P[:, 1].min())
    ks_K = check_increasing(check_ks(ks, n_rollouts))
    cluster_P = match_clusters(counts)
    cells_M3C, weight_C, cluster_C = pool_matched(matched_M3P, cluster_P)
    low_MCK, high_MCK = _solve_tables(cells_M3C, ks_K)

    pairs = list(itertools.combinations(range(len(names)), 2))
    tables = [np.concatenate(_difference(low_MCK, high_MCK, a, b), axis=1) for a, b in pairs]
    ends = difference_ends(tables, weight_C, level, generator(rng), replicates, cluster_C)
    n_problems = int(weight_C.sum())
    return [
        _comparison(
            (names[a], names[b]),
            ks_K,
            weight_C @ table / n_problems,
            end,
            level=level,
            n_problems=n_problems,
            n_rollouts=n_rollouts,
            pairs=len(pairs),
            n_clusters=None if cluster_P is None else int(cluster_P.max()) + 1,
        )
        for (a, b), table, end in zip(pairs, tables, ends, strict=True)
    ]


def match_problems(counts: Mapping[str, Counts]) -> Ints:
    """Correct, total and unknown of every policy on the problems of the first: shape (M, 3, P)."""
    ids = next(iter(counts.values())).problem_ids
    rows = []
    for name, one in counts.items():
        place = {problem: i for i, problem in enumerate(one.problem_ids)}
        apart = sorted(set(ids) ^ set(one.problem_ids))
        if apart:
            raise UsageError(
                f"policies are compared on the same problems, but {next(iter(counts))!r} and {name!r} differ in "
                f"{len(apart)} of them (as {', '.join(apart[:3])}). Sample what is owed, or keep the problems of both."
            )
        check_aligned(correct_P=one.correct_P, total_P=one.total_P, unknown_P=one.unknown_P, cluster=one.cluster)
        correct, total = check_counts(one.correct_P, one.total_P)
        unknown = check_unknown(one.unknown_P, correct, total)
        order = [place[problem] for problem in ids]
        rows.append(np.stack([correct, total, unknown])[:, order])
    return np.stack(rows)


def match_clusters(counts: Mapping[str, Counts]) -> Ints | None:
    """Codes of the problems' clusters, shape (P,), in the order of the first policy; None without clusters.

    UsageError where policies tell the same problems apart differently.
    """
    first = next(iter(counts.values()))
    for name, one in counts.items():
        if (one.cluster is None) != (first.cluster is None) or (
            one.cluster is not None
            and first.cluster is not None
            and dict(zip(one.problem_ids, one.cluster, strict=True))
            != dict(zip(first.problem_ids, first.cluster, strict=True))
        ):
            raise UsageError(
                f"{next(iter(counts))!r} and {name!r} put the same problems in different clusters. Clusters belong to "
                "problems: give every policy the same ones, or none."
            )
    return None if first.cluster is None else cluster_codes(first.cluster, len(first.problem_ids))


def pool_matched(matched_M3P: Ints, cluster_P: Ints | None = None) -> tuple[Ints, Ints, Ints | None]:
    """Joint cells (M, 3, C), how many problems each holds, shape (C,), and each cell's cluster, shape (C,) or None."""
    rows = matched_M3P.reshape(-1, matched_M3P.shape[2])
    if cluster_P is not None:
        rows = np.concatenate([rows, cluster_P[None]])
    flat, weight_C = np.unique(rows, axis=1, return_counts=True)
    cluster_C = None if cluster_P is None else flat[-1]
    cells = flat if cluster_P is None else flat[:-1]
    return cells.reshape(*matched_M3P.shape[:2], -1), weight_C, cluster_C


def _solve_tables(cells_M3C: Ints, ks_K: Ints) -> tuple[Floats, Floats]:
    """pass@k by policy and joint cell with unknown rollouts wrong, and with them right: each of shape (M, C, K)."""
    low = [1 - subset_ratio(total - correct, total, ks_K) for correct, total, _ in cells_M3C]
    high = [1 - subset_ratio(total - correct - unknown, total, ks_K) for correct, total, unknown in cells_M3C]
    return np.stack(low), np.stack(high)


def _difference(low_MCK: Floats, high_MCK: Floats, a: int, b: int) -> tuple[Floats, ...]:
    """b - a with unknown rollouts all against b, then all for b; one table alone where the two are the same."""
    against, favour = low_MCK[b] - high_MCK[a], high_MCK[b] - low_MCK[a]
    return (against,) if np.array_equal(against, favour) else (against, favour)


def _comparison(
    names: tuple[str, str],
    ks_K: Ints,
    mean: Floats,
    ends: ProblemEnds,
    *,
    level: float,
    n_problems: int,
    n_rollouts: int,
    pairs: int,
    n_clusters: int | None,
) -> Comparison:
    """One record from columns that run over k once, or twice where unknown rollouts give two bounds."""
    size = ks_K.size
    low_K, high_K = mean[:size], mean[-size:]
    value_K = settled(low_K, high_K)
    band_lower, band_upper = ends.band_lower_K[:size], ends.band_upper_K[-size:]
    return Comparison(
        a=names[0],
        b=names[1],
        k=ks_K,
        value=value_K,
        lower=ends.lower_K[:size],
        upper=ends.upper_K[-size:],
        band_lower=band_lower,
        band_upper=band_upper,
        bound_low=low_K,
        bound_high=high_K,
        crossing=find_crossing(ks_K, value_K, band_lower, band_upper),
        level=level,
        resampled="problems",
        n_problems=n_problems,
        n_rollouts=n_rollouts,
        n_pairs=pairs,
        n_clusters=n_clusters,
    )
