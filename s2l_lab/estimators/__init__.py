"""Estimators: arrays and plain records in, numbers with intervals out. No I/O, no torch, no pandas.

`unbiased` has the estimators; `rollout_interval`, `problem_interval` and `seeds` the three intervals; `curve`,
`compare` and `crossing` put them together; `cover`, `majority` and `guess` are read beside pass@k; `compute` and
`entropy` match two policies. Everything works on problems pooled by their counts (`cells`).
"""

from s2l_lab.estimators.compare import compare_all, compare_counts
from s2l_lab.estimators.compute import (
    EqualCompute,
    equal_compute,
    flops_per_token,
    forward_flops,
    pass_at_real_k,
    rollout_flops,
    update_flops,
)
from s2l_lab.estimators.cover import CoverCurve, cover_at_tau, cover_curve
from s2l_lab.estimators.curve import pass_at_k_curve
from s2l_lab.estimators.entropy import (
    EqualEntropy,
    PooledEntropy,
    TemperatureMatch,
    match_both,
    match_temperature,
    pooled_entropy,
)
from s2l_lab.estimators.estimate import Comparison, Counts, Crossing, Curve, Estimate, Interval
from s2l_lab.estimators.guess import other_problem_guess, uniform_guess
from s2l_lab.estimators.majority import Votes, maj_at_k
from s2l_lab.estimators.missing import Unknown, Verdicts, leave_unknown_out
from s2l_lab.estimators.seeds import SEEDS_FOR_A_CLAIM, seed_difference, seeds_curve
from s2l_lab.estimators.subset_curves import at_least_j_of_k_curve, pass_hat_k_curve
from s2l_lab.estimators.unbiased import at_least_j_of_k, pass_at_k, pass_hat_k

__all__ = [
    "SEEDS_FOR_A_CLAIM",
    "Comparison",
    "Counts",
    "CoverCurve",
    "Crossing",
    "Curve",
    "EqualCompute",
    "EqualEntropy",
    "Estimate",
    "Interval",
    "PooledEntropy",
    "TemperatureMatch",
    "Unknown",
    "Verdicts",
    "Votes",
    "at_least_j_of_k",
    "at_least_j_of_k_curve",
    "compare_all",
    "compare_counts",
    "cover_at_tau",
    "cover_curve",
    "equal_compute",
    "flops_per_token",
    "forward_flops",
    "leave_unknown_out",
    "maj_at_k",
    "match_both",
    "match_temperature",
    "other_problem_guess",
    "pass_at_k",
    "pass_at_k_curve",
    "pass_at_real_k",
    "pass_hat_k",
    "pass_hat_k_curve",
    "pooled_entropy",
    "rollout_flops",
    "seed_difference",
    "seeds_curve",
    "uniform_guess",
    "update_flops",
]
