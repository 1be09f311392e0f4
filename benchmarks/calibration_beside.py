"""Do the numbers beside pass@k hold what they promise? Coverage of nominal .95, each beside its rival on equal draws.

    python benchmarks/calibration_beside.py [--repetitions 200]

- cover: Cover@tau, N = 16. Bias of the smoothed and of the likeliest (NPMLE) share, coverage of the smoothed share's
  interval and of the exact bounds, and the bounds' median width.
- subsets: `rollouts` intervals of pass^k and of at least j of k, two-point populations, N = 16 and 64.
- votes: `rollouts` intervals of maj@k over 30 problems, by how answers compete.
- ratios: variance ratio, and between-part and share of `decompose`, over 10 to 100 skewed problems, beside Student's t
  of the delta method.

Writes results/calibration_beside.json. A few minutes on one core.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time

import numpy as np
from numpy.typing import NDArray
from results_file import keep
from scipy.stats import binom

from s2l_lab.diversity.decomposition import decompose
from s2l_lab.diversity.distances import squared_euclidean
from s2l_lab.diversity.over_problems import ratio_over_problems
from s2l_lab.estimators import Votes, at_least_j_of_k_curve, cover_curve, maj_at_k, pass_hat_k_curve
from s2l_lab.estimators.estimate import Estimate
from s2l_lab.estimators.problem_interval import student_t
from s2l_lab.estimators.vote_interval import vote_score

Floats = NDArray[np.float64]
Rng = np.random.Generator
COVERS = {
    "half .2, half .6": lambda rng, size: np.where(rng.random(size) < 0.5, 0.2, 0.6),
    "Beta(.3,1)": lambda rng, size: rng.beta(0.3, 1, size),
    "Beta(2,2)": lambda rng, size: rng.beta(2, 2, size),
    ".9 one time in 20, else .1": lambda rng, size: np.where(rng.random(size) < 0.05, 0.9, 0.1),
}
TAUS = np.array([0.25, 0.5, 0.9])
RATES = (0.0002, 0.01, 0.2, 0.5, 0.95, 0.9998)


def cover(repetitions: int, problems: int, rng: Rng) -> dict[str, object]:
    """By population and tau."""
    found = {}
    for name, draw in COVERS.items():
        truth = np.array([(draw(rng, 1_000_000) >= tau).mean() for tau in TAUS])
        off, held, width = np.zeros((2, TAUS.size)), np.zeros((2, TAUS.size)), []
        at_once = 0
        for _ in range(repetitions):
            seen = cover_curve(
                rng.binomial(16, draw(rng, problems)), np.full(problems, 16), TAUS, rng=rng, replicates=300
            )
            off += np.array([seen.smoothed - truth, seen.npmle - truth]) / repetitions
            inside = (seen.bounds_lower <= truth + 0.001) & (truth <= seen.bounds_upper + 0.001)
            held += np.array([(seen.smoothed_lower <= truth) & (truth <= seen.smoothed_upper), inside]) / repetitions
            at_once += inside.all()
            width.append(seen.bounds_upper - seen.bounds_lower)
        found[name] = {
            "tau": TAUS.tolist(), "truth": rounded(truth), "bias smoothed": rounded(off[0]),
            "bias NPMLE": rounded(off[1]), "coverage smoothed": rounded(held[0]), "coverage bounds": rounded(held[1]),
            "coverage bounds, all tau at once": at_once / repetitions,
            "width bounds": rounded(np.median(width, axis=0)),
        }  # fmt: skip
    return found


def subsets(repetitions: int, rollouts: int, rng: Rng) -> dict[str, object]:
    """Smallest and mean coverage over two-point populations, and the width over that of a known variance."""
    pairs = [(2, 4), (4, 8), (2, rollouts // 2), (rollouts // 4, rollouts // 2), (2, 3 * rollouts // 4)]
    hats = [2, 4, rollouts // 2]
    covered: dict[str, list[float]] = {}
    wide: dict[str, list[float]] = {}
    for problems, (a, b), share in itertools.product((12, 30), itertools.combinations(RATES, 2), (0.3, 0.7)):
        rate = np.where(np.arange(problems) < problems * share, a, b)
        hits, width, drawn = np.zeros(8), np.zeros(8), np.zeros((repetitions, 8))
        truths = [binom.sf(j - 1, k, rate).mean() for j, k in pairs] + [(rate**k).mean() for k in hats]
        for r in range(repetitions):
            correct, total = rng.binomial(rollouts, rate), np.full(problems, rollouts)
            by_j = {j: at_least_j_of_k_curve(correct, total, j, interval="rollouts") for j in {j for j, _ in pairs}}
            hat = pass_hat_k_curve(correct, total, interval="rollouts")
            places = [(by_j[j], k - j) for j, k in pairs] + [(hat, k - 1) for k in hats]
            for i, ((curve, at), truth) in enumerate(zip(places, truths, strict=True)):
                hits[i] += curve.lower[at] <= truth + 1e-9 and truth <= curve.upper[at] + 1e-9
                width[i] += curve.upper[at] - curve.lower[at]
                drawn[r, i] = curve.value[at]
        names = [f"{j} of {k}" for j, k in pairs] + [f"pass^{k}" for k in hats]
        for i, name in enumerate(names):
            covered.setdefault(name, []).append(hits[i] / repetitions)
            if drawn[:, i].std() > 1e-3:
                wide.setdefault(name, []).append(width[i] / repetitions / (2 * 1.96 * drawn[:, i].std()))
    return {
        name: {
            "smallest coverage": min(shares),
            "share of populations below .90": float(np.mean([share < 0.9 for share in shares])),
            "mean coverage": float(np.mean(shares)),
            "median width over 3.92 SD": float(np.median(wide[name])),
        }
        for name, shares in covered.items()
    }


def vote_problem(kind: str, rng: Rng) -> Floats:
    """Chances of the right answer, of every repeated wrong one, of one that is always new, of none."""
    if kind == "two answers near a tie":
        p = rng.uniform(0.35, 0.65)
        return np.array([p, 1 - p, 0, 0])
    if kind == "wrong answers all different":
        p = rng.beta(0.3, 1)
        return np.array([p, 1 - p, 0])
    if kind == "half .02, half .9":
        p = 0.02 if rng.random() < 0.5 else 0.9
        return np.array([p, *(1 - p) * np.array([0.3, 0.2, 0.1, 0.4]), 0])
    p = rng.beta(0.4, 0.8)
    often = 1 / np.arange(1, 15) ** 1.2
    return np.array([p, *(1 - p) * 0.7 * often / often.sum(), (1 - p) * 0.2, (1 - p) * 0.1])


def vote_draw(chance: Floats, rollouts: int, rng: Rng) -> Votes:
    *known, fresh, silent = rng.multinomial(rollouts, chance).tolist()
    answers = {f"answer {i}": n for i, n in enumerate(known) if n} | {f"new {i}": 1 for i in range(fresh)}
    return Votes(answers, frozenset({"answer 0"}), silent)


def votes(repetitions: int, rollouts: int, rng: Rng) -> dict[str, object]:
    """Coverage by k, for the mean over 30 problems. Truths are means of 2,000 votes a problem; they may be .002 off."""
    ks = sorted({1, 3, rollouts // 8 + 1, rollouts // 4, rollouts // 2, 3 * rollouts // 4, rollouts})
    found = {}
    for kind in ("answers of many sizes", "wrong answers all different", "two answers near a tie", "half .02, half .9"):
        hits, width = np.zeros(len(ks)), []
        for _ in range(repetitions):
            chances = [vote_problem(kind, rng) for _ in range(30)]
            truth = np.zeros(len(ks))
            for chance in chances:
                drawn = rng.choice(chance.size, size=(2_000, rollouts), p=chance / chance.sum())
                right = np.arange(chance.size) == 0
                truth += np.array([vote_score(drawn[:, :k], right, chance.size - 2).mean() for k in ks]) / 30
            curve = maj_at_k(
                [vote_draw(c, rollouts, rng) for c in chances], ks, rng=rng, interval="rollouts", subsets=300
            )
            hits += (curve.lower <= truth + 0.002) & (truth <= curve.upper + 0.002)
            width.append(curve.upper - curve.lower)
        found[kind] = {"k": ks, "coverage": rounded(hits / repetitions), "width": rounded(np.median(width, axis=0))}
    return found


def token_sums(kind: str, problems: int, rng: Rng) -> tuple[Floats, Floats]:
    """Numerator and denominator of VR(20) by problem: 8 rollouts of white noise plus a level that persists."""
    strength = {
        "none": lambda: np.zeros(problems),
        "log-normal, sigma .5": lambda: np.exp(0.5 * rng.standard_normal(problems)),
        "log-normal, sigma 1.2": lambda: np.exp(1.2 * rng.standard_normal(problems)),
        "one in ten": lambda: np.where(rng.random(problems) < 0.1, 5.0, 0.3),
    }[kind]()
    length = np.minimum(rng.geometric(1 / 30, size=(problems, 8)), 20)
    level = 0.3 * strength[:, None] * rng.standard_normal((problems, 8))
    noise = rng.standard_normal((problems, 8)) * np.sqrt(length)
    square = rng.chisquare(np.maximum(length - 1, 1e-9)) + noise**2 / length + 2 * level * noise + level**2 * length
    return ((noise + level * length) ** 2).sum(1), square.sum(1)


def students(numerator: Floats, denominator: Floats, truth: float) -> bool:
    """Whether Student's t of the delta method holds the truth."""
    problems, value = numerator.size, numerator.sum() / denominator.sum()
    residual = numerator - value * denominator
    se = np.sqrt(problems / (problems - 1) * (residual**2).sum()) / denominator.sum()
    return bool(abs(value - truth) <= student_t(0.95, problems - 1) * se)


