"""The static page of one of the paper's items: what it shows and what is not given, ours, and the paper's numbers."""

from __future__ import annotations

from dataclasses import dataclass

from s2l_lab.app.parts.export_row import export_report
from s2l_lab.app.parts.runs import Opened
from s2l_lab.browse.made_figures import made_figures
from s2l_lab.browse.paper_items import SCHEMATIC, reference_columns, references
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
