"""Paper: the figures and tables of arXiv 2605.30789, what the paper does not give of each, and ours beside them.

Theirs are the shipped reference files. Ours are whatever runs exist below the directory, and what `s2l-lab figures` has
made of them, which alone carries verdicts on the paper's claims.
"""

from __future__ import annotations

import streamlit as st

from s2l_lab.app.parts.address import Address
from s2l_lab.app.parts.header import header
from s2l_lab.app.parts.paper_item import show_made, show_reference, show_report
from s2l_lab.app.parts.paper_rollouts import show_diversity, show_passk
from s2l_lab.app.parts.paper_training import show_cost, show_training
from s2l_lab.app.parts.safe import plain
from s2l_lab.browse.paper_items import SCHEMATIC, paper_item
from s2l_lab.figures.registry import ITEMS

ABOUT = (
    "S2L-PO (arXiv 2605.30789) beside our runs. The paper's numbers are single runs and 30-problem benchmarks without "
    "error bars; ours have intervals. A difference in scale, models or benchmark is no contradiction."
)


def show() -> None:
    """Draw the page."""
    here = header("Paper", ABOUT, needs="nothing")
    address = Address("paper")
    names = [item.name for item in ITEMS]
    titles = {item.name: item.title for item in ITEMS}
    name = st.selectbox("Figure or table", names, key=address.option("item", names), format_func=titles.__getitem__)
    item = paper_item(name)
    st.markdown(plain(item.shows))
    st.info(plain(f"Not given: {item.not_given}"), icon=":material/help:")
    if item.kind == "passk":
        ours = show_passk(here, address, item)
    elif item.kind == "diversity":
        ours = show_diversity(here, address, item)
    elif item.kind == "training":
        ours = show_training(here, address, item)
    else:
        ours = show_cost(here, item)
    show_made(here, item)
    show_reference(item)
    st.caption(SCHEMATIC)
    show_report(here, item, ours)
    address.report()
    address.publish()


if __name__ == "__main__":  # Streamlit runs the file
    show()
