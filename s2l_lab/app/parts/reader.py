"""One rollout to read: who wrote it, what the verifier said, the problem, the completion as text or token by token."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import streamlit as st

from s2l_lab.app.parts.address import Address, link, shared
from s2l_lab.app.parts.export_row import export_table
from s2l_lab.app.parts.look import OUTCOME_BADGES, OUTCOME_WORDS, outcome_label
from s2l_lab.app.parts.measured import on_demand
from s2l_lab.app.parts.runs import Opened, provenance_of
from s2l_lab.app.parts.safe import model_text, plain, visible
from s2l_lab.app.parts.states import errors_shown, notes
from s2l_lab.app.parts.tokens import token_limit, token_strip
from s2l_lab.browse.decoding import decoder_of
from s2l_lab.browse.log_ratio import LogRatio, log_ratio, scored
from s2l_lab.browse.provenance import caption
from s2l_lab.browse.rollout_pages import read_rollout
from s2l_lab.browse.rows import FullRollout
from s2l_lab.browse.store import BrowsedStore
from s2l_lab.browse.tokens import MEASURES, Measure, Strip, strip
from s2l_lab.errors import S2LError

SHOW = ("text", "tokens")
_WORDS = {
    "surprisal": "surprisal",
    "surprisal_t1": "surprisal at T = 1",
    "entropy": "entropy",
    "log_ratio": "log-ratio",
}


def token_switches(url: Address, store: BrowsedStore) -> None:
    """Declare the switches that `read` draws: `show`, `colour`, `other`."""
    url.option("show", SHOW)
    url.option("colour", tuple(MEASURES))
    url.option("other", store.policies())


def read(url: Address, here: Opened, address: str) -> None:
    """Draw the rollout at an address with its verdict, or say that it is gone."""
    store = here.store
    try:
        one = read_rollout(store, address, here.version, here.rounds)
    except S2LError as error:
        st.error(plain(error), icon=":material/error:")
        return
    facts(one)
    with st.expander("Problem", expanded=len(one.prompt) < 600):
        model_text(one.prompt or "The store does not have this problem's text.", "reader.prompt")
    if one.rendered and one.rendered != one.prompt:
        with st.expander("Prompt, as the policy was given it"):
            model_text(one.rendered, "reader.rendered")
    answers(one)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        how = st.segmented_control("Show as", SHOW, key=url.key("show"), required=True, label_visibility="collapsed")
        colour = _colour(url, store) if how == "tokens" else "surprisal"
        link("compare", "Compare policies on this problem", shared() | {"problem": one.row.problem_id})
    if how == "tokens":
        _tokens(url, here, one, colour)
    else:
        model_text(one.text, f"reader.{address}")


def facts(one: FullRollout, *, problem: bool = True) -> None:
    """Verdict, policy and sizes on one line; `problem`: its id too."""
    row = one.row
    surprisal = "" if math.isnan(row.mean_surprisal) else f"{row.mean_surprisal:.2f} nats per token"
    words = [
        row.policy,
        "" if row.source is None or row.source == row.policy else row.source,
        f"rollout {row.sample_index}",
        "" if row.step is None else f"step {row.step}",
        "tokens unknown" if row.tokens is None else f"{row.tokens:,} tokens",
        surprisal,
        f"stopped: {row.stop_reason}",
        f"problem {row.problem_id}" if problem else "",
    ]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        badge = OUTCOME_BADGES[row.outcome]
        st.badge(outcome_label(row.outcome), color=badge, help=OUTCOME_WORDS[row.outcome])  # type: ignore[arg-type]
        st.caption(plain(" \u00b7 ".join(word for word in words if word)))


def answers(one: FullRollout) -> None:
    """Extracted and gold answer side by side, as plain text."""
    row = one.row
    left, right = st.columns(2)
    with left:
        canonical = f" (canonical: {_short(row.canonical)})" if row.canonical not in (None, row.answer) else ""
        st.caption("Extracted answer", help="The answer that the verifier extracted, and its canonical form.")
        st.text((_short(row.answer) if row.answer is not None else "none") + canonical)
    with right:
        st.caption("Gold answer")
        st.text(_short(one.gold) or "not known")
    if row.detail:
        st.caption(plain(f"Verifier: {row.detail[:300]}"))


def tokens_table(shown: Strip, values_T: Sequence[float]) -> list[dict[str, Any]]:
    """One row per token with its numbers in nats; `shown` is the measure on the screen."""
    return [
        {
            "place": place + 1,
            "id": span.id,
            "text": span.text,
            "surprisal": _known(span.surprisal),
            "surprisal_t1": _known(span.surprisal_t1),
            "entropy": _known(span.entropy),
            "forking": span.forking,
            "shown": _known(value),
        }
        for place, (span, value) in enumerate(zip(shown.spans, values_T, strict=True))
    ]


def _colour(url: Address, store: BrowsedStore) -> Measure:
    colour: Measure = st.selectbox(
        "Colour", tuple(MEASURES), key=url.key("colour"), format_func=lambda name: _WORDS[name],
        help="  \n".join(f"{_WORDS[name]}: {words}" for name, words in MEASURES.items()),
        label_visibility="collapsed", width=190,
    )  # fmt: skip
    if colour == "log_ratio":
        st.selectbox("Other policy", store.policies(), key=url.key("other"), label_visibility="collapsed", width=150)
    return colour


def _tokens(url: Address, here: Opened, one: FullRollout, colour: Measure) -> None:
    store, policy = here.store, one.row.policy
    decoder, sampling = decoder_of(store, policy), store.sampling(policy)
    tokens = 0 if one.token_ids is None else len(one.token_ids)
    shown = strip(one, decoder, sampling, token_limit(tokens, f"reader.{one.row.address}.tokens"))
    said = list(shown.notes)
    if not shown.spans:
        notes(said)
        model_text(one.text, f"reader.{one.row.address}")
        return
    ratio = _log_ratio(store, one, url.value("other")) if colour == "log_ratio" else None
    if ratio is not None:
        said.append(ratio.words)
    values = _values(shown, colour, ratio)
    if not any(math.isfinite(value) for value in values):
        said.append(f"{_WORDS[colour]} is not known here, so no token is coloured.")
    token_strip(shown, colour, values)
    notes(said)
    row = one.row
    about = f"Tokens of {row.policy}, rollout {row.sample_index} of problem {row.problem_id}; shown: {_WORDS[colour]}."
    lines = caption(provenance_of(store, here.version), more=[about])

    def table() -> list[dict[str, Any]]:
        whole = strip(one, decoder, sampling)
        return tokens_table(whole, _values(whole, colour, ratio))

    export_table("reader.tokens", table, lines)


def _values(shown: Strip, colour: Measure, ratio: LogRatio | None) -> list[float]:
    """What the tokens of a strip are coloured by; NaN where it is not known."""
    if ratio is None:
        return [getattr(span, colour) for span in shown.spans]
    if ratio.values_T is None:
        return [math.nan] * len(shown.spans)
    return list(map(float, ratio.values_T[: len(shown.spans)]))


def _log_ratio(store: BrowsedStore, one: FullRollout, other: str) -> LogRatio:
    """As stored, or scored when the reader asks for it; else words."""
    found = log_ratio(store, one, other)
    if isinstance(found, LogRatio):
        return found
    about = (
        f"Loads {other} and scores these {len(found.token_ids):,} tokens under it: seconds for a model of a few "
        "million parameters on a CPU, long for billions."
    )
    content = ("log-ratio", str(store.path), store.fingerprint(), one.row.address, other)
    with errors_shown():
        made = on_demand("reader.score", "Score", about, content, lambda _: scored(found))
        if made is not None:
            return made
    return LogRatio(None, f"{other} has not scored these tokens.")


def _short(text: str | None) -> str:
    words = visible(text or "")
    return words if len(words) <= 300 else f"{words[:300]} \u2026 ({len(text or ''):,} characters)"


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
