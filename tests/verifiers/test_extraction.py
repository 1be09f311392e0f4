"""Where the answer stands: laws against a brute-force matcher, golden cases, adversarial lengths."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2l_lab.problems import load_benchmark
from s2l_lab.verifiers import Outcome, VerifierPool, extract_answer, verify
from s2l_lab.verifiers.boxes import last_boxed
from s2l_lab.verifiers.choice import chosen_letter
from s2l_lab.verifiers.drafts import final_parts
from s2l_lab.verifiers.extraction import last_tagged
from s2l_lab.verifiers.lenient import lenient_answer

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


FILLERS = [r"\boxed{", "{", "}", "####", "answer:", "answer ", "<answer>", r"\boxed{}", "\\", "<think>", "</think>"]
FILLERS += [r"\boxed ", r"\boxed 1", r"\boxed 1{a", r"\boxed{1},", r"\boxed{1} and ", "answer:\n", "answer:\\n\\["]
FILLERS += [
    "the answer is ",
    "the answer is not ",
    "**1",
    "$",
    "9",
    "1,",
    "1 ",
    "#### a\n",
    "- 1\n",
    "```\n",
    "**",
    "__",
]
FILLERS += ["I choose ", "B", "(B) is ", "B is", "**B:", " ", "\n", "x = ", "answer (", "Answer: $$\n", r"\text{ or }"]
FILLERS += [
    "the answer to ",
    "The answer is 1. No ",
    "<|channel|>analysis",
    "<|end|>",
    "B or ",
    "(B) and ",
    "~~",
    "not ",
]
FILLERS += [
    r"not \boxed{1} ",
    "The answer is B, ",
    "1; ",
    "if the answer is B. ",
    "final ",
    "answer is:\n- 1\n",
    "____ ",
]


@pytest.mark.parametrize("filler", FILLERS)
@pytest.mark.parametrize("length", [20_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_time_is_linear_in_hostile_text(filler, length):
    for text in (filler * (length // len(filler)), "Answer: 1" + filler * (length // len(filler)) + "x"):
        start = time.process_time()
        extract_answer(text)
        lenient_answer(text, cut=False)
        chosen_letter(text, extraction="lenient")
        last_tagged(text)
        # A quadratic scan of 100,000 characters needs longer than 5 s.
        assert time.process_time() - start < 5 * (length / 100_000) ** 2


TAGS = ["<think>", "</think>", "<THOUGHT>", "</reasoning>", r"\boxed{1}", "Answer: 2\n", "#### 3\n", " or "]


@given(st.lists(st.sampled_from(TAGS), max_size=10))
def test_what_stands_inside_a_draft_is_never_the_answer(pieces):
    """By the words of the rule, one tag at a time: where a text is cut into parts, and what is looked at."""
    parts, drafting = [""], False
    for piece in pieces:
        if piece.startswith("</"):
            parts, drafting = ([*parts, ""] if drafting else [""]), False
        elif piece.startswith("<"):
            drafting = True
        elif not drafting:
            parts[-1] += piece
    expected = [] if drafting else parts
    assert [part for part in final_parts("".join(pieces)) if part] == [part for part in expected if part]
    found = [answer for part in reversed(expected) if (answer := extract_answer(part))]
    assert extract_answer("".join(pieces)) == (found[0] if found else None)


CHAIN = load_benchmark("reasoning-gym:chain_sum", n=1).problems[0]
DRAFTED = [
    # kind, gold, metadata, a right answer, a wrong one
    ("math", "7", {}, r"\boxed{7}", r"\boxed{5}"),
    ("exact", "east", {}, "Answer: east", "Answer: west"),
    ("choice", "B", {}, "The answer is B.", "The answer is A."),
    ("countdown", "9", {"numbers": [1, 2, 3], "target": 9}, "#### (1+2)*3", "#### 1+2*3"),
    ("reasoning_gym", CHAIN.answer, CHAIN.metadata, f"<answer>{CHAIN.answer}</answer>", "<answer>no</answer>"),
]


@pytest.mark.parametrize(("kind", "gold", "metadata", "right", "wrong"), DRAFTED, ids=[case[0] for case in DRAFTED])
@pytest.mark.parametrize("extraction", ["strict", "lenient"])
def test_drafts_are_no_answers_for_any_verifier(kind, gold, metadata, right, wrong, extraction):
    with VerifierPool(workers=1, extraction=extraction) as pool:

        def outcome(text, *, truncated=False):
            return pool.verify(text, gold, kind, metadata=metadata, truncated=truncated).outcome

        assert outcome(f"<think>{wrong}</think>\n{right}") is Outcome.CORRECT
        assert outcome(f"<think>{right}</think>\n{wrong}") is Outcome.INCORRECT
        assert outcome(f"{right}\n</think>\n{wrong}") is Outcome.INCORRECT
        assert outcome(f"<think>{right}</think>\nI could not find it, sorry.") is Outcome.NO_ANSWER
        assert outcome(f"<think>{right}") is Outcome.NO_ANSWER
        assert outcome(f"<think>{right}", truncated=True) is Outcome.TRUNCATED


def test_the_papers_scorer_reads_drafts_like_any_text():
    assert verify(r"<think>\boxed{7}</think>", "7", "official").outcome is Outcome.CORRECT


@pytest.mark.parametrize("answer", ["$east$", r"\text{east}", r"$\text{east}$", r"\(east\)", " east ", "east."])
def test_what_stands_around_an_exact_answer_does_not_matter_on_either_side(answer):
    assert verify(rf"\boxed{{{answer}}}", "east", "exact").outcome is Outcome.CORRECT
    assert verify("Answer: east", answer, "exact").outcome is Outcome.CORRECT


ODD = [
    "Yes, because X",
    "2. Next",
    "x;",
    "a*",
    "f(x)}",
    "_x_",
    "**x**",
    '"x"',
    "...",
    "?",
    ".",
    "_",
    "*",
    "}",
    "about 12",
]


@pytest.mark.parametrize("gold", ODD)
@pytest.mark.parametrize("extraction", ["strict", "lenient"])
def test_a_gold_answer_repeated_to_the_letter_is_correct_whatever_it_holds(gold, extraction):
    def outcome(text):
        return verify(text, gold, "exact", extraction=extraction).outcome

    assert outcome(f"Answer: {gold}") is Outcome.CORRECT
    assert outcome(f"Let me see.\n#### {gold}") is Outcome.CORRECT
    assert outcome(f"Answer: {gold}\nAnswer: west") is Outcome.INCORRECT
    assert outcome(f"\\boxed{{west}}\nAnswer: {gold}") is Outcome.INCORRECT
    assert outcome(f"<think>Answer: {gold}</think>\nAnswer: west") is Outcome.INCORRECT


def test_a_gold_answer_of_maths_that_is_punctuation_can_be_repeated():
    assert verify("Answer: ?", "?", "math").outcome is Outcome.CORRECT
    assert verify("Answer: 5", "?", "math").outcome is not Outcome.CORRECT


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
