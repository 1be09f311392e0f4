"""A pretrained learner and a smaller sibling: pass@k at several temperatures and at equal entropy, read in two ways.

A row of panels for every benchmark and extraction, a column for every condition. What the sibling adds is in the tables
and in numbers.json; `write_more` draws it as the studies `policy-share` and `persistence` do, for each benchmark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from s2l_lab.figures.canvas import Canvas
from s2l_lab.figures.caption import crossing_words, wrapped
from s2l_lab.figures.markup import markup
from s2l_lab.figures.numbers import SCHEMA, plain
from s2l_lab.figures.palette import member_colours
from s2l_lab.figures.panel import log2_axis
from s2l_lab.figures.passk import curve_axis, curve_ends, draw_passk, label_curves
from s2l_lab.figures.persistence import persistence_figure, persistence_numbers
from s2l_lab.figures.policy_share import policy_share_figure, policy_share_numbers
from s2l_lab.figures.study_tables import persistence_table, share_table
from s2l_lab.figures.tables import Column, Printed, Table, as_number, table
from s2l_lab.figures.write import write_figure
from s2l_lab.verifiers import Extraction

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from s2l_lab.studies.pretrained_pair import Condition, PretrainedPair

WIDTH = 1320
CAPTION_CHARACTERS = 204
PITCH, ROW = 310.0, 262.0
PLOT = (176.0, 150.0)
KS = (1, 8, 64)
"""Values of k in the table, those above N left out."""


def pretrained_pair_figure(result: PretrainedPair, about: Sequence[str]) -> Any:
    """The plotly Figure. `about` ends the caption: n, N and the interval, then the details."""
    colours = member_colours([result.explorer, result.learner])
    words = f"{markup(result.explorer)} and {markup(result.learner)}: a column for each condition"
    canvas = Canvas(WIDTH, f"pass@k of {result.learner} and a smaller sibling", words)
    rows = [(part, extraction) for part in result.parts for extraction in get_args(Extraction)]
    for row, (part, extraction) in enumerate(rows):
        y = curve_axis([ends for c in part.conditions for ends in curve_ends(c.curves[extraction])])
        for column, condition in enumerate(part.conditions):
            curves = condition.curves[extraction]
            k = int(next(iter(curves.values())).k[-1])
            heads = f"{markup(part.benchmark)}, {extraction}", f"{_where(condition)}; {_verdict(condition, extraction)}"
            box = (64.0 + PITCH * column, 112.0 + ROW * row, *PLOT)
            panel = canvas.panel(box, heads[0], markup(heads[1]), log2_axis(k), y)
            draw_passk(panel, curves, colours)
            label_curves(panel, curves, colours)
    caption = [
        "Unbiased pass@k over k. Strict reads an answer only after the mark that the prompt asks for; lenient also "
        "reads it in phrases. Verdicts on crossings rest on a band over all k.",
        *about,
    ]
    return canvas.finish([markup(line) for line in wrapped(caption, CAPTION_CHARACTERS)])


def pretrained_pair_numbers(result: PretrainedPair, about: Sequence[str]) -> dict[str, Any]:
    """The study for programs: schema 1, plain JSON values, undefined is null beside its counts."""
    return {
        "schema": SCHEMA,
        "study": "smollm2",
        "about": list(about),
        "learner": result.learner,
        "explorer": result.explorer,
        "parts": [
            {
                "benchmark": part.benchmark,
                "data": part.digest,
                "conditions": [
                    dict(plain(condition)) | {"verdict": {e: _verdict(condition, e) for e in get_args(Extraction)}}
                    for condition in part.conditions
                ],
                "share": policy_share_numbers(part.share, ()),
                "persistence": persistence_numbers(part.persistence, ()),
            }
            for part in result.parts
        ],
    }


def pair_table(found: Mapping[str, Any]) -> Table:
    """pass@k of both members in every condition, read in both ways, and the verdict on the crossing."""
    rows: list[list[Any]] = []
    n = max(found["parts"][0]["conditions"][0]["curves"]["strict"][found["learner"]]["k"])
    ks = [k for k in KS if k <= n]
    for part in found["parts"]:
        for condition in part["conditions"]:
            for member in (found["explorer"], found["learner"]):
                numbers = [_at(condition["curves"][e][member], k) for e in get_args(Extraction) for k in ks]
                rows.append([f"{part['benchmark']}, {condition['name']}", member, *numbers])
    heads = [f"{e}, k = {k}" for e in get_args(Extraction) for k in ks]
    named = (Column("benchmark, condition", text=True, width=24), Column("policy", text=True, width=16))
    return table("pass@k by condition and extraction", [*named, *heads], rows, stacked=True, tight=True)


def verdict_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """One line for each benchmark and condition: what the curves do, by extraction."""
    for part in found["parts"]:
        for condition in part["conditions"]:
            told = "; ".join(f"{e}: {words}" for e, words in condition["verdict"].items())
            yield f"{part['benchmark']}, {condition['name']}: {told}"


def pretrained_pair_printed(_: object, found: Mapping[str, Any]) -> Printed:
    """pass@k by condition, then what the explorer adds and whether it lasts, by benchmark."""
    tables: list[Table | str] = [pair_table(found)]
    for part in found["parts"]:
        tables += [f"{part['benchmark']}:", share_table(part["share"]), persistence_table(part["persistence"])]
    return Printed(tuple(tables), (*verdict_lines(found), *found["about"]))


def write_more(result: PretrainedPair, folder: Path) -> tuple[Path, ...]:
    """The figures of policy share and persistence of every benchmark, below `folder`."""
    paths: list[Path] = []
    for part in result.parts:
        name, about = part.benchmark.replace(":", "-"), (f"{part.benchmark}, data {part.digest}.",)
        drawn = {"policy-share": policy_share_figure(part.share, about)}
        drawn["persistence"] = persistence_figure(part.persistence, about)
        for what, figure in drawn.items():
            paths += write_figure(figure, folder / f"{what}-{name}").paths
    return tuple(paths)


def _where(condition: Condition) -> str:
    """The condition in words, with the temperature that was found where one was looked for."""
    if condition.learner_temperature == condition.explorer_temperature:
        return condition.name
    return f"{condition.name}, learner at T = {condition.learner_temperature:.2f}"


def _verdict(condition: Condition, extraction: Extraction) -> str:
    return crossing_words(condition.comparisons[extraction])


def _at(curve: Mapping[str, Any], k: int) -> Any:
    place = curve["k"].index(k)
    return as_number({name: curve[name][place] for name in ("value", "lower", "upper")})
