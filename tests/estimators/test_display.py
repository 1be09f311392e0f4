"""Records print themselves with value, interval and n; names from outside stay text; frames have every number."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2l_lab.estimators import Counts, Estimate, compare_all, pass_at_k_curve
from s2l_lab.estimators.compare import compare
from s2l_lab.estimators.decisions import judge
from s2l_lab.estimators.display import Displayed, reading, spread_of_k
from s2l_lab.estimators.estimate import Comparisons

CORRECT, TOTAL = np.array([3, 0, 60, 12, 1]), np.full(5, 64)
ESTIMATE = Estimate(0.5, 0.25, 0.75, 0.95, "t", "problems", 5, 320)
CURVE = pass_at_k_curve(CORRECT, TOTAL)
PAIR = compare({"1.7B": (CORRECT, 64), "8B": (CORRECT[::-1], 64)})
DIFFERENCE = Estimate(0.03, 0.01, 0.05, 0.95, "t", "seeds", 5, 320, 8, se=0.01, df=7)
VERDICT = judge([DIFFERENCE], ["above"], 0.02)[0]


@pytest.mark.parametrize("record", [ESTIMATE, CURVE, PAIR, VERDICT], ids=lambda record: type(record).__name__)
def test_a_record_prints_value_interval_and_n_on_one_line(record: Displayed) -> None:
    line = repr(record)
    assert "\n" not in line
    assert line.startswith(f"<{type(record).__name__}")
    values = record.to_frame().iloc[0]
    assert reading(values.value, values.lower, values.upper, signed=record in (PAIR, VERDICT)) in line
    assert f"n = {values.n_problems} problems" in line
    assert "95% CI over" in line
    assert all(note in record._repr_html_() for note in (f"n = {values.n_problems} problems", "95% CI over"))


def test_frames_have_every_number_of_a_record() -> None:
    frame = CURVE.to_frame()
    for name in ("k", "value", "lower", "upper", "band_lower", "band_upper", "bound_low", "bound_high"):
        np.testing.assert_array_equal(frame[name], getattr(CURVE, name))
    assert (frame["n_problems"] == 5).all()
    pairs = compare(dict.fromkeys("abc", (CORRECT, 64)))
    assert isinstance(pairs, Comparisons)
    assert len(pairs.to_frame()) == 3 * 64
    assert pairs.to_frame()[["a", "b"]].drop_duplicates().to_numpy().tolist() == [["a", "b"], ["a", "c"], ["b", "c"]]


def test_a_claim_without_runs_shows_that_there_is_no_difference() -> None:
    (decision,) = judge([None], ["above"], 0.02)
    assert repr(decision) == "<Decision cannot tell: no difference; no pair of finished runs>"
    assert decision.to_frame()["value"].isna().all()


class Words(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.lists(st.text(min_size=1, max_size=12), min_size=2, max_size=2, unique=True))
def test_a_name_is_text_in_the_table_whatever_it_holds(names: list[str]) -> None:
    one = Counts(tuple("pqrst"), CORRECT, TOTAL, np.zeros(5, np.int64))
    (found,) = compare_all(dict.fromkeys(names, one), [1, 64], replicates=200)
    words = Words(found._repr_html_())
    assert words.tags == {"table", "caption", "tr", "td"}
    assert f"{names[1]} minus {names[0]}".replace("\r", "\n") in words.text.replace("\r", "\n")


def test_rows_of_a_table_are_powers_of_two_and_the_end() -> None:
    assert [k for k in range(1, 101) if k - 1 in spread_of_k(list(range(1, 101)))] == [1, 2, 4, 8, 16, 32, 64, 100]
