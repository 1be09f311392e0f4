"""Power: components by their definition, the rollouts' noise by enumeration, and promises kept in simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from s2l_lab.errors import UsageError
from s2l_lab.estimators import Clusters, assumed_components, pilot_components, plan_power
from s2l_lab.estimators.components import Components
from s2l_lab.estimators.seeds import crossed_scatter
from s2l_lab.estimators.unbiased import subset_ratio

RATES = stats.beta(0.3, 1).ppf((np.arange(200) + 0.5) / 200)
NONE = {"problem_sd": 0.0, "seed_sd": 0.0, "interaction_sd": 0.0}


def solved(correct: np.ndarray, n: int, k: int) -> np.ndarray:
    fail = subset_ratio((n - correct).ravel(), np.full(correct.size, n), np.array([k]))
    return 1 - fail[:, 0].reshape(correct.shape)


@pytest.mark.parametrize(("n", "k"), [(4, 1), (6, 3), (9, 2), (8, 8)])
def test_the_noise_of_rollouts_is_the_variance_over_all_counts(n: int, k: int) -> None:
    """Exact: the mean square of pass@k over the binomial counts of both methods, less the squared truth."""
    after = 1 / (1 + np.exp(-(np.log(RATES / (1 - RATES)) + 0.7)))
    gain = float(np.mean((1 - RATES) ** k - (1 - after) ** k))
    components = assumed_components(RATES, k, gain, **NONE)
    counts = np.arange(n + 1)
    values = solved(counts, n, k)
    expected = 0.0
    for rates in (RATES, after):
        chance = stats.binom.pmf(counts, n, rates[:, None])
        expected += float(np.mean(chance @ values**2 - (chance @ values) ** 2))
    assert components.rollout_noise(n) == pytest.approx(expected, rel=1e-9)


def test_assumed_components_are_those_of_drawn_gains() -> None:
    spreads = {"problem_sd": 0.6, "seed_sd": 0.3, "interaction_sd": 0.5}
    components = assumed_components(RATES, 4, 0.06, **spreads)
    flat = assumed_components(RATES, 4, 0.06, **NONE)
    assert flat.seed == pytest.approx(0, abs=1e-15)
    assert flat.interaction == pytest.approx(0, abs=1e-15)
    assert 0 < flat.problem < components.problem, "a constant shift in logits gains more on some problems than others"
    # one large crossed table, its constant chosen so that the mean gain is the planned one
    rng = np.random.default_rng(0)
    seeds, problems = 200, 4_000
    logit = stats.logistic.ppf(rng.choice(RATES, problems))
    terms = rng.normal(0, 0.6, problems) + rng.normal(0, 0.3, (seeds, 1)) + rng.normal(0, 0.5, (seeds, problems))

    def table(constant: float) -> np.ndarray:
        return (1 - stats.logistic.cdf(logit)) ** 4 - (1 - stats.logistic.cdf(logit + constant + terms)) ** 4

    constants = np.linspace(-0.5, 1.5, 9)
    constant = np.interp(0.06, [table(one).mean() for one in constants], constants)
    scatter = crossed_scatter(table(float(constant)))
    assert components.interaction == pytest.approx(scatter.rest, rel=0.05)
    assert components.problem == pytest.approx(scatter.problem - scatter.rest / seeds, rel=0.1)
    assert components.seed == pytest.approx(scatter.row - scatter.rest / problems, rel=0.25)


def test_a_pilot_gives_back_the_components_on_average() -> None:
    """Unbiased: 300 pilots of 4 pairs of runs on 60 problems, beside what was assumed to draw them."""
    k, n = 2, 16
    truth = assumed_components(RATES, k, 0.08, problem_sd=0.5, seed_sd=0.4, interaction_sd=0.5)
    constant = shift_for(k, 0.08, float(np.sqrt(0.5**2 + 0.4**2 + 0.5**2)))
    found = []
    for i in range(300):
        rng = np.random.default_rng(i)
        rates = rng.choice(RATES, 60)
        logit = stats.logistic.ppf(rates)
        shift = rng.normal(0, 0.5, 60) + rng.normal(0, 0.4, (4, 1)) + rng.normal(0, 0.5, (4, 60)) + constant
        b = rng.binomial(n, stats.logistic.cdf(logit + shift))
        a = rng.binomial(n, np.broadcast_to(rates, (4, 60)))
        total = np.full((4, 60), n)
        found.append(pilot_components((a, total), (b, total), k))
    assert np.mean([one.seed for one in found]) == pytest.approx(truth.seed, rel=0.25)
    assert np.mean([one.problem for one in found]) == pytest.approx(truth.problem, rel=0.15)
    assert np.mean([one.interaction for one in found]) == pytest.approx(truth.interaction, rel=0.25)
    assert np.mean([one.rollout_noise(8) for one in found]) == pytest.approx(truth.rollout_noise(8), rel=0.05)


def shift_for(k: int, gain: float, sd: float) -> float:
    """The constant in logits that brings a mean gain of `gain` on RATES, beside normal terms of this SD."""
    terms = sd * stats.norm.ppf((np.arange(400) + 0.5) / 400)
    logit = stats.logistic.ppf(RATES)[:, None]
    constants = np.linspace(-0.5, 1.5, 41)
    gains = [np.mean((1 - RATES)[:, None] ** k - (1 - stats.logistic.cdf(logit + c + terms)) ** k) for c in constants]
    return float(np.interp(gain, gains, constants))


def lower_end(table_SP: np.ndarray) -> float:
    """The crossed interval's lower end at .95, written out here: the rule that the plan speaks of."""
    seeds, problems = table_SP.shape
    scatter = crossed_scatter(table_SP)
    by_seed, by_problem = problems * scatter.row, seeds * scatter.problem
    both = by_seed + by_problem - scatter.rest
    variance = max(by_seed, by_problem, both) / table_SP.size
    parts = by_seed**2 / (seeds - 1) + by_problem**2 / (problems - 1) + scatter.rest**2 / ((seeds - 1) * (problems - 1))
    return float(table_SP.mean() - stats.t.ppf(0.975, both**2 / parts) * np.sqrt(variance))