def variance_ratios(repetitions: int, rng: Rng) -> dict[str, object]:
    found = {}
    for kind in ("none", "log-normal, sigma .5", "log-normal, sigma 1.2", "one in ten"):
        above, below = token_sums(kind, 200_000, rng)
        truth = above.sum() / below.sum()
        rows = {}
        for problems in (10, 20, 30, 100):
            pairs = [token_sums(kind, problems, rng) for _ in range(repetitions)]
            seen = [ratio_over_problems(a, b, 1, largest=20) for a, b in pairs]
            rows[str(problems)] = coverage(seen, [students(a, b, truth) for a, b in pairs], truth)
        found[kind] = rows
    return found


def decompositions(repetitions: int, rng: Rng) -> dict[str, object]:
    """Two policies whose means lie apart by a skewed amount: 6 rollouts a side in 2 dimensions, sizes gamma."""

    def problem(apart: float, size: float) -> NDArray[np.float64]:
        points = size * rng.standard_normal((12, 2))
        points[:6, 0] += size * apart
        return np.asarray(squared_euclidean(points), dtype=np.float64)

    def draw(kind: str, count: int) -> tuple[Floats, Floats]:
        size = rng.gamma(3, 1 / 3, count)
        if kind == "exponential":
            return rng.exponential(1.0, count), size
        return np.where(rng.random(count) < 0.1, 3.0, 0.3), size

    found = {}
    for kind in ("exponential", "one in ten"):
        apart, size = draw(kind, 400_000)
        truth = float(((apart * size) ** 2).mean())
        total = (2 * 2 * size**2 + (apart * size) ** 2 / 2).mean()  # T = within + between / 2, within 2 d sigma^2
        truths = {"between": truth, "share": truth / 2 / total}
        rows: dict[str, dict[str, object]] = {name: {} for name in truths}
        for problems in (10, 20, 30, 100):
            made = []
            for _ in range(repetitions):
                matrices = [problem(a, s) for a, s in zip(*draw(kind, problems), strict=True)]
                made.append(decompose(matrices, [6] * problems, rng=rng, permutations=19))
            for name, value in truths.items():
                seen = [getattr(one, name) for one in made]
                rival = [students(one.between_P, np.ones(problems), truth) for one in made] if name == "between" else []
                rows[name][str(problems)] = coverage(seen, rival, value)
        found[kind] = rows
    return found


