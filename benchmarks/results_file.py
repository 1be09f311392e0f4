"""What a benchmark measured, with the machine that it was measured on: benchmarks/results/NAME.json."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any


def machine(*packages: str, **more: Any) -> dict[str, Any]:
    """Cores, `more`, and the versions of Python and of these packages."""
    versions = {name: version(name) for name in packages}
    return {"cores": os.cpu_count(), **more, "python": platform.python_version(), **versions}


def show(title: str, rows: dict[str, dict[str, float]], widths: tuple[int, int]) -> None:
    """Print rows of numbers by name; `widths` are the characters of names and of columns."""
    (name_width, width), columns = widths, list(next(iter(rows.values())))
    print(f"\n{title}\n{'':{name_width}}" + "".join(f"{column:>{width}}" for column in columns))
    for name, row in rows.items():
        print(f"{name:{name_width}}" + "".join(f"{row[column]:>{width}.3f}" for column in columns))


def results_path(name: str) -> Path:
    """Where the report of this name is kept."""
    return Path(__file__).parent / "results" / f"{name}.json"


def keep(name: str, report: dict[str, Any]) -> Path:
    """Write the report as NAME.json."""
    path = results_path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return path
