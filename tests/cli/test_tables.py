"""The terminal tables: the report's numbers, narrow, plain, and deaf to what names contain."""

import dataclasses
import io
import re
import sys
from pathlib import Path

import pytest
from rich.console import Console

from s2l_lab.cli.tables import print_passk, silent_line
from s2l_lab.figures.tables import amount, number, shown_ks

sys.path.append(str(Path(__file__).parents[1] / "figures"))  # reports are shared with the tests of figures
from synthetic_reports import synthetic_report


def printed(width: int = 80, **changes: object) -> str:
    stream = io.StringIO()
    print_passk(synthetic_report(**changes), Console(file=stream, width=width))  # type: ignore[arg-type]
    return stream.getvalue()


def cell_of(value: float, low: float, high: float) -> tuple[str, str]:
    return number(value), f"[{number(low, 2)}, {number(high, 2)}]"


@pytest.mark.parametrize("interval", ["rollouts", "problems"])
def test_values_and_intervals_are_the_reports(interval: str) -> None:
    report = synthetic_report(problems=40, rollouts=64, interval=interval)
    text = printed(problems=40, rollouts=64, interval=interval)
    for policy in report.policies:
        curve = policy.curve_problems if interval == "problems" else policy.curve_rollouts
        for k in (1, 4, 16, 64):
            value, ends = cell_of(curve.value[k - 1], curve.lower[k - 1], curve.upper[k - 1])
            row = next(line for line in text.splitlines() if line.startswith(f"{policy.name} "))
            assert value in row
            assert ends in text
    votes, estimate = report.policies[0].maj[-1]
    assert f"maj@{votes}" in text
    assert number(estimate.value) in text


def test_cover_shows_both_points_and_the_bounds_that_hold_whatever_the_prior() -> None:
    report = synthetic_report(problems=40, rollouts=64)
    text = printed(problems=40, rollouts=64)
    for policy in report.policies:
        cover = policy.cover
        for i in (5, 31, 57):  # the tau nearest to .1, .5 and .9
            assert f"{number(cover.smoothed[i])} | {number(cover.npmle[i])}" in text
            assert f"[{number(cover.bounds_lower[i], 2)}, {number(cover.bounds_upper[i], 2)}]" in text
    assert "smoothed | NPMLE over exact bounds" in text
    assert "for any distribution inside the DKW band" in " ".join(text.split())


def test_every_pair_has_its_verdict_in_words() -> None:
    text = " ".join(printed(width=100).split())
    # The band shows tiny-360k ahead, but not to N: none by 64 is in the set, and the ranges are said.
    assert "tiny-360k overtakes at k = 4 (set: 2 to none by" in text
    assert "tiny-360k ahead to k = 11, beyond: cannot tell" in text


@pytest.mark.parametrize("width", [80, 100])
def test_nothing_is_wider_than_the_terminal_and_all_is_plain_ascii(width: int) -> None:
    family = [(f"a-rather-long-name-of-a-member-{i}b", 10**9, 0.3 + i / 5, 1.2) for i in range(3)]
    for changes in ({}, {"members": family, "problems": 30, "rollouts": 256, "guessers": 1000}):
        text = printed(width, **changes)
        assert max(len(line.rstrip()) for line in text.splitlines()) <= width
        assert "\x1b" not in text
        assert text.isascii()


def test_caption_says_n_sampling_interval_verifier_data_and_command() -> None:
    text = " ".join(printed().split())
    for fact in (
        "n = 100 problems, N = 64",
        "top-p 0.8",
        "95 % CI over rollouts of the same problems",
        "Verifier countdown-1",
        "3f8a09bc",
        "-n 64",
    ):
        assert fact in text


def test_intervals_that_lean_on_a_prior_are_starred_and_the_star_is_explained() -> None:
    text = printed(rollouts=16, problems=30)
    assert re.search(r"\[\.\d\d, \.\d\d\]\*", text)
    assert "k > N/2, where the interval depends on a prior" in text
    assert "*" not in printed(rollouts=16, problems=30, interval="problems")


def test_missing_verdicts_show_both_ends_and_their_number() -> None:
    text = printed(problems=30, rollouts=8, unknown=2)
    assert re.search(r"\.\d{3} to \.\d{3}", text)
    assert "6 rollouts without a verdict" in " ".join(text.split())


