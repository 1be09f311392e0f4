"""Laws of the control of Table 4 and its placebo: equal counts and outcomes, less diversity, and none removed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from s2l_lab.diversity import edit_distances, edit_diversity
from s2l_lab.errors import DataError, UsageError
from s2l_lab.policies import SamplingParams, StopReason, open_policy
from s2l_lab.policies.tiny.prompt import render_compact
from s2l_lab.problems.countdown import countdown_benchmark
from s2l_lab.rollouts import RolloutStore
from s2l_lab.training.bank import RolloutBank, fill_bank
from s2l_lab.training.explorer import Learner, Request
from s2l_lab.training.selection import Select, keep, least_diverse, proportional, tokens
from s2l_lab.training.selection_report import edit_diversities, selection_report
from s2l_lab.verifiers import Outcome, Verdict

MEMBER = Path(__file__).parents[2] / "s2l_lab" / "policies" / "tiny" / "tiny" / "60k"
PROBLEMS = countdown_benchmark(6, split="train").problems
SAMPLING = SamplingParams(max_tokens=12, seed=9)
N = 11
CONTROLS: tuple[Select, ...] = ("diversity_removed", "placebo")


def row(index: int, ids: list[int], outcome: str | None = "incorrect", stop: str = "eos") -> dict[str, Any]:
    return {
        "problem_id": "p",
        "sample_index": index,
        "token_ids": ids,
        "outcome": outcome,
        "stop_reason": StopReason(stop),
    }


def random_rows(seed: int, n: int, correct: int, unknown: int = 0) -> list[dict[str, Any]]:
    """Variants of two texts, so that there is something near and something far."""
    rng, rows = np.random.default_rng(seed), []
    texts = rng.integers(0, 9, (2, 10))
    for i in range(n):
        text = texts[rng.integers(2)].copy()
        changed = rng.random(10) < rng.uniform(0, 0.8)
        text[changed] = rng.integers(0, 9, changed.sum())
        outcome = "correct" if i < correct else "verifier_error" if i < correct + unknown else "incorrect"
        rows.append(row(i, [*text.tolist(), 9], outcome))
    return [rows[i] for i in rng.permutation(n)]


def outcomes(rows: list[dict[str, Any]], kept: tuple[int, ...]) -> Counter[str]:
    return Counter(rows[i]["outcome"] for i in kept)


# Counts.


@given(
    total=st.lists(st.integers(0, 40), min_size=1, max_size=4),
    kept=st.fractions(0, 1),
    uniform=st.floats(0, 1, exclude_max=True),
)
@example(total=[1], kept=Fraction(1), uniform=1 - 2**-53)
def test_shares_are_rounded_down_or_up_and_sum_to_n(total: list[int], kept: Fraction, uniform: float) -> None:
    if not sum(total):
        return
    n = int(kept * sum(total))
    found = proportional(np.array(total), n, uniform)
    assert found.sum() == n
    for count, size in zip(found, total, strict=True):
        assert n * size // sum(total) <= count <= -(-n * size // sum(total))
        assert count <= size


def test_rounding_is_unbiased() -> None:
    """1 correct of 64: half of the problems keep it among 32; always rounding up would double the rate."""
    uniforms = (np.arange(1000) + 0.5) / 1000
    found = np.mean([proportional(np.array([1, 61, 2]), 32, u) for u in uniforms], axis=0)
    assert found == pytest.approx([0.5, 30.5, 1.0], abs=2e-3)


@pytest.mark.parametrize(("n", "correct", "unknown"), [(12, 6, 0), (12, 5, 0), (13, 4, 0), (12, 0, 0), (12, 5, 3)])
def test_both_controls_keep_the_same_counts_of_the_same_outcomes(n: int, correct: int, unknown: int) -> None:
    for seed in range(8):
        rows = random_rows(seed, n, correct, unknown)
        kept = [keep(select, rows, f"bank {seed}") for select in CONTROLS]
        assert outcomes(rows, kept[0]) == outcomes(rows, kept[1])
        for chosen in kept:
            assert len(chosen) == len(set(chosen)) == n // 2
            assert chosen == tuple(sorted(chosen))
            assert abs(outcomes(rows, chosen)["correct"] - (n // 2) * correct / n) < 1


def test_failures_are_one_class_and_an_unknown_is_none_of_them() -> None:
    """Two of each of four failures: which of them stay is free; half of the unknown ones stay, whatever else does."""
    kinds = ["incorrect", "no_answer", "truncated", "correct"] * 4 + ["verifier_error"] * 4
    seen = set()
    for seed in range(20):
        rows = [row(i, [i % 5, i % 3, i], outcome) for i, outcome in enumerate(kinds)]
        found = outcomes(rows, keep("placebo", rows, str(seed)))
        assert found["verifier_error"] == found["correct"] == 2
        seen.add(found["no_answer"])
    assert len(seen) > 1


def test_all_keeps_all_and_a_key_decides_the_placebo() -> None:
    rows = random_rows(0, 12, 4)
    assert keep("all", rows, "a") == tuple(range(12))
    assert keep("placebo", rows, "a") == keep("placebo", rows, "a")
    assert len({keep("placebo", rows, str(i)) for i in range(10)}) == 10


def test_the_placebo_keeps_every_rollout_equally_often() -> None:
    rows = random_rows(1, 12, 4)
    kept = np.zeros(12)
    for i in range(2000):
        kept[list(keep("placebo", rows, str(i)))] += 1
    assert np.abs(kept / 2000 - 0.5).max() < 5 * np.sqrt(0.25 / 2000)


# Diversity.


def test_the_least_diverse_by_hand() -> None:
    """Places on a line: wrong 0, 1, 10, 11, 30, right 9, 12, 40. Three wrong and one right: 10, 11, 9 and then 1, whose
    sum over pairs is 1 + 1 + 2 + 9 + 10 + 8 = 31 (with 0 it is 34; with 12 for 9, 34; with 30 for 1, 63 or 61)."""
    place = np.array([0.0, 1, 10, 11, 30, 9, 12, 40])
    distances = np.abs(place[:, None] - place)
    found = least_diverse(distances, np.array([1, 1, 1, 1, 1, 0, 0, 0]), np.array([1, 3]))
    assert sorted(place[list(found)]) == [1, 9, 10, 11]


def exact(distances: np.ndarray, class_N: np.ndarray, count_C: np.ndarray) -> float:
    """The least sum over pairs of all subsets with these counts."""
    parts = [combinations(np.flatnonzero(class_N == c), int(n)) for c, n in enumerate(count_C)]
    subsets = [[i for part in chosen for i in part] for chosen in product(*parts)]
    return min(float(distances[np.ix_(s, s)].sum()) for s in subsets)


def test_against_all_subsets() -> None:
    """Never below the least, seldom above it and then by little; and below a random subset's mean, always."""
    gaps = []
    for seed in range(40):
        rows = random_rows(seed, 10, 4)
        distances = edit_distances([tokens(r) for r in rows])
        class_N = np.array([r["outcome"] != "correct" for r in rows]).astype(int)
        found = list(least_diverse(distances, class_N, np.array([2, 3])))
        total = float(distances[np.ix_(found, found)].sum())
        gaps.append(total / exact(distances, class_N, np.array([2, 3])) - 1)
        assert total / 20 < edit_diversity([tokens(r) for r in rows])
    assert min(gaps) > -1e-9
    assert np.mean(np.array(gaps) < 1e-9) >= 0.9
    assert max(gaps) < 0.1


