"""One meaning a word: the glossary names classes that exist, and no two public classes share a name."""

from __future__ import annotations

import ast
import pkgutil
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENTRY = re.compile(r"^\| ([^|]+) \| ([^|]+) \| `(s2l_lab[\w.]*):(\w+)` \|$", re.MULTILINE)
ENTRIES = ENTRY.findall((ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"))


def public_classes() -> dict[str, list[str]]:
    """The modules of every public class of the package, by the class's name."""
    found = defaultdict(list)
    for path in sorted((ROOT / "s2l_lab").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(".".join(path.relative_to(ROOT).with_suffix("").parts))
    return found


def test_no_two_public_classes_have_one_name() -> None:
    twice = {name: modules for name, modules in public_classes().items() if len(modules) > 1}
    assert not twice, f"one name, several meanings: {twice}"


def test_every_word_stands_once_with_one_sentence() -> None:
    lines = [line for line in (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines() if "| `" in line]
    assert len(lines) == len(ENTRIES) > 40
    assert len({word for word, *_ in ENTRIES}) == len({name for *_, name in ENTRIES}) == len(ENTRIES)
    for word, meaning, *_ in ENTRIES:
        assert re.fullmatch(r"[A-Z@p][^.]*\.", meaning.replace("s2l-lab", "s2l_lab")), f"{word}: {meaning}"


@pytest.mark.parametrize(("module", "name"), [(module, name) for _, _, module, name in ENTRIES])
def test_every_class_of_the_glossary_is_where_it_says(module: str, name: str) -> None:
    assert pkgutil.resolve_name(f"{module}:{name}").__module__ == module
