"""`s2l-lab figures fig2`, whole: planned, run on scripted policies, drawn, and answered from the store."""

import json
import sys
from pathlib import Path

import pytest

from s2l_lab.cli import figures
from s2l_lab.errors import UsageError
from s2l_lab.figures.registry import Scale

FAMILY = """
[[family]]
name = "scripts"
[[family.members]]
name = "small"
source = "scripted:beta(0.8,2.5)"
[[family.members]]
name = "large"
source = "scripted:beta(0.3,0.5)"
"""
PLAN = """
family = "scripts.toml"
problems = 6
[sampling]
presence_penalty = 0.0
[[panel]]
name = "L1"
pair = ["small", "large"]
benchmark = "countdown"
preset = "nothink"
n = 8
[[panel]]
name = "R2"
pair = ["small", "large"]
benchmark = "countdown"
preset = "think"
n = 12
"""


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "experiments" / "fig2"
    folder.mkdir(parents=True)
    (folder / "mini.toml").write_text(PLAN)
    (tmp_path / "scripts.toml").write_text(FAMILY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "kaleido", None)  # images are tested beside write_figure
    return tmp_path


def row(text: str, *words: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if all(word in line.split() for word in words))


def test_plan_run_draw_and_again(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures.run("fig2", scale="mini", dry_run=True)
    planned = capsys.readouterr().out
    assert row(planned, "all")[1:] == ["0", "240"]  # 2 members x 6 problems x (8 + 12)
    assert not (workplace / "runs").exists()

    figures.run("fig2", scale="mini", dry_run=False)
    out = capsys.readouterr().out
    assert "does the smaller member overtake?" in out
    assert "1.7B against 4B: none by k" in " ".join(out.split())
    assert "kaleido is not installed" in out
    folder = workplace / "runs" / "figures" / "fig2-mini"
    assert sorted(path.name for path in folder.iterdir()) == ["fig2.html", "numbers.json"]
    read = json.loads((folder / "numbers.json").read_text())
    assert [(p["panel"], p["run"]) for p in read["panels"]] == [("L1", 0), ("R2", 1)]
    assert [run["n_rollouts"] for run in read["runs"]] == [8, 12]
    assert [run["sampled"] for run in read["runs"]] == [96, 144]
    for run in read["runs"]:
        assert [c["policy"] for c in run["curves"]] == ["small", "large"]
        assert all(sum(policy["outcomes"].values()) == run["n_rollouts"] * 6 for policy in run["policies"])

    figures.run("fig2", scale="mini", dry_run=False)
    again = capsys.readouterr().out
    assert row(again, "all")[1:] == ["240", "0"]
    second = json.loads((folder / "numbers.json").read_text())
    assert [run["sampled"] for run in second["runs"]] == [0, 0]
    assert [run["curves"] for run in second["runs"]] == [run["curves"] for run in read["runs"]]


def test_a_larger_n_owes_only_the_rest(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures.run("fig2", scale="mini", dry_run=False)
    plan = workplace / "experiments" / "fig2" / "mini.toml"
    plan.write_text(PLAN.replace("n = 8", "n = 16"))
    capsys.readouterr()
    figures.run("fig2", scale="mini", dry_run=True)
    assert row(capsys.readouterr().out, "all")[1:] == ["240", "96"]


@pytest.mark.parametrize("scale", ["mini", "paper"])
def test_shipped_plans_are_planned_without_a_model_a_hub_or_a_gpu(
    scale: Scale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    figures.run("fig2", scale=scale, dry_run=True)
    owed = {"mini": "96,000", "paper": "48,000"}[scale]
    assert row(capsys.readouterr().out, "all")[1:] == ["0", owed]
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_figure_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown figure 'fig22'\. Did you mean fig2"):
        figures.run("fig22", scale="mini", dry_run=True)
