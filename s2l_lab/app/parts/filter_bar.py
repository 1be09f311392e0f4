"""The filter of the Rollouts view: from the URL into widgets, from widgets into a RolloutFilter.

`s2l_lab.browse.filters` reads and writes the URL; this only draws. Where another filter is chosen, the list starts at
its first page and its first rollout is opened.
"""

from __future__ import annotations

from typing import Any

import streamlit as st
from pydantic import ValidationError

from s2l_lab.app.parts.address import SHARED, came_from_outside, current
from s2l_lab.app.parts.look import OUTCOME_WORDS, outcome_label
from s2l_lab.app.parts.runs import Opened
from s2l_lab.app.parts.safe import plain, visible
from s2l_lab.browse.filters import OUTCOMES, PAGE_SIZES, SORTS, RolloutFilter, from_query
from s2l_lab.browse.store import BrowsedStore
from s2l_lab.plans import faults

LISTED = 2_000
"""Problems up to which they are chosen from a list; beyond, by id."""
KEY = "rollouts."
"""Before the field's name: the key of its widget."""
OTHERS = ("rollout", "colour", "other", "show")
"""Parameters of the view that are no part of the filter."""


def _from_address(here: Opened) -> None:
    """Take the filter from the URL if it came from outside. The frame chooses the verifier version."""
    if not came_from_outside("rollouts") and KEY + "policies" in st.session_state:
        return
    parsed = from_query(current(), others={*SHARED, *OTHERS})
    for words in parsed.problems:
        st.warning(plain(words), icon=":material/link_off:")
    _fill(parsed.filter.model_copy(update={"version": here.version}))


def _fill(filter: RolloutFilter) -> None:
    for field in RolloutFilter.model_fields:
        value = getattr(filter, field)
        st.session_state[KEY + field] = list(value) if isinstance(value, tuple) else value
    # A text input cannot tell "any answer" from "no answer"; a box beside it can.
    st.session_state[KEY + "answer"] = filter.answer or ""
    st.session_state[KEY + "no_answer"] = filter.answer == ""
    st.session_state[KEY + "text"] = filter.text or ""
    st.session_state[KEY + "read"] = filter.model_copy(update={"page": 1})


def filter_bar(store: BrowsedStore, here: Opened) -> RolloutFilter:
    """Draw the widgets and return the filter that they say. Call once, before `Address.publish`."""
    _from_address(here)
    state = st.session_state
    state[KEY + "version"] = here.version
    with st.container(border=True):
        first = st.columns([3, 3, 3, 2])
        names = [*store.policies(), *(name for name in state[KEY + "policies"] if name not in store.policies())]
        first[0].multiselect("Policy", names, key=KEY + "policies", placeholder="any")
        first[1].multiselect(
            "Outcome", OUTCOMES, key=KEY + "outcomes", placeholder="any", format_func=outcome_label,
            help="  \n".join(f"{outcome_label(name)}: {OUTCOME_WORDS[name]}" for name in OUTCOMES),
        )  # fmt: skip
        with first[2]:
            _problem(store)
        first[3].selectbox(
            "Sort", SORTS, key=KEY + "sort", help="Surprisal is the mean over the completion's tokens, in nats."
        )
        second = st.columns([3, 2, 2, 2, 2])
        second[0].text_input("Words in it", key=KEY + "text", placeholder="any, whatever the case")
        second[1].text_input(
            "Answer", key=KEY + "answer", placeholder="any", disabled=bool(state[KEY + "no_answer"]),
            help="Keep rollouts whose extracted answer, or its canonical form, equals this text.",
        )  # fmt: skip
        second[1].checkbox("without an answer", key=KEY + "no_answer")
        second[2].number_input("Tokens from", 0, None, None, key=KEY + "min_tokens", placeholder="any")
        second[3].number_input("Tokens to", 0, None, None, key=KEY + "max_tokens", placeholder="any")
        second[4].selectbox("On a page", PAGE_SIZES, key=KEY + "page_size")
        second[4].button(
            "Reset", icon=":material/filter_alt_off:", type="tertiary", key=KEY + "reset",
            on_click=_fill, args=(RolloutFilter(version=here.version),),
        )  # fmt: skip
        _of_training(store, here)
    return _wanted()


def _problem(store: BrowsedStore) -> None:
    problems = store.problems()
    key = KEY + "problem"
    if len(problems) > LISTED:
        st.session_state[key] = st.session_state[key] or ""
        st.text_input("Problem", key=key, placeholder="any: an id")
        return
    names = [*problems, *([asked] if (asked := st.session_state[key]) and asked not in problems else [])]
    st.session_state[key] = asked or None
    st.selectbox(
        "Problem", names, None, key=key, placeholder="any",
        format_func=lambda id: visible(problems[id].prompt)[:90].replace("\n", " ") if id in problems else id,
    )  # fmt: skip


def _of_training(store: BrowsedStore, here: Opened) -> None:
    """Source and steps: of training runs and their evaluations, or where the URL asks for them."""
    state = st.session_state
    asked = state[KEY + "source"] or state[KEY + "min_step"] is not None or state[KEY + "max_step"] is not None
    if here.entry.kind != "training" and not asked:
        return
    third = st.columns([3, 2, 2, 4])
    third[0].selectbox(
        "Source",
        ("explorer", "learner"),
        None,
        key=KEY + "source",
        placeholder="any",
        help="Who sampled the rollout in training: explorer or learner.",
    )
    third[1].number_input("Step from", 0, None, None, key=KEY + "min_step", placeholder="any")
    third[2].number_input("Step to", 0, None, None, key=KEY + "max_step", placeholder="any")


def _wanted() -> RolloutFilter:
    """The filter that the widgets say; its page is the first where anything else has changed."""
    state = st.session_state
    values: dict[str, Any] = {}
    for field in RolloutFilter.model_fields:
        value = state.get(KEY + field)
        values[field] = tuple(value) if isinstance(value, list) else value
    values["problem"] = values["problem"] or None
    values["text"] = values["text"] or None
    values["answer"] = "" if state[KEY + "no_answer"] else values["answer"] or None
    try:
        wanted = RolloutFilter(**values)
    except ValidationError as error:
        reason = "; ".join(words for _, words in faults(error, RolloutFilter, values))
        st.warning(plain(f"{reason}; lengths and steps are left out."), icon=":material/filter_alt_off:")
        ends = dict.fromkeys(("min_tokens", "max_tokens", "min_step", "max_step"))
        wanted = RolloutFilter(**(values | ends))
    start = wanted.model_copy(update={"page": 1})
    if state.get(KEY + "read") != start:
        state[KEY + "read"] = start
        state[KEY + "rollout"] = ""
        wanted = start
    return wanted
