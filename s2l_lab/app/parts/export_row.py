"""What leaves the page: a figure as PNG and SVG (made in the browser by Plotly's own button), HTML and CSV; a table as
CSV and Parquet; the whole view as one static page. Each with the caption that says what its numbers rest on.

Files are made when they are asked for, not while the page is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from s2l_lab.app.parts.safe import plain
from s2l_lab.browse.exports import Table, csv_bytes, figure_html, file_name, parquet_bytes
from s2l_lab.browse.report_page import Section, report_page
from s2l_lab.figures.caption import split_details, wrapped
from s2l_lab.figures.markup import markup
from s2l_lab.figures.on_page import on_page
from s2l_lab.figures.palette import FAINT, GRID, INK
from s2l_lab.figures.write import PAGE_CONFIG

WIDTH, HEIGHT = 1100, 560
"""Pixels of an exported image, without its caption."""
_IMAGE = "An image with title and caption, drawn in this browser."
_LINE = 16
_CHARACTERS = 165
_DOWNLOAD = ":material/download:"
_MODEBAR = {"bgcolor": "white", "color": FAINT, "activecolor": INK}
"""The camera on a printed figure: plotly's own greys are too faint on white."""


def chart(figure: Any, key: str, **more: Any) -> Any:
    """A plotly figure on the page, in the reader's light or dark colours, printed ones too. `more` goes to
    st.plotly_chart (`on_select="rerun", selection_mode="points"` for clicks)."""
    buttons = {"modeBarButtonsToRemove": ["toImage", "select2d", "lasso2d", "autoScale2d"]}
    return st.plotly_chart(on_page(figure), theme="streamlit", key=key, config=PAGE_CONFIG | buttons, **more)


def export_figure(
    key: str,
    figure: Any,
    title: str,
    caption: Sequence[str],
    table: Table | Callable[[], Table],
    *,
    ready: bool = False,
) -> None:
    """The export row of a figure, and its caption. `table` holds the numbers that are drawn, or makes them. `ready`:
    the figure has a title, size and caption of its own (those of `s2l_lab.figures`)."""
    name = key.replace(".", "-")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button("PNG, SVG", key=f"{key}.image", icon=":material/image:", help=_IMAGE, type="tertiary"):
            _image_dialog(figure if ready else print_figure(figure, title, caption), name, f"{key}.print")
        _file(
            "HTML", lambda: figure_html(figure if ready else _titled(figure, title), title, caption), name, "html", key
        )
        _file("CSV", lambda: csv_bytes(_made(table), [title, *caption]), name, "csv", key)
    show_caption(caption)


def export_table(key: str, table: Table | Callable[[], Table], caption: Sequence[str] = ()) -> None:
    """The export row of a table; `table` may be a function that makes it when a file is asked for. The caption goes
    into the files alone; `show_caption` puts it on the page, where nothing else has done so."""
    name = key.replace(".", "-")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _file("CSV", lambda: csv_bytes(_made(table), caption), name, "csv", key)
        _file("Parquet", lambda: parquet_bytes(_made(table), caption), name, "parquet", key)


def export_report(
    key: str, title: str, sections: Callable[[], Sequence[Section]], caption: Sequence[str], label: str = "Report"
) -> None:
    """The button that writes what the view shows as one static HTML page; `sections` makes its parts when asked."""
    st.download_button(
        label,
        lambda: report_page(title, sections(), caption),
        file_name(*key.split("."), "report", suffix="html"),
        "text/html",
        key=f"{key}.report",
        on_click="ignore",
        icon=":material/description:",
        help="One static HTML page of this view, for readers without the app.",
    )


def show_caption(lines: Sequence[str]) -> None:
    """Caption lines (plain text) in small print, with the details folded."""
    shown, how = split_details(lines)
    if shown:
        st.caption(" ".join(plain(line) for line in shown))
    if how:
        with st.expander("Details"):
            st.caption(" ".join(plain(line) for line in how))


def print_figure(figure: Any, title: str, caption: Sequence[str]) -> Any:
    """The figure as it is printed: on white, with its title above and its caption below."""
    made = _titled(figure, title)
    lines = [markup(line) for line in wrapped(list(caption), _CHARACTERS)]
    height = int(made.layout.height or HEIGHT)
    foot = 70 + _LINE * len(lines)
    made.update_layout(
        template="plotly_white",
        width=WIDTH,
        height=height + foot,
        margin={"l": 70, "r": 40, "t": max(70, (made.layout.margin.t or 0) + 24), "b": foot},
        paper_bgcolor="white",
        plot_bgcolor="white",
        font={"color": INK},
    )
    made.update_xaxes(gridcolor=GRID, linecolor=GRID)
    made.update_yaxes(gridcolor=GRID, linecolor=GRID)
    made.add_annotation(
        text="<br>".join(lines), x=0, xref="paper", y=0, yref="paper", yshift=-58, xanchor="left", yanchor="top",
        showarrow=False, align="left", font={"size": 11, "color": FAINT},
    )  # fmt: skip
    return made


def _titled(figure: Any, title: str) -> Any:
    import plotly.graph_objects as go

    made = go.Figure(figure)
    made.update_layout(title={"text": markup(title), "x": 0.01, "xanchor": "left"})
    return made


@st.dialog("Save the figure as an image", width="large")
def _image_dialog(figure: Any, name: str, key: str) -> None:
    import plotly.graph_objects as go

    kind = st.segmented_control("Format", ["png", "svg"], default="png", required=True, key=f"{key}.format")
    st.caption("The camera above the figure saves it in this format. It is drawn in this browser; nothing is sent.")
    figure = go.Figure(figure).update_layout(modebar=_MODEBAR)
    options = {"format": kind, "filename": file_name(name, suffix=kind).rpartition(".")[0], "scale": 2}
    camera = {"displayModeBar": True, "modeBarButtons": [["toImage"]], "toImageButtonOptions": options}
    st.plotly_chart(figure, theme=None, width="content", key=f"{key}.{kind}", config=PAGE_CONFIG | camera)


def _file(label: str, make: Callable[[], bytes], name: str, suffix: str, key: str) -> None:
    st.download_button(
        label, make, file_name(name, suffix=suffix), _MIME[suffix], key=f"{key}.{suffix}", on_click="ignore",
        icon=_DOWNLOAD, type="tertiary",
    )  # fmt: skip


_MIME = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet", "html": "text/html"}


def _made(table: Table | Callable[[], Table]) -> Table:
    return table() if callable(table) else table
