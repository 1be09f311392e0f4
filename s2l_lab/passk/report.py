"""PasskReport: what a pass@k run found, as plain records. Tables, figures and numbers.json only render it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s2l_lab.estimators import Comparison, CoverCurve, Curve, Estimate, Unknown
from s2l_lab.policies import ModelShape, SamplingParams
from s2l_lab.rollouts.repeats import Distinct


@dataclass(frozen=True, slots=True)
class PolicyReport:
    """One policy on one problem set."""

    name: str
    shape: ModelShape | None
    curve_rollouts: Curve
    """pass@k with the interval about these problems, other draws."""
    curve_problems: Curve
    """pass@k with the interval about other problems of this kind, and its simultaneous band."""
    pass_hat_rollouts: Curve
    pass_hat_problems: Curve
    """pass^k, all k correct, with the same two intervals."""
    maj: tuple[tuple[int, Estimate], ...]
    """(k, maj@k): plurality vote over canonical answers, with intervals over problems."""
    maj_rollouts: tuple[tuple[int, Estimate], ...]
    """(k, maj@k) with intervals over rollouts of the same problems."""
    cover: CoverCurve
    """Cover@tau at tau = 1/N .. 1: plug-in (labelled so: biased for small N), smoothed, likeliest, exact bounds."""
    guess_uniform: NDArray[np.float64] | None
    """pass@k of a uniform guesser, at the k of the curves; None where the answer space is unknown."""
    guess_own: NDArray[np.float64] | None
    """pass@k of a guesser who draws this policy's answers to other problems; None where answers do not carry over."""
    outcomes: dict[str, int]
    """Number of rollouts by outcome."""
    completion_tokens: float
    prompt_tokens: float
    """Tokens over all rollouts, a prompt once per rollout; NaN where unknown."""
    mean_length: float
    """Tokens per completion, EOS included; NaN where unknown."""
    mean_entropy: float
    """Nats per token before truncation, sum over tokens / number of tokens; NaN where unknown."""
    flops_per_rollout: float
    """Mean forward FLOPs per rollout (STATISTICS section 5); NaN where the model's shape is unknown."""
    no_data: dict[str, str] = field(default_factory=dict)
    """Measures that have no value at some k or tau, as `maj@k`, each with the reason in words."""
    distinct: Distinct | None = None
    """How many different completions each problem has, in the benchmark's order."""
    cut_short: int = 0
    """Rollouts that were cut before max_tokens, by the model's context or by a cap of a server's own."""
    remarks: tuple[str, ...] = ()
    """What must be known of who sampled: settings that a server kept to itself, repeats that were accepted."""


@dataclass(frozen=True, slots=True)
class PasskReport:
    """The whole run."""

    benchmark: str
    benchmark_digest: str
    provenance: dict[str, str]
    verifier_version: str
    sampling: SamplingParams
    interval: str
    """Which of the two curves is drawn: `rollouts` or `problems`."""
    n_problems: int
    n_rollouts: int
    """N, rollouts per problem (with a verdict, the fewest, where the others are left out): the largest k."""
    policies: tuple[PolicyReport, ...]
    """Policies, small to large."""
    comparisons: tuple[Comparison, ...]
    """Every pair, smaller member first; one band over all k and all pairs."""
    unknown: Unknown
    """How rollouts without a verdict are treated."""
    left_out: tuple[str, ...]
    """Problems without a verdict of some policy, where such rollouts are left out."""
    command: str
    """Command that makes this report again."""
    run_directory: Path
    sampled: int
    """Rollouts that this call sampled (0 when the store answered)."""
    seconds: float
    """Wall-clock seconds of this call."""
