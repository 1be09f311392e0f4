"""The explorer: `streamlit run apps/dashboard.py -- --runs DIR`, or `s2l-lab dashboard`.

Looks at any runs directory without a network, an account or a model, and never writes there. Without any run it opens
the small ones that ship with it and says how to make one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    # `streamlit run` does this; a test or an installed package may come in by another way.
    sys.path.insert(0, HERE)

from parts.header import damage_named, run_picker  # noqa: E402
from parts.page_setup import page_setup  # noqa: E402
from parts.states import errors_shown  # noqa: E402

# File in views/ (and path in the URL), name, icon; the first is where a visit begins. (A string here would be drawn on
# the page: Streamlit shows bare expressions of a script.)
VIEWS = (
    ("family", "Family", ":material/show_chart:"),
    ("rollouts", "Rollouts", ":material/article:"),
    ("compare", "Compare", ":material/compare_arrows:"),
    ("diversity", "Diversity", ":material/scatter_plot:"),
    ("training", "Training", ":material/model_training:"),
    ("paper", "Paper", ":material/menu_book:"),
    ("provenance", "Provenance", ":material/fingerprint:"),
)


def main() -> None:
    """Draw the frame, then the page."""
    page_setup()
    files = [(Path(HERE) / "views" / f"{name}.py", name, title, icon) for name, title, icon in VIEWS]
    pages = [
        st.Page(file, title=title, icon=icon, url_path=name, default=name == VIEWS[0][0])
        for file, name, title, icon in files
        if file.is_file()
    ]
    page = st.navigation(pages)
    with errors_shown(), damage_named():
        run_picker()
        page.run()


main()
