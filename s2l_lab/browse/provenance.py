"""What a number rests on, in words: problems, rollouts, sampling, verifier, hashes of the data, and the command.

Two hashes: of the problems (ids are digests of prompt, answer and kind) and of the rollouts (every rollout has a digest
of key and completion; their exclusive or does not depend on order or on how parts were merged). Equal hashes are equal
data, whatever the directory is called.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from s2l_lab.browse.store import BrowsedStore
from s2l_lab.digest import content_digest
from s2l_lab.figures.caption import INTERVAL_MEANS, sampling_text


@dataclass(frozen=True, slots=True)
class Provenance:
    """Plain text throughout; who prints it escapes it."""

    benchmark: str
    n_problems: int
    rollouts_per_problem: str
    """N per policy and problem, `64` or `60 to 64`."""
    sampling: str
    verifier: str
    data_hash: str
    rollouts_hash: str
    command: str
    """The last command that wrote here."""
    directory: str


def provenance(store: BrowsedStore, version: str | None = None) -> Provenance:
    """Of a store, under a verifier version (None: the newest). Raises DataError."""
    version = store.newest_version() if version is None else version
    config, sampling, sessions = store.config(), store.sampling(), store.sessions()
    counts = store.query(
        """select min(number) as low, max(number) as high, bit_xor(hash) as hash from (select count(*) as number,
        bit_xor(digest) as hash from rollouts group by policy, problem_id)"""
    ).to_pylist()[0]
    low, high = counts["low"] or 0, counts["high"] or 0
    problems = store.problems()
    benchmark = config.get("benchmark") or (config.get("problems") or {}).get("benchmark")
    sources = ", ".join(dict.fromkeys(problem.source for problem in problems.values()))
    return Provenance(
        benchmark=str(benchmark or sources or "unknown problems"),
        n_problems=len(problems),
        rollouts_per_problem=f"{low}" if low == high else f"{low} to {high}",
        sampling=sampling_text(sampling) if sampling else "not recorded",
        verifier=version or "none: not verified",
        data_hash=content_digest(list(problems)),
        rollouts_hash=f"{(counts['hash'] or 0) & (2**64 - 1):016x}",
        command=command_text(sessions[-1].command) if sessions else "not recorded",
        directory=str(store.path),
    )


def command_text(words: Sequence[str]) -> str:
    """A recorded command as it would be typed: the program by its name, however it was started."""
    program = Path(words[0]).name if words else ""
    shown = "s2l-lab" if program in ("-c", "-m", "__main__.py", "s2l-lab") else program
    return shlex.join([shown, *words[1:]])


def caption(about: Provenance, *, interval: str = "", more: Sequence[str] = ()) -> tuple[str, ...]:
    """Plain lines below a figure or table. `interval` is what was resampled (`rollouts`, `problems`, `seeds`), or words
    of the caller's own."""
    lines = [
        f"{about.benchmark}: n = {about.n_problems} problems, N = {about.rollouts_per_problem} rollouts per problem "
        "and policy.",
        f"Sampling: {about.sampling}.",
    ]
    if interval in INTERVAL_MEANS:
        lines.append(f"Intervals: 95 %, about {INTERVAL_MEANS[interval]} (resampled: {interval}).")
    elif interval:
        lines.append(f"Intervals: {interval}.")
    end = f"Verifier {about.verifier}; data {about.data_hash}; rollouts {about.rollouts_hash}; made by: {about.command}"
    return (*lines, *more, end)
