"""The rollout store at 200,000 and at a million rollouts of 60 tokens: appending, counting, paging, bytes.

    python benchmarks/store.py [--rollouts 200000 1000000]

Rollouts are synthetic (random digits as text, ids, logprobs and entropies, so they compress worse than real ones) and
come in flushes of the collect loop's size, with their verdicts, into one run; questions are asked at each size. The
peer is what one would write first: read all live parts with pandas, join verdicts by key, group. It is given the list
of live parts; the second peer also reads only the columns that it needs. Each question is asked three times in turn
with its peers, the best time counts. Writes results/store.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from s2l_lab.policies import Completion, Draw, StopReason
from s2l_lab.rollouts import Origin, Rollout, RolloutKey, RolloutStore, RunManifest
from s2l_lab.rollouts.columns import KEY
from s2l_lab.rollouts.loop import FLUSH_ROLLOUTS
from s2l_lab.verifiers import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

N, TOKENS, VERSION = 256, 60, "synthetic-1"
ORIGINS = [Origin(name, f"{i:016x}", "f" * 16) for i, name in enumerate(("tiny-s", "tiny-m", "tiny-l", "tiny-xl"))]
KEY_COLUMNS = [*KEY, "digest"]


def draws(rng: np.random.Generator, start: int, number: int) -> list[Draw]:
    ids_NT = rng.integers(0, 10, (number, TOKENS), dtype=np.int32)
    logprobs_NT = -rng.exponential(0.4, (number, TOKENS)).astype(np.float32)
    entropies_NT = rng.exponential(0.4, (number, TOKENS)).astype(np.float16)
    texts = [(row + 48).astype(np.uint8).tobytes().decode() for row in ids_NT]
    places = np.arange(start, start + number)
    return [
        Draw(
            f"{int(place) // N * 2654435761 % 2**64:016x}",
            int(place) % N,
            Completion(texts[i], ids_NT[i], logprobs_NT[i], None, entropies_NT[i], StopReason.EOS, 25),
        )
        for i, place in enumerate(places)
    ]


def grow(store: RolloutStore, rng: np.random.Generator, have: int, want: int) -> float:
    """Append rollouts `have` to `want` (spread over the origins) with verdicts; returns seconds spent in the store."""
    seconds = 0.0
    for flush, start in enumerate(range(have, want, FLUSH_ROLLOUTS)):
        origin = ORIGINS[flush % len(ORIGINS)]
        batch = draws(rng, start, min(FLUSH_ROLLOUTS, want - start))
        rollouts = [Rollout(RolloutKey(origin, d.problem_id, d.index), d.completion) for d in batch]
        kinds = (Outcome.CORRECT, Outcome.INCORRECT, Outcome.NO_ANSWER)
        verdicts = [Verdict(kinds[k], str(i % 97), str(i % 97)) for i, k in enumerate(rng.integers(0, 3, len(batch)))]
        begin = time.perf_counter()
        store.append(batch, origin)
        store.append_verdicts(VERSION, rollouts, verdicts)
        seconds += time.perf_counter() - begin
    return seconds


def live(run: Path, folder: str) -> list[Path]:
    return [run / name for name in json.loads((run / "parts.json").read_text())["parts"] if name.startswith(folder)]


def pandas_counts(run: Path, columns: list[str] | None) -> pd.DataFrame:
    rollouts = pd.concat([pd.read_parquet(part, columns=columns) for part in live(run, "rollouts")])
    verdict_columns = None if columns is None else [*columns, "outcome"]
    verdicts = pd.concat([pd.read_parquet(part, columns=verdict_columns) for part in live(run, "verdicts")])
    joined = rollouts.merge(verdicts, on=KEY_COLUMNS)
    joined = joined[(joined.policy == ORIGINS[0].policy) & (joined.sample_index < N)]
    return joined.assign(correct=joined.outcome == "correct").groupby("problem_id").correct.agg(["sum", "count"])


def best(questions: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Best of three rounds, each asking every question once."""
    times: dict[str, list[float]] = {name: [] for name in questions}
    for _ in range(3):
        for name, ask in questions.items():
            begin = time.perf_counter()
            ask()
            times[name].append(time.perf_counter() - begin)
    return {name: min(seconds) for name, seconds in times.items()}


