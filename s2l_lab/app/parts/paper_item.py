"""What the page says of any item of the paper: the paper's own numbers with how they were had, what `s2l-lab figures`
has made of it, and all of it with ours as one static page."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from s2l_lab.app.parts.export_row import export_report, export_table, show_caption
from s2l_lab.app.parts.runs import Opened
from s2l_lab.app.parts.safe import plain
from s2l_lab.app.parts.states import empty, notes
from s2l_lab.app.parts.training_data import column_words
from s2l_lab.browse.made_figures import made_figures
from s2l_lab.browse.paper_items import COLUMN_WORDS, SCHEMATIC, reference_columns, references
from s2l_lab.browse.report_page import FigureItem, Section, TableItem
from s2l_lab.figures.registry import PaperItem


@dataclass(frozen=True, slots=True)
class Ours:
    """What the page shows of ours beside an item. Texts are plain."""

    figures: tuple[FigureItem, ...] = ()
    tables: tuple[TableItem, ...] = ()
    texts: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    """What its numbers rest on."""


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


def show_report(here: Opened, item: PaperItem, ours: Ours) -> None:
    """The button."""
    export_report(f"paper.{item.name}", item.title, lambda: report_sections(here, item, ours), ours.lines)


def report_sections(here: Opened, item: PaperItem, ours: Ours) -> list[Section]:
    """All that the page shows, top to bottom."""
    beside = ours.texts or (() if ours.figures or ours.tables else ("There is nothing of ours to stand beside it.",))
    sections = [
        Section(item.title, texts=(item.shows, f"Not given: {item.not_given}")),
        Section("Ours beside the paper", ours.figures, ours.tables, beside),
    ]
    for made in made_figures(here.directory, item.name):
        about = (f"Scale {made.scale}: {made.command}", *(text for text in (made.trouble, made.note) if text))
        tables = (TableItem(list(made.verdicts), "Verdicts."),) if made.verdicts else ()
        sections.append(Section("Made by the command, with verdicts", tables=tables, texts=about))
    for found in references(item):
        title = f"The paper's numbers: {found.file}"
        if found.shipped:
            table = TableItem(reference_columns(found.rows), " ".join(found.notes))
            sections.append(Section(title, tables=(table,)))
        else:
            sections.append(Section(title, texts=("This file does not ship with this release.",)))
    if not item.files:
        sections.append(Section("The paper's numbers", texts=("No number of this item could be had.",)))
    return [*sections, Section("Schematic figures", texts=(SCHEMATIC,))]
