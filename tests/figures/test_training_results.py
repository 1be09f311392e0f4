"""Numbers of a training figure are the estimators' own, paired by seed; missing seeds and arms are said."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_training import FIGURE, PROBLEMS, STEPS, counts, evaluation, report, reports

from s2l_lab.errors import DataError, UsageError
from s2l_lab.estimators import seed_difference, seeds_curve
from s2l_lab.sweeps import read_sweep
from s2l_lab.training.claims import TrainingFigure, figure_plan
from s2l_lab.training.results import counts_at, difference_at, training_results

GROUP = ("countdown",)
ARMS = ("GRPO", "S2L-PO", "abrupt", "owed")
WANTED = {"GRPO": range(10), "S2L-PO": range(10), "abrupt": range(5), "owed": range(5)}
FOUND = reports(
    {"GRPO": (range(10), 0.03), "S2L-PO": (range(10), 0.06), "abrupt": ((0, 1, 3), 0.03), "owed": ((), 0.0)}
)


def plan(**changes: Any) -> TrainingFigure:
    values: dict[str, Any] = FIGURE | {
        "title": "which?",
        "panel": [{"title": "all", "arms": list(ARMS)}],
        "claim": [
            {"text": "higher", "arm": "S2L-PO", "against": "GRPO"},
            {"text": "abrupt is higher", "arm": "abrupt", "against": "GRPO"},
            {"text": "owed is higher", "arm": "owed", "against": "GRPO"},
        ],
    }
    return figure_plan(values | changes, ARMS, "here")


RESULTS = training_results(plan(), WANTED, FOUND)


def grid(shift: float, seeds: Any, step: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    correct = np.array([counts(shift, s, step, n, benchmark="countdown") for s in seeds])
    return correct, np.full(correct.shape, n)


def test_levels_are_the_estimators_over_seeds_and_problems() -> None:
    for step, n in ((15, 16), (60, 64)):
        found = [level for level in RESULTS.arm("S2L-PO").levels[GROUP] if level.step == step]
        assert [level.k for level in found] == [1, 16]
        for level in found:
            curve = seeds_curve(*grid(0.06, range(10), step, n), [level.k], rng=np.random.default_rng(0))
            e = level.estimate
            assert (e.value, e.lower, e.upper) == (curve.value[0], curve.lower[0], curve.upper[0])
            assert (e.n_seeds, e.n_problems, e.n_rollouts) == (10, PROBLEMS, 10 * PROBLEMS * n)


def test_curves_hold_every_step_and_the_ends_every_k_that_n_allows() -> None:
    arm = RESULTS.arm("GRPO")
    assert [(level.step, level.k) for level in arm.levels[GROUP]] == [(s, k) for s in STEPS for k in (1, 16)]
    assert [(level.step, level.k) for level in arm.ends[GROUP]] == [(60, 1), (60, 64)]
    wide = training_results(plan(curve_k=[1, 64]), WANTED, FOUND)
    assert [level.step for level in wide.arm("GRPO").levels[GROUP] if level.k == 64] == [0, 60]  # N = 16 between


def test_differences_pair_the_seeds_that_both_have() -> None:
    seeds = (0, 1, 3)
    for k in (1, 64):
        found = RESULTS.arm("abrupt").differences[GROUP, k]
        assert found == seed_difference(grid(0.03, seeds, 60, 64), grid(0.03, seeds, 60, 64), k)
        assert (found.value, found.n_seeds) == (0.0, 3)  # its shift is the baseline's: pairs by seed are equal runs
    further = {seed: report(seed, 0.06) for seed in (0, 1, 20)}
    pair = difference_at(further, FOUND["GRPO"], GROUP, 1)
    assert pair == seed_difference(grid(0.03, (0, 1), 60, 64), grid(0.06, (0, 1), 60, 64), 1)  # 20 has no partner
    assert difference_at({20: further[20]}, FOUND["GRPO"], GROUP, 1) is None
    swapped = {seed: FOUND["GRPO"][(seed + 1) % 10] for seed in range(10)}
    assert difference_at(swapped, FOUND["GRPO"], GROUP, 1) != difference_at(FOUND["GRPO"], FOUND["GRPO"], GROUP, 1)


TABLE4 = read_sweep(Path(__file__).parents[2] / "experiments" / "table4" / "mini.toml")
PLANS = {arm.name: arm.plan.model_dump(mode="json") for arm in TABLE4.arms()}
"""Of the arms of Table 4, three of which draw from one bank."""


def of_arm(name: str, shift: float, seeds: Any = range(10), **changes: Any) -> dict[int, Any]:
    plan = PLANS[name] | {"explorer": PLANS[name]["explorer"] and PLANS[name]["explorer"] | changes}
    return {seed: report(seed, shift, plan=plan) for seed in seeds}


def test_a_bank_that_all_seeds_share_is_said_of_numbers_and_verdicts() -> None:
    grpo, live, bank, without = (of_arm(n, 0.03) for n in ("GRPO", "S2L-PO 360k", "bank", "without diversity"))
    found = {"GRPO": grpo, "S2L-PO": live, "abrupt": bank, "owed": without}
    claims = [{"text": n, "arm": n, "against": "GRPO"} for n in ("S2L-PO", "abrupt")]
    claims += [{"text": "two of one bank", "arm": "owed", "against": "abrupt", "expects": "equal"}]
    results = training_results(plan(claim=claims), dict.fromkeys(ARMS, range(10)), found)
    said = "for this bank"
    for name, given in (("GRPO", ""), ("S2L-PO", ""), ("abrupt", said), ("owed", said)):
        arm = results.arm(name)
        assert {level.estimate.given for level in arm.levels[GROUP]} == {given}
        assert {found.given for found in arm.differences.values()} <= {given}
    assert [said in claim.decision.why for claim in results.claims] == [False, True, True]


def test_banks_are_told_apart_by_what_was_sampled() -> None:
    """A difference knows one bank, two, and three, which are a factor; what is kept of a bank makes it no other."""
    grpo = of_arm("GRPO", 0.03)

    def bank(seeds: Any, **changes: Any) -> dict[int, Any]:
        return of_arm("bank", 0.06, seeds, **changes)

    def given(arm: dict[int, Any]) -> str:
        difference = difference_at(arm, grpo, GROUP, 1)
        assert difference is not None
        return difference.given

    assert given(bank(range(5)) | bank(range(5, 10), select="placebo", rollouts=32)) == "for this bank"
    assert given(bank(range(5)) | bank(range(5, 10), seed=1)) == "for these 2 banks"
    three = bank(range(3)) | bank(range(3, 6), seed=1) | bank(range(6, 10), seed=2)
    found = difference_at(three, grpo, GROUP, 1)
    labels = [0] * 3 + [1] * 3 + [2] * 4
    counts = [grid(shift, range(10), 60, 64) for shift in (0.03, 0.06)]
    assert found == seed_difference(*counts, 1, bank=labels)
    assert found != seed_difference(*counts, 1)


def test_the_sign_is_the_arm_minus_the_baseline() -> None:
    found = RESULTS.arm("S2L-PO").differences[GROUP, 1]
    assert found.lower > 0
    assert RESULTS.claims[0].decision.word == "supported"
    assert RESULTS.claims[0].difference == found
    back = difference_at(FOUND["GRPO"], FOUND["S2L-PO"], GROUP, 1)
    assert back is not None
    assert back.value == -found.value


def test_missing_seeds_and_arms_are_said() -> None:
    abrupt, owed = RESULTS.arm("abrupt"), RESULTS.arm("owed")
    assert (abrupt.finished, abrupt.owed) == ((0, 1, 3), (2, 4))
    assert (owed.finished, owed.owed) == ((), (0, 1, 2, 3, 4))
    assert not owed.differences
    assert owed.cost is None
    assert owed.levels[GROUP] == owed.ends[GROUP] == ()
    decisions = [(claim.decision.word, claim.decision.why) for claim in RESULTS.claims[1:]]
    assert decisions == [
        ("cannot tell", "3 of the 10 seeds that a claim needs"),
        ("cannot tell", "no pair of finished runs"),
    ]


def test_before_training_is_step_0_of_the_baseline() -> None:
    curve = seeds_curve(*grid(0.03, range(10), 0, 64), [1, 64], rng=np.random.default_rng(0))
    found = [level.estimate.value for level in RESULTS.before["GRPO", GROUP]]
    np.testing.assert_allclose(found, curve.value, rtol=1e-12)


def test_a_claim_about_a_step_is_about_that_step() -> None:
    claims = [{"text": "early", "arm": "S2L-PO", "against": "GRPO", "step": 30, "k": 16}]
    (claim,) = training_results(plan(claim=claims), WANTED, FOUND).claims
    assert claim.difference == seed_difference(grid(0.03, range(10), 30, 16), grid(0.06, range(10), 30, 16), 16)
    (absent,) = training_results(plan(claim=[claims[0] | {"step": 31}]), WANTED, FOUND).claims
    assert absent.difference is None


def test_curves_pool_the_problems_of_their_benchmarks_and_tables_keep_them_apart() -> None:
    both = ("aime24", "aime25")
    found = reports({"GRPO": (range(3), 0.0), "S2L-PO": (range(3), 0.05)}, benchmarks=both, problems=5)
    pooled = counts_at(found["S2L-PO"], both, None)
    assert pooled is not None
    assert pooled.problem_ids[4:6] == ("aime24-4", "aime25-0")
    assert pooled.correct_SP.shape == (3, 10)
    table = plan(kind="table", benchmarks=both, curve_k=[], panel=[{"title": "", "arms": ["GRPO", "S2L-PO"]}], claim=[])
    results = training_results(table, {"GRPO": range(3), "S2L-PO": range(3)}, found)
    apart = [results.arm("S2L-PO").ends[group][0].estimate.value for group in (("aime24",), ("aime25",))]
    assert np.mean(apart) == pytest.approx(pooled.correct_SP.mean() / 64)


def test_a_panel_of_another_learner_has_its_own_baseline() -> None:
    panels = [
        {"title": "a", "arms": ["GRPO", "S2L-PO"]},
        {"title": "b", "arms": ["abrupt", "owed"], "baseline": "abrupt"},
    ]
    results = training_results(plan(panel=panels), WANTED, FOUND)
    assert [arm.baseline for arm in results.arms] == ["GRPO", "GRPO", "abrupt", "abrupt"]
    assert not results.arm("abrupt").differences
    assert set(results.before) == {("GRPO", GROUP), ("abrupt", GROUP)}


def test_cost_is_the_mean_over_seeds_with_its_range() -> None:
    runs = {s: report(s, relative=r, share=h) for s, (r, h) in enumerate([(0.7, 0.1), (0.8, 0.2), (None, None)])}
    cost = training_results(plan(), WANTED, FOUND | {"S2L-PO": runs}).arm("S2L-PO").cost
    assert cost is not None
    assert (cost.relative, cost.low, cost.high) == pytest.approx((0.75, 0.7, 0.8))
    assert cost.explorer_share == pytest.approx(0.15)
    assert cost.n_seeds == 2


def test_runs_on_other_problems_are_refused() -> None:
    other = {0: report(0, problems=7)}
    with pytest.raises(DataError, match="different problems of countdown"):
        counts_at({**other, 1: report(1)}, GROUP, None)
    with pytest.raises(DataError, match="cannot be paired"):
        difference_at(other, {0: report(0)}, GROUP, 1)


def test_rollouts_that_nobody_judged_are_not_wrong() -> None:
    """Levels lie between all wrong and all right; a difference, which claims are judged by, is refused."""
    assert evaluation("countdown", 0, [1, 2], 4, unknown=1).unknown == (1, 0)
    unsure = {seed: report(seed, unknown=2) for seed in range(3)}
    counts = counts_at(unsure, GROUP, 30)
    assert counts is not None
    correct, total = grid(0.03, range(3), 30, 16)
    right = correct.copy()
    right[:, 0] = np.minimum(correct[:, 0] + 2, 16)
    for k in (1, 4):
        low, high = (seeds_curve(one, total, [k], rng=np.random.default_rng(0)) for one in (correct, right))
        estimate = counts.estimate(k)
        assert np.isnan(estimate.value)
        assert (estimate.lower, estimate.upper) == (low.lower[0], high.upper[0])
        assert low.value[0] < high.value[0]
    with pytest.raises(DataError, match=r"seed 0\) has 2 rollouts that no verifier could judge"):
        difference_at(unsure, FOUND["GRPO"], GROUP, 1)
    with pytest.raises(DataError, match=r"seed 2\) has 1 rollouts that no verifier could judge"):
        difference_at({2: report(2)}, {2: report(2, unknown=1)}, GROUP, 1)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"baseline": "GRPOO"}, UsageError, "unknown arm 'GRPOO'"),
        ({"panel": [{"title": "", "arms": ["x"]}]}, UsageError, "unknown arm 'x'"),
        ({"panel": [{"title": "", "arms": ["GRPO"], "baseline": "y"}]}, UsageError, "unknown arm 'y'"),
        ({"claim": [{"text": "", "arm": "GRPO", "against": "z"}]}, UsageError, "unknown arm 'z'"),
        ({"curve_k": []}, UsageError, "curves need curve_k"),
        ({"kind": "table"}, UsageError, "a table has none"),
        ({"panel": [{"title": "", "arms": ["GRPO"], "paper": ["a", "b"]}]}, UsageError, "its counterpart"),
        ({"margin": 0}, UsageError, "margin"),
        ({"colour": "red"}, UsageError, "colour"),
        ({"claim": [{"text": "t", "arm": "GRPO", "against": "owed", "benchmark": "b"}]}, UsageError, "none of benchm"),
    ],
)
def test_a_wrong_figure_table_is_refused(change: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        plan(**change)
