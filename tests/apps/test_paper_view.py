"""The Paper view shows every item with what the paper does not give, its numbers as shipped, and ours beside them."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from opened_views import PASSK, RUNS, address_of, figures, open_view, press, said, sample, sound
from streamlit.testing.v1 import AppTest

from s2l_lab.browse.paper_items import ITEMS, paper_item, reference_columns, references
from s2l_lab.browse.report_page import Section
from s2l_lab.training.report import read_report


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample(tmp_path_factory.mktemp("paper") / "runs")


@pytest.fixture(scope="module")
def opened(runs: Path) -> Callable[[str], tuple[AppTest, list[Section]]]:
    """The view of an item and the sections of its report, both from one opening."""

    @functools.cache
    def view(name: str) -> tuple[AppTest, list[Section]]:
        made: list[list[Section]] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "s2l_lab.app.parts.paper_item.export_report", lambda key, title, sections, *_: made.append(sections())
            )
            app = sound(open_view(patch, runs, "paper", run=PASSK, item=name))
        (sections,) = made
        return app, sections

    return view


@pytest.mark.parametrize("name", [item.name for item in ITEMS])
def test_every_item_says_what_is_not_given_and_shows_its_numbers(
    opened: Callable[[str], tuple[AppTest, list[Section]]], name: str
) -> None:
    app, _ = opened(name)
    assert any("Not given" in info.value for info in app.info)
    tables = [table.value for table in app.dataframe]
    for found in references(paper_item(name)):
        if not found.shipped:
            assert "does not ship" in said(app)
            continue
        rows = reference_columns(found.rows)
        (table,) = [t for t in tables if set(t.columns) == set(rows[0])]
        assert len(table) == len(rows)
        for column in rows[0]:
            shown = [None if pd.isna(value) else value for value in table[column]]
            assert shown == [row[column] for row in rows]
    if not paper_item(name).files:
        assert "No number of this item" in said(app)


@pytest.mark.parametrize("name", [item.name for item in ITEMS])
def test_every_items_report_has_what_is_not_given_and_the_papers_numbers(
    opened: Callable[[str], tuple[AppTest, list[Section]]], name: str
) -> None:
    _, sections = opened(name)
    item = paper_item(name)
    texts = [text for section in sections for text in section.texts]
    assert f"Not given: {item.not_given}" in texts
    tables = [table.table for section in sections for table in section.tables]
    for found in references(item):
        assert reference_columns(found.rows) in tables
    (ours,) = [section for section in sections if section.title == "Ours beside the paper"]
    if item.kind in ("training", "cost"):
        assert "seeds" in ours.tables[-1].table[0] or "relative rollout compute" in ours.tables[-1].table[0]


def test_the_teaser_has_our_relative_rollout_compute(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = sound(open_view(monkeypatch, runs, "paper", run=PASSK, item="teaser"))
    (table,) = [t.value for t in app.dataframe if "relative rollout compute" in t.value.columns]
    expected = [read_report(runs / run).relative_rollout_compute for run in RUNS]
    assert table["relative rollout compute"].tolist() == expected


def test_the_benchmark_of_our_curves_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = sample(tmp_path / "runs")
    for run in RUNS:
        path = place / run / "report.json"
        report = json.loads(path.read_text())
        report["evaluations"] += [one | {"benchmark": "other"} for one in report["evaluations"]]
        path.write_text(json.dumps(report))
    app = sound(open_view(monkeypatch, place, "paper", run=RUNS[0], item="fig4", benchmark="other"))
    assert address_of(app)["benchmark"] == ["other"]
    assert "Ours: pass@1 on other." in said(app).replace("\\", "")


def test_figure_2_has_both_crossings(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = sound(open_view(monkeypatch, runs, "paper", run=PASSK, panel="R2"))
    assert figures(app) == 1
    words = said(app).replace("\\", "")
    assert "Paper: the small model overtakes at k = 8 to 12." in words
    assert "Ours: " in words
    assert address_of(app)["panel"] == ["R2"]


def test_figure_2_without_a_passk_run_shows_the_papers_alone(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = sound(open_view(monkeypatch, runs, "paper", run=RUNS[0], store="rollouts"))
    assert "Open a pass" in said(app)
    assert figures(app) == 1


def test_table_3_is_measured_when_asked(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = sound(open_view(monkeypatch, runs, "paper", run=PASSK, item="table3", embedder="none", rollouts="8"))
    assert not figures(app)
    assert figures(sound(press(app, "Measure"))) == 1


def test_ours_after_training_has_intervals_and_seeds(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = sound(open_view(monkeypatch, runs, "paper", run=RUNS[0], item="table1"))
    (ours,) = [table.value for table in app.dataframe if "pass@1" in table.value.columns]
    assert ours["seeds"].tolist() == [2]
    assert "[" in ours["pass@1"][0]


def other_arm(place: Path, name: str, training: dict[str, object], explorer: dict[str, object] | None = None) -> None:
    """A copy of the first run whose plan differs in this."""
    run = place / "training" / name
    shutil.copytree(place / RUNS[0], run)
    for file, at in (("plan.json", ()), ("report.json", ("plan",))):
        content = json.loads((run / file).read_text())
        plan = content if not at else content["plan"]
        plan["training"] |= training
        plan["explorer"] |= explorer or {}
        (run / file).write_text(json.dumps(content))


def test_each_table_shows_the_arms_that_belong_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They once were one same list."""
    place = sample(tmp_path / "runs")
    bank = {"kind": "bank", "rollouts": 64}
    other_arm(place, "grpo", {"explorer_fraction": 0})
    other_arm(place, "removed", {}, bank | {"select": "diversity_removed"})
    other_arm(place, "abrupt", {"schedule": "step"})
    other_arm(place, "hot", {"explorer_fraction": 0, "temperature": 1.5})
    shown = {}
    for name in ("table1", "table2", "table4"):
        app = sound(open_view(monkeypatch, place, "paper", run=PASSK, item=name))
        (shown[name],) = [table.value for table in app.dataframe if "stands beside" in table.value.columns]
        (left,) = [line for line in said(app).replace("\\", "").split("\n") if "Left out, as arms of other" in line]
        assert "schedule = step" in left
        assert "temperature = 1.5" in left
        assert ("diversity_removed" in left) == (name != "table4")
    two = ["GRPO", "S2L-PO"]
    wanted = {"table1": two, "table2": two, "table4": [*two, "S2L-PO without diversity"]}
    assert {name: sorted(table["stands beside"]) for name, table in shown.items()} == wanted
    assert set(shown["table2"]["trained on"]) == {"countdown-train"}
    assert "trained on" not in shown["table1"].columns
    assert all("[" in cell for cell in shown["table2"]["pass@8"])
    assert "pass@8" not in shown["table4"].columns


def test_verdicts_of_the_command_are_shown_and_a_broken_file_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = sample(tmp_path / "runs")
    claim = {"claim": "<script>x</script>", "difference": None, "verdict": {"decision": "supported", "why": ""}}
    for scale, text in (("mini", json.dumps({"command": "s2l-lab figures fig7", "claims": [claim]})), ("paper", "{")):
        folder = place / "figures" / f"fig7-{scale}"
        folder.mkdir(parents=True)
        (folder / "numbers.json").write_text(text)
    app = sound(open_view(monkeypatch, place, "paper", run=PASSK, item="fig7"))
    (table,) = [t.value for t in app.dataframe if "verdict" in t.value.columns]
    assert table["verdict"].tolist() == ["supported"]
    assert "<script>" not in said(app)
    assert "cannot be read" in said(app).replace("\\", "")
