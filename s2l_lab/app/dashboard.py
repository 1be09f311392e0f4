"""The frame of the app: its pages, the run picker and what becomes of errors. `apps/dashboard.py` calls it.

Looks at any runs directory without a network, an account or a model, and never writes there. Without any run it opens
the small ones that ship with it and says how to make one.
"""

from __future__ import annotations

import streamlit as st

from s2l_lab.app.parts.address import VIEWS, view_file
from s2l_lab.app.parts.header import damage_named, run_picker
from s2l_lab.app.parts.look import page_setup
from s2l_lab.app.parts.states import errors_shown


def main() -> None:
    """Draw the frame, then the page."""
    page_setup()
    pages = [st.Page(view_file(view), title=title, icon=icon, url_path=view) for view, (title, icon) in VIEWS.items()]
    page = st.navigation(pages)
    with errors_shown(), damage_named():
        run_picker()
        page.run()
