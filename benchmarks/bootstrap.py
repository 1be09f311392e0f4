"""10,000 bootstrap replicates of 1,000 problems x N = 256 x 9 k, as multinomial draws of the histogram.

    python benchmarks/bootstrap.py

Three things in turn, best of five rounds: the whole `problems` curve (studentised interval and simultaneous band, both
of 10,000 replicates); the replicates of the estimate alone, drawn from the histogram; and the same replicates by the
usual loop-free way, indices of problems drawn with replacement into the (problems x k) table. Aim: under a second for
10,000. Writes results/bootstrap.json.
"""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING

import numpy as np
from results_file import keep, machine

from s2l_lab.estimators import pass_at_k_curve
from s2l_lab.estimators.cells import pool
from s2l_lab.estimators.unbiased import subset_ratio

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

PROBLEMS, ROLLOUTS, REPLICATES = 1_000, 256, 10_000
KS = 2 ** np.arange(9)


def from_problems(correct: NDArray[np.int64], total: NDArray[np.int64]) -> NDArray[np.float64]:
    """Replicates (B, K) from indices of problems, a thousand replicates at a time to bound memory."""
    rng = np.random.default_rng(0)
    solve = 1 - subset_ratio(total - correct, total, KS)
    blocks = (rng.integers(PROBLEMS, size=(1_000, PROBLEMS)) for _ in range(REPLICATES // 1_000))
    return np.concatenate([solve[chosen].mean(1) for chosen in blocks])


def from_histogram(correct: NDArray[np.int64], total: NDArray[np.int64]) -> NDArray[np.float64]:
    """Replicates (B, K) from multinomial draws of the cells' weights."""
    rng = np.random.default_rng(0)
    cells = pool(correct, total)
    solve = 1 - subset_ratio(cells.total_C - cells.correct_C, cells.total_C, KS)
    drawn = rng.multinomial(PROBLEMS, cells.weight_C / PROBLEMS, size=REPLICATES).astype(float)
    replicates: NDArray[np.float64] = drawn @ solve / PROBLEMS
    return replicates


def whole_curve(correct: NDArray[np.int64], total: NDArray[np.int64]) -> object:
    return pass_at_k_curve(correct, total, KS, rng=np.random.default_rng(0), replicates=REPLICATES)


def once(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    rng = np.random.default_rng(0)
    correct, total = rng.binomial(ROLLOUTS, rng.beta(0.3, 1, PROBLEMS)), np.full(PROBLEMS, ROLLOUTS)
    ways = {
        "indices of problems": from_problems,
        "histogram": from_histogram,
        "histogram, studentised interval and band": whole_curve,
    }
    sd = [way(correct, total).std(0) for way in (from_problems, from_histogram)]
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(5):
        for name, way in ways.items():
            seconds[name].append(once(functools.partial(way, correct, total)))
    best = {name: min(times) for name, times in seconds.items()}
    report = {
        "problems": PROBLEMS,
        "rollouts": ROLLOUTS,
        "ks": KS.size,
        "replicates": REPLICATES,
        "seconds": best,
        "indices_over_histogram": best["indices of problems"] / best["histogram"],
        "indices_over_whole_curve": best["indices of problems"] / best["histogram, studentised interval and band"],
        "largest_relative_difference_of_sd": float(np.abs(sd[0] / sd[1] - 1).max()),
        "machine": machine("numpy", "scipy"),
    }
    for name, best_time in best.items():
        print(f"{name:44}{best_time:8.3f} s{best['indices of problems'] / best_time:8.1f} x")
    print(f"largest relative difference of the SDs      {report['largest_relative_difference_of_sd']:8.3f}")
    keep("bootstrap", report)


if __name__ == "__main__":
    main()
