"""HTML for pages that open without a network: text that is always escaped, tables with headers, plots, one style.

A page holds plotly.js once and refers to nothing outside itself. Colours follow the reader's scheme; plotly
draws its text in the colours of a white page, so on a dark one the style sheet recolours it, and dots keep theirs (the
palette has a contrast of 3 to 1 on both). Print is always light.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from s2l_lab.figures.markup import printable
from s2l_lab.figures.write import PAGE_CONFIG

if TYPE_CHECKING:
    from collections.abc import Sequence

STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1f2430;--soft:#5b6472;--rule:#d9dde3;--tint:#f5f6f8;--warn:#8a4b00;
--warn-tint:#fdf3e3;--link:#2f4fc4}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 Inter,"Helvetica Neue",Helvetica,Arial,
"Liberation Sans",sans-serif;-webkit-text-size-adjust:100%}
main{max-width:1228px;margin:0 auto;padding:32px 24px 56px}
h1{font-size:28px;line-height:1.2;margin:0 0 4px;letter-spacing:-.01em}
h2{font-size:20px;line-height:1.3;margin:56px 0 8px;padding-top:14px;border-top:2px solid var(--ink)}
h3{font-size:15px;margin:30px 0 6px}
p{max-width:78ch;margin:0 0 12px}
a{color:var(--link);text-underline-offset:2px}
code{font:.92em ui-monospace,"SF Mono",Menlo,Consolas,"Liberation Mono",monospace;overflow-wrap:anywhere}
.lead,.note{color:var(--soft)}
.note{font-size:13px}
p code{white-space:nowrap}
dl{display:grid;grid-template-columns:max-content 1fr;gap:3px 20px;margin:20px 0 0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
nav ol{display:grid;grid-template-columns:repeat(auto-fit,minmax(250px,1fr));gap:16px;list-style:none;margin:28px 0 0;
padding:0}
nav li{border-top:2px solid var(--rule);padding-top:10px}
nav a{font-weight:600}
nav span{display:block;color:var(--soft);font-size:14px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:13.5px;font-variant-numeric:tabular-nums;margin:6px 0 10px}
caption{text-align:left;color:var(--soft);padding:0 0 8px;max-width:90ch}
th,td{padding:6px 8px;text-align:left;vertical-align:top;border-bottom:1px solid var(--rule)}
th:first-child,thead td{padding-left:0;padding-right:16px}
tr.level th{padding-right:0}
colgroup:nth-of-type(n+3){border-left:1px solid var(--rule)}
thead td{border:0}
thead th{border-bottom:1.5px solid var(--ink);font-weight:600;vertical-align:bottom}
thead th[scope=colgroup]{border-bottom:0;padding-bottom:0}
tbody th{font-weight:400;min-width:130px}
th a{color:inherit;text-decoration-color:var(--rule)}
tr.level th{padding-top:16px;font-weight:600;border-bottom:1px solid var(--ink)}
td b{font-weight:600}
td small,th small{display:block;color:var(--soft);font-size:12px;font-weight:400;white-space:nowrap}
td.words small,th small{white-space:normal}
td.words{min-width:150px}
.mark{display:inline-block;border:1px solid var(--rule);border-radius:3px;padding:0 5px;font-size:12px;
color:var(--soft)}
.mark.warn{color:var(--warn);border-color:currentColor;background:var(--warn-tint)}
figure{margin:14px 0 22px}
.plot{margin-left:-24px}
.policy{white-space:nowrap;margin-right:14px}
th .policy,td .policy{margin:0}
figcaption{color:var(--soft);font-size:13px;max-width:90ch}
details{margin:14px 0}
summary{cursor:pointer;color:var(--soft)}
footer{margin-top:56px;border-top:1px solid var(--rule);padding-top:12px;color:var(--soft);font-size:13px}
@media screen and (prefers-color-scheme:dark){
:root{--paper:#14161a;--ink:#e6e8ec;--soft:#9aa3b0;--rule:#343a44;--tint:#1c1f25;--warn:#f0b35a;--warn-tint:#2c2214;
--link:#93a8ff}
.plot .main-svg{background:transparent!important}
.plot .bg{fill:transparent!important}
.plot .modebar-group{background:transparent!important}
.plot .modebar-btn path{fill:#7b8494!important}
.plot text{fill:#d5d9e0!important}
.plot .hoverlayer text{fill:#262b33!important}
.plot .gridlayer path,.plot .xlines-above,.plot .ylines-above{stroke:#343a44!important}
.plot path.point[style*="rgb(255, 255, 255)"]{fill:#14161a!important}
}
@media print{main{max-width:none;padding:0}h2{break-after:avoid}figure,tr{break-inside:avoid}.modebar{display:none}
.scroll{overflow:visible}.plot{zoom:.6}}
"""


@dataclass(frozen=True, slots=True)
class Html:
    """A piece of HTML that is known to be safe; everything else is text and is escaped where it is put in."""

    source: str


Content = Html | str


def tag(name: str, *content: Content, **attributes: str) -> Html:
    """An element; text in it and in its attributes is escaped. `class_` is written class, `aria_label` aria-label."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(printable(value))}"' for key, value in attributes.items()
    )
    return Html(f"<{name}{written}>{join(*content).source}</{name}>")


def join(*content: Content) -> Html:
    """Pieces one after the other."""
    return Html("".join(part.source if isinstance(part, Html) else escape(printable(part)) for part in content))


def table(
    caption: Content, heads: Sequence[Sequence[Html]], body: Sequence[Sequence[Html]], groups: Sequence[int] = ()
) -> Html:
    """A table that scrolls where it is too wide. Rows of both parts are finished cells; a row of one cell is a title.

    `groups` are numbers of columns; a line stands between groups after the second.
    """
    rows = [tag("tr", *cells, **({"class_": "level"} if len(cells) == 1 else {})) for cells in body]
    parts = tag("thead", *(tag("tr", *cells) for cells in heads)), tag("tbody", *rows)
    columns = [tag("colgroup", span=str(columns)) for columns in groups]
    titled = [tag("caption", caption)] if caption else []
    return tag("div", tag("table", *titled, *columns, *parts), class_="scroll", tabindex="0")


def head(*content: Content, **attributes: str) -> Html:
    """A cell that names a column."""
    return tag("th", *content, **{"scope": "col"} | attributes)


def row_head(*content: Content, **attributes: str) -> Html:
    """A cell that names a row."""
    return tag("th", *content, **{"scope": "row"} | attributes)


def plot(figure: Any, name: str, label: str, caption: Content, *, with_library: bool) -> Html:
    """A plotly figure; the first one on a page brings plotly.js. `label` says in words what it shows."""
    drawn = figure.to_html(
        full_html=False, include_plotlyjs=with_library, include_mathjax=False, config=PAGE_CONFIG, div_id=f"plot-{name}"
    )
    picture = tag("div", Html(drawn), class_="scroll plot", role="img", aria_label=label, tabindex="0")
    return tag("figure", picture, tag("figcaption", caption))


def page(title: str, *content: Content) -> str:
    """The whole file."""
    top = join(
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'),
        tag("title", title),
        Html(f"<style>{STYLE}</style>"),
    )
    body = tag("body", tag("main", *content))
    return f'<!DOCTYPE html>\n<html lang="en"><head>{top.source}</head>{body.source}</html>\n'
