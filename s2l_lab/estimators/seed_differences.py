"""The difference of two training methods: paired by seed and problem, about other seeds AND other problems.

Of the S x P table of paired differences d_sp a t interval over the seeds' means says only how far these problems can
tell: a method that helps some problems and hurts others wins or loses by which problems were taken, and every seed
agrees (with no difference in truth, ten seeds and a variation of .6 logit between problems, 0 is excluded in 32 % of
runs: benchmarks/training_claims.py). A claim about methods is judged by `seed_difference`, which crosses both.

A rollout bank that several seeds draw from is a third thing that could have come out otherwise. One or two banks say
nothing of how banks vary: the interval is for these banks, and its `given` says so. Three or more are a factor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.errors import UsageError
from s2l_lab.estimators.cells import check_columns, check_ks, check_level, one_whole
from s2l_lab.estimators.estimate import Estimate, Floats, Ints
from s2l_lab.estimators.problem_interval import student_t
from s2l_lab.estimators.seeds import crossed_scatter, method_words, seed_grid, solve_shares
from s2l_lab.estimators.units import cluster_codes, cluster_columns

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import ArrayLike

BANKS_FOR_A_FACTOR = 3
"""With fewer rollout banks their variation cannot be estimated."""
_NO_SPREAD = 1e-10
"""Standard errors of values in [-1, 1] below this are rounding."""
_TIE = 1 + 1e-9
"""Variances whose ratio is smaller are equal but for rounding."""


def seed_difference(
    a: tuple[ArrayLike, ArrayLike],
    b: tuple[ArrayLike, ArrayLike],
    k: int,
    *,
    bank: Sequence[Hashable] | None = None,
    cluster: Sequence[object] | None = None,
    level: float = 0.95,
) -> Estimate:
    """pass@k of `b` minus pass@k of `a`, with an interval about other training seeds and other problems of this kind.

    `a` and `b` are (correct_SP, total_SP) of two training methods; row s of both is one seed (the same initial model
    and data order), column p one problem. `bank` has a label for each of the S seeds: which rollout bank or explorer
    checkpoint it drew from. The labels move the interval, never the value, and never make it narrower. `cluster` has a
    label for each of the P problems, where problems come in clusters: clusters then stand for problems.

    Student's t with the standard error and the degrees of freedom of `_crossed`, and of `_over_banks` for three banks
    or more. Where seeds agree and problems agree there is no standard error, and the ends are `_unvaried`'s. Ends are
    cut at -1 and 1, and NaN for a single seed or problem. UsageError where the shapes differ or `bank` has not S
    labels.
    """
    difference_SP, rollouts = _differences(a, b, k, level)
    n_problems = difference_SP.shape[1]
    if cluster is not None:
        difference_SP = cluster_columns(difference_SP[:, :, None], cluster_codes(cluster, n_problems))[:, :, 0]
    seeds, problems = difference_SP.shape
    bank_S, banks = _bank_numbers(bank, seeds)
    is_factor = BANKS_FOR_A_FACTOR <= banks < seeds
    error = None
    if min(seeds, problems) > 1:
        error = _crossed(difference_SP, np.full(seeds, 1 / seeds))
        error = _over_banks(difference_SP, bank_S, error) if is_factor else error
    return _estimate(
        difference_SP,
        rollouts,
        error,
        level,
        n_problems=n_problems,
        units=min(banks if is_factor else seeds, problems),
        method=f"crossed t over {f'{banks} banks, ' if is_factor else ''}seeds and "
        f"{'problems' if cluster is None else f'{problems} clusters of problems'}",
        given=for_these_banks(banks) if banks < BANKS_FOR_A_FACTOR else "",
    )


def seed_difference_these_problems(
    a: tuple[ArrayLike, ArrayLike], b: tuple[ArrayLike, ArrayLike], k: int, *, level: float = 0.95
) -> Estimate:
    """pass@k of `b` minus pass@k of `a`, with a paired t interval over seeds: about these problems (and banks) alone.

    As `seed_difference` otherwise. No claim about a method is judged by it.
    """
    difference_SP, rollouts = _differences(a, b, k, level)
    difference_S = difference_SP.mean(1)
    seeds = difference_S.size
    variance = float(difference_S.var(ddof=1)) / seeds if seeds > 1 else math.nan
    error = _Error(variance, seeds - 1, variance) if seeds > 1 else None
    method = "paired t over seeds, for these problems"
    n_problems = difference_SP.shape[1]
    return _estimate(difference_SP, rollouts, error, level, n_problems=n_problems, units=seeds, method=method, given="")


def for_these_banks(banks: int) -> str:
    """What an interval holds for that does not count banks as a factor: "for this bank", "for these 2 banks"."""
    if not banks:
        return ""
    return "for this bank" if banks == 1 else f"for these {banks} banks"


@dataclass(frozen=True, slots=True)
class _Error:
    """Of a mean difference: the square of its standard error, and what Student's t needs beside it."""

    variance: float
    df: float
    by_row: float
    """What the rows' own scatter is of the variance, before anything is taken off."""