def test_no_exchange_within_a_class_lowers_it() -> None:
    for seed in range(10):
        rows = random_rows(seed, 24, 9)
        distances = edit_distances([tokens(r) for r in rows])
        kept = keep("diversity_removed", rows, "k")
        total = distances[np.ix_(kept, kept)].sum()
        for leaves in kept:
            for enters in set(range(24)) - set(kept):
                if (rows[leaves]["outcome"] == "correct") == (rows[enters]["outcome"] == "correct"):
                    other = [i for i in kept if i != leaves] + [enters]
                    assert distances[np.ix_(other, other)].sum() > total - 1e-6


def test_an_eos_is_no_token_of_the_text() -> None:
    assert tokens(row(0, [3, 4, 1])).tolist() == [3, 4]
    assert tokens(row(0, [3, 4, 1], stop="length")).tolist() == [3, 4, 1]


# The bank.


def by_parity(items: Any) -> list[Verdict]:
    """Verdicts of the text alone; no Countdown of 12 tokens is ever right."""
    marks = [sum(map(ord, completion.text)) % 3 for _, completion in items]
    return [Verdict(Outcome.INCORRECT if mark else Outcome.CORRECT, str(mark), str(mark)) for mark in marks]


def filled(root: Path, verify: Callable[[Any], list[Verdict]] = by_parity) -> Path:
    policy = open_policy("tiny-60k")
    return fill_bank(root, policy, PROBLEMS, SAMPLING, N, verify=verify, verifier_version="parity-1")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled(tmp_path_factory.mktemp("banks"))


def drawn(path: Path, select: Select, problem: int, count: int, seed: int = 5, **options: Any) -> list[Any]:
    tokenizer = AutoTokenizer.from_pretrained(MEMBER)
    bank = RolloutBank(path, render_compact, select=select, **options)
    bank.bind(
        Learner(None, tokenizer, frozenset(bank._config["eos_ids"]), 64), SAMPLING.model_copy(update={"seed": seed})
    )
    ids = tokenizer(render_compact(PROBLEMS[problem]))["input_ids"]
    (answer,) = bank.explore([Request(tuple(ids), count, group=0, round=3, drawn=0)], 16)
    return [rollout.token_ids for rollout in answer]


