"""Do the intervals cover what they promise? The long form of tests/estimators/test_calibration.py.

    python benchmarks/calibration.py [--repetitions 2000]

Scripted draws: solve rates from known populations, rollouts from a binomial law, so that the truth is known. Seven
questions, each beside the variant that one would write first, on the same draws:

- rollouts: P = 30, N = 64, truth = pass@k of these 30 solve rates; naive: plug-in variance, and the u-statistic alone.
- two_point: the same for populations of two solve rates, 378 of them (21 pairs x 3 shares x P of 12, 30, 100 x N of 16,
  64), at every k; beside it Jeffreys' posterior per problem (Beta(c + .5, N - c + .5), percentiles of drawn pass@k).
- problems: P = 30, N = 64, truth = pass@k of the population; naive: percentile bootstrap.
- band: the truth at all k at once; naive: the pointwise interval read as a band.
- seeds: S = 5 or 10 training runs crossed with 100 problems; naive: problems resampled inside each seed, percentiles.
- differences: pass@k of b minus pass@k of a over new problems, where many agree or few differ; naive: Student's t.
- crossing: two policies with equal solve rates; naive: sign change of the estimate.

Writes results/calibration.json: coverage by population and k, the smallest in each band of k, and the aims.
"""

from __future__ import annotations

import argparse
import itertools
import time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from results_file import keep, machine, show
from scipy.special import ndtri, stdtrit

from s2l_lab.estimators import Counts, compare_counts, pass_at_k_curve, seeds_curve
from s2l_lab.estimators.cells import pool
from s2l_lab.estimators.gaffke import gaffke_ends
from s2l_lab.estimators.rollout_interval import u_statistic_variance
from s2l_lab.estimators.unbiased import subset_ratio
from s2l_lab.estimators.units import make_units

if TYPE_CHECKING:
    from collections.abc import Callable

Floats = NDArray[np.float64]
POPULATIONS: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "Beta(.3,1)": lambda rng, size: rng.beta(0.3, 1, size),
    "30% unsolvable, else Beta(.5,1)": lambda rng, size: np.where(rng.random(size) < 0.3, 0.0, rng.beta(0.5, 1, size)),
    "Beta(.1,3)": lambda rng, size: rng.beta(0.1, 3, size),
    "half .02, half .9": lambda rng, size: np.where(rng.random(size) < 0.5, 0.02, 0.9),
}
PROBLEMS, ROLLOUTS = 30, 64
KS = np.array([1, 2, 4, 8, 12, 16, 24, 32, 40, 48, 64])
BANDS = {"k <= N/8": (1, 8), "k <= N/4": (9, 16), "k <= N/2": (17, 32), "k > N/2": (33, 64)}
ROLLOUT_AIMS = {"k <= N/8": 0.92, "k <= N/4": 0.92, "k <= N/2": 0.92, "k > N/2": 0.90}
RATES = (0.0002, 0.001, 0.01, 0.2, 0.5, 0.95, 0.9998)
SHARES = (0.1, 0.3, 0.7)
"""Of the lower rate."""


def true_pass(rates: Floats, ks: NDArray[np.int64] = KS) -> Floats:
    """1 - mean (1 - p)^k for each k."""
    return np.array([1 - ((1 - rates) ** k).mean() for k in ks])


def inside(lower: Floats, truth: Floats, upper: Floats) -> NDArray[np.bool_]:
    return (lower <= truth + 1e-9) & (truth <= upper + 1e-9)


def rollouts_coverage(population: str, repetitions: int, seed: int) -> dict[str, Floats]:
    """Coverage by k of the `rollouts` interval, of plug-in variances, and of the u-statistic where it exists."""
    rng = np.random.default_rng(seed)
    total = np.full(PROBLEMS, ROLLOUTS)
    hits = {name: np.zeros(KS.size) for name in ("ours", "plug-in", "u-statistic")}
    for _ in range(repetitions):
        rates = POPULATIONS[population](rng, PROBLEMS)
        correct = rng.binomial(ROLLOUTS, rates)
        truth = true_pass(rates)
        curve = pass_at_k_curve(correct, total, KS, interval="rollouts")
        hits["ours"] += inside(curve.lower, truth, curve.upper)
        for name, variance in (
            ("plug-in", plug_in_variance(correct)),
            ("u-statistic", u_statistic_variance(pool(correct, total), KS)),
        ):
            reach = 1.96 * np.sqrt(variance)
            hits[name] += inside(curve.value - reach, truth, curve.value + reach)
    hits["u-statistic"][2 * KS > ROLLOUTS] = np.nan
    return {name: hit / repetitions for name, hit in hits.items()}


