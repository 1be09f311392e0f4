"""Equal compute: two policies at the k that each can afford.

A forward pass costs, per token, 2 (non-embedding parameters + d V) + 4 layers heads head_dim context FLOPs: a
multiply-add per parameter (d V for the output layer, tied or not), and two products per head with every token of the
context. A training update costs 3 forwards (4 with checkpointing) plus one each for a reference and an old-logprob
pass. Attention's window, MoE routing and kernels that skip work are not modelled.

At a budget F per problem a policy with f FLOPs per rollout has k = F / f, seldom whole. pass@k at real k continues
C(N - c, k) / C(N, k) by gamma functions, 0 from k = N - c + 1 on. Budgets are those where both have 1 <= k <= N.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from s2l_lab.errors import UsageError
from s2l_lab.estimators.cells import check_level, pool
from s2l_lab.estimators.compare import match_clusters, match_problems, pool_matched
from s2l_lab.estimators.curve import settled
from s2l_lab.estimators.problem_interval import difference_ends
from s2l_lab.estimators.randomness import generator

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from s2l_lab.estimators.estimate import Counts, Floats, Ints


class Shape(Protocol):
    """What compute accounting needs to know of a model; the policies' ModelShape is one."""

    @property
    def non_embedding_parameters(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def vocabulary(self) -> int: ...
    @property
    def layers(self) -> int: ...
    @property
    def heads(self) -> int: ...
    @property
    def head_dim(self) -> int: ...


def flops_per_token(shape: Shape, context: float) -> float:
    """FLOPs of one token's forward pass that attends `context` tokens, itself included."""
    weights = 2 * (shape.non_embedding_parameters + shape.width * shape.vocabulary)
    return weights + 4 * shape.layers * shape.heads * shape.head_dim * context


def forward_flops(shape: Shape, tokens: float) -> float:
    """FLOPs of a forward pass over `tokens` tokens, the s-th of which attends s."""
    return tokens * flops_per_token(shape, (tokens + 1) / 2)


def rollout_flops(
    shape: Shape, prompt_tokens: float, completion_tokens: float, *, rollouts_per_prefill: int = 1
) -> float:
    """FLOPs of one rollout: its share of the prompt's pass, and one pass for every completion token but the last.

    (The first completion token is drawn from the prompt's logits; the last is never fed back.) UsageError for lengths
    or a number of rollouts per prefill below 1.
    """
    if min(prompt_tokens, completion_tokens, rollouts_per_prefill) < 1:
        raise UsageError(
            "a rollout has at least one prompt token and one completion token, and shares its prefill with >= 1."
        )
    prompt = forward_flops(shape, prompt_tokens)
    return prompt / rollouts_per_prefill + forward_flops(shape, prompt_tokens + completion_tokens - 1) - prompt


def update_flops(
    shape: Shape, tokens: int, *, checkpointing: bool = False, reference: bool = False, old_logprobs: bool = False
) -> float:
    """FLOPs of a training update on one sequence of `tokens`: 3 or 4 forwards, plus one for each further pass."""
    return forward_flops(shape, tokens) * (3 + checkpointing + reference + old_logprobs)


def real_subset_ratio(part_C: Ints, total_C: Ints, k_K: Floats) -> Floats:
    """C(part, k) / C(total, k) at real k in [0, min(total)], shape (C, K); 0 where k >= part + 1."""
    from scipy.special import gammaln

    part, total = part_C[:, None].astype(float), total_C[:, None].astype(float)
    left = part - k_K + 1
    inside = left > 0
    log_ratio = gammaln(part + 1) - gammaln(np.where(inside, left, 1.0)) - gammaln(total + 1) + gammaln(total - k_K + 1)
    # Where every rollout is among the part the ratio is 1, whatever rounding says.
    return np.where(inside, np.where(part == total, 1.0, np.exp(np.minimum(log_ratio, 0.0))), 0.0)


def pass_at_real_k(correct_P: ArrayLike, total_P: ArrayLike, k: ArrayLike) -> Floats:
    """pass@k at real k in [1, N], shape (K,); equal to `pass_at_k` at whole k. UsageError for k out of range."""
    cells = pool(correct_P, total_P)
    k_K = np.atleast_1d(np.asarray(k, dtype=np.float64))
    if not ((k_K >= 1) & (k_K <= cells.min_total)).all():
        raise UsageError(f"real k must lie in [1, {cells.min_total}]; given: {k_K.tolist()}.")
    fail_CK = real_subset_ratio(cells.total_C - cells.correct_C, cells.total_C, k_K)
    return 1.0 - cells.weight_C @ fail_CK / cells.n_problems


@dataclass(frozen=True, slots=True)
class EqualCompute:
    """Two policies at equal FLOPs per problem, matched by problem. Arrays have shape (K,), one entry per budget."""

    budget: Floats
    """Compute budget in FLOPs per problem."""
    k_a: Floats
    k_b: Floats
    """Rollouts that the budget buys: budget over FLOPs per rollout."""
    value: Floats
    """pass@k_b of b minus pass@k_a of a; NaN where VERIFIER_ERROR outcomes leave it open."""
    lower: Floats
    upper: Floats
    """Pointwise `problems` interval at `level`."""
    band_lower: Floats
    band_upper: Floats
    """Simultaneous over the budgets at `level`."""
    level: float
    n_problems: int


def equal_compute(
    a: Counts,
    b: Counts,
    flops_a: float,
    flops_b: float,
    *,
    rng: int | np.random.Generator | None = 0,
    budgets: int = 32,
    level: float = 0.95,
    replicates: int = 2_000,
) -> EqualCompute:
    """pass@k of b minus pass@k of a where both spend the same FLOPs per problem.

    `flops_a` and `flops_b` are mean FLOPs per rollout (`rollout_flops`). The `budgets` points are spaced evenly in log
    between the costliest single rollout and the cheaper of the two sets of N. UsageError where that range is empty.
    """
    check_level(level)
    matched_M3P = match_problems({"a": a, "b": b})
    most_a, most_b = (int(total.min()) for total in matched_M3P[:, 1])
    least, most = max(flops_a, flops_b), min(most_a * flops_a, most_b * flops_b)
    if min(flops_a, flops_b) <= 0 or least > most or budgets < 2:
        raise UsageError(
            f"no budget gives both policies 1 <= k <= N: {flops_a:.3g} FLOPs a rollout with N = {most_a}, and "
            f"{flops_b:.3g} with N = {most_b}. Sample more from the cheaper one."
        )
    budget_K = np.geomspace(least, most, budgets)
    k_MK = np.clip(np.stack([budget_K / flops_a, budget_K / flops_b]), 1, [[most_a], [most_b]])
    cells_M3C, weight_C, cluster_C = pool_matched(matched_M3P, match_clusters({"a": a, "b": b}))
    solve_a, solve_b = (
        [1 - real_subset_ratio(total - correct - sure * unknown, total, k_K) for sure in (0, 1)]
        for (correct, total, unknown), k_K in zip(cells_M3C, k_MK, strict=True)
    )
    table_C2K = np.concatenate([solve_b[0] - solve_a[1], solve_b[1] - solve_a[0]], axis=1)
    ends = difference_ends([table_C2K], weight_C, level, generator(rng), replicates, cluster_C)[0]
    mean = weight_C @ table_C2K / weight_C.sum()
    return EqualCompute(
        budget=budget_K,
        k_a=k_MK[0],
        k_b=k_MK[1],
        value=settled(mean[:budgets], mean[budgets:]),
        lower=ends.lower_K[:budgets],
        upper=ends.upper_K[budgets:],
        band_lower=ends.band_lower_K[:budgets],
        band_upper=ends.band_upper_K[budgets:],
        level=level,
        n_problems=int(weight_C.sum()),
    )
