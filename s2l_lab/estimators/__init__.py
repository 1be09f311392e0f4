"""Estimators: arrays and plain records in, numbers with intervals out. No I/O, no torch, no pandas.

`unbiased` has the estimators; `rollout_interval`, `problem_interval` and `seeds` the three intervals; `curve`,
`compare`, `crossing` and `sharpening` put them together; `cover`, `majority`, `guess` and `gpass` are read beside
pass@k, `extrapolation` beyond it; `compute` and `entropy` match two policies; `interquartile`, `improvement` and
`profile` read tables of scores by run and task; `components` and `power` plan. Everything else works on problems
pooled by their counts (`cells`).
"""

from s2l_lab.estimators.compare import compare_all, compare_counts
from s2l_lab.estimators.components import Components, assumed_components, pilot_components
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
from s2l_lab.estimators.estimate import Comparison, Counts, Crossing, Curve, Estimate, Interval, Shown
from s2l_lab.estimators.extrapolation import Extrapolation, extrapolate_pass_at_k
from s2l_lab.estimators.gpass import g_pass_at_k, mg_pass_at_k
from s2l_lab.estimators.guess import other_problem_guess, uniform_guess
from s2l_lab.estimators.improvement import probability_of_improvement
from s2l_lab.estimators.interquartile import interquartile_mean
from s2l_lab.estimators.majority import Votes, maj_at_k
from s2l_lab.estimators.missing import Unknown, Verdicts, leave_unknown_out
from s2l_lab.estimators.power import Clusters, Design, PowerPlan, plan_power
from s2l_lab.estimators.profile import Profile, performance_profile
from s2l_lab.estimators.seed_differences import seed_difference, seed_difference_these_problems
from s2l_lab.estimators.seeds import SEEDS_FOR_A_CLAIM, seeds_curve
from s2l_lab.estimators.sharpening import SharpeningTax, sharpening_tax
from s2l_lab.estimators.subset_curves import at_least_j_of_k_curve, pass_hat_k_curve
from s2l_lab.estimators.unbiased import at_least_j_of_k, pass_at_k, pass_hat_k

__all__ = [
    "SEEDS_FOR_A_CLAIM",
    "Clusters",
    "Comparison",
    "Components",
    "Counts",
    "CoverCurve",
    "Crossing",
    "Curve",
    "Design",
    "EqualCompute",
    "EqualEntropy",
    "Estimate",
    "Extrapolation",
    "Interval",
    "PooledEntropy",
    "PowerPlan",
    "Profile",
    "SharpeningTax",
    "Shown",
    "TemperatureMatch",
    "Unknown",
    "Verdicts",
    "Votes",
    "assumed_components",
    "at_least_j_of_k",
    "at_least_j_of_k_curve",
    "compare_all",
    "compare_counts",
    "cover_at_tau",
    "cover_curve",
    "equal_compute",
    "extrapolate_pass_at_k",
    "flops_per_token",
    "forward_flops",
    "g_pass_at_k",
    "interquartile_mean",
    "leave_unknown_out",
    "maj_at_k",
    "match_both",
    "match_temperature",
    "mg_pass_at_k",
    "other_problem_guess",
    "pass_at_k",
    "pass_at_k_curve",
    "pass_at_real_k",
    "pass_hat_k",
    "pass_hat_k_curve",
    "performance_profile",
    "pilot_components",
    "plan_power",
    "pooled_entropy",
    "probability_of_improvement",
    "rollout_flops",
    "seed_difference",
    "seed_difference_these_problems",
    "seeds_curve",
    "sharpening_tax",
    "uniform_guess",
    "update_flops",
]
