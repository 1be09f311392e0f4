"""Tokens on the screen: coloured by a measure, forking tokens underlined; and two completions with their differences.

The one place where model text stands in HTML of ours: every token is escaped (`safe.html`), it only ever is the content
of a <span>, and attributes hold numbers alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import streamlit as st

from s2l_lab.app.parts.safe import html
from s2l_lab.browse.diff import Diff
from s2l_lab.browse.tokens import SCALE_NATS, Measure, Span, Strip, colour_positions

FEW = 1_500
"""Tokens on the screen until the reader asks for all."""
MOST = 20_000
"""Tokens that a browser is asked to draw at most, each an element; the files have the rest."""
HIGH, LOW = "233,111,10", "55,86,214"
"""Orange (surprising, uncertain, likelier under this policy) and blue (likelier under the other)."""
_STRONGEST = 0.66
"""So that text keeps 4.5 to 1 on blue on a light page and on orange on a dark one."""


def token_strip(strip: Strip, measure: Measure, values_T: Sequence[float]) -> None:
    """The tokens of a strip coloured by `values_T` (nats, NaN where unknown) with a legend. Numbers are in a token's
    tooltip."""
    st.html(legend(measure, strip.forking_threshold))
    st.html(f'<div class="tokens">{tokens_html(strip.spans, measure, values_T)}</div>')


def token_limit(tokens: int, key: str) -> int:
    """How many of a rollout's so many tokens are drawn: the first ones until the reader, who is told, asks for more;
    beyond MOST there are the files."""
    if tokens <= FEW:
        return tokens
    most = min(tokens, MOST)
    with st.container(horizontal=True, vertical_alignment="center"):
        more = st.toggle(f"Show {'all' if most == tokens else 'the first'} {most:,} tokens", key=f"{key}.all")
        limit = most if more else FEW
        if limit < tokens:
            st.caption(f"The first {limit:,} of {tokens:,} tokens; CSV and Parquet, below them, have all.")
    return limit


def tokens_html(spans: Sequence[Span], measure: Measure, values_T: Sequence[float]) -> str:
    """One escaped <span> for each token."""
    places = colour_positions(values_T, measure).tolist()
    rows = zip(spans, values_T, places, strict=True)
    return "".join(_token(number, *row, measure) for number, row in enumerate(rows))


def _token(number: int, span: Span, value: float, place: float, measure: Measure) -> str:
    colour = ""
    if math.isfinite(place) and abs(place) > 0.02:
        colour = f' style="background:rgba({HIGH if place > 0 else LOW},{abs(place) * _STRONGEST:.2f})"'
    said = [f"token {number + 1}" + ("" if span.id is None else f", id {span.id}")]
    numbers = (("surprisal", span.surprisal), ("at T = 1", span.surprisal_t1), ("entropy", span.entropy))
    said += [f"{name} {number_:.3f}" for name, number_ in numbers if math.isfinite(number_)]
    if measure == "log_ratio" and math.isfinite(value):
        said.append(f"log-ratio {value:+.3f}")
    if span.forking:
        said.append("forking")
    text = f"\u27e8{span.id}\u27e9" if span.text is None else html(span.text).replace("\n", "\u23ce\n")
    return f'<span{" class=f" if span.forking else ""}{colour} title="{", ".join(said)}">{text}</span>'


def legend(measure: Measure, forking_threshold: float) -> str:
    """HTML: the colour scale with its ends in nats, and what the underline is."""
    end = SCALE_NATS[measure]
    if measure == "log_ratio":
        scale = f"rgba({LOW},{_STRONGEST}),rgba({LOW},0),rgba({HIGH},0),rgba({HIGH},{_STRONGEST})"
        words = ("other likelier, \u2212" + f"{end:g}", f"+{end:g}, this likelier")
    else:
        scale = f"rgba({HIGH},0),rgba({HIGH},{_STRONGEST})"
        words = ("0", f"{end:g} nats or more")
    forking = (
        f" &nbsp; <u>underlined</u>: forking, entropy of at least {forking_threshold:.2f} nats"
        if math.isfinite(forking_threshold)
        else ""
    )
    return (
        f'<div class="legend">{measure.replace("_", " ")} {words[0]}'
        f'<span class="scale" style="background:linear-gradient(90deg,{scale})"></span>{words[1]}{forking}</div>'
    )


def diff_strips(found: Diff, columns: Sequence[st.delta_generator.DeltaGenerator]) -> None:
    """Two completions side by side in two columns: what only one has is coloured in it."""
    for side, column in zip("ab", columns, strict=True):
        column.html(f'<div class="tokens">{diff_html(found, side)}</div>')


def diff_html(found: Diff, side: str) -> str:
    """One side of a diff: shared stretches plain, its own in a <span> of class a or b, everything escaped."""
    pieces = []
    for piece in found.pieces:
        text = html("".join(piece.a if side == "a" else piece.b))
        if text:
            mark = "" if piece.kind == "same" else f" class={side}"
            pieces.append(f"<span{mark}>{text}</span>")
    return "".join(pieces)
