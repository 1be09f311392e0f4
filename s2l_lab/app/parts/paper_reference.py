"""The paper's own numbers as tables, with how they were had; and what `s2l-lab figures` has made of an item."""

from __future__ import annotations

import streamlit as st

from s2l_lab.app.parts.export_row import export_table, show_caption
from s2l_lab.app.parts.runs import Opened
from s2l_lab.app.parts.safe import plain
from s2l_lab.app.parts.states import empty, notes
from s2l_lab.app.parts.training_data import column_words
from s2l_lab.browse.made_figures import made_figures
from s2l_lab.browse.paper_items import COLUMN_WORDS, reference_columns, references
from s2l_lab.figures.registry import PaperItem


def show_reference(item: PaperItem) -> None:
    """A table for each reference file that ships."""
    st.subheader("The paper's numbers")
    if not item.files:
        empty("No number of this item could be had from any source.")
    for found in references(item):
        if not found.shipped:
            empty(f"{found.file} does not ship with this release, so the paper's numbers are not shown here.")
            continue
        rows = reference_columns(found.rows)
        st.dataframe(
            rows,
            hide_index=True,
            width="stretch",
            height=min(420, 36 * (len(rows) + 1) + 3),
            column_config={name: st.column_config.Column(help=COLUMN_WORDS[name]) for name in rows[0]},
        )
        export_table(f"paper.{item.name}.{found.file.removesuffix('.csv')}", rows, found.notes)
        show_caption(found.notes)


def show_made(here: Opened, item: PaperItem) -> None:
    """Verdicts and picture of what the command has made."""
    found = made_figures(here.directory, item.name)
    if item.kind == "cost":
        return  # no command makes the teaser
    st.subheader("Made by the command, with verdicts")
    if not found:
        empty("The whole comparison, with a verdict on every claim, is made by:", f"s2l-lab figures {item.name}")
        return
    for made in found:
        st.markdown(plain(f"Scale {made.scale}: {made.command}"))
        if made.trouble:
            notes([made.trouble])
            continue
        if made.note:
            notes([made.note])
        if made.verdicts:
            rows = list(made.verdicts)
            st.dataframe(rows, hide_index=True, width="stretch", height="content", column_config=column_words(*rows[0]))
            lines = [f"Made by: {made.command}", f"From: {made.folder}"]
            export_table(f"paper.{item.name}.{made.scale}", rows, lines)
            show_caption(lines)
        if made.image is not None:
            st.image(str(made.image))
