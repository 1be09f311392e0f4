"""Are claims about training right as often as they promise? Intervals of seed_difference, and verdicts.

    python benchmarks/training_claims.py [--repetitions 2000]

Scripted runs whose truth is known. Two arms have one law, so that their true difference over other seeds, problems and
banks is exactly 0: logit p = problem (sd 2) + effects of arm x problem, arm x seed, arm x seed x problem and
arm x bank, each half with either sign in the two arms; N = 64 rollouts from a binomial law; k = 1. Questions:

- difference: coverage and width of the crossed interval in ten settings, beside the paired t over seeds.
- banks: one, three, five or ten banks over the seeds, a shift of .3 logit by bank; labelled, and not.
- sparse: two arms that almost never solve anything, rates .0005 and .002, N = 4.
- verdicts: wrong words where a truth lies at 0, at the margin or beside it; and pages of ten claims, all decided by
  Holm, beside one step-down over claims.

Writes results/training_claims.json.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from results_file import keep, machine, show

from s2l_lab.estimators import Estimate, seed_difference, seed_difference_these_problems
from s2l_lab.estimators.decisions import Expectation, decisive_alpha, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Runs = tuple[Ints, Ints]
ROLLOUTS = 64


@dataclass(frozen=True, slots=True)
class Setting:
    """SDs in logits of what differs between two arms of one law."""

    seeds: int
    problems: int
    problem: float = 0.0
    """Arm x problem."""
    seed: float = 0.0
    """Arm x seed."""
    both: float = 0.0
    """Arm x seed x problem."""
    bank: float = 0.0
    """Arm x bank."""
    banks: int = 0
    """0 where there is none."""

    @property
    def name(self) -> str:
        return (
            f"S {self.seeds}, P {self.problems}: problem {self.problem:g}, seed {self.seed:g}, both {self.both:g}"
            + (f", banks {self.banks} (SD {self.bank:g})" if self.banks else "")
        )

    @property
    def labels(self) -> list[int]:
        """The bank of every seed."""
        return [seed % max(self.banks, 1) for seed in range(self.seeds)]


SETTINGS = (
    Setting(10, 100, problem=0.3, seed=0.1, both=0.3),
    Setting(10, 100, problem=0.6, seed=0.1, both=0.3),
    Setting(10, 100),
    Setting(10, 100, seed=0.2),
    Setting(10, 30, problem=0.3, seed=0.1, both=0.3),
    Setting(10, 30, seed=0.2, both=0.3),
    Setting(5, 100, problem=0.3, seed=0.1, both=0.3),
    Setting(5, 100, problem=0.6, both=0.5),
    Setting(5, 30, problem=0.3, seed=0.2, both=0.3),
    Setting(5, 30, seed=0.1),
)
BANKS = tuple(
    Setting(10, 100, problem=0.3, seed=0.1, both=0.3, bank=sd, banks=n) for sd in (0.3, 0.0) for n in (1, 3, 5, 10)
)


def arms(setting: Setting, rng: np.random.Generator) -> tuple[Runs, Runs]:
    """Two arms of one law: every effect enters one with + and the other with -."""
    shape = setting.seeds, setting.problems
    problem_P = 2 * rng.standard_normal(setting.problems) - 1
    effect_SP = setting.problem * rng.standard_normal(setting.problems)
    effect_SP = effect_SP + setting.seed * rng.standard_normal((setting.seeds, 1))
    effect_SP = effect_SP + setting.both * rng.standard_normal(shape)
    effect_SP = effect_SP + setting.bank * rng.standard_normal(max(setting.banks, 1))[setting.labels][:, None]
    total = np.full(shape, ROLLOUTS)
    a, b = (rng.binomial(ROLLOUTS, 1 / (1 + np.exp(-problem_P - sign * effect_SP / 2))) for sign in (-1, 1))
    return (a, total), (b, total)


def covers(found: Estimate, truth: float = 0.0) -> bool:
    return found.lower <= truth <= found.upper


def difference_coverage(setting: Setting, repetitions: int) -> dict[str, float]:
    """Share of intervals that hold the truth, and their median width."""
    rng = np.random.default_rng(1)
    found: dict[str, list[Estimate]] = {"crossed": [], "paired t": []}
    for _ in range(repetitions):
        a, b = arms(setting, rng)
        found["crossed"].append(seed_difference(a, b, 1))
        found["paired t"].append(seed_difference_these_problems(a, b, 1))
    return summary(found)


def bank_coverage(setting: Setting, repetitions: int) -> dict[str, float]:
    """The same with the banks labelled, and without a word about them."""
    rng = np.random.default_rng(2)
    found: dict[str, list[Estimate]] = {"labelled": [], "unlabelled": []}
    for _ in range(repetitions):
        a, b = arms(setting, rng)
        found["labelled"].append(seed_difference(a, b, 1, bank=setting.labels))
        found["unlabelled"].append(seed_difference(a, b, 1))
    return summary(found)


def sparse_coverage(repetitions: int, seeds: int = 10, problems: int = 30, rollouts: int = 4) -> dict[str, float]:
    """Rates of .0005 and .002: whole tables agree."""
    rng, total = np.random.default_rng(3), np.full((seeds, problems), rollouts)
    found: dict[str, list[Estimate]] = {"crossed": [], "paired t": []}
    for _ in range(repetitions):
        a, b = ((rng.binomial(rollouts, rate, total.shape), total) for rate in (0.0005, 0.002))
        found["crossed"].append(seed_difference(a, b, 1))
        found["paired t"].append(seed_difference_these_problems(a, b, 1))
    return summary(found, truth=0.0015)


def summary(found: dict[str, list[Estimate]], truth: float = 0.0) -> dict[str, float]:
    shares = {name: float(np.mean([covers(e, truth) for e in estimates])) for name, estimates in found.items()}
    widths = {f"{name}, width": float(np.median([e.upper - e.lower for e in es])) for name, es in found.items()}
    return shares | widths


def measured(truth: float, se: float, rng: np.random.Generator, seeds: int = 10) -> Estimate:
    """A difference as normal draws give it, on S - 1 degrees of freedom."""
    draws_S = rng.normal(truth, se * seeds**0.5, seeds)
    value, error, df = float(draws_S.mean()), float(draws_S.std(ddof=1)) / seeds**0.5, seeds - 1
    return Estimate(value, value, value, 0.95, "t", "seeds", 100, 1, seeds, se=error, df=df)


MARGIN = 0.02
WRONG: dict[Expectation, dict[float, tuple[str, ...]]] = {
    "above": {0.0: ("supported", "supported, smaller than the margin"), MARGIN: ("contradicted",)},
    "below": {0.0: ("supported", "supported, smaller than the margin"), -MARGIN: ("contradicted",)},
    "equal": {MARGIN: ("supported",), -MARGIN: ("supported",), 0.95 * MARGIN: ("contradicted",)},
    "not_below": {-0.95 * MARGIN: ("contradicted",), -MARGIN: ("supported",)},
}
"""Claim -> truth -> the words that are wrong there."""


def wrong_words(repetitions: int) -> dict[str, float]:
    """Share of wrong words, the largest over standard errors from a fortieth of the margin to twice it."""
    rng, found = np.random.default_rng(4), {}
    for expected, truths in WRONG.items():
        for truth, words in truths.items():
            shares = []
            for se in MARGIN * np.array([0.025, 0.1, 0.25, 0.5, 1, 2]):
                decisions = [judge([measured(truth, se, rng)], [expected], MARGIN)[0] for _ in range(repetitions)]
                shares.append(np.mean([one.word in words for one in decisions]))
            found[f"{expected} at {truth:g}"] = float(max(shares))
    return found


def wrong_pages(repetitions: int, claims: int = 10) -> dict[str, dict[str, float]]:
    """Share of pages of `above` claims, all with a truth of 0, on which any is supported; the margin in units of se."""
    rng, found = np.random.default_rng(5), {}
    for margin in (0.01, 2.0, 4.0, 6.0, 20.0):
        wrong = {"ours": 0, "one step-down over claims": 0}
        for _ in range(repetitions):
            page = [measured(0.0, 1.0, rng, seeds=40) for _ in range(claims)]
            decisions = [one.word for one in judge(page, ["above"] * claims, margin)]
            wrong["ours"] += any(decision.startswith("supported") for decision in decisions)
            wrong["one step-down over claims"] += one_step_down(page, margin)
        found[f"margin of {margin:g} se"] = {name: count / repetitions for name, count in wrong.items()}
    return found


def one_step_down(page: Sequence[Estimate], margin: float, alpha: float = 0.05) -> bool:
    """Whether Holm over claims, each by its clearer end, supports any."""
    order = sorted(page, key=lambda found: decisive_alpha(found, "above", margin))
    for rank, found in enumerate(order):
        if decisive_alpha(found, "above", margin) > alpha / (len(order) - rank):
            return False
        if found.value > margin / 2:  # its lower end above 0 is the clearer one
            return True
    return False


table = partial(show, widths=(64, 28))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=2_000)
    repetitions = parser.parse_args().repetitions
    start = time.perf_counter()
    found: dict[str, Any] = {
        "difference": {setting.name: difference_coverage(setting, repetitions) for setting in SETTINGS},
        "banks": {setting.name: bank_coverage(setting, repetitions) for setting in BANKS},
        "sparse": {"rates .0005 and .002, N = 4": sparse_coverage(repetitions)},
        "wrong_words": wrong_words(repetitions),
        "wrong_pages": wrong_pages(repetitions),
    }
    table("difference: coverage of nominal .95, median width", found["difference"])
    table("banks", found["banks"])
    table("sparse", found["sparse"])
    table("wrong words, at most", {name: {"share": share} for name, share in found["wrong_words"].items()})
    table("pages of ten claims with a wrong one", found["wrong_pages"])
    report = {
        "repetitions": repetitions,
        "rollouts": ROLLOUTS,
        "level": 0.95,
        "settings": [asdict(setting) for setting in (*SETTINGS, *BANKS)],
        **found,
        "seconds": round(time.perf_counter() - start, 1),
        "machine": machine("numpy", "scipy"),
    }
    path = keep("training_claims", report)
    print(f"\n{report['seconds']} s; written to results/{path.name}")


if __name__ == "__main__":
    main()
