"""Keep of the study's numbers.json what README.md shows: `python shorten.py RUNS/figures/smollm2-mini/numbers.json`.

Writes mini.json beside this script: curves at the k of the table, every verdict, policy share and persistence.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from s2l_lab.figures.pretrained_pair import KS

FIELDS = ("k", "value", "lower", "upper")


def shortened(found: dict[str, Any]) -> dict[str, Any]:
    """The part of numbers.json that is kept."""
    parts = []
    for part in found["parts"]:
        conditions = []
        for condition in part["conditions"]:
            curves = {
                extraction: {member: at_ks(curve) for member, curve in members.items()}
                for extraction, members in condition["curves"].items()
            }
            kept = {name: value for name, value in condition.items() if name != "comparisons"}
            conditions.append(kept | {"curves": curves})
        parts.append(part | {"conditions": conditions})
    return found | {"parts": parts}


def at_ks(curve: dict[str, Any]) -> dict[str, Any]:
    """A curve at the k of the table, and at N."""
    places = [i for i, k in enumerate(curve["k"]) if k in KS or k == curve["k"][-1]]
    return {name: [curve[name][i] for i in places] for name in FIELDS}


if __name__ == "__main__":
    numbers = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    text = json.dumps(shortened(numbers), indent=1, ensure_ascii=False) + "\n"
    Path(__file__).with_name("mini.json").write_text(text, encoding="utf-8")