@pytest.mark.parametrize(
    ("claim", "seeds", "problems", "n", "k", "gain", "size"),
    [
        ("training", 10, 60, 16, 4, 0.045, 1),
        ("training", 20, 60, 8, 1, 0.03, 1),
        ("training", 10, 120, 8, 1, 0.04, 4),
        ("run", 1, 100, 16, 8, 0.08, 1),
        ("run", 1, 200, 8, 1, 0.04, 1),
        ("run", 1, 200, 16, 1, 0.06, 4),
    ],
)
def test_promised_power_is_reached(claim, seeds, problems, n, k, gain, size) -> None:
    """Counts drawn as the plan assumes; in clusters, all problems of one are equal (correlation 1)."""
    spreads = {"problem_sd": 0.3, "seed_sd": 0.15 * (claim == "training"), "interaction_sd": 0.3}
    components = assumed_components(RATES, k, gain, **spreads)
    clusters = Clusters(size, 1.0 if size > 1 else 0.0)
    plan = plan_power(
        components, gain, claim=claim, seeds=[seeds], problems=[problems], rollouts=[n], clusters=clusters
    )
    design = plan.designs[0]
    constant = shift_for(k, gain, float(np.hypot(np.hypot(0.3, spreads["seed_sd"]), 0.3)))
    repetitions, shown, gains = 400, 0, []
    for i in range(repetitions):
        rng = np.random.default_rng(i)
        units = problems // size
        rates = rng.choice(RATES, units)
        shift = rng.normal(0, spreads["problem_sd"], units) + rng.normal(0, spreads["interaction_sd"], (seeds, units))
        shift = shift + rng.normal(0, spreads["seed_sd"], (seeds, 1)) + constant
        after = stats.logistic.cdf(stats.logistic.ppf(rates) + shift).repeat(size, 1)
        before = np.broadcast_to(rates.repeat(size), after.shape)
        table = solved(rng.binomial(n, after), n, k) - solved(rng.binomial(n, before), n, k)
        table = table.reshape(seeds, units, size).mean(2)
        gains.append(table.mean())
        if claim == "training":
            shown += lower_end(table) > 0
        else:
            shown += table.mean() > stats.t.ppf(0.975, units - 1) * stats.sem(table[0])
    assert np.mean(gains) == pytest.approx(gain, abs=4 * design.se / np.sqrt(repetitions)), "drawn as planned"
    assert np.std(gains) == pytest.approx(design.se, rel=0.12)
    # a few points: skewed gains are shown somewhat more often than the noncentral t has it
    assert -0.05 < shown / repetitions - design.power < 0.09