def coverage(seen: list[Estimate], rival: list[bool], truth: float) -> dict[str, float]:
    row = {
        "coverage": float(np.mean([one.lower <= truth <= one.upper for one in seen])),
        "width": float(np.median([one.upper - one.lower for one in seen])),
    }
    return row | ({"coverage of Student's t": float(np.mean(rival))} if rival else {})


def rounded(values: Floats) -> list[float]:
    return [float(value) for value in np.asarray(values).round(4)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=200)
    repetitions = parser.parse_args().repetitions
    start = time.perf_counter()
    parts = {
        "cover, P = 30": lambda rng: cover(repetitions, 30, rng),
        "cover, P = 500": lambda rng: cover(max(repetitions // 4, 1), 500, rng),
        "subsets, N = 16": lambda rng: subsets(max(repetitions // 2, 1), 16, rng),
        "subsets, N = 64": lambda rng: subsets(max(repetitions // 4, 1), 64, rng),
        "votes, N = 16": lambda rng: votes(max(repetitions // 2, 1), 16, rng),
        "votes, N = 64": lambda rng: votes(max(repetitions // 4, 1), 64, rng),
        "variance ratio": lambda rng: variance_ratios(2 * repetitions, rng),
        "decompose": lambda rng: decompositions(repetitions, rng),
    }
    report: dict[str, object] = {"repetitions": repetitions, "level": 0.95}
    for place, (name, part) in enumerate(parts.items()):
        report[name] = part(np.random.default_rng(place))
        print(name, json.dumps(report[name], indent=1), flush=True)
    report["seconds"] = round(time.perf_counter() - start, 1)
    path = keep("calibration_beside", report)
    print(f"{report['seconds']} s; written to results/{path.name}")


if __name__ == "__main__":
    main()
