"""Coverage, in a short form: the aims hold within binomial error, and the variants written first miss them.

benchmarks/calibration.py is the long form and holds the simulation; every seed is fixed, so nothing here is chance.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from types import ModuleType


def load(name: str) -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


simulate = load("calibration")
ZERO_INFLATED = "30% unsolvable, else Beta(.5,1)"


def allowance(aim: float, repetitions: int) -> float:
    """Three binomial standard errors."""
    return 3 * float(np.sqrt(aim * (1 - aim) / repetitions))


@pytest.mark.parametrize("population", simulate.POPULATIONS)
@pytest.mark.parametrize("repetitions", [80, pytest.param(250, marks=pytest.mark.slow)])
def test_rollouts_interval_meets_its_aims(population: str, repetitions: int) -> None:
    smallest = simulate.by_band(simulate.rollouts_coverage(population, repetitions, seed=11)["ours"])
    for band, aim in simulate.ROLLOUT_AIMS.items():
        assert smallest[band] >= aim - allowance(aim, repetitions), (band, smallest)


@pytest.mark.parametrize("repetitions", [150, pytest.param(700, marks=pytest.mark.slow)])
def test_the_u_statistic_alone_fails_near_half_of_n_and_ours_does_not(repetitions: int) -> None:
    coverage = simulate.rollouts_coverage(ZERO_INFLATED, repetitions, seed=12)
    at_half = simulate.KS.tolist().index(32)
    assert coverage["u-statistic"][at_half] < 0.88 < coverage["ours"][at_half]


@pytest.mark.parametrize("repetitions", [150, pytest.param(600, marks=pytest.mark.slow)])
def test_plug_in_variance_fails_beyond_half_of_n_and_ours_does_not(repetitions: int) -> None:
    coverage = simulate.rollouts_coverage("Beta(.1,3)", repetitions, seed=13)
    at_n = simulate.KS.tolist().index(64)
    assert coverage["plug-in"][at_n] < 0.83
    assert coverage["ours"][at_n] > 0.88


@pytest.mark.parametrize("repetitions", [150, pytest.param(500, marks=pytest.mark.slow)])
def test_problems_interval_covers_where_percentiles_do_not(repetitions: int) -> None:
    coverage = simulate.problems_coverage("Beta(.1,3)", repetitions, seed=14)
    assert coverage["percentile"].min() < 0.86
    assert (coverage["ours"] - coverage["percentile"]).min() > 0.02
    for population in ("Beta(.3,1)", "half .02, half .9"):
        shares = simulate.problems_coverage(population, repetitions // 2, seed=15)
        assert shares["ours"].min() >= 0.93 - allowance(0.93, repetitions // 2)


@pytest.mark.parametrize("repetitions", [150, pytest.param(400, marks=pytest.mark.slow)])
def test_the_band_holds_all_k_at_once_and_pointwise_ends_do_not(repetitions: int) -> None:
    coverage = simulate.problems_coverage("Beta(.3,1)", repetitions, seed=16)
    assert coverage["pointwise as band"][0] < 0.92 < coverage["band"][0]


@pytest.mark.parametrize("repetitions", [24, pytest.param(120, marks=pytest.mark.slow)])
def test_crossed_seeds_cover_and_nested_problems_do_not(repetitions: int) -> None:
    for seeds in (5, 10):
        coverage = simulate.seeds_coverage(seeds, repetitions, seed=17)
        assert coverage["ours"].min() >= 0.94 - allowance(0.94, repetitions)
        assert coverage["nested percentile"].min() < 0.9 - 0.01 * seeds
        assert coverage["seed percentile"].min() < 0.75


@pytest.mark.parametrize("repetitions", [30, pytest.param(150, marks=pytest.mark.slow)])
def test_identical_policies_cross_in_at_most_5_percent_of_runs_and_by_the_estimate_in_many(repetitions: int) -> None:
    shares = simulate.crossings_of_equals("Beta(.3,1)", repetitions, seed=18)
    assert shares["supported"] <= 0.05
    assert shares["band excludes 0"] <= 0.05 + allowance(0.05, repetitions)
    assert shares["sign change"] > 0.35
