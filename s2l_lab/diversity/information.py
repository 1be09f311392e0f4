"""How much a rollout's label says about who drew it: mutual information, and the Gini-Simpson between-part.

With N rollouts of each policy on a problem, the mutual information of policy and label is the Jensen-Shannon
divergence of the two label distributions, H((p_A + p_B) / 2) - (H(p_A) + H(p_B)) / 2: 0 for equal ones, ln 2 = .693
nats where no label is shared.

- **Plug-in** values are biased upwards: .40 nats for one policy under two names with broad labels at N = 64.
- **Permutation-centred**: minus the mean over permutations of the policies within the problem. Exactly 0 in
  expectation for equal policies. N must be the same for both, or the bias of the larger sample would differ.
- **Gini-Simpson** (`gini_simpson`): the unbiased decomposition of the 0/1 distance, the primary statistic. It needs no
  equal N.

What would surprise: centring is exact at 0 only. Where policies differ it takes away too much, and where all 2 N
labels are different it leaves 0 however far apart the policies are: nothing was seen twice, so nothing was learnt.
Permuted counts of A are multivariate hypergeometric, and are drawn as such.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.diversity.decomposition import Decomposition, decompose
from s2l_lab.diversity.distances import label_distance
from s2l_lab.diversity.over_problems import mean_over_problems
from s2l_lab.errors import UsageError
from s2l_lab.estimators.cells import check_level

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    from s2l_lab.estimators.estimate import Estimate


@dataclass(frozen=True, slots=True)
class Information:
    """Mutual information of policy and label within problems, in nats."""

    centred: Estimate
    """Mean over problems of the plug-in value minus its permutation mean; below 0 by chance where policies agree."""
    plug_in: Estimate
    """Mean over problems of the plug-in value, 0 to ln 2; biased, shown so that the bias can be seen."""
    null_mean: float
    """Mean of the plug-in value over problems and permutations: the bias that was taken away."""
    p_value: float
    """One-sided p: how often permuted policies have as much information. From 1 / (1 + permutations) to 1."""


def mutual_information(
    labels_a_P: Sequence[Sequence[Hashable]],
    labels_b_P: Sequence[Sequence[Hashable]],
    *,
    rng: np.random.Generator,
    permutations: int = 199,
    level: float = 0.95,
    cluster: Sequence[object] | None = None,
) -> Information:
    """Permutation-centred mutual information between policy and label, averaged over problems.

    `labels_a_P[p]` and `labels_b_P[p]` are the labels of both policies' rollouts on problem p, as many of one as of the
    other; problems with fewer than two each are left out. `cluster` has the cluster of each problem, None where every
    problem stands alone. UsageError for unequal numbers or under 19 permutations.
    """
    check_level(level)
    if permutations < 19:
        raise UsageError(f"permutations = {permutations} was asked; fewer than 19 cannot reach p = .05.")
    plug_in_P, null_PB = np.full(len(labels_a_P), np.nan), np.full((len(labels_a_P), permutations), np.nan)
    for p, (labels_a, labels_b) in enumerate(_paired(labels_a_P, labels_b_P)):
        n = len(labels_a)
        if n != len(labels_b):
            raise UsageError(
                f"mutual information needs equally many rollouts of both policies; problem {p} has {n} and "
                f"{len(labels_b)}. Draw the smaller number from both, or use gini_simpson."
            )
        if n >= 2:
            count_2L = _counts(labels_a, labels_b)
            total_L = count_2L.sum(0)
            plug_in_P[p] = _plug_in(count_2L[:1], total_L, n)[0]
            null_PB[p] = _plug_in(rng.multivariate_hypergeometric(total_L, n, size=permutations), total_L, n)
    kept = np.isfinite(plug_in_P)
    rollouts = 2 * sum(len(labels) for labels, keep in zip(labels_a_P, kept, strict=True) if keep)
    centred = mean_over_problems(plug_in_P - null_PB.mean(1), rollouts, level=level, cluster=cluster)
    plug_in = mean_over_problems(plug_in_P, rollouts, level=level, cluster=cluster)
    if not kept.any():
        return Information(centred, plug_in, np.nan, np.nan)
    null_B = null_PB[kept].mean(0)
    reached = int((null_B >= plug_in.value - 1e-12).sum())
    return Information(centred, plug_in, float(null_B.mean()), (1 + reached) / (1 + permutations))


def gini_simpson(
    labels_a_P: Sequence[Sequence[Hashable]],
    labels_b_P: Sequence[Sequence[Hashable]],
    *,
    rng: np.random.Generator,
    permutations: int = 999,
    level: float = 0.95,
    cluster: Sequence[object] | None = None,
) -> Decomposition:
    """`decompose` of the 0/1 distance of labels: within-parts are the chances that two rollouts differ.

    Labels by problem and clusters as in `mutual_information`, but the numbers of labels may differ.
    """
    pairs = _paired(labels_a_P, labels_b_P)
    return decompose(
        [label_distance([*labels_a, *labels_b]) for labels_a, labels_b in pairs],
        [len(labels_a) for labels_a, _ in pairs],
        rng=rng,
        permutations=permutations,
        level=level,
        cluster=cluster,
    )


def _paired(
    labels_a_P: Sequence[Sequence[Hashable]], labels_b_P: Sequence[Sequence[Hashable]]
) -> list[tuple[Sequence[Hashable], Sequence[Hashable]]]:
    if len(labels_a_P) != len(labels_b_P):
        raise UsageError(
            f"both policies need labels on the same problems; given: {len(labels_a_P)} and {len(labels_b_P)} problems."
        )
    return list(zip(labels_a_P, labels_b_P, strict=True))


def _counts(labels_a: Sequence[Hashable], labels_b: Sequence[Hashable]) -> NDArray[np.int64]:
    """How often each label occurs in either policy, shape (2, L)."""
    codes: dict[Hashable, int] = {}
    code_N = [codes.setdefault(label, len(codes)) for label in (*labels_a, *labels_b)]
    n_a = len(labels_a)
    return np.stack([np.bincount(part, minlength=len(codes)) for part in (code_N[:n_a], code_N[n_a:])])


def _plug_in(count_BL: NDArray[np.int64], total_L: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Mutual information (B,) in nats of counts of A (B, L) among n + n rollouts: entropies by a table of c ln c."""
    c = np.arange(2 * n + 1)
    c_ln_c = c * np.log(np.maximum(c, 1))
    parts_B = (c_ln_c[count_BL] + c_ln_c[total_L - count_BL]).sum(1)
    information_B: NDArray[np.float64] = np.log(2) + (parts_B - c_ln_c[total_L].sum()) / (2 * n)
    return information_B