def stored(path: Path, problem: int) -> dict[tuple[int, ...], str]:
    with RolloutStore(path) as store:
        names = ["token_ids", "outcome"]
        rows = store.read(names, {"problem_id": PROBLEMS[problem].id}, version="parity-1").to_pylist()
    return {tuple(r["token_ids"]): r["outcome"] for r in rows}


@pytest.mark.parametrize("select", CONTROLS)
def test_draws_are_the_kept_rollouts_whatever_the_training_seed(path: Path, select: Select) -> None:
    for problem in range(3):
        one, other = (drawn(path, select, problem, N // 2, seed) for seed in (5, 6))
        assert Counter(one) == Counter(other)
        assert set(one) <= set(stored(path, problem))
    assert any(Counter(drawn(path, select, p, 5)) != Counter(drawn(path, "all", p, 5)) for p in range(3))


def test_draws_of_the_two_controls_have_the_same_outcomes(path: Path) -> None:
    different = 0
    for problem in range(len(PROBLEMS)):
        outcome = stored(path, problem)
        removed, placebo = (drawn(path, select, problem, N // 2) for select in CONTROLS)
        assert sum(outcome[t] == "correct" for t in removed) == sum(outcome[t] == "correct" for t in placebo)
        different += Counter(removed) != Counter(placebo)
    assert different


def test_an_exhausted_half_names_what_is_kept(path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        drawn(path, "placebo", 0, 6)
    assert "holds 5 rollouts of problem" in str(caught.value)
    assert "that 'placebo' keeps, which is half of them, and round 3 needs number 1 to 6" in str(caught.value)
    assert "Fill it to n=12 or more" in str(caught.value)
    with pytest.raises(
        UsageError, match=r"holds 11 rollouts of problem \w+, and round 3 needs number 1 to 12. .*n=12 "
    ):
        drawn(path, "all", 0, 12)


def test_what_cannot_choose_is_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean diversity_removed"):
        RolloutBank(path, render_compact, select="diversity_remove")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="rollout 1 of problem p has no verdict"):
        keep("placebo", [row(0, [1]), row(1, [2], None)], "k")
    with pytest.raises(UsageError, match=r"holds 1 of problem p\. Fill it to n=2"):
        keep("placebo", [row(0, [1])], "k")


# The report.


def test_the_report_says_what_was_kept(path: Path) -> None:
    removed, placebo = (selection_report(path, select) for select in CONTROLS)
    assert removed.before == placebo.before
    everything = edit_diversities(path)
    assert removed.before.edit_diversity.value == pytest.approx(np.mean(list(everything.values())))
    for report in (removed, placebo):
        assert report.after.correct_rate.value == pytest.approx(report.before.correct_rate.value, abs=0.1)
        assert (report.before.edit_diversity.n_rollouts, report.after.edit_diversity.n_rollouts) == (11, 5)
        assert report.after.edit_diversity.n_problems == len(PROBLEMS)
        gone = report.before.edit_diversity.value - report.after.edit_diversity.value
        assert report.removed.value == pytest.approx(gone)
    kept = [drawn(path, "diversity_removed", p, 5) for p in range(len(PROBLEMS))]
    assert removed.after.tokens.value == pytest.approx(np.mean([[len(t) for t in ts] for ts in kept]))
    assert removed.removed.lower > 0
    assert removed.after.edit_diversity.value < placebo.after.edit_diversity.value
    assert removed.reached is None


def test_all_removes_nothing(path: Path) -> None:
    report = selection_report(path, "all", learner=edit_diversities(path))
    assert report.before == report.after
    assert report.removed.value == 0
    assert report.above_learner is not None
    assert report.above_learner.value == 0


@pytest.mark.parametrize(("shift", "word"), [(0.5, "yes"), (-0.5, "no")])
def test_whether_the_learners_level_was_reached(path: Path, shift: float, word: str) -> None:
    level = {id: value + shift for id, value in edit_diversities(path).items()}
    assert selection_report(path, "diversity_removed", learner=level).reached == word
    level = {id: value + shift * (-1) ** i for i, (id, value) in enumerate(edit_diversities(path).items())}
    assert selection_report(path, "placebo", learner=level).reached == "cannot tell"
    with pytest.raises(UsageError, match="of none of the bank's problems"):
        selection_report(path, "placebo", learner={"other": 0.5})


def test_unknown_outcomes_are_counted_and_in_no_rate(tmp_path: Path) -> None:
    def failing(items: Any) -> list[Verdict]:
        return [
            Verdict(Outcome.VERIFIER_ERROR, None, None) if i % 4 == 0 else verdict
            for i, verdict in enumerate(by_parity(items))
        ]

    path = filled(tmp_path, failing)
    with RolloutStore(path) as store:
        (origin,) = store.origins()
        ids = [problem.id for problem in PROBLEMS]
        counts = store.counts(origin, "parity-1", ids)
    report = selection_report(path, "placebo")
    assert report.before.unknown == counts.unknown_P.sum() > 0
    rates = counts.correct_P / (counts.total_P - counts.unknown_P)
    assert report.before.correct_rate.value == pytest.approx(rates.mean())
