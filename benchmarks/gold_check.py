r"""What each verifier says of the gold answers of a benchmark, and of wrong answers.

    python benchmarks/gold_check.py DATA_ROOT

DATA_ROOT holds NAME.jsonl. Three figures for every benchmark found there and every verifier: how many gold answers it
accepts as `\boxed{gold}`, how many as `Answer: gold` (ceilings: what a perfect policy would score), and how many wrong
answers it accepts: the boxed gold answer of another problem, where its text differs (1,000 pairs drawn with seed 0).
The ceilings of the scorer of arXiv 2605.30789 are set beside what its released code gives. Writes
results/gold_check.json.
"""

from __future__ import annotations

import json
import platform
import random
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from s2l_lab.errors import DataError
from s2l_lab.problems import load_benchmark
from s2l_lab.problems.catalog import BENCHMARKS
from s2l_lab.verifiers import Outcome, VerifierPool, VerifyItem, check_gold

if TYPE_CHECKING:
    from s2l_lab.problems import Benchmark
    from s2l_lab.verifiers import Kind

KINDS: tuple[Kind | None, ...] = (None, "official", "official-reward", "official-online-reward")
PAIRS = 1_000
RELEASED = {"aime24": (30, 30), "aime25": (30, 30), "math500": (397, 490), "olympiadbench, all": (500, 666)}
"""(boxed, after "Answer:") that the released evaluation scorer gives for perfect answers; OlympiadBench with proofs."""


def wrong_accepted(benchmark: Benchmark, pool: VerifierPool, kind: Kind | None) -> tuple[int, int]:
    """(accepted, not known) among PAIRS wrong answers."""
    rng = random.Random(0)
    items = []
    while len(items) < PAIRS:
        asked, other = rng.choices(benchmark.problems, k=2)
        if asked.answer.strip() != other.answer.strip():
            items.append(VerifyItem(asked, rf"\boxed{{{other.answer}}}", truncated=False))
    outcomes = [verdict.outcome for verdict in pool.verify_many(items, kind)]
    return outcomes.count(Outcome.CORRECT), outcomes.count(Outcome.VERIFIER_ERROR)


def main(root: Path) -> None:
    rows = []
    official = {}
    with VerifierPool() as pool:
        for name in BENCHMARKS:
            try:
                benchmark = load_benchmark(name, data_root=root)
            except DataError as error:
                print(f"{name}: left out. {error}")
                continue
            for kind in KINDS:
                report = check_gold(benchmark, pool, kind)
                accepted, unknown = wrong_accepted(benchmark, pool, kind)
                rows.append(
                    {
                        "benchmark": name,
                        "content": benchmark.provenance["content"],
                        "sha256": benchmark.provenance["sha256"],
                        "verifier": report.verifier,
                        "problems": report.total,
                        "boxed": report.boxed,
                        "marked": report.marked,
                        "wrong_accepted_of_1000": accepted,
                        "wrong_unknown_of_1000": unknown,
                        "refused": [p.answer for p, _ in report.refused]
                        if kind is None and len(report.refused) < 20
                        else None,
                    }
                )
                if kind == "official":
                    official[name] = (report.boxed, report.marked)
                print(
                    f"{name:<21} {report.verifier.partition('_')[0]:<23} {report.total:>5}  boxed {report.boxed:>4}"
                    f"  Answer: {report.marked:>4}  wrong accepted {accepted:>3} of {PAIRS:,}  unknown {unknown}"
                )
    if {"olympiadbench", "olympiadbench-proofs"} <= official.keys():
        both = zip(official["olympiadbench"], official["olympiadbench-proofs"], strict=True)
        official["olympiadbench, all"] = tuple(a + b for a, b in both)
    ceilings = {
        name: {"ours": official[name], "released": released} for name, released in RELEASED.items() if name in official
    }
    for name, pair in ceilings.items():
        print(f"official ceiling {name}: ours {pair['ours']}, released code {pair['released']}")
    machine = {"python": platform.python_version(), "math-verify": version("math-verify"), "sympy": version("sympy")}
    path = Path(__file__).parent / "results" / "gold_check.json"
    path.write_text(
        json.dumps({"machine": machine, "official_ceilings": ceilings, "rows": rows}, indent=1, ensure_ascii=False)
        + "\n"
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python benchmarks/gold_check.py DATA_ROOT")
    main(Path(sys.argv[1]))
