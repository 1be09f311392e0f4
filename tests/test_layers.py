"""Imports point left only: the layout is the data flow, and no module reaches for what comes after it."""

from __future__ import annotations

import ast
from pathlib import Path

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


def imported(path: Path) -> set[str]:
    """First part of every name below s2l_lab that a file imports; what only a type checker sees is left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    modules = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
    }
    return {name.split(".")[1] for name in modules if name.startswith("s2l_lab.")}


def test_every_module_imports_from_its_left() -> None:
    seen = 0
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).parts
        if len(place) == 1 and place[0] == "__init__.py":
            continue
        mine = place[0].removesuffix(".py")
        assert mine in RANK, f"{mine} has no place in the layout; give it one here and in DESIGN"
        right = {name for name in imported(path) if RANK[name] > RANK[mine]}
        assert not right, f"{'/'.join(place)} imports from its right: {sorted(right)}"
        seen += 1
    assert seen > 100
