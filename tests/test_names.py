"""A name that a package gives away is never the name of one of its modules: `import a.b as m` and `a.b` agree."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import subprocess
import sys
from types import ModuleType

import s2l_lab


def modules() -> dict[str, ModuleType]:
    """Every module of the package by name, imported."""
    found = {"s2l_lab": s2l_lab}
    for info in pkgutil.walk_packages(s2l_lab.__path__, "s2l_lab."):
        if info.name.endswith("__main__"):
            continue
        found[info.name] = importlib.import_module(info.name)
    return found


def test_no_attribute_of_a_package_hides_a_module() -> None:
    found = modules()
    assert len(found) > 150
    for name, module in found.items():
        package, _, leaf = name.rpartition(".")
        if package:
            assert getattr(found[package], leaf) is module, f"{package}.{leaf} is not the module {name}"


def test_no_exported_name_is_a_module() -> None:
    """The other way round: a module that is imported later would take the place of a function of its name."""
    for name, module in modules().items():
        exported = getattr(module, "__all__", ())
        hidden = [one for one in exported if importlib.util.find_spec(f"{name}.{one}")] if is_package(module) else []
        assert not hidden, f"{name} exports {hidden}, which are names of its modules"


def is_package(module: ModuleType) -> bool:
    return hasattr(module, "__path__")


def test_a_module_that_is_imported_as_a_name_is_the_module() -> None:
    """`import s2l_lab.diversity.profile as m` once gave the function `profile`."""
    code = "import s2l_lab.verifiers.verifier_pool as m, types; assert isinstance(m, types.ModuleType); m.VerifierPool"
    subprocess.run([sys.executable, "-c", code], check=True)
