"""The paper's items: every shipped reference file is shown by one, nothing is lost on the way, and the rest is said."""

from __future__ import annotations

import csv
import json
from importlib.resources import files
from pathlib import Path

import pytest

from s2l_lab.browse.made_figures import made_figures
from s2l_lab.browse.paper_items import COLUMN_WORDS, ITEMS, PaperItem, reference_columns, references

SHIPPED = sorted(p.name for p in (files("s2l_lab.figures") / "reference").iterdir() if p.name.endswith(".csv"))


def raw_rows(name: str) -> list[dict[str, str]]:
    text = (files("s2l_lab.figures") / "reference" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_row_of_every_reference_file_is_in_some_item(name: str) -> None:
    shown = [row for item in ITEMS for found in references(item) if found.file == name for row in found.rows]
    assert shown
    assert sorted(map(str, shown)) == sorted(map(str, raw_rows(name)))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_column_of_every_reference_file_is_explained(name: str) -> None:
    assert [column for column in raw_rows(name)[0] if not COLUMN_WORDS.get(column)] == []


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.name)
def test_an_item_says_what_is_not_given_and_how_its_numbers_were_had(item: PaperItem) -> None:
    assert item.not_given
    for found in references(item):
        assert found.shipped == (found.file in SHIPPED)
        if found.shipped:
            assert any("2605.30789" in note for note in found.notes)
        else:
            assert not found.rows


def test_numbers_are_numbers_and_an_empty_cell_is_none() -> None:
    (row,) = reference_columns([{"a": "0.10", "b": "16", "c": "", "d": "8B"}])
    assert row == {"a": 0.1, "b": 16, "c": None, "d": "8B"}
    assert isinstance(row["b"], int)


def test_verdicts_of_made_figures_are_read_and_broken_ones_named(tmp_path: Path) -> None:
    claim = {
        "claim": "S2L-PO is ahead",
        "difference": {"value": 0.012, "lower": -0.003, "upper": None, "n_seeds": 5},
        "verdict": {"decision": "cannot tell", "why": "five seeds"},
    }
    folder = tmp_path / "figures" / "fig4-mini"
    folder.mkdir(parents=True)
    (folder / "numbers.json").write_text(json.dumps({"command": "s2l-lab figures fig4", "claims": [claim, 3]}))
    (folder / "fig4.png").write_bytes(b"png")
    broken = tmp_path / "figures" / "fig4-paper"
    broken.mkdir()
    (broken / "numbers.json").write_text("{")
    mini, paper = made_figures(tmp_path, "fig4")
    assert mini.verdicts == (
        {
            "claim": "S2L-PO is ahead",
            "difference": "+.012 (no interval), 5 seeds",
            "verdict": "cannot tell (five seeds)",
        },
    )
    assert "earlier release" in mini.note  # its difference has no standard error
    claim["difference"] |= {"se": None, "df": None, "given": ""}
    (folder / "numbers.json").write_text(json.dumps({"command": "s2l-lab figures fig4", "claims": [claim, 3]}))
    assert made_figures(tmp_path, "fig4")[0].note == ""
    assert mini.image == folder / "fig4.png"
    assert "cannot be read" in paper.trouble
    assert paper.verdicts == ()
    assert made_figures(tmp_path, "fig7") == ()
