"""Tables: made from numbers as JSON holds them, and the same numbers in every medium."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from synthetic_reports import synthetic_report
from synthetic_studies import HOSTILE, synthetic_diversity, synthetic_persistence, synthetic_share, synthetic_validity

from s2l_lab.cli.tables import in_terminal
from s2l_lab.figures.diversity import diversity_numbers
from s2l_lab.figures.metric_validity import metric_validity_numbers
from s2l_lab.figures.numbers import as_json, numbers
from s2l_lab.figures.persistence import persistence_numbers
from s2l_lab.figures.policy_share import policy_share_numbers
from s2l_lab.figures.study_tables import (
    between_table,
    persistence_table,
    share_table,
    sizes_table,
    validity_table,
    within_table,
)
from s2l_lab.figures.tables import Number, Table, TableRow, number, passk_tables, table, texts
from s2l_lab.studies.metric_validity import MetricValidity


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, Any]]:
    """The numbers of a report of each kind."""
    return {
        "passk": numbers(synthetic_report(problems=30, rollouts=8, unknown=2, guessers=100)),
        "diversity": diversity_numbers(synthetic_diversity(), {}),
        "share": policy_share_numbers(synthetic_share(), ()),
        "persistence": persistence_numbers(synthetic_persistence(), ()),
        "validity": metric_validity_numbers(MetricValidity(synthetic_validity(), 30, 2, 16, None), ()),
    }


@pytest.fixture(scope="module")
def markdown() -> ModuleType:
    """The part of the script of READMEs that writes cells."""
    path = Path(__file__).parents[2] / "benchmarks" / "readme_studies.py"
    spec = importlib.util.spec_from_file_location("readme_studies", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def every_table(found: dict[str, dict[str, Any]]) -> list[Table]:
    return [
        *passk_tables(found["passk"]),
        within_table(found["diversity"], "all"),
        within_table(found["diversity"], "correct"),
        between_table(found["diversity"]),
        share_table(found["share"]),
        sizes_table(found["share"]),
        persistence_table(found["persistence"]),
        validity_table(found["validity"]["metrics"]),
    ]


def printed(made: Table) -> str:
    console = Console(file=io.StringIO(), width=400)
    console.print(in_terminal(made))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_committed_result_gives_the_table_of_the_run(found: dict[str, dict[str, Any]]) -> None:
    read = {name: json.loads(as_json(one)) for name, one in found.items()}
    assert every_table(read) == every_table(found)


def test_every_row_has_a_cell_for_each_column_and_every_number_is_printed(
    found: dict[str, dict[str, Any]], markdown: ModuleType
) -> None:
    for made in every_table(found):
        text = printed(made)
        assert made.rows
        for row in made.rows:
            assert len(row.cells) == len(made.columns)
            for cell in row.cells:
                if isinstance(cell, Number) and cell.value is not None and not cell.percent:
                    assert number(cell.value, cell.digits, cell.sign) in text
                    assert markdown.cell(cell).startswith(number(cell.value, cell.digits, cell.sign))


@given(st.lists(st.sampled_from("bcd"), unique=True))
def test_columns_keep_their_cells(titles: list[str]) -> None:
    made = table(
        "", [*texts("a"), "b", "c", "d"], [["a1", "b1", "c1", "d1"], TableRow(("a2", "b2", "c2", "d2"), "key")]
    )
    part = made.only(*titles)
    assert [column.title for column in part.columns] == ["a", *sorted(titles)]
    assert [row.cells for row in part.rows] == [tuple(f"{t}{i}" for t in ["a", *sorted(titles)]) for i in (1, 2)]
    assert part.rows[1].key == "key"


def test_a_value_that_is_open_shows_the_ends_that_are_known(markdown: ModuleType) -> None:
    known = table("", [*texts("a"), "b"], [["x", Number(None, 0.25, 0.75)]])
    assert "-\n" not in printed(known)
    assert "- [.25, .75]" in printed(known)
    assert printed(table("", ["b"], [[Number(None, None, None)]])).split() == ["b", "-"]
    assert markdown.cell(Number(None, None, None)) == "\u2013"


def test_text_from_outside_is_shown_and_not_obeyed() -> None:
    name = f"[red]{HOSTILE}[/red]"
    text = printed(table(name, [*texts(name), name], [[name, Number(0.5, 0.4, 0.6, about=(name,))]]))
    assert "\x1b" not in text
    assert text.count("[red]") == 5
