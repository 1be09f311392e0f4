"""Keep of a figure's numbers.json what README.md shows: `python shorten.py RUNS/figures/fig2-mini/numbers.json`.

Writes mini.json beside this script: every panel's crossing, and its difference with the band at k = 1 and at k = N.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

FIELDS = ("value", "band_lower", "band_upper")
RUN = ("benchmark", "sampling", "n_rollouts", "verifier_version")


def shortened(found: dict[str, Any]) -> dict[str, Any]:
    """The part of numbers.json that is kept."""
    panels = []
    for panel in found["panels"]:
        smaller, larger = panel["pair"]
        differences = found["runs"][panel["run"]]["differences"]
        (one,) = (d for d in differences if {d["a"], d["b"]} == {smaller, larger})
        ends = {"k": [one["k"][0], one["k"][-1]]} | {name: [one[name][0], one[name][-1]] for name in FIELDS}
        panels.append({name: value for name, value in panel.items() if name != "paper"} | ends)
    runs = [{name: run[name] for name in RUN} for run in found["runs"]]
    return {"command": found["command"], "panels": panels, "runs": runs}


if __name__ == "__main__":
    numbers = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    text = json.dumps(shortened(numbers), indent=1, ensure_ascii=False) + "\n"
    Path(__file__).with_name("mini.json").write_text(text, encoding="utf-8")