def test_names_are_shown_and_not_obeyed() -> None:
    family = [("[red]x[/red]", 10**6, 0.5, 1.5), ("\x1b[2Jb", 10**7, 0.9, 1.5)]
    text = printed(members=family, problems=20, rollouts=4)
    assert "[red]x[/red]" in text
    assert "\x1b" not in text
    assert "\ufffd[2Jb" in text


def test_unknown_sizes_and_lengths_are_dashes_never_zero() -> None:
    text = printed(members=[("api", 0, 0.5, 1.5)], problems=20, rollouts=4)
    cost = next(line for line in text.split("cost")[1].splitlines() if line.startswith("api"))
    assert cost.split()[1] == "-"
    assert cost.split()[-1] == "-"
    assert "differences" not in text.split("countdown:")[0]


@pytest.mark.parametrize(
    ("n_rollouts", "ks"),
    [(1, [1]), (2, [1, 2]), (64, [1, 4, 16, 64]), (100, [1, 4, 16, 64, 100]), (1000, [1, 16, 64, 256, 1000])],
)
def test_the_table_shows_k_1_and_n(n_rollouts: int, ks: list[int]) -> None:
    assert shown_ks(n_rollouts) == ks


@pytest.mark.parametrize(
    ("value", "text"), [(0.7314, ".731"), (1.0, "1.000"), (0.9996, "1.000"), (-0.05, "-.050"), (float("nan"), "-")]
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


def test_signed_number() -> None:
    assert [number(v, 2, "+") for v in (0.1, -0.1, 0.0)] == ["+.10", "-.10", "+.00"]


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (999, "999"), (1930000, "1.93M"), (6.4e3, "6.4k"), (2.1e13, "21T"), (float("nan"), "-"), (999999, "1M")],
)
def test_amount(count: float, text: str) -> None:
    assert amount(count) == text


STRICT, LENIENT = "math-2_math-verify-0.9.0", "math-2_lenient-1_math-verify-0.9.0"


@pytest.mark.parametrize(
    ("cut", "silent", "verifier", "said"),
    [
        (0, 20, STRICT, None),
        (20, 0, STRICT, None),
        (10, 10, STRICT, None),
        (21, 0, STRICT, ["21% of small's 100 rollouts", "raise --max-tokens (21% were cut"]),
        (
            0,
            21,
            STRICT,
            ["21% of small's", "s2l-lab verify --run 'my run' --extraction lenient (21% ended"],
        ),
        (11, 10, STRICT, ["21% of small's 100 rollouts", "--max-tokens (11%", "--extraction lenient (10%"]),
        (0, 100, LENIENT, ["100% of small's 100 rollouts", "s2l-lab dashboard"]),
    ],
)
def test_more_than_a_fifth_without_an_answer_is_said_with_what_to_do(
    cut: int, silent: int, verifier: str, said: list[str] | None
) -> None:
    outcomes = {"correct": 100 - cut - silent, "truncated": cut, "no_answer": silent}
    line = silent_line("small", outcomes, Path("my run"), verifier)
    assert (line is None) is (said is None)
    assert all(words in str(line) for words in said or ())
    assert "lenient" not in str(line) or verifier is not LENIENT


def test_no_rollouts_have_no_such_line() -> None:
    assert silent_line("small", {}, Path("run"), STRICT) is None


def test_the_line_stands_below_the_tables_and_its_names_are_text() -> None:
    report = synthetic_report(problems=30, rollouts=8)
    policies = [
        dataclasses.replace(p, name="[blink]\x1bloud", outcomes={"correct": 1, "no_answer": 1}) for p in report.policies
    ]
    stream = io.StringIO()
    print_passk(dataclasses.replace(report, policies=tuple(policies)), Console(file=stream, width=80))
    text = " ".join(stream.getvalue().split())
    assert "WARNING: 50% of [blink]" in text
    assert "\x1b" not in text


def test_what_has_no_data_is_named_with_its_reason() -> None:
    report = synthetic_report(problems=30, rollouts=8)
    policies = [dataclasses.replace(p, no_data={"maj@k": "why", "pass^k": "why"}) for p in report.policies]
    stream = io.StringIO()
    print_passk(dataclasses.replace(report, policies=tuple(policies)), Console(file=stream, width=200))
    assert f"No data for {policies[0].name}: maj@k, pass^k (why)." in stream.getvalue()
