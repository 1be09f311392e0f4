"""Imports point left only, never in a circle: the layout is the data flow, and no module reaches for a later one."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import s2l_lab

PACKAGE = Path(s2l_lab.__file__).parent
ORDER = (
    ("digest", "errors", "plans"),
    ("problems",),
    ("policies",),
    ("verifiers",),
    ("rollouts",),
    ("estimators",),
    ("diversity",),
    ("training",),
    ("sweeps",),
    ("passk", "regrade"),
    ("studies",),
    ("figures",),
    ("browse",),
    ("cli", "__main__"),
)
RANK = {name: i for i, names in enumerate(ORDER) for name in names}


MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imported(path: Path) -> set[str]:
    """The modules of the package that a file imports, also inside functions; not what only a type checker sees."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            parts = {f"{node.module}.{alias.name}" for alias in node.names}
            names.update(part if part in MODULES else node.module for part in parts)
    return names & MODULES.keys()


def test_every_module_imports_from_its_left() -> None:
    seen = 0
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).parts
        if len(place) == 1 and place[0] == "__init__.py":
            continue
        mine = place[0].removesuffix(".py")
        assert mine in RANK, f"{mine} has no place in the layout; give it one here and in DESIGN"
        layers = {name.split(".")[1] for name in imported(path) if "." in name}
        right = {name for name in layers if RANK[name] > RANK[mine]}
        assert not right, f"{'/'.join(place)} imports from its right: {sorted(right)}"
        seen += 1
    assert seen > 100


def test_no_imports_go_in_a_circle() -> None:
    """Neither at the top of modules nor by way of an import inside a function, which only hides the circle."""
    try:
        TopologicalSorter({name: imported(path) for name, path in MODULES.items()}).prepare()
    except CycleError as error:
        pytest.fail(f"modules import one another in a circle: {' <- '.join(error.args[1])}")
