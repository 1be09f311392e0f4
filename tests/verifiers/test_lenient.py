"""The extraction `lenient`: golden cases, what it shares with `strict`, and a version of its own."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2l_lab.errors import UsageError
from s2l_lab.verifiers import Outcome, VerifierPool, extract_answer, verifier_version, verify
from s2l_lab.verifiers.choice import chosen_letter
from s2l_lab.verifiers.extraction import marked
from s2l_lab.verifiers.lenient import lenient_answer

HERE = Path(__file__).parent
CASES = json.loads((HERE / "lenient_cases.json").read_text(encoding="utf-8"))
LETTERS = json.loads((HERE / "lenient_letter_cases.json").read_text(encoding="utf-8"))
STRICT = json.loads((HERE / "extraction_cases.json").read_text(encoding="utf-8"))
STRICT_LETTERS = json.loads((HERE / "choice_cases.json").read_text(encoding="utf-8"))
KINDS = ("math", "exact", "choice", "countdown", "reasoning_gym")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"][:40])
def test_golden_extractions(case):
    assert lenient_answer(case["text"], cut=case.get("cut", False)) == case["answer"], case["source"]


@pytest.mark.parametrize("case", LETTERS, ids=lambda case: case["text"][:40])
def test_golden_letters(case):
    assert chosen_letter(case["text"], extraction="lenient") == case["letter"], case["source"]


@pytest.mark.parametrize("case", STRICT, ids=lambda case: case["text"][:40])
def test_what_strict_finds_lenient_finds_too(case):
    if case["answer"] is not None:
        assert lenient_answer(case["text"], cut=True) == case["answer"], case["source"]


@pytest.mark.parametrize("case", STRICT_LETTERS, ids=lambda case: case["text"][:40])
def test_letters_that_strict_finds_lenient_finds_too(case):
    if case["letter"] is not None:
        assert chosen_letter(case["text"], extraction="lenient") == case["letter"], case["source"]


WORDS = [r"\boxed{5}", "Answer: 6", "#### 7", "the answer is 8.", "**9**", "\n", " so ", "<answer>1</answer>", "```\n"]


@given(st.lists(st.sampled_from(WORDS), max_size=8), st.booleans())
def test_a_marked_answer_is_the_same_under_both_names(pieces, cut):
    text = "".join(pieces)
    if marked(text):
        assert lenient_answer(text, cut=cut) == extract_answer(text)


@pytest.mark.parametrize(
    ("kind", "text", "gold", "metadata"),
    [
        ("math", "The answer is 12.", "12", {}),
        ("exact", "The answer is east.", "east", {}),
        ("choice", "I would choose B", "B", {}),
        ("countdown", "The answer is (1+2)*3.", "9", {"numbers": [1, 2, 3], "target": 9}),
    ],
)
def test_every_kind_that_extracts_can_be_lenient(kind, text, gold, metadata):
    assert verify(text, gold, kind, metadata=metadata).outcome is Outcome.NO_ANSWER
    assert verify(text, gold, kind, metadata=metadata, extraction="lenient").outcome is Outcome.CORRECT


def test_lenient_verdicts_are_of_versions_of_their_own():
    versions = [verifier_version(kind, extraction) for kind in KINDS for extraction in ("strict", "lenient")]
    assert len(set(versions)) == len(versions)
    with VerifierPool(extraction="lenient") as pool:
        assert pool.version("math") == verifier_version("math", "lenient") != verifier_version("math")
    assert "lenient" not in verifier_version("math")


@pytest.mark.parametrize("kind", ["official", "official-reward", "official-online-reward"])
def test_the_papers_scorers_keep_their_own_extraction(kind):
    with pytest.raises(UsageError, match="finds answers by its own rules"):
        verifier_version(kind, "lenient")
    with pytest.raises(UsageError, match="finds answers by its own rules"):
        verify("5", "5", kind, extraction="lenient")


def test_an_unknown_extraction_is_refused_with_the_nearest_names():
    with pytest.raises(UsageError, match="Did you mean lenient"):
        verifier_version("math", "leniant")  # type: ignore[arg-type]