def two_point(problems: int, rollouts: int, rates: Floats, repetitions: int, seed: int) -> dict[str, Floats]:
    """Coverage by k of 1..N at these solve rates (P,); widths, and Jeffreys', at five ks (on a fifth of the draws)."""
    rng = np.random.default_rng(seed)
    ks, few = np.arange(1, rollouts + 1), np.array([1, rollouts // 8, rollouts // 4, rollouts // 2, rollouts])
    truth, total = true_pass(rates, ks), np.full(problems, rollouts)
    hits, widths = np.zeros(rollouts), np.empty((repetitions, rollouts))
    jeffreys = max(repetitions // 5, 1)
    jeffreys_hits, jeffreys_widths = np.zeros(few.size), np.empty((jeffreys, few.size))
    for i in range(repetitions):
        correct = rng.binomial(rollouts, rates)
        curve = pass_at_k_curve(correct, total, interval="rollouts")
        hits += inside(curve.lower, truth, curve.upper)
        widths[i] = curve.upper - curve.lower
        if i < jeffreys:
            drawn = 1 - rng.beta(correct + 0.5, rollouts - correct + 0.5, (200, problems))
            lower, upper = np.quantile([1 - (drawn**k).mean(1) for k in few], [0.025, 0.975], axis=1)
            jeffreys_hits += inside(lower, truth[few - 1], upper)
            jeffreys_widths[i] = upper - lower
    return {
        "coverage": hits / repetitions,
        "width": np.median(widths, 0)[few - 1],
        "jeffreys": jeffreys_hits / jeffreys,
        "jeffreys_width": np.median(jeffreys_widths, 0),
    }


def two_point_populations(repetitions: int) -> list[dict[str, object]]:
    """One row for each of the 378: its worst coverage to N/2 and beyond, Jeffreys' worst, and the ratio of widths."""
    rows: list[dict[str, object]] = []
    for problems, rollouts in itertools.product((12, 30, 100), (16, 64)):
        for low, high in itertools.combinations(RATES, 2):
            for share in SHARES:
                rates = np.where(np.arange(problems) < round(share * problems), low, high)
                seen = two_point(problems, rollouts, rates, repetitions, seed=len(rows))
                half = rollouts // 2
                rows.append(
                    {
                        "problems": problems,
                        "rollouts": rollouts,
                        "rates": [low, high],
                        "share": share,
                        "to_half": float(seen["coverage"][:half].min()),
                        "beyond": float(seen["coverage"][half:].min()),
                        "jeffreys_to_half": float(seen["jeffreys"][:4].min()),
                        "width_over_jeffreys": [
                            float(x) for x in seen["width"] / np.maximum(seen["jeffreys_width"], 1e-12)
                        ],
                    }
                )
    return rows


def two_point_table(rows: list[dict[str, object]]) -> dict[str, dict[str, float]]:
    """By P: the worst coverage, the share of populations below .92, and the median ratio of widths to Jeffreys'."""
    found = {}
    for problems in (12, 30, 100):
        mine = [row for row in rows if row["problems"] == problems]
        to_half = np.array([row["to_half"] for row in mine], dtype=float)
        beyond = np.array([row["beyond"] for row in mine], dtype=float)
        jeffreys = np.array([row["jeffreys_to_half"] for row in mine], dtype=float)
        ratio = np.array([row["width_over_jeffreys"] for row in mine], dtype=float)
        found[f"P = {problems}"] = {
            "smallest, k <= N/2": to_half.min(),
            "smallest, k > N/2": beyond.min(),
            "below .92, k <= N/2": (to_half < 0.92).mean(),
            "Jeffreys: smallest": jeffreys.min(),
            "Jeffreys: below .92": (jeffreys < 0.92).mean(),
            "width over Jeffreys'": np.median(ratio[:, :4]),
        }
    return found


def plug_in_variance(correct: NDArray[np.int64]) -> Floats:
    """Variance of the estimate if the solve rates were c / N: 0 for all-wrong and all-right problems."""
    every = np.arange(ROLLOUTS + 1)
    fail = subset_ratio(ROLLOUTS - every, np.full(every.size, ROLLOUTS), KS)
    rate = correct / ROLLOUTS
    log_choose = np.array([0.0, *np.cumsum(np.log((ROLLOUTS + 1 - every[1:]) / every[1:]))])
    with np.errstate(divide="ignore", invalid="ignore"):
        log_pmf = log_choose + np.where(every > 0, every * np.log(rate)[:, None], 0.0)
        log_pmf += np.where(every < ROLLOUTS, (ROLLOUTS - every) * np.log1p(-rate)[:, None], 0.0)
    pmf = np.exp(log_pmf)
    variance: Floats = np.maximum(pmf @ fail**2 - (pmf @ fail) ** 2, 0).sum(0) / PROBLEMS**2
    return variance


def problems_coverage(population: str, repetitions: int, seed: int) -> dict[str, Floats]:
    """Coverage by k of the `problems` interval and of percentiles; `band` and `pointwise as band` at all k at once."""
    rng = np.random.default_rng(seed)
    truth = true_pass(POPULATIONS[population](rng, 4_000_000))
    total = np.full(PROBLEMS, ROLLOUTS)
    hits = {name: np.zeros(KS.size) for name in ("ours", "percentile")}
    at_once = {"band": 0.0, "pointwise as band": 0.0}
    for _ in range(repetitions):
        correct = rng.binomial(ROLLOUTS, POPULATIONS[population](rng, PROBLEMS))
        curve = pass_at_k_curve(correct, total, KS, interval="problems", rng=rng, replicates=1_000)
        covered = inside(curve.lower, truth, curve.upper)
        hits["ours"] += covered
        hits["percentile"] += inside(*percentile_ends(correct, total, truth, rng))
        at_once["pointwise as band"] += covered.all()
        at_once["band"] += inside(curve.band_lower, truth, curve.band_upper).all()
    shares = {name: hit / repetitions for name, hit in hits.items()}
    return shares | {name: np.array([hit / repetitions]) for name, hit in at_once.items()}


def percentile_ends(
    correct: NDArray[np.int64], total: NDArray[np.int64], truth: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    cells = pool(correct, total)
    solve = 1 - subset_ratio(cells.total_C - cells.correct_C, cells.total_C, KS)
    drawn = rng.multinomial(PROBLEMS, cells.weight_C / PROBLEMS, size=1_000) @ solve / PROBLEMS
    lower, upper = np.quantile(drawn, [0.025, 0.975], axis=0)
    return lower, truth, upper


def crossed_rates(rng: np.random.Generator, seeds: int, problems: int) -> Floats:
    """Solve rates (S, P) of training runs: logit p = problem (sd 2) + seed (sd .4) + their interaction (sd .5)."""
    logit = -1 + 2 * rng.standard_normal(problems) + 0.4 * rng.standard_normal((seeds, 1))
    return 1 / (1 + np.exp(-logit - 0.5 * rng.standard_normal((seeds, problems))))


def seeds_coverage(seeds: int, repetitions: int, seed: int) -> dict[str, Floats]:
    """Coverage at k = 1, 8, 64 of the crossed interval, of problems resampled inside each seed, and of seeds alone."""
    rng, ks, problems = np.random.default_rng(seed), np.array([1, 8, 64]), 100
    # One logit of a random seed and problem is normal with the three variances' sum; truth by its quantiles.
    logit = -1 + np.sqrt(4 + 0.16 + 0.25) * ndtri((np.arange(100_000) + 0.5) / 100_000)
    truth = true_pass(1 / (1 + np.exp(-logit)), ks)
    hits = {name: np.zeros(ks.size) for name in ("ours", "nested percentile", "seed percentile")}
    for _ in range(repetitions):
        correct = rng.binomial(ROLLOUTS, crossed_rates(rng, seeds, problems))
        total = np.full_like(correct, ROLLOUTS)
        curve = seeds_curve(correct, total, ks, rng=rng, replicates=500)
        hits["ours"] += inside(curve.lower, truth, curve.upper)
        solve = 1 - subset_ratio(ROLLOUTS - correct.ravel(), total.ravel(), ks).reshape(seeds, problems, -1)
        seed_weight = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=500)
        nested = np.zeros((500, ks.size))
        for s in range(seeds):  # each seed draws problems of its own
            own = rng.multinomial(problems, np.full(problems, 1 / problems), size=500)
            nested += seed_weight[:, [s]] * (own @ solve[s]) / (problems * seeds)
        for name, drawn in (("nested percentile", nested), ("seed percentile", seed_weight @ solve.mean(1) / seeds)):
            lower, upper = np.quantile(drawn, [0.025, 0.975], axis=0)
            hits[name] += inside(lower, truth, upper)
    return {name: hit / repetitions for name, hit in hits.items()}


DIFFERENCES: dict[str, Callable[[np.random.Generator, int], tuple[Floats, Floats]]] = {
    "equal, Beta(.3,1)": lambda rng, size: (rates := rng.beta(0.3, 1, size), rates),
    "better, Beta(.3,1)": lambda rng, size: (rates := rng.beta(0.3, 1, size), 0.03 + 0.9 * rates),
    "Beta(2,2) and Beta(2.4,2)": lambda rng, size: (rng.beta(2, 2, size), rng.beta(2.4, 2, size)),
    "ceiling: .97 but for 15 %": lambda rng, size: (
        rates := np.where(rng.random(size) < 0.85, 0.97, rng.beta(1, 1, size)),
        np.where(rates < 0.9, np.minimum(rates + 0.1, 1), rates),
    ),
    "one of 20 flips": lambda rng, size: (
        rates := np.where(rng.random(size) < 0.5, 0.999, 0.001),
        np.where(rng.random(size) < 0.05, 1 - rates, rates),
    ),
    ".0005 and .002": lambda _, size: (np.full(size, 0.0005), np.full(size, 0.002)),
}


def differences_coverage(
    population: str, problems: int, rollouts: int, k: int, repetitions: int, seed: int
) -> dict[str, float]:
    """Coverage and median width of the difference at k over new problems: ours, Student's t, Gaffke's ends alone."""
    rng = np.random.default_rng(seed)
    a, b = DIFFERENCES[population](rng, 1_000_000)
    truth = float((-((1 - b) ** k) + (1 - a) ** k).mean())
    ids, total = tuple(map(str, range(problems))), np.full(problems, rollouts)
    hits, widths = dict.fromkeys(("ours", "t", "gaffke"), 0.0), {name: [] for name in ("ours", "t", "gaffke")}
    for _ in range(repetitions):
        pair = [
            Counts(ids, rng.binomial(rollouts, one), total, np.zeros_like(total))
            for one in DIFFERENCES[population](rng, problems)
        ]
        seen = compare_counts(*pair, [k], rng=rng, replicates=1_000)
        fail_a, fail_b = (subset_ratio(rollouts - one.correct_P, total, np.array([k]))[:, 0] for one in pair)
        value = fail_a - fail_b
        reach = stdtrit(problems - 1, 0.975) * value.std(ddof=1) / np.sqrt(problems)
        units = make_units(value[:, None], np.ones(problems, np.int64))
        [(low, high)] = gaffke_ends(units, (-1.0, 1.0), (0.05,), rng)
        ends = {
            "ours": (seen.lower[0], seen.upper[0]),
            "t": (value.mean() - reach, value.mean() + reach),
            "gaffke": (low[0], high[0]),
        }
        for name, (lower, upper) in ends.items():
            hits[name] += lower - 1e-9 <= truth <= upper + 1e-9
            widths[name].append(upper - lower)
    return {name: hit / repetitions for name, hit in hits.items()} | {
        f"{name} width": float(np.median(w)) for name, w in widths.items()
    }


def crossings_of_equals(population: str, runs: int, seed: int) -> dict[str, float]:
    """Share of runs in which two policies with equal solve rates cross: supported by the band, and by the estimate."""
    rng = np.random.default_rng(seed)
    ids, total = tuple(str(i) for i in range(PROBLEMS)), np.full(PROBLEMS, ROLLOUTS)
    supported = changed = differs = 0
    for _ in range(runs):
        rates = POPULATIONS[population](rng, PROBLEMS)
        a, b = (Counts(ids, rng.binomial(ROLLOUTS, rates), total, np.zeros_like(total)) for _ in "ab")
        seen = compare_counts(a, b, rng=rng, replicates=1_000)
        supported += seen.crossing.outcome == "at"
        changed += seen.crossing.sign_changes > 0
        differs += bool(((seen.band_lower > 0) | (seen.band_upper < 0)).any())
    return {"supported": supported / runs, "sign change": changed / runs, "band excludes 0": differs / runs}


def by_band(coverage: Floats) -> dict[str, float]:
    """The smallest coverage in each band of k (NaN, where a variant does not exist, left out)."""
    smallest = {}
    for name, (low, high) in BANDS.items():
        chosen = coverage[(low <= KS) & (high >= KS)]
        smallest[name] = float(np.nanmin(chosen)) if np.isfinite(chosen).any() else float("nan")
    return smallest


table = partial(show, widths=(46, 18))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=2_000)
    repetitions = parser.parse_args().repetitions
    start = time.perf_counter()
    rollouts = {name: rollouts_coverage(name, repetitions, seed=1) for name in POPULATIONS}
    populations = two_point_populations(max(repetitions // 5, 1))
    differences = {
        f"{name}; P = {n}, N = {rollouts}, k = {k}": differences_coverage(
            name, n, rollouts, k, max(repetitions // 5, 1), seed=5
        )
        for name in DIFFERENCES
        for n, rollouts, k in ((30, 64, 1), (30, 64, 4), (30, 64, 32), (30, 4, 4), (100, 64, 4))
    }
    problems = {name: problems_coverage(name, repetitions, seed=2) for name in POPULATIONS}
    seeds = {f"{n} seeds": seeds_coverage(n, repetitions, seed=3) for n in (5, 10)}
    crossing = {name: crossings_of_equals(name, max(500, repetitions // 4), seed=4) for name in POPULATIONS}

    for variant in ("ours", "plug-in", "u-statistic"):
        rows = {name: by_band(coverage[variant]) for name, coverage in rollouts.items()}
        table(f"rollouts, {variant}: smallest coverage of nominal .95", rows | {"aim": ROLLOUT_AIMS})
    table("rollouts, two-point populations, every k", two_point_table(populations))
    table("differences over problems", differences)
    for variant in ("ours", "percentile"):
        table(f"problems, {variant}", {name: by_band(coverage[variant]) for name, coverage in problems.items()})
    together = ("band", "pointwise as band")
    table("all k at once", {n: {v: float(coverage[v][0]) for v in together} for n, coverage in problems.items()})
    table("seeds, smallest over k", {n: {v: float(x.min()) for v, x in c.items()} for n, c in seeds.items()})
    table("equal policies cross", crossing)

    def plain(shares: dict[str, Floats]) -> dict[str, list[float | None]]:
        return {variant: [float(x) if np.isfinite(x) else None for x in share] for variant, share in shares.items()}

    report = {
        "repetitions": repetitions,
        "problems": PROBLEMS,
        "rollouts": ROLLOUTS,
        "k": KS.tolist(),
        "level": 0.95,
        "rollout_aims": ROLLOUT_AIMS,
        "rollouts_interval": {name: plain(c) | {"smallest": by_band(c["ours"])} for name, c in rollouts.items()},
        "two_point": {
            "repetitions": max(repetitions // 5, 1),
            "table": two_point_table(populations),
            "rows": populations,
        },
        "differences": {"repetitions": max(repetitions // 5, 1), "rows": differences},
        "problems_interval": {name: plain(c) | {"smallest": by_band(c["ours"])} for name, c in problems.items()},
        "seeds_interval": {name: plain(c) for name, c in seeds.items()},
        "crossing_of_equal_policies": crossing,
        "seconds": round(time.perf_counter() - start, 1),
        "machine": machine("numpy", "scipy"),
    }
    path = keep("calibration", report)
    print(f"\n{report['seconds']} s; written to results/{path.name}")


if __name__ == "__main__":
    main()
