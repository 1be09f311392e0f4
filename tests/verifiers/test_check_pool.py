"""Checks that might not end: each is bounded by the pool's clock, and costs its own verdict and no other."""

import os
import signal
import threading

import psutil
import pytest

from s2l_lab.errors import S2LError, UsageError
from s2l_lab.problems import load_benchmark
from s2l_lab.verifiers import Outcome, VerifierPool
from s2l_lab.verifiers.check_pool import SHORT, CheckPool
from s2l_lab.verifiers.checks import Case

LOGIC = load_benchmark("reasoning-gym:propositional_logic", n=1).problems[0]
SLOW = f"<answer>{'¬' * 900}P</answer>"
"""reasoning-gym's parser copies the rest of the formula at every level, and then evaluates it for every assignment."""


def gym_case(text: str) -> Case:
    return Case(text, LOGIC.answer, "reasoning_gym", LOGIC.metadata, False, "strict")


def test_a_checker_that_does_not_end_is_unscored_and_the_next_case_is_checked():
    with VerifierPool(workers=1, seconds=0.3) as pool:
        slow = pool.verify(SLOW, LOGIC.answer, "reasoning_gym", metadata=LOGIC.metadata)
        after = pool.verify("<answer>nonsense</answer>", LOGIC.answer, "reasoning_gym", metadata=LOGIC.metadata)
    assert (slow.outcome, slow.detail) == (Outcome.VERIFIER_ERROR, "no verdict in 0.3 s of computing")
    assert after.outcome is Outcome.INCORRECT


TEXTS = [
    ("official", "a1 " * 2_000_000, "5"),
    ("official-reward", "a1 " * 2_000_000, "5"),
    ("exact", "Answer: 5 " * 1_000_000, "5"),
    ("choice", "The answer is B. " * 500_000, "B"),
    ("countdown", "Answer: 5 " * 1_000_000, "5"),
]


@pytest.mark.parametrize(("kind", "text", "gold"), TEXTS, ids=[kind for kind, _, _ in TEXTS])
def test_a_long_text_is_bounded_by_the_same_clock_for_every_kind(kind, text, gold):
    with VerifierPool(workers=1, seconds=0.02) as pool:
        verdict = pool.verify(text, gold, kind, metadata={"numbers": [5], "target": 5})
    assert (verdict.outcome, verdict.detail) == (Outcome.VERIFIER_ERROR, "no verdict in 0.02 s of computing")


def test_the_clock_matters_for_maths_too():
    with VerifierPool(workers=1, seconds=0.3) as pool:
        verdict = pool.verify(r"\boxed{\sum_{n=1}^{10^{9}} \sin(n^{2})}", "3")
    assert (verdict.outcome, verdict.detail) == (Outcome.VERIFIER_ERROR, "no verdict in 0.3 s of computing")


@pytest.mark.parametrize("kind", ["official", "official-reward"])
def test_many_digits_are_graded_by_the_papers_scorers_within_the_clock(kind):
    """32,000 digits took a pattern that begins anew at every digit 20 seconds."""
    with VerifierPool(workers=1, seconds=2) as pool:
        verdict = pool.verify("9" * 200_000, "8", kind)
    assert verdict.outcome is Outcome.INCORRECT


@pytest.mark.parametrize(("kind", "text", "gold"), TEXTS, ids=[kind for kind, _, _ in TEXTS])
def test_a_text_is_graded_alike_in_place_and_in_the_process(kind, text, gold):
    unit = text[:17] if kind == "choice" else text[:10]
    with VerifierPool(workers=1) as pool:
        short, long = (
            pool.verify(unit + " " * length + "\n" + unit, gold, kind, metadata={"numbers": [5], "target": 5})
            for length in (SHORT // 2, 2 * SHORT)
        )
    assert short == long


def test_a_process_killed_from_outside_is_unscored_and_replaced():
    with CheckPool(seconds=60, megabytes=1024) as pool:
        pool.check(gym_case("<answer>P</answer>"))
        process = pool._process
        assert process is not None
        killer = threading.Timer(0.3, process.send_signal, [signal.SIGKILL])
        killer.start()
        died = pool.check(gym_case(f"<answer>{'¬' * 970}P</answer>"))
        killer.join()
        assert (died.outcome, died.detail) == (Outcome.VERIFIER_ERROR, "the verifiers' worker died (SIGKILL)")
        assert pool.check(gym_case("<answer>P</answer>")).outcome is Outcome.INCORRECT
        assert pool._process is not process


def test_short_texts_need_no_process_and_closing_leaves_none():
    pool = CheckPool(seconds=5, megabytes=1024)
    assert pool.check(Case("Answer: 5", "5", "exact", {}, False, "strict")).outcome is Outcome.CORRECT
    assert pool._process is None
    pool.check(gym_case("<answer>P</answer>"))
    assert pool._process is not None
    pid = pool._process.pid
    assert os.getpgid(pid) != os.getpgid(0)  # Ctrl-C in a terminal is for the parent
    pool.close()
    pool.close()
    assert not psutil.pid_exists(pid)  # a zombie would exist


def test_a_case_that_cannot_be_checked_is_refused_in_words_from_the_process_too():
    with VerifierPool(workers=1) as pool, pytest.raises(UsageError, match="missing: numbers, target"):
        pool.verify("x" * (2 * SHORT), "5", "countdown")


def test_a_process_that_cannot_start_says_why(monkeypatch, tmp_path):
    (tmp_path / "reasoning_gym.py").write_text("raise ImportError('never imported at the start')")
    (tmp_path / "pydantic.py").write_text("raise ImportError('no module of that name here')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with CheckPool(seconds=5, megabytes=1024) as pool, pytest.raises(S2LError, match=r"could not start .*of that name"):
        pool.check(gym_case("<answer>P</answer>"))


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(seconds):
    with pytest.raises(UsageError, match="positive number of seconds"):
        VerifierPool(seconds=seconds)
