"""The package's promise: estimates from arrays, without torch, pandas, or anything that reads a disk."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch", "pandas", "transformers", "sentence_transformers", "pyarrow", "duckdb", "plotly", "trl")


def test_importing_the_package_loads_nothing_heavy() -> None:
    probe = f"import sys, s2l_lab.diversity\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_what_is_promised_is_exported() -> None:
    import s2l_lab.diversity as surface

    promised = "self_bleu edit_diversity unique_answer_ratio vendi_score prefix_survival variance_ratio decompose"
    assert set(promised.split()) <= set(surface.__all__)
    assert all(hasattr(surface, name) for name in surface.__all__)
