"""The paper's bounds on Cov(z_t, z_s), and where they say less than Cauchy-Schwarz (Prop. E.2, Cor. E.3, Eq. 17).

z_t = <u_t, v> with |z_t| <= B. The paper: |Cov(z_t, z_s)| <= 5 B^2 Pr(M_t = 0) for t < s, read as "divergence from the
reference decode suppresses correlation". But the bound *grows* with Pr(M_t = 0), and |Cov| <= B^2 holds whatever the
policy: above Pr(M_t = 0) = 1/5 the proposition says nothing. With a hazard of 1 % per token that is from token 23 on.

For `head` scores B = sqrt(2) max ||h|| ||V|| / T: ||e_a - pi|| <= sqrt(2), where the paper's Remark E.7 takes
sqrt(vocabulary). ||V|| is the spectral norm, the least that does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.errors import UsageError

if TYPE_CHECKING:
    from s2l_lab.estimators.estimate import Floats


def score_bound(largest_state: float, direction_VD: Floats, temperature: float = 1.0) -> float:
    """B: what |z_t| along this direction (V, D) cannot exceed, given the largest ||h|| of the rollouts it is for."""
    gram_DD = direction_VD.T @ direction_VD
    norm = float(np.sqrt(max(np.linalg.eigvalsh(gram_DD)[-1], 0.0)))
    return float(np.sqrt(2)) * largest_state * norm / temperature


def paper_bound(bound: float, mismatch: float) -> float:
    """5 B^2 Pr(M_t = 0), given B and Pr(M_t = 0); not cut at B^2."""
    return 5 * bound**2 * mismatch


def vacuous_from(hazard: float) -> int:
    """The first token t at which 5 Pr(M_t = 0) > 1, where each token leaves with this chance p: 5 (1 - (1 - p)^t)."""
    if not 0 < hazard < 1:
        raise UsageError(f"a hazard of {hazard:g} was given; it must lie between 0 and 1.")
    return int(np.floor(np.log(0.8) / np.log1p(-hazard))) + 1