def test_more_of_anything_is_no_worse_and_clusters_cost() -> None:
    components = assumed_components(RATES, 4, 0.05, problem_sd=0.3, seed_sd=0.15, interaction_sd=0.3)

    def power(seeds=10, problems=100, rollouts=16, clusters=None) -> float:
        grid = {"seeds": [seeds], "problems": [problems], "rollouts": [rollouts]}
        return plan_power(components, 0.05, claim="training", clusters=clusters, **grid).designs[0].power

    assert power() < power(seeds=20)
    assert power() < power(problems=200)
    assert power() < power(rollouts=64)
    assert power() > power(clusters=Clusters(5, 0.5)) > power(clusters=Clusters(5, 1.0))


def test_the_detectable_gain_has_the_wanted_power_and_the_cheapest_design_has_fewest_runs() -> None:
    components = assumed_components(RATES, 4, 0.05, problem_sd=0.3, seed_sd=0.15, interaction_sd=0.3)
    grid = {"seeds": [3, 5, 10, 20], "problems": [30, 100, 300], "rollouts": [4, 16, 64]}
    plan = plan_power(components, 0.05, claim="training", **grid)
    assert len(plan.designs) == 36
    for one in plan.designs:
        again = plan_power(
            components,
            one.detectable,
            claim="training",
            seeds=[one.seeds],
            problems=[one.problems],
            rollouts=[one.rollouts],
        )
        assert again.designs[0].power == pytest.approx(0.8, abs=1e-6)
        assert one.total_rollouts == 2 * one.seeds * one.problems * one.rollouts
    cheapest = plan.cheapest
    assert cheapest is not None
    assert cheapest.seeds == 10, "ten seeds make a claim"
    assert cheapest.power >= 0.8
    fewer = [o for o in plan.designs if o.seeds == 10 and o.total_rollouts < cheapest.total_rollouts]
    assert all(one.power < 0.8 for one in fewer)
    assert plan_power(components, 0.004, claim="training", **grid).cheapest is None
    alone = plan_power(components, 0.05, claim="run", problems=[100], rollouts=[16])
    assert [one.seeds for one in alone.designs] == [1]


def test_one_pair_of_runs_speaks_of_problems_alone() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.binomial(16, rng.beta(0.3, 1, 50)) for _ in range(2))
    components = pilot_components((a, [16] * 50), (b, [16] * 50), 4)
    assert np.isnan(components.seed)
    assert components.problem > 0
    with pytest.raises(UsageError, match="says nothing of other training runs"):
        plan_power(components, 0.05, claim="training", seeds=[10], problems=[100], rollouts=[16])
    assert plan_power(components, 0.05, claim="run", problems=[100], rollouts=[16]).designs[0].power > 0


def planned(gain=0.05, **changes):
    components = Components(4, 0.001, 0.01, 0.01, np.linspace(1.0, 0.9, 5))
    grid = {"claim": "training", "seeds": [10], "problems": [100], "rollouts": [16]} | changes
    return plan_power(components, gain, **grid)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: planned(0), "gain of 0 was asked"),
        (lambda: planned(float("nan")), "gain of nan"),
        (lambda: planned(power=80), "power = 80"),
        (lambda: planned(level=95), "Did you mean 0.95"),
        (lambda: planned(seeds=[1]), "two seeds at least"),
        (lambda: planned(seeds=[]), "two seeds at least"),
        (lambda: planned(problems=[1]), "two clusters"),
        (lambda: planned(problems=[9], clusters=Clusters(5, 0.5)), "two clusters"),
        (lambda: planned(rollouts=[]), "no number of rollouts"),
        (lambda: planned(rollouts=[3]), "N is at least k"),
        (lambda: Clusters(0.5), "1 problem or more"),
        (lambda: Clusters(2, 1.5), "lies in 0..1"),
        (lambda: assumed_components([0.5], 8, 0.4, **NONE), "out of reach: these problems' pass@8 is 0.996"),
        (lambda: assumed_components([1.5], 1, 0.1, **NONE), r"lie in \[0, 1\]"),
        (lambda: assumed_components([0.5], 0, 0.1, **NONE), "k = 0"),
        (lambda: assumed_components([0.5], 1, 0.1, **NONE | {"seed_sd": -1}), "seed spread of -1"),
        (lambda: pilot_components(([1, 2], [4, 4]), ([1, 2], [4, 4]), 3), "at least 2k"),
        (lambda: pilot_components(([1], [4]), ([1], [4]), 1), "two problems"),
        (lambda: pilot_components(([1, 2], [4, 4]), ([1], [4]), 1), "runs of the same problems"),
        (lambda: pilot_components(([1, 5], [4, 4]), ([1, 2], [4, 4]), 1), "5 correct of 4"),
    ],
)
def test_wrong_input_gets_one_message(call, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        call()
