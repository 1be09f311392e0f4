"""The table's laws: conditions, common problems, rarefaction, paired differences, absence that is not zero."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from rollout_sets import drawn_sets, rollout_set

from s2l_lab.diversity.metrics import METRICS
from s2l_lab.errors import DataError, UsageError
from s2l_lab.studies.between import contrast
from s2l_lab.studies.within import within

EMBEDDING = {name for name, metric in METRICS.items() if metric.level == "embedding"}


def test_accuracy_moves_the_table_of_all_rollouts_and_not_that_of_correct_ones() -> None:
    """Two policies with one law of strategies, one twice as often right: only `all` may tell them apart."""
    rng = np.random.default_rng(0)
    sets = {name: drawn_sets(60, 40, rng=rng, correct=c) for name, c in (("weak", 0.3), ("strong", 0.6))}
    weak, strong = within(sets, None).policies
    assert strong.cells["all"]["unique_answers"].less_reference is None
    for metric in ("unique_answers", "answer_entropy"):
        all_less, correct_less = (weak.cells[c][metric].less_reference for c in ("all", "correct"))
        assert all_less.lower > 0, metric
        assert correct_less.lower < 0 < correct_less.upper, metric
    # Two of three strategies with probabilities .5, .3, .2 differ with probability 1 - .25 - .09 - .04 = .62.
    for policy in (weak, strong):
        found = policy.cells["correct"]["strategies"].value
        assert found.lower < 1.62 < found.upper
    assert weak.accuracy.lower < 0.3 < weak.accuracy.upper


def test_correct_only_takes_the_problems_where_every_policy_has_two() -> None:
    def sets(correct: list[int]) -> list:
        return [
            rollout_set(["a", "b", "c", "d"], ["x", "y", "x", None], [i < c for i in range(4)], problem_id=f"p{p}")
            for p, c in enumerate(correct)
        ]

    table = within({"one": sets([2, 1, 3, 0]), "two": sets([3, 4, 2, 4])}, None)
    assert (table.n_problems["all"], table.n_problems["correct"]) == (4, 2)  # problems 0 and 2
    one, two = table.policies
    assert (one.n_rollouts["all"], one.n_rollouts["correct"], two.n_rollouts["correct"]) == (16, 2 + 3, 3 + 2)
    assert one.cells["correct"]["self_bleu"].value.n_problems == 2
    assert table.reference == "two"


def test_no_correct_rollout_gives_nan_with_its_count_and_never_zero() -> None:
    sets = [rollout_set(["a", "b"], ["x", None], [False, False], problem_id=f"p{p}") for p in range(3)]
    (policy,) = within({"one": sets}, None).policies
    for metric, cell in policy.cells["correct"].items():
        assert np.isnan(cell.value.value), metric
        assert cell.value.n_problems == 0
    assert policy.n_rollouts["correct"] == 0
    assert np.isnan(policy.length["correct"].value)
    assert policy.cells["all"]["strategies"].value.value == 0.0  # found none, which is a finding


def test_what_a_policy_lacks_is_nan_for_it_alone() -> None:
    rng = np.random.default_rng(1)
    plain = drawn_sets(4, 8, rng=rng)
    without_ids = [dataclasses.replace(s, token_ids_N=None, n_classes=None) for s in plain]
    bare, full = within({"bare": without_ids, "full": plain}, None).policies
    no_equation = {"equations"}  # in these texts
    needs_ids = {"self_bleu", "self_bleu_all", "edit_diversity", "distinct_4"}
    for metric in METRICS:
        of_full = metric in EMBEDDING | no_equation
        of_bare = of_full or metric in needs_ids | {"strategies", "strategy_coverage"}
        assert np.isnan(bare.cells["all"][metric].value.value) == of_bare, metric
        assert np.isnan(full.cells["all"][metric].value.value) == of_full, metric


def test_embeddings_come_by_text_and_empty_completions_are_left_out() -> None:
    sets = [rollout_set(["a", "b", "a", ""], list("xyxz"), [True] * 4, problem_id=f"p{p}") for p in range(2)]
    vectors = {"a": np.array([1.0, 0.0]), "b": np.array([0.0, 1.0]), "": np.array([np.nan, np.nan])}
    (policy,) = within({"one": [s.take(np.arange(3)) for s in sets]}, vectors).policies
    # Pairs ab, aa, ba: cosine distances 1, 0, 1.
    assert policy.cells["all"]["dispersion"].value.value == pytest.approx(2 / 3)
    (with_empty,) = within({"one": sets}, vectors).policies
    assert np.isnan(with_empty.cells["all"]["dispersion"].value.value)  # three embeddings are too few for m = 4
    assert with_empty.cells["correct"]["dispersion"].value.value == pytest.approx(2 / 3)


def test_verifier_failures_are_in_no_correct_only_metric() -> None:
    sets = [
        rollout_set(["a", "b", "c"], ["x", "y", "z"], [True, True, False], unknown=[False, False, True], problem_id=i)
        for i in "pq"
    ]
    (policy,) = within({"one": sets}, None).policies
    assert policy.n_unknown == 2
    assert policy.n_rollouts["correct"] == 4


def test_more_rollouts_do_not_mean_more_diversity() -> None:
    rng = np.random.default_rng(2)
    few, many = drawn_sets(80, 16, rng=rng), drawn_sets(80, 64, rng=rng)
    table = within({"few": few, "many": many}, None)
    assert table.m["all"] == 16
    for metric in ("unique_answers", "answer_entropy", "distinct_4", "compression", "self_bleu_all", "strategies"):
        less = table.policies[0].cells["all"][metric].less_reference
        assert less.lower < 0 < less.upper, metric


def test_different_problems_and_too_few_rollouts_are_refused() -> None:
    rng = np.random.default_rng(3)
    sets = drawn_sets(3, 4, rng=rng)
    with pytest.raises(DataError, match="other problems"):
        within({"a": sets, "b": sets[::-1]}, None)
    with pytest.raises(DataError, match=r"b has fewer than two rollouts of 1 problems.*p2"):
        within({"a": sets, "b": [*sets[:2], sets[2].take(np.array([0]))]}, None)


def test_rarefaction_is_to_the_m_that_is_asked() -> None:
    """Four rollouts with answers x, y, x, none: any two of them differ in 5 of 6 pairs, so 11/6 of 2 are distinct."""
    columns = ["a", "b", "c", "d"], ["x", "y", "x", None], [True, True, True, False]
    sets = {"one": [rollout_set(*columns, problem_id=problem) for problem in ("p", "q")]}
    table = within(sets, None, m_all=2, m_correct=3)
    assert table.m == {"all": 2, "correct": 3}
    (policy,) = table.policies
    assert policy.cells["all"]["unique_answers"].value.value == pytest.approx(11 / 12)
    assert policy.cells["correct"]["unique_answers"].value.value == pytest.approx(2 / 3)  # x, y, x: all three are taken
    assert within(sets, None, m_correct=4).n_problems["correct"] == 0  # nobody has four correct ones


@pytest.mark.parametrize(("m_all", "m_correct"), [(1, 2), (5, 2), (None, 1)])
def test_an_m_that_the_rollouts_do_not_allow_is_refused(m_all: int | None, m_correct: int) -> None:
    sets = {"one": [rollout_set(["a", "b", "c", "d"], list("xyxz"), [True] * 4)]}
    with pytest.raises(UsageError, match="rarefaction to"):
        within(sets, None, m_all=m_all, m_correct=m_correct)


def test_rollouts_without_a_verdict_leave_accuracy_open() -> None:
    texts, answers, correct = ["a", "b", "c", "d"], ["x", "y", "x", None], [True, False, True, False]
    sure = [rollout_set(texts, answers, correct, problem_id=f"p{p}") for p in range(4)]
    unsure = [rollout_set(texts, answers, correct, problem_id="p0", unknown=[False, True, False, True]), *sure[1:]]
    (known,), (open_,) = (within({"one": sets}, None).policies for sets in (sure, unsure))
    assert known.accuracy.value == 0.5
    assert np.isnan(open_.accuracy.value)
    assert open_.accuracy.lower <= 0.5 < 0.5 + 2 / 16 <= open_.accuracy.upper
    assert open_.n_unknown == 2


def test_problems_of_one_template_are_resampled_together() -> None:
    """Four copies of every problem, named as one cluster, are no more evidence than the problem itself."""
    rng = np.random.default_rng(6)
    sets = {name: drawn_sets(12, 8, rng=rng, correct=c) for name, c in (("weak", 0.4), ("strong", 0.8))}
    copies = {
        name: [
            dataclasses.replace(s, problem_id=f"{s.problem_id} copy {copy}", cluster=s.problem_id)
            for copy in range(4)
            for s in one
        ]
        for name, one in sets.items()
    }
    alone, whole = within(sets, None), within(copies, None)
    assert (alone.n_clusters, whole.n_clusters) == (None, 12)
    assert (alone.n_problems["all"], whole.n_problems["all"]) == (12, 48)
    for one, many in zip(alone.policies, whole.policies, strict=True):
        for metric in ("unique_answers", "answer_entropy", "self_bleu", "distinct_4"):
            a, b = one.cells["all"][metric], many.cells["all"][metric]
            assert (b.value.lower, b.value.upper) == pytest.approx((a.value.lower, a.value.upper), rel=1e-6)
            if a.less_reference is not None:
                assert b.less_reference.lower == pytest.approx(a.less_reference.lower, rel=1e-6, abs=1e-9)
        assert many.accuracy.upper - many.accuracy.lower == pytest.approx(one.accuracy.upper - one.accuracy.lower, 0.1)
    contrasted = [contrast(s["weak"], s["strong"], "answers", None, seed=0, permutations=19) for s in (sets, copies)]
    assert contrasted[1].between.lower == pytest.approx(contrasted[0].between.lower, rel=1e-6)
