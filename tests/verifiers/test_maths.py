"""Mathematical equality: golden pairs, what is unscored rather than wrong, and canonical forms."""

import json
from pathlib import Path

import pytest

from s2l_lab.errors import UsageError
from s2l_lab.verifiers import Outcome, VerifyItem, verifier_version, verify, verify_many

CASES = json.loads((Path(__file__).parent / "maths_cases.json").read_text(encoding="utf-8"))


def boxed(answer: str) -> str:
    return rf"\boxed{{{answer}}}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['gold'][:16]} {case['answer'][:16]}")
def test_golden_pairs(pool, case):
    # "Answer:" rather than a box, since a lone brace is one of the cases
    verdict = pool.verify(f"Answer: {case['answer']}", case["gold"])
    assert verdict.outcome is (Outcome.CORRECT if case["equal"] else Outcome.INCORRECT), (case["source"], verdict)


@pytest.mark.parametrize("wrapping", ["{}.", "${}$.", "**{}**", r"\[{}\]", r"\({}.\)", " {} "])
def test_what_stands_around_an_answer_does_not_matter_on_either_side(pool, wrapping):
    assert pool.verify(boxed(wrapping.format("3")), "3").outcome is Outcome.CORRECT
    assert pool.verify(boxed("3"), wrapping.format("3")).outcome is Outcome.CORRECT


@pytest.mark.parametrize("gold", [r"$t(0,4]$", "{", r"1, 2, \ldots, n", r"\triangle ABC", r"x \equiv 3 \pmod 7"])
def test_an_unreadable_gold_answer_is_unscored_for_all_but_the_same_text(pool, gold):
    assert pool.verify(f"Answer: {gold}", gold).outcome is Outcome.CORRECT
    verdict = pool.verify("Answer: 5", gold)
    assert verdict.outcome is Outcome.VERIFIER_ERROR
    assert "gold" in verdict.detail


def test_proofs_are_unscored(pool):
    verdict = pool.verify(boxed("QED"), "QED", metadata={"proof": True})
    assert verdict.outcome is Outcome.VERIFIER_ERROR
    assert "proof" in verdict.detail


def test_right_answers_share_the_canonical_form_of_the_gold_answer(pool):
    verdicts = [pool.verify(boxed(a), "n^2-1") for a in ("(n-1)(n+1)", "-1+n^2", "x=n^2-1", "$n^{2}-1$")]
    assert {v.outcome for v in verdicts} == {Outcome.CORRECT}
    assert len({v.canonical for v in verdicts}) == 1


def test_equal_wrong_answers_mostly_share_a_canonical_form_and_never_the_golds(pool):
    wrong = [pool.verify(boxed(a), "7").canonical for a in ("1/2", r"\frac{1}{2}", "0.5", r"\frac{2}{4}")]
    assert len(set(wrong)) == 1
    assert pool.verify(boxed("7"), "7").canonical not in wrong


def test_canonical_forms_are_bounded_and_still_tell_answers_apart(pool):
    long = "+".join(f"x_{{{i}}}" for i in range(45))
    one, other = (pool.verify(boxed(f"{long}+{end}"), "7").canonical for end in ("a", "b"))
    assert max(len(one), len(other)) <= 200
    assert one != other


def test_order_and_repeats_are_kept(pool, problem):
    answers = ["1", "2", "1", "nothing", "2"]
    items = [VerifyItem(problem("2", "math"), boxed(a) if a.isdigit() else a, truncated=False) for a in answers]
    expected = [Outcome.INCORRECT, Outcome.CORRECT, Outcome.INCORRECT, Outcome.NO_ANSWER, Outcome.CORRECT]
    assert [v.outcome for v in pool.verify_many(items)] == expected


def test_verify_many_takes_each_problems_own_kind_unless_told(problem):
    items = [
        VerifyItem(problem("B", "choice"), "B", truncated=False),
        VerifyItem(problem("east", "exact"), "#### east", truncated=False),
    ]
    assert [v.outcome for v in verify_many(items)] == [Outcome.CORRECT, Outcome.CORRECT]
    assert [v.outcome for v in verify_many(items, "exact")] == [Outcome.NO_ANSWER, Outcome.CORRECT]


def test_the_version_names_the_libraries_that_decide():
    assert verifier_version("math").startswith("math-2_math-verify-")
    assert "mpmath-" in verifier_version("math")
    assert "/" not in verifier_version("math")
    assert len({verifier_version(k) for k in ("math", "choice", "exact", "countdown", "official")}) == 5


@pytest.mark.parametrize(("kind", "missing"), [("countdown", "numbers, target"), ("reasoning_gym", "set, seed")])
def test_metadata_that_a_verifier_needs_is_asked_for(kind, missing):
    with pytest.raises(UsageError, match=f"missing: {missing}"):
        verify("#### 1", "1", kind)


def test_an_unknown_verifier_is_refused_with_the_nearest_names():
    with pytest.raises(UsageError, match="Did you mean math"):
        verify("5", "5", "maths")


@pytest.mark.parametrize(
    ("gold", "answer"),
    [(r"x \equiv 3 \pmod 7", r"x \equiv 3 \pmod{7}"), (r"x \equiv 3 \pmod{7}", r"x\equiv3\pmod{ 7 }")],
)
def test_what_cannot_be_read_is_the_same_in_every_spelling_of_its_groups(pool, gold, answer):
    assert pool.verify(boxed(answer), gold).outcome is Outcome.CORRECT
    assert pool.verify(boxed(answer.replace("7", "11")), gold).outcome is not Outcome.CORRECT
