"""How pages look: what colours and signs mean, the same on every page; the wide layout, and a few rules of style that
no setting gives.

Members of a family (size is shade) and the two sources take the colours of `s2l_lab.figures.palette`. An outcome is
never told by colour alone: its sign stands with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from s2l_lab.figures.palette import FAINT, SOURCE_COLOURS, member_colours

OUTCOME_SIGNS = {
    "correct": "\u2713",
    "incorrect": "\u2717",
    "no_answer": "\u2205",
    "truncated": "\u2026",
    "verifier_error": "!",
    "unverified": "?",
}
OUTCOME_WORDS = {
    "correct": "The verifier found the extracted answer equal to the gold answer.",
    "incorrect": "An answer was found, and it is not the gold answer.",
    "no_answer": "The completion ended by itself without an answer that the verifier could find.",
    "truncated": "The completion reached its largest length before it gave an answer.",
    "verifier_error": "The verifier failed or ran out of time: neither right nor wrong, counted apart.",
    "unverified": "No verdict of this verifier version is stored.",
}
OUTCOME_BADGES = {
    "correct": "green",
    "incorrect": "red",
    "no_answer": "gray",
    "truncated": "orange",
    "verifier_error": "violet",
    "unverified": "gray",
}
"""Streamlit's names of badge colours."""
NEUTRAL = FAINT
ICON = (
    '<svg viewBox="0 0 32 32"><g fill="none" stroke="#3756d6" stroke-width="3"><circle cx="22" cy="12" r="7"/></g>'
    '<circle cx="9" cy="23" r="5" fill="#e96f0a"/></svg>'
)
"""Small beside large. Drawn here: Streamlit would load one of its own icons from a server."""
DARK_PAPER = "#111317"
"""The dark page, as `.streamlit/config.toml` has it."""
STYLE = """<style>
.block-container{padding:3.4rem 2.4rem 3rem;max-width:1560px}
h1{font-size:1.7rem!important;padding:0 0 .1rem!important}
h2{font-size:1.25rem!important}
h3{font-size:1.05rem!important}
[data-testid="stSidebarContent"] [data-testid="stCaptionContainer"]{overflow-wrap:anywhere}
[data-testid="stCode"] pre{font-size:.84rem;line-height:1.45}
[data-testid="stMetricValue"]{font-size:1.35rem}
.tokens{font:13.5px/1.75 ui-monospace,"SF Mono",Menlo,Consolas,"Liberation Mono",monospace;white-space:pre-wrap;
overflow-wrap:anywhere;max-height:70vh;overflow-y:auto;border:1px solid rgba(128,128,128,.28);border-radius:8px;
padding:10px 12px;unicode-bidi:isolate}
.tokens span{border-radius:2px;padding:1px 0}
.tokens .f{box-shadow:inset 0 -2px 0 currentColor}
.tokens .a{background:rgba(233,111,10,.34)}
.tokens .b{background:rgba(55,86,214,.36)}
.tokens .u{opacity:.75}
.scale{display:inline-block;width:130px;height:10px;border-radius:3px;vertical-align:middle;margin:0 6px}
.legend{font-size:.82rem;opacity:.85;margin:2px 0 6px}
[data-testid="stCaptionContainer"]{opacity:.75}
[data-testid="stButtonGroup"] [data-selected="true"],[data-testid="stButtonGroup"] [data-selected="true"] *
{color:inherit!important}
[data-testid="stMain"] .cartesianlayer text,[data-testid="stMain"] .infolayer text{fill:currentColor!important}
[data-testid="stMain"] .scatterlayer path.point[style*="fill: rgb(255, 255, 255)"]
{fill:light-dark(#fff,PAPER)!important}
</style>""".replace("PAPER", DARK_PAPER)
"""Streamlit's captions, its text in figures and its choice that is on are too faint on a light or on a dark page.
Hollow dots of printed figures are filled with paper."""


def outcome_label(outcome: str) -> str:
    """Sign and word."""
    return f"{OUTCOME_SIGNS.get(outcome, '')} {outcome.replace('_', ' ')}".strip()


def policy_colours(policies: Sequence[str]) -> dict[str, str]:
    """Colour of each policy: sources by their scale, the rest by size, smallest first."""
    others = [name for name in policies if name not in SOURCE_COLOURS]
    return member_colours(others) | {name: SOURCE_COLOURS[name] for name in policies if name in SOURCE_COLOURS}


def page_setup() -> None:
    """Call first in `dashboard.py`; a view calls nothing of the kind."""
    st.set_page_config(page_title="s2l-lab", page_icon=ICON, layout="wide")
    st.html(STYLE)