def measure(run: Path, rollouts: int) -> dict[str, float]:
    """All questions at this size; each opens the run anew, as a second command would."""
    with RolloutStore(run) as store:
        ids = sorted(set(store.read(["problem_id"], {"policy": ORIGINS[0].policy})["problem_id"].to_pylist()))

    def ask(question: Callable[[RolloutStore], Any]) -> Callable[[], Any]:
        def opened() -> Any:
            with RolloutStore(run) as store:
                return question(store)

        return opened

    questions = {
        "counts": ask(lambda s: s.counts(ORIGINS[0], VERSION, ids, N)),
        "counts, pandas, all columns": lambda: pandas_counts(run, None),
        "counts, pandas, needed columns": lambda: pandas_counts(run, KEY_COLUMNS),
        "page of one problem": ask(lambda s: s.read(where={"problem_id": ids[7]}, version=VERSION, limit=20)),
        "page in the middle of all": ask(lambda s: s.read(version=VERSION, limit=20, offset=rollouts // 2)),
        "token totals": ask(lambda s: s.totals(ORIGINS[0], ids, N)),
    }
    if rollouts > 200_000:  # all columns of a million rollouts as Python objects do not fit beside others' work
        del questions["counts, pandas, all columns"]
    seconds = best(questions)
    with RolloutStore(run) as store:
        counts = store.counts(ORIGINS[0], VERSION, ids, N)
    frame = pandas_counts(run, KEY_COLUMNS).loc[list(ids)]
    if frame["sum"].tolist() != counts.correct_P.tolist() or frame["count"].tolist() != counts.total_P.tolist():
        raise AssertionError("the store and pandas count differently")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", type=int, nargs="+", default=[200_000, 1_000_000])
    sizes = sorted(parser.parse_args().rollouts)
    manifest = RunManifest.of_this_process({}, device="none", seeds={}, verifier_version=VERSION)
    rng = np.random.default_rng(0)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        run, have, writing = Path(folder) / "run", 0, 0.0
        for size in sizes:
            with RolloutStore.open(run, manifest, {}) as store:
                writing += grow(store, rng, have, size)
            have = size
            stored = {kind: live(run, kind) for kind in ("rollouts", "verdicts")}
            row: dict[str, Any] = {
                "rollouts": size,
                "appended per second, verdicts included": size / writing,
                "bytes per rollout": sum(part.stat().st_size for part in stored["rollouts"]) / size,
                "bytes per verdict": sum(part.stat().st_size for part in stored["verdicts"]) / size,
                "parts": sum(map(len, stored.values())),
                "seconds": measure(run, size),
            }
            seconds = row["seconds"]
            row["counts, times faster than pandas"] = {
                name.removeprefix("counts, pandas, "): seconds[name] / seconds["counts"]
                for name in seconds
                if name.startswith("counts, pandas")
            }
            rows.append(row)
            report(row)
    versions = {"duckdb": duckdb.__version__, "pyarrow": pa.__version__, "pandas": pd.__version__}
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), **versions}
    target = Path(__file__).parent / "results" / "store.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"machine": machine, "tokens per rollout": TOKENS, "sizes": rows}, indent=2) + "\n")


def report(row: dict[str, Any]) -> None:
    print(f"\n{row['rollouts']:,} rollouts of {TOKENS} tokens in {row['parts']} parts")
    print(f"  {row['appended per second, verdicts included']:10,.0f}  appended per second, verdicts included")
    print(f"  {row['bytes per rollout']:10.0f}  bytes per rollout, and {row['bytes per verdict']:.0f} per verdict")
    for name, seconds in row["seconds"].items():
        print(f"  {seconds:10.3f}  s  {name}")
    for name, ratio in row["counts, times faster than pandas"].items():
        print(f"  {ratio:10.1f}  times faster in counts than pandas with {name}", flush=True)


if __name__ == "__main__":
    main()
