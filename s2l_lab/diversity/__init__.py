"""Diversity: arrays and plain records in, numbers out. No I/O, no torch, no pandas.

Three questions, kept apart. *Within*: how varied are one policy's rollouts (`answers`, `strategies`, `ngrams`, `edit`,
`distinct`, `compression`, `equation_sets`, `vendi`; `metric` says what a metric is, `metrics` lists them all,
`problem_profile` computes them for one problem, `rarefaction` brings them to one number of rollouts). *Between*: what
does one policy add to another (`decomposition`, `information`, `size_effects`).
*Persistence*: do deviations last along a trajectory (`temporal`, `survival`, `score_functions`, `coherence`).
`designed` and `validity` ask which metrics follow strategies and which only phrasing; `over_problems` makes intervals.

Two adapters import heavy things and are imported by name: `embeddings` (sentence-transformers) and `scoring` (torch).
"""

from s2l_lab.diversity.answers import answer_entropy, unique_answer_ratio
from s2l_lab.diversity.compression import compression_ratio
from s2l_lab.diversity.decomposition import Decomposition, decompose, split_half
from s2l_lab.diversity.distances import euclidean, label_distance, squared_euclidean
from s2l_lab.diversity.distinct import distinct_n
from s2l_lab.diversity.edit import edit_distances, edit_diversity
from s2l_lab.diversity.equation_sets import equation_diversity, equations
from s2l_lab.diversity.information import gini_simpson, mutual_information
from s2l_lab.diversity.metric import Metric
from s2l_lab.diversity.metrics import METRICS
from s2l_lab.diversity.ngrams import self_bleu
from s2l_lab.diversity.over_problems import mean_over_problems, ratio_over_problems
from s2l_lab.diversity.problem_profile import profile
from s2l_lab.diversity.rollout_set import RolloutSet
from s2l_lab.diversity.size_effects import SizeEffect, mean_difference, size_effect
from s2l_lab.diversity.strategies import distinct_strategies, strategy_coverage
from s2l_lab.diversity.survival import prefix_survival, survival_curve
from s2l_lab.diversity.temporal import (
    autocorrelation,
    autocovariance,
    drift,
    intraclass_correlation,
    split,
    variance_ratio,
)
from s2l_lab.diversity.vendi import dispersion, vendi_score

__all__ = [
    "METRICS",
    "Decomposition",
    "Metric",
    "RolloutSet",
    "SizeEffect",
    "answer_entropy",
    "autocorrelation",
    "autocovariance",
    "compression_ratio",
    "decompose",
    "dispersion",
    "distinct_n",
    "distinct_strategies",
    "drift",
    "edit_distances",
    "edit_diversity",
    "equation_diversity",
    "equations",
    "euclidean",
    "gini_simpson",
    "intraclass_correlation",
    "label_distance",
    "mean_difference",
    "mean_over_problems",
    "mutual_information",
    "prefix_survival",
    "profile",
    "ratio_over_problems",
    "self_bleu",
    "size_effect",
    "split",
    "split_half",
    "squared_euclidean",
    "strategy_coverage",
    "survival_curve",
    "unique_answer_ratio",
    "variance_ratio",
    "vendi_score",
]
