"""pass@k of ONE run on held-out problems at one step: what its report says, and whoever reads the report again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.digest import content_seed
from s2l_lab.estimators import pass_at_k_curve

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from s2l_lab.estimators import Curve


def evaluation_curve(
    data: str, step: int, correct_P: ArrayLike, total_P: ArrayLike, unknown_P: ArrayLike, ks: Sequence[int]
) -> Curve:
    """pass@k at increasing `ks` with intervals about other problems, seeded by the problems' digest `data`, the step
    and N. Counts as in `pass_at_k_curve`, and its errors."""
    total = np.asarray(total_P)
    rng = np.random.default_rng(content_seed("evaluation", data, int(total.min(initial=0)), step))
    return pass_at_k_curve(np.asarray(correct_P), total, ks, interval="problems", unknown_P=unknown_P, rng=rng)
