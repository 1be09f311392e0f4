"""The registry of figures, the folders of experiments, command, docs and benchmarks name the same things."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

from s2l_lab.cli import figures
from s2l_lab.cli.study_figures import study_maker
from s2l_lab.figures.registry import FIGURES, ITEMS, REGISTRY, find_figure

ROOT = Path(__file__).parents[2]
CODE = sorted([*ROOT.glob("s2l_lab/**/*.py"), *ROOT.glob("apps/**/*.py")])
TEXTS = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("experiments/*/README.md")])
RECIPES = "training"
"""The folder of the plans that sweeps begin with."""


def test_names_are_unique_and_the_papers_are_those_with_something_not_given() -> None:
    assert len(REGISTRY) == len({figure.title for figure in REGISTRY.values()})
    for name, figure in REGISTRY.items():
        assert (name, find_figure(name) if name in FIGURES else figure) == (figure.name, figure)
    assert all(item.shows and item.not_given for item in ITEMS)
    assert {name for name in REGISTRY if name not in FIGURES} == {"teaser"}


def test_every_folder_with_plans_is_a_figure_and_the_reverse() -> None:
    folders = {path.parent.name for path in ROOT.glob("experiments/*/*.toml")}
    assert folders - {RECIPES} == set(FIGURES)
    assert all((ROOT / "experiments" / name / "README.md").is_file() for name in FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_says_how_it_is_made(name: str) -> None:
    """Sweeps need no plan type; any other has one, and a study the function of its name."""
    figure = FIGURES[name]
    assert (figure.kind == "training") == (not figure.plan)
    if figure.kind in ("study", "diversity"):
        assert study_maker(name).__name__ == name.replace("-", "_")
        assert callable(figure.plan_type().describe)


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
