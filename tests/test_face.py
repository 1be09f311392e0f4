"""`import s2l_lab as s2l`: its names are light to import and documented, and examples run, in a notebook too."""

from __future__ import annotations

import doctest
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import s2l_lab as s2l

ROOT = Path(__file__).parent.parent
RUN = ROOT / "apps" / "sample" / "passk-tiny-countdown"
OURS = [name for name in s2l.__all__ if not name.startswith("S2LPO")]
"""The trainer's two are documented and tested with the training package."""
HEAVY = ("numpy", "pandas", "torch", "transformers", "trl", "plotly", "duckdb", "pyarrow", "scipy", "streamlit", "ray")


@pytest.mark.parametrize(
    "command",
    ["import s2l_lab; dir(s2l_lab)", "from s2l_lab.cli import main; sys.argv = ['s2l-lab', '--help']; main()"],
)
def test_importing_the_package_and_asking_for_help_import_nothing_heavy(command: str) -> None:
    lines = ["import sys", "try:", f"    {command}", "except SystemExit:", "    pass"]
    code = "\n".join([*lines, f"print([name for name in {HEAVY} if name in sys.modules])"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_every_name_is_what_its_module_has_and_is_listed() -> None:
    assert len(s2l.__all__) <= 12
    assert set(s2l.__all__) <= set(dir(s2l))
    for name in s2l.__all__:
        found = getattr(s2l, name)
        assert found.__name__ == name
        assert found.__module__.startswith("s2l_lab.")
    with pytest.raises(AttributeError, match="pass_at_k_curv"):
        s2l.pass_at_k_curv  # noqa: B018


def test_a_type_checker_sees_the_names_that_are_there() -> None:
    source = inspect.getsource(s2l)
    seen = re.findall(r"^    from (s2l_lab\.\S+) import (.+)$", source, re.MULTILINE)
    assert {(module, name) for module, names in seen for name in names.split(", ")} == {
        (f"s2l_lab.{module}", name) for name, module in s2l._MODULES.items()
    }
    assert sorted(s2l._MODULES) == sorted(s2l.__all__)


@pytest.mark.parametrize("name", OURS)
def test_the_docstring_says_what_can_go_wrong_and_its_example_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(RUN, tmp_path / "runs" / RUN.name)
    monkeypatch.chdir(tmp_path)
    (example,) = doctest.DocTestFinder(recurse=False).find(getattr(s2l, name), name, globs={})
    assert "Error" in example.docstring
    assert example.examples, f"{name} has no example"
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    runner.run(example, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)


@pytest.mark.slow  # starts a kernel; the examples of the same names run above
def test_the_lines_of_the_readme_run_in_a_notebook(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- run: notebook -->\n+```python\n(.*?)```", text, re.DOTALL)
    assert block is not None
    # The README's run is the command's; here the bundled one stands in its place.
    shutil.copytree(RUN, tmp_path / "runs" / "passk-tiny")
    lines = [line for line in block[1].splitlines() if line]
    # The kernel is started elsewhere: it must find the package that is tested.
    cells = [f"import sys; sys.path.insert(0, {str(ROOT)!r})", *lines]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(line) for line in cells])
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata["kernelspec"] = kernel
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = {line: cell.outputs for line, cell in zip(lines, notebook.cells[1:], strict=True)}
    for line, outputs in shown.items():
        if line.startswith("s2l.plot"):
            assert "application/vnd.plotly.v1+json" in outputs[0].data
        elif line.startswith("s2l."):
            assert "95% CI over problems" in outputs[0].data["text/plain"]
