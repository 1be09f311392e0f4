"""The scripts of analyses/: each answers its question with an interval and n, by the names of the face alone."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parent.parent / "analyses").glob("*.py"))
SIZES = {"which_metric_follows_strategies": (12, 64)}
"""Problems and rollouts of the scripts that need many correct ones; others take (4, 8)."""


QUICK = ("who_solves_what",)
"""Run by default; the others repeat what tests/studies hold of their measures, on more rollouts."""


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=() if path.stem in QUICK else pytest.mark.slow, id=path.stem) for path in SCRIPTS],
)
def test_a_script_prints_intervals_and_n_and_writes_its_figure(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    problems, rollouts = SIZES.get(path.stem, (4, 8))
    script.main(problems, rollouts, tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 4
    for line in lines:
        assert "n = " in line
        assert "95% CI over problems" in line or "alone solves" in line
    assert "plotly" in (tmp_path / f"{path.stem}.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_uses_the_face_alone(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert imported <= {"pathlib", "pandas", "plotly.express", "s2l_lab"}


def test_there_is_a_script_for_each_question() -> None:
    assert [path.stem for path in SCRIPTS] == [
        "does_it_last",
        "policy_or_token",
        "small_or_different",
        "which_metric_follows_strategies",
        "who_solves_what",
    ]
