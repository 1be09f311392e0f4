"""Imports point left only, never in a circle: the layout is the data flow, and no module reaches for a later one."""

from __future__ import annotations

import ast
import inspect
import re
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
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
    ("app",),
    ("cli", "__main__"),
)
RANK = {name: i for i, names in enumerate(ORDER) for name in names}
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
COMPUTE = ("estimators", "diversity")
WORDS = "s2l_lab.estimators.display"
"""Puts a number and its ends into words; it computes none."""
NAMED = re.compile(r"s2l_lab\.(\w+)[\w.]*")


def imported(source: str) -> dict[str, set[str]]:
    """Modules of s2l_lab that a file imports, each with the names that it takes from it: anywhere in the file, for a
    type checker's eyes alone too, and by a string that is nothing but a module's name."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                module = f"s2l_lab.{alias.name}" if node.module == "s2l_lab" else node.module or ""
                found.setdefault(module, set()).add(alias.name)
        elif isinstance(node, ast.Import):
            found |= {alias.name: found.get(alias.name, set()) for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.setdefault(node.value, set())
    return {module: names for module, names in found.items() if NAMED.fullmatch(module)}


def climbs(mine: str, source: str) -> list[str]:
    """Modules right of the package `mine` that the file reaches for; what is no place of the layout is none."""
    places = {module: RANK.get(module.split(".")[1], -1) for module in imported(source)}
    return sorted(module for module, rank in places.items() if rank > RANK[mine])


def functions_of(package: tuple[str, ...], source: str) -> list[str]:
    """What the file takes from these packages that is neither a record nor a constant: functions and whole modules."""
    taken = []
    for module, names in imported(source).items():
        if module.split(".")[1] in package and module != WORDS:
            values = {name: getattr(import_module(module), name, None) for name in names} or {"": None}
            taken += [
                f"{module}.{name}".rstrip(".")
                for name, value in values.items()
                if value is None or inspect.isroutine(value) or inspect.ismodule(value)
            ]
    return sorted(taken)


def run_imports(path: Path) -> set[str]:
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
        right = climbs(mine, path.read_text(encoding="utf-8"))
        assert not right, f"{'/'.join(place)} imports from its right: {right}"
        seen += 1
    assert seen > 100


def test_no_imports_go_in_a_circle() -> None:
    """Neither at the top of modules nor by way of an import inside a function, which only hides the circle."""
    try:
        TopologicalSorter({name: run_imports(path) for name, path in MODULES.items()}).prepare()
    except CycleError as error:
        pytest.fail(f"modules import one another in a circle: {' <- '.join(error.args[1])}")


def test_figures_draw_and_compute_nothing() -> None:
    """A number that a figure made would be one that no table, no page and no test of an estimator knows of."""
    for path in sorted((PACKAGE / "figures").rglob("*.py")):
        taken = functions_of(COMPUTE, path.read_text(encoding="utf-8"))
        assert not taken, f"figures/{path.name} computes by {taken}; training, studies and passk compute"


def test_nothing_but_the_app_imports_the_app() -> None:
    """It needs streamlit, which is an extra: the command starts it as a script of streamlit's."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] != "app":
            taken = [name for name in imported(path.read_text(encoding="utf-8")) if name.split(".")[1] == "app"]
            assert not taken, f"{path.relative_to(PACKAGE)} imports {taken}"


@pytest.mark.parametrize(
    "source",
    [
        "from s2l_lab.cli import app",
        "from s2l_lab import cli",
        "import s2l_lab.cli.app",
        "def f():\n    from s2l_lab.cli.app import main",
        "if TYPE_CHECKING:\n    from s2l_lab.cli.app import main",
        "import_module('s2l_lab.cli.app')",
    ],
)
def test_every_way_of_reaching_right_is_seen(source: str) -> None:
    assert climbs("figures", source)
    assert not climbs("cli", source)


@pytest.mark.parametrize(
    "source",
    [
        "from s2l_lab.estimators import pass_at_k_curve",
        "from s2l_lab.estimators.curve import settled",
        "from s2l_lab.estimators import curve",
        "from s2l_lab import estimators",
        "import s2l_lab.diversity.vendi",
        "def f():\n    from s2l_lab.diversity.validity import validity",
    ],
)
def test_every_way_of_computing_is_seen(source: str) -> None:
    assert functions_of(COMPUTE, source)
    records = "from s2l_lab.estimators import Curve\nfrom s2l_lab.diversity.metrics import METRICS"
    assert not functions_of(COMPUTE, records)
