"""Words: sampling parameters, verdicts on crossings, text from outside."""

import numpy as np
import pytest

from s2l_lab.estimators import Comparison, Crossing, Shown
from s2l_lab.figures.caption import crossing_words, sampling_text, wrapped
from s2l_lab.figures.markup import markup, printable
from s2l_lab.policies import SamplingParams


def comparison(found: Crossing) -> Comparison:
    k = np.array([1, 2, 4, 8, 16])
    nothing = np.zeros(5)
    return Comparison(
        "small", "large", k, nothing, nothing, nothing, nothing, nothing, nothing, nothing,
        found, 0.95, "problems", 30, 16, 1,
    )  # fmt: skip


def crossing(outcome: str, k: int | None, k_set: tuple[int, int | None] | None, ranges: str) -> Crossing:
    """`ranges` as "b1-4 a8-16": who the band shows ahead, from which k to which."""
    shown = tuple(Shown(one[0], *map(int, one[1:].split("-"))) for one in ranges.split())  # type: ignore[arg-type]
    return Crossing(outcome, k, k_set, shown[0].ahead if shown else None, 1, shown)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (crossing("at", 4, (2, 8), "b1-1 a8-16"), "small overtakes at k = 4 (set: 2 to 8)"),
        (crossing("at", 4, (2, 8), "a1-1 b8-16"), "large overtakes at k = 4 (set: 2 to 8)"),
        (
            crossing("at", 4, (3, 8), "b2-2 a8-16"),
            "small overtakes at k = 4 (set: 3 to 8): large ahead at k = 2, small ahead at k = 8 to 16",
        ),
        (
            crossing("at", 4, (2, None), "b1-1 a8-8"),
            "small overtakes at k = 4 (set: 2 to none by 16): large ahead at k = 1, small ahead at k = 8",
        ),
        (
            crossing("at", None, None, "b1-1 a2-4 b8-16"),
            "small overtakes for some k only: large ahead at k = 1, small ahead at k = 2 to 4, "
            "large ahead at k = 8 to 16",
        ),
        (crossing("ahead", None, None, "b1-16"), "large ahead at every k to 16"),
        (crossing("none", None, None, "a1-16"), "small ahead at every k to 16"),
        (crossing("undetermined", None, (1, None), ""), "cannot tell who is ahead at any k to 16"),
        (crossing("undetermined", None, (8, None), "b1-4"), "large ahead to k = 4, beyond: cannot tell"),
        (crossing("undetermined", None, None, "a8-16"), "small ahead from k = 8, below: cannot tell"),
        # The band holds 0 at k = 1: nothing is said of it.
        (crossing("undetermined", None, (8, None), "b2-4"), "large ahead at k = 2 to 4; elsewhere: cannot tell"),
    ],
)
def test_every_outcome_has_its_words(found: Crossing, words: str) -> None:
    assert crossing_words(comparison(found)) == words


def test_sampling_text_names_all_that_shapes_the_draws() -> None:
    nothink = SamplingParams(temperature=0.7, top_p=0.8, top_k=20, presence_penalty=1.5, max_tokens=99, seed=7)
    assert sampling_text(nothink) == "T 0.7, top-p 0.8, top-k 20, presence penalty 1.5, at most 99 tokens, seed 7"
    rest = SamplingParams(min_p=0.05, stop=("\n",))
    assert sampling_text(rest) == "T 1, top-p 1, top-k off, min-p 0.05, at most 1024 tokens, stop '\\n', seed 0"


def test_control_characters_show_and_tags_do_not_act() -> None:
    assert printable("a\x1b[2Jb\nc\u202ed") == "a\ufffd[2Jb\ufffdc\ufffdd"
    assert markup('<a href="x">&lt;') == "&lt;a href=&quot;x&quot;&gt;&amp;lt;"


def test_long_captions_break_and_lose_nothing() -> None:
    line = "one two three " * 20
    pieces = wrapped([line, "short"], 40)
    assert max(map(len, pieces)) <= 40
    assert " ".join(pieces).split() == [*line.split(), "short"]
