"""A filter survives its URL; a URL that is wrong loses only what is wrong."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from s2l_lab.browse.filters import (
    OUTCOMES,
    PAGE_SIZES,
    PARAMETERS,
    SORTS,
    RolloutFilter,
    from_query,
    to_query,
)

NUMBERS = st.integers(0, 2**31 - 1)
TEXT = st.text(max_size=30)


@st.composite
def ranges(draw: Any) -> tuple[int | None, int | None]:
    low, high = draw(st.none() | NUMBERS), draw(st.none() | NUMBERS)
    return (high, low) if low is not None and high is not None and low > high else (low, high)


@st.composite
def filters(draw: Any) -> RolloutFilter:
    tokens, steps = draw(ranges()), draw(ranges())
    return RolloutFilter(
        policies=tuple(draw(st.lists(TEXT, max_size=3))),
        problem=draw(st.none() | TEXT),
        outcomes=tuple(draw(st.lists(st.sampled_from(OUTCOMES)))),
        source=draw(st.sampled_from((None, "explorer", "learner"))),
        min_tokens=tokens[0],
        max_tokens=tokens[1],
        answer=draw(st.none() | TEXT),
        min_step=steps[0],
        max_step=steps[1],
        text=draw(st.none() | TEXT),
        version=draw(st.none() | TEXT),
        sort=draw(st.sampled_from(SORTS)),
        page=draw(st.integers(1, 2**31 - 1)),
        page_size=draw(st.sampled_from(PAGE_SIZES)),
    )


@given(filters())
def test_a_filter_comes_back_from_its_parameters_and_from_its_address(filter: RolloutFilter) -> None:
    assert from_query(to_query(filter)) == (parsed := from_query(to_query(filter)))
    assert parsed.filter == filter
    assert parsed.problems == ()
    address = urlencode({"run": "a b/c&d=e", "store": "", **to_query(filter)}, doseq=True)
    back = from_query(parse_qs(address, keep_blank_values=True, strict_parsing=True), others={"run", "store"})
    assert back.filter == filter
    assert back.problems == ()
    assert parse_qs(address, keep_blank_values=True)["run"] == ["a b/c&d=e"]


def test_no_filter_is_a_bare_address_and_every_field_has_a_parameter() -> None:
    assert to_query(RolloutFilter()) == {}
    assert set(PARAMETERS) == set(RolloutFilter.model_fields)
    assert len(set(PARAMETERS.values())) == len(PARAMETERS)


@given(
    st.dictionaries(
        st.sampled_from(sorted(PARAMETERS.values())) | st.text(max_size=12),
        st.text(st.characters(), max_size=12) | st.lists(st.text(st.characters(), max_size=12), max_size=3),
        max_size=8,
    )
)
def test_any_address_gives_a_filter_and_names_what_it_left_out(params: dict[str, str | list[str]]) -> None:
    parsed = from_query(params)
    kept = to_query(parsed.filter)
    again = from_query(kept)
    assert again.filter == parsed.filter
    assert again.problems == ()
    for name in params:
        assert name in PARAMETERS.values() or any(repr(name) in words for words in parsed.problems)


@pytest.mark.parametrize(
    ("parameter", "value", "words"),
    [
        ("page", "0", "page"),
        ("page", "two", "whole number"),
        ("page", "٣", "whole number"),
        ("page", "9" * 5000, "whole number"),
        ("page-size", "21", "page-size"),
        ("sort", "random", "sort"),
        ("outcome", "wrong", "outcome"),
        ("source", ["explorer", "learner"], "once only"),
        ("min-tokens", "-1", "whole number"),
        ("text", "half \ud800", "unicode"),
        ("colour", "red", "not known"),
    ],
)
def test_what_is_broken_is_left_out_and_the_rest_counts(parameter: str, value: Any, words: str) -> None:
    parsed = from_query({"policy": ["tiny-2m"], parameter: value, "max-step": "7"})
    assert parsed.filter == RolloutFilter(policies=("tiny-2m",), max_step=7)
    assert len(parsed.problems) == 1
    assert words in parsed.problems[0]


def test_ends_that_contradict_each_other_are_both_left_out() -> None:
    parsed = from_query({"min-tokens": "9", "max-tokens": "3", "min-step": "2"})
    assert parsed.filter == RolloutFilter(min_step=2)
    assert "from 9 to 3" in parsed.problems[0]
    with pytest.raises(ValidationError, match="holds nothing"):
        RolloutFilter(min_tokens=9, max_tokens=3)
