"""Words: sampling parameters, verdicts on crossings, text from outside."""

import numpy as np
import pytest

from s2l_lab.estimators import Comparison, Crossing
from s2l_lab.figures.caption import crossing_words, sampling_text, wrapped
from s2l_lab.figures.markup import markup, printable
from s2l_lab.policies import SamplingParams


def comparison(crossing: Crossing) -> Comparison:
    k = np.array([1, 2, 4, 8, 16])
    nothing = np.zeros(5)
    return Comparison(
        "small", "large", k, nothing, nothing, nothing, nothing, nothing, nothing, nothing,
        crossing, 0.95, "problems", 30, 16, 1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("crossing", "words"),
    [
        (Crossing("at", 4, (2, 8), "b", 1), "small overtakes at k = 4 (set: 2 to 8)"),
        (Crossing("at", 4, (2, 8), "a", 1), "large overtakes at k = 4 (set: 2 to 8)"),
        (Crossing("ahead", None, None, "b", 0), "large ahead at every k to 16"),
        (Crossing("none", None, None, "a", 0), "small ahead at every k to 16"),
        (Crossing("none", None, None, None, 0), "equal at every k to 16"),
        (Crossing("undetermined", None, (1, None), None, 3), "cannot tell who is ahead at any k to 16"),
        (Crossing("undetermined", None, (8, None), "b", 1), "large ahead to k = 4, beyond: cannot tell"),
        (Crossing("undetermined", None, (1, 8), "a", 1), "cannot tell below k = 8; there small is ahead"),
    ],
)
def test_every_verdict_has_its_words(crossing: Crossing, words: str) -> None:
    assert crossing_words(comparison(crossing)) == words


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
