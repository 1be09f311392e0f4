"""The frame of the app: its pages, the run picker and what becomes of errors. `apps/dashboard.py` calls it.

Looks at any runs directory without a network, an account or a model, and never writes there. Without any run it opens
the small ones that ship with it and says how to make one.
"""

from __future__ import annotations

import streamlit as st

from s2l_lab.app.parts.address import view_file
from s2l_lab.app.parts.header import damage_named, run_picker
from s2l_lab.app.parts.page_setup import page_setup
from s2l_lab.app.parts.states import errors_shown

VIEWS = (
    ("family", "Family", ":material/show_chart:"),
    ("rollouts", "Rollouts", ":material/article:"),
    ("compare", "Compare", ":material/compare_arrows:"),
    ("diversity", "Diversity", ":material/scatter_plot:"),
    ("training", "Training", ":material/model_training:"),
    ("paper", "Paper", ":material/menu_book:"),
    ("provenance", "Provenance", ":material/fingerprint:"),
)
"""File in views/ (and path in the URL), name, icon; the first is where a visit begins."""


def main() -> None:
    """Draw the frame, then the page."""
    page_setup()
    first, _, _ = VIEWS[0]
    page = st.navigation(
        [
            st.Page(view_file(name), title=title, icon=icon, url_path=name, default=name == first)
            for name, title, icon in VIEWS
        ]
    )
    with errors_shown(), damage_named():
        run_picker()
        page.run()
