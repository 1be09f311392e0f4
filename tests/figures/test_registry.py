"""The registry of figures, the folders of experiments, command, docs and benchmarks name the same things."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from s2l_lab.cli import figures
from s2l_lab.figures.registry import FIGURES, ITEMS, Figure, Study, find_figure

ROOT = Path(__file__).parents[2]
CODE = sorted([*ROOT.glob("s2l_lab/**/*.py"), *ROOT.glob("apps/**/*.py")])
TEXTS = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("experiments/*/README.md")])
RECIPES = "training"
"""The folder of the plans that sweeps begin with."""


def test_names_are_unique_and_the_papers_are_those_with_something_not_given() -> None:
    every = {item.name: item for item in ITEMS} | FIGURES
    assert len(every) == len({figure.title for figure in every.values()})
    for name, figure in every.items():
        assert (name, find_figure(name) if name in FIGURES else figure) == (figure.name, figure)
    assert all(item.shows and item.not_given for item in ITEMS)
    assert {name for name in every if name not in FIGURES} == {"teaser"}


def test_every_folder_with_plans_is_a_figure_and_the_reverse() -> None:
    folders = {path.parent.name for path in ROOT.glob("experiments/*/*.toml")}
    assert folders - {RECIPES} == set(FIGURES)
    assert all((ROOT / "experiments" / name / "README.md").is_file() for name in FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_says_how_it_is_made(name: str) -> None:
    """Sweeps need no plan type; any other has one, and a study every part, each in its package."""
    figure = FIGURES[name]
    assert (figure.kind == "training") == (not figure.plan)
    assert (figure.kind in ("study", "diversity")) == (figure.study is not None)
    if figure.study is not None:
        assert callable(figure.plan_type().describe)
        for place in fields(figure.study):
            named = getattr(figure.study, place.name)
            assert named.startswith("s2l_lab.studies." if place.name == "measure" else "s2l_lab.figures.") or not named
            assert not named or callable(figure.study.part(place.name))


TOY = """
import plotly.graph_objects as go
from pydantic import BaseModel

from s2l_lab.figures.tables import Printed, table
from s2l_lab.studies.study import Measured, details

class Plan(BaseModel):
    items: int
    model_root: str | None = None

    def describe(self):
        return f"{self.items} items"

def measure(plan, command, watch):
    watch.announce(f"counting to {plan.items}")
    return Measured(plan.items, (f"n = {plan.items}", details(f"made by: {command}")), {"command": command})

def draw(result, about):
    return go.Figure(layout={"width": 200, "height": 100, "title": "; ".join(about)})

def numbers(result, about):
    return {"schema": 1, "items": result, "about": list(about)}

def printed(result, numbers):
    return Printed((table("toy", ["items"], [[str(numbers["items"])]]), "no second table"), ("small print",))

def more(result, folder):
    (folder / "more.txt").write_text(str(result))
    return (folder / "more.txt",)
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A study of one file, its plan and its entry."""
    (tmp_path / "toy_study.py").write_text(TOY)
    (tmp_path / "experiments" / "toy").mkdir(parents=True)
    (tmp_path / "experiments" / "toy" / "mini.toml").write_text("items = 7\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "kaleido", None)  # images are tested beside write_figure
    parts = Study("toy_study:measure", "toy_study:draw", "toy_study:numbers", "toy_study:printed", "toy_study:more")
    monkeypatch.setitem(FIGURES, "toy", Figure("toy", "A toy", "study", plan="toy_study:Plan", study=parts))
    return "toy"


def test_an_entry_is_all_that_a_study_needs(toy: str, capsys: pytest.CaptureFixture[str]) -> None:
    figures.run(toy, scale="mini", dry_run=True)
    assert capsys.readouterr().out.split("\n")[0] == "7 items"
    assert not Path("runs").exists()
    figures.run(toy, scale="mini", dry_run=False)
    out = capsys.readouterr().out
    assert [word in out for word in ("counting to 7", "no second table", "small print")] == [True] * 3
    folder = Path("runs/figures/toy-mini")
    assert {path.name for path in folder.iterdir()} == {"toy.html", "numbers.json", "more.txt"}
    command = "s2l-lab figures toy --scale mini"
    about = ["n = 7", f"Details: made by: {command}"]
    assert json.loads((folder / "numbers.json").read_text()) == {
        "schema": 1, "items": 7, "about": about, "command": command,
    }  # fmt: skip
    assert all(str(folder / name) in out for name in ("toy.html", "numbers.json", "more.txt"))


def test_the_command_without_a_name_lists_what_it_makes(capsys: pytest.CaptureFixture[str]) -> None:
    figures.run(None, scale="mini", dry_run=False)
    first = [line.partition(" ")[0] for line in capsys.readouterr().out.splitlines()]
    assert [word for word in first if word in FIGURES] == list(FIGURES)


def test_the_readme_links_every_figure_and_no_text_names_another() -> None:
    linked = set(re.findall(r"\(experiments/([\w-]+)/README\.md\)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert set(FIGURES) <= linked
    for path in [*TEXTS, *CODE]:
        for name in re.findall(r"s2l-lab figures ([a-z0-9][\w-]*)", path.read_text(encoding="utf-8")):
            assert name in FIGURES, f"{path} names the figure {name}"


def test_every_figure_has_a_block_of_numbers() -> None:
    spec = importlib.util.spec_from_file_location("readme_numbers", ROOT / "benchmarks" / "readme.py")
    assert spec is not None
    assert spec.loader is not None
    readme = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(readme)
    assert set(FIGURES) <= set(readme.BLOCKS)


def test_nothing_else_keeps_a_list_of_the_figures() -> None:
    for path in CODE:
        if path.name == "registry.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            inside = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", ())
            names = {one.value for one in inside if isinstance(one, ast.Constant)} & set(FIGURES)
            assert len(names) < 4, f"{path} lists {sorted(names)}"