def _crossed(difference_RP: Floats, weight_R: Floats) -> _Error:
    """Variance and degrees of freedom of the mean over rows (seeds, or banks) and problems, both random.

    With equal weights 1 / R and the mean squares of the table by row, by problem and of their interaction,
    SE^2 = max(MS_row, MS_problem, MS_row + MS_problem - MS_interaction) / (R P). The sum's expectation is the mean's
    variance, of which each of the others is a part, so that a large MS_interaction cannot take it below either. Degrees
    of freedom are those of the largest: R - 1, P - 1, or Satterthwaite's for the sum. (Where a single cell differs all
    three are equal; rounding may not choose, so a tie is no sum.)

    Unequal weights (banks of unequal size; they sum to 1) put 1 / sum w^2 in place of R: the variance of rows is then
    overstated where small rows scatter more than large ones.
    """
    rows, problems = difference_RP.shape
    scatter, share = crossed_scatter(difference_RP, weight_R), float((weight_R**2).sum())
    by_row = scatter.row * share
    by_problem = scatter.problem / problems
    interaction = scatter.rest * share / problems
    both = by_row + by_problem - interaction
    largest = max(by_row, by_problem)
    if both > largest * _TIE:
        parts = by_row**2 / (rows - 1) + by_problem**2 / (problems - 1) + interaction**2 / ((rows - 1) * (problems - 1))
        return _Error(both, both**2 / parts, by_row)
    dfs = [df for part, df in ((by_row, rows - 1), (by_problem, problems - 1)) if part * _TIE >= largest]
    return _Error(largest, min(dfs), by_row)


def _over_banks(difference_SP: Floats, bank_S: Ints, error: _Error) -> _Error:
    """`error`, of seeds and problems, with three or more banks as a third factor: the seeds of a bank are one row.

    Seeds nested in banks, both crossed with problems: the mean squares by bank, by problem and of their interaction
    have what seeds add in them already, so that the crossed variance of bank means is the whole. The larger variance
    counts, so that few banks which happen to agree narrow nothing. Satterthwaite's degrees of freedom trust two or
    three banks too much where they make up a part of the variance (.91 of nominal .95); 1 / df is therefore the mean of
    1 / (B - 1) and of 1 / df without banks, weighted by the banks' share.
    """
    banks = int(bank_S.max()) + 1
    member_BS = np.arange(banks)[:, None] == bank_S
    by_bank = _crossed(member_BS @ difference_SP / member_BS.sum(1, keepdims=True), member_BS.mean(1))
    variance = max(error.variance, by_bank.variance)
    share = min(by_bank.by_row / variance, 1.0) if variance else 0.0
    df = 1 / (share / (banks - 1) + (1 - share) / error.df)
    return _Error(variance, min(df, error.df), by_bank.by_row)


def _unvaried(value: float, units: int, level: float) -> tuple[float, float]:
    """Ends where all units (the fewer of seeds and problems) have one difference: at level 1 - alpha others have it in
    all but 1 - (alpha/2)^(1/units) of cases (the rule of three), and in these anything in [-1, 1]. Never width 0."""
    others = 1 - (0.5 - level / 2) ** (1 / units)
    return value - others * (1 + value), value + others * (1 - value)


def _estimate(
    difference_SP: Floats,
    rollouts: int,
    error: _Error | None,
    level: float,
    *,
    n_problems: int,
    units: int,
    method: str,
    given: str,
) -> Estimate:
    """With the t interval of `error`; None gives NaN ends."""
    seeds = difference_SP.shape[0]
    value = float(difference_SP.mean())
    lower = upper = se = df = math.nan
    if error is not None and error.variance > _NO_SPREAD**2:
        se, df = math.sqrt(error.variance), float(error.df)
        reach = student_t(level, df) * se
        lower, upper = max(value - reach, -1.0), min(value + reach, 1.0)
    elif error is not None:
        lower, upper = _unvaried(value, units, level)
        method = f"exact ends of {units} equal differences"
    return Estimate(
        value=value,
        lower=lower,
        upper=upper,
        level=level,
        method=method_words(method, seeds),
        interval="seeds",
        n_problems=n_problems,
        n_rollouts=rollouts,
        n_seeds=seeds,
        se=se,
        df=df,
        given=given,
    )


def _differences(
    a: tuple[ArrayLike, ArrayLike], b: tuple[ArrayLike, ArrayLike], k: int, level: float
) -> tuple[Floats, int]:
    """pass@k of b minus pass@k of a by seed and problem, shape (S, P), and the number of rollouts behind all of it."""
    check_level(level)
    check_columns(a_correct=a[0], a_total=a[1], b_correct=b[0], b_total=b[1])
    (a_correct, a_total), (b_correct, b_total) = seed_grid(*a), seed_grid(*b)
    if a_correct.shape != b_correct.shape:
        raise UsageError(f"paired seeds need equal shapes (S, P); given: {a_correct.shape} and {b_correct.shape}.")
    ks_K = check_ks(one_whole("k", k), int(min(a_total.min(), b_total.min())))
    difference_SPK = solve_shares(b_correct, b_total, ks_K) - solve_shares(a_correct, a_total, ks_K)
    return difference_SPK[:, :, 0], int(a_total.sum() + b_total.sum())


def _bank_numbers(bank: Sequence[Hashable] | None, seeds: int) -> tuple[Ints, int]:
    """Every seed's bank as a number from 0, shape (S,), and how many banks there are; 0 where none is named."""
    if bank is None:
        return np.zeros(seeds, np.int64), 0
    if isinstance(bank, str) or len(bank) != seeds:
        raise UsageError(f"bank is {bank!r}; it is one label for each of the {seeds} seeds, as ['a', 'a', 'b'].")
    number = {label: i for i, label in enumerate(dict.fromkeys(bank))}
    return np.array([number[label] for label in bank], np.int64), len(number)
