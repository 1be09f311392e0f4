"""Pairs of gold answer and completion that users of other verifiers reported as graded wrongly."""

import json
from pathlib import Path

import pytest

from s2l_lab.verifiers import Outcome

CASES = json.loads((Path(__file__).parent / "reported_cases.json").read_text(encoding="utf-8"))
LETTERS = {
    Outcome.CORRECT: "C",
    Outcome.INCORRECT: "I",
    Outcome.NO_ANSWER: "N",
    Outcome.TRUNCATED: "T",
    Outcome.VERIFIER_ERROR: "E",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['gold'][:20]} {case['text'][:24]}")
def test_a_reported_pair_is_graded_as_a_person_would(pool, case):
    verdict = pool.verify(case["text"], case["gold"], truncated=case["truncated"])
    assert LETTERS[verdict.outcome] in case["allowed"], (case["topic"], case["source"], verdict)
