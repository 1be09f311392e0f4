"""docs/extending.md is true: its edits, applied to a copy of the package, do what each section says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import s2l_lab

PACKAGE = Path(s2l_lab.__file__).parent
ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE))
STEP = re.compile(
    r"^(?:New file `(?P<new>[^`]+)`|In `(?P<old>[^`]+)`, below `(?P<line>[^`\n]+)`|(?P<check>Check)):\n\n"
    r"```\w+\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
HEAVY = ("*.safetensors", "tokenizer.json")


def linked(source: str, target: str) -> None:
    """Weights are linked, everything else is copied."""
    if Path(source).match(HEAVY[0]):
        os.symlink(source, target)
    else:
        shutil.copyfile(source, target)


def not_plans(folder: str, names: list[str]) -> list[str]:
    """Everything but plans and folders."""
    return [name for name in names if Path(folder, name).is_file() and not name.endswith(".toml")]


def applied(step: re.Match[str], place: Path) -> None:
    """Make one edit of the recipe."""
    code = step["code"]
    if step["new"]:
        path = place / step["new"]
        path.parent.mkdir(parents=True, exist_ok=True)
        assert not path.exists(), f"{step['new']} is there already"
        path.write_text(code, encoding="utf-8")
        return
    path = place / step["old"]
    before, line, after = path.read_text(encoding="utf-8").partition(f"\n{step['line']}\n")
    assert line, f"{step['old']} has no line {step['line']!r}"
    path.write_text(before + line + code + after, encoding="utf-8")


QUICK = ("A diversity metric", "A verifier kind")
"""Followed by default; the others repeat the same steps on other files."""


@pytest.mark.parametrize(
    "section", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow, id=name) for name in SECTIONS]
)
def test_what_a_section_adds_works(section: str, tmp_path: Path) -> None:
    steps = list(STEP.finditer(SECTIONS[section]))
    checks = [step["code"] for step in steps if step["check"]]
    assert checks, f"the section {section!r} checks nothing"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "s2l_lab", ignore=ignored, copy_function=linked)
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments", ignore=not_plans)
    for step in steps:
        if not step["check"]:
            applied(step, tmp_path)
    own = os.environ | {"PYTHONPATH": str(tmp_path)}
    for check in checks:
        command = [sys.executable, "-c", check]
        done = subprocess.run(command, check=False, cwd=tmp_path, env=own, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]


def test_every_section_is_in_the_table_and_its_files_are_the_ones_it_touches() -> None:
    rows = re.findall(r"^\| an? \[[^\]]+\]\(#([\w-]+)\)[^|]*\| ([^|]+) \|$", TEXT, re.MULTILINE)
    assert [anchor for anchor, _ in rows] == [name.lower().replace(" ", "-") for name in SECTIONS]
    for (_, words), (section, body) in zip(rows, SECTIONS.items(), strict=True):
        touched = {step["old"] for step in STEP.finditer(body) if step["old"]}
        assert touched == set(re.findall(r"`([\w./]+\.py)`", words)), section
