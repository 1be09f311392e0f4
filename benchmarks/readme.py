"""Write the numbers of README.md from committed results, so that they cannot drift.

Each block of README between `<!-- numbers: NAME -->` and `<!-- end -->` is what the function NAME below makes of the
files in benchmarks/results and experiments. A test holds README to it.

    python benchmarks/readme.py          # rewrite README.md
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"(<!-- numbers: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def load(name: str) -> Any:
    """A result file of benchmarks/results."""
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, first column left, others right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))


def share(value: float | None, digits: int = 3) -> str:
    """.731, or a dash where undefined."""
    return "–" if value is None else f"{value:.{digits}f}".replace("0.", ".", 1)


def ranged(curve: dict[str, Any], k: int) -> str:
    """pass@k with its interval; * where the interval leans on a prior."""
    i = curve["k"].index(k)
    star = "\\*" if "prior-dependent" in curve["method"][i] else ""
    return f"{share(curve['value'][i])} [{share(curve['lower'][i], 2)}, {share(curve['upper'][i], 2)}]{star}"


def main_job() -> str:
    """What the first command finds."""
    job = load("main_job")["numbers"]
    ks = [k for k in (1, 4, 16, 64) if k <= job["n_rollouts"]]
    sizes = {p["policy"]: p["shape"]["parameters"] for p in job["policies"]}
    lengths = {p["policy"]: p["cost"]["mean_length"] for p in job["policies"]}
    rows = [
        [c["policy"], f"{sizes[c['policy']]:,}", *(ranged(c, k) for k in ks), f"{lengths[c['policy']]:.1f}"]
        for c in job["curves"]
    ]
    pairs = "\n".join(f"- {c['a']} and {c['b']}: {c['words']}." for c in job["crossings"])
    sampling = job["sampling"]
    about = (
        f"{job['benchmark']['n_problems']} {job['benchmark']['name']} problems, N = {job['n_rollouts']}, "
        f"T = {sampling['temperature']:g}, top-p {sampling['top_p']:g}, verifier {job['verifier_version']}. "
        "Intervals: 95 %, about these problems and other rollouts; \\* leans on a prior (k > N/2). "
        "Crossings: 95 % band about other problems of this kind, simultaneous over all k and pairs."
    )
    return "\n\n".join([table(["member", "parameters", *(f"pass@{k}" for k in ks), "tokens"], rows), about, pairs])


def calibration() -> str:
    """Coverage of the rollouts interval, smallest in each band of k."""
    result = load("calibration")
    bands = list(result["rollout_aims"])
    rows = [
        [name, *(share(one["smallest"][band]) for band in bands)] for name, one in result["rollouts_interval"].items()
    ]
    aims = ["*aim*", *(share(result["rollout_aims"][band], 2) for band in bands)]
    about = (
        f"Coverage of the nominal 95 % `rollouts` interval, smallest in each band of k: P = {result['problems']}, N = "
        f"{result['rollouts']}, {result['repetitions']:,} repetitions. `python benchmarks/calibration.py` re-makes it."
    )
    return about + "\n\n" + table(["solve rates", *bands], [*rows, aims])


def gold() -> str:
    """What the verifiers accept of the paper's own evaluation files."""
    rows = [
        [
            row["benchmark"],
            row["verifier"].partition("_")[0],
            f"{row['problems']:,}",
            f"{row['boxed']:,}",
            f"{row['marked']:,}",
        ]
        for row in load("gold_check")["rows"]
        if not row["verifier"].startswith("official-") or row["verifier"].startswith("official-1")
    ]
    return table(["benchmark", "verifier", "gold answers", r"accepted as `\boxed{}`", "accepted as `Answer:`"], rows)


BLOCKS: dict[str, Callable[[], str]] = {"main-job": main_job, "calibration": calibration, "gold": gold}


def rendered(text: str) -> str:
    """README's text with every block filled. Raises KeyError for a block that nobody makes."""
    return BLOCK.sub(lambda match: f"{match[1]}{BLOCKS[match[2]]()}\n{match[3]}", text)


if __name__ == "__main__":
    README.write_text(rendered(README.read_text(encoding="utf-8")), encoding="utf-8")
