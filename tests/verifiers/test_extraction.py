"""Where the answer stands: laws against a brute-force matcher, golden cases, adversarial lengths."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2l_lab.verifiers import Outcome, extract_answer, verify
from s2l_lab.verifiers.extraction import last_boxed, last_tagged

CASES = json.loads((Path(__file__).parent / "extraction_cases.json").read_text(encoding="utf-8"))
PIECES = st.lists(
    st.sampled_from([r"\boxed{", r"\boxed {", "{", "}", r"\{", r"\}", "\\\\", "a", " ", "\n", "####"]), max_size=14
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"][:40])
def test_golden_extractions(case):
    assert extract_answer(case["text"]) == case["answer"], case["source"]


def closing(text: str, start: int) -> int | None:
    """Where the brace that opens just before `start` closes: braces counted one character at a time."""
    depth, i = 1, start
    while i < len(text):
        if text[i] == "\\":
            i += 2
            continue
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return i
        i += 1
    return None


def brute_force(text: str) -> str | None:
    """Try every position as the begin of a box, last one first."""
    begins = []
    i = 0
    while i < len(text):
        head = next((h for h in (r"\boxed{", r"\boxed {") if text.startswith(h, i)), None)
        if head:
            begins.append(i + len(head))
            i += len(head)
        else:
            i += 2 if text[i] == "\\" else 1
    for start in reversed(begins):
        end = closing(text, start)
        if end is not None and text[start:end].strip():
            return text[start:end].strip()
    return None


@given(PIECES)
def test_last_balanced_box_is_what_brute_force_finds(pieces):
    text = "".join(pieces)
    assert last_boxed(text) == brute_force(text)


@given(st.text(alphabet="ab1 \n#$:", max_size=40))
def test_text_without_a_marker_has_no_answer(text):
    if "####" not in text and "nswer" not in text:
        assert extract_answer(text) is None


@given(st.lists(st.sampled_from(["<answer>", "</answer>", "x", " ", "<", "\n"]), max_size=12))
def test_last_tagged_holds_no_tag(pieces):
    found = last_tagged("".join(pieces))
    assert found is None or ("answer>" not in found and found)


def test_four_hundred_decoys_before_the_real_box():
    decoys = "".join(rf"\boxed{{{i}}} is wrong. " for i in range(400))
    assert extract_answer(decoys + r"So \boxed{\frac{14}{3}}.") == r"\frac{14}{3}"


@pytest.mark.parametrize("filler", [r"\boxed{", "{", "}", "####", "answer:", "answer ", "<answer>", r"\boxed{}", "\\"])
def test_time_is_linear_in_hostile_text(filler):
    text = filler * (400_000 // len(filler))
    start = time.process_time()
    extract_answer(text)
    last_tagged(text)
    assert time.process_time() - start < 5  # a quadratic scan of 400,000 characters needs minutes


@pytest.mark.parametrize("text", ["", "   ", "\n\n", r"\boxed{}", "the answer may be 5"])
@pytest.mark.parametrize("kind", ["math", "exact", "countdown"])
def test_no_answer_is_truncated_only_when_cut_off(text, kind):
    metadata = {"numbers": [5], "target": 5}
    assert verify(text, "5", kind, metadata=metadata).outcome is Outcome.NO_ANSWER
    assert verify(text, "5", kind, metadata=metadata, truncated=True).outcome is Outcome.TRUNCATED


def test_a_cut_off_completion_with_an_answer_is_graded():
    text = "So #### 5 and let me check"
    assert verify("#### 5", "5", "exact", truncated=True).outcome is Outcome.CORRECT
    assert verify(text, "5", "exact", truncated=True).outcome is Outcome.INCORRECT
