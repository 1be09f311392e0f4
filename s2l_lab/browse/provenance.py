"""What a number rests on, in words: problems, rollouts, sampling, verifier, hashes of the data, and the commands.

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
from s2l_lab.errors import S2LError
from s2l_lab.figures.caption import INTERVAL_MEANS, drawn_units, sampling_text
from s2l_lab.rollouts.store import PROBLEMS
from s2l_lab.studies.study import details
from s2l_lab.training.report import read_report

NOT_RECORDED = "not recorded"
_IN_A_CAPTION = 3
"""Commands; a run that was topped up more often names the last ones."""


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
    commands: tuple[str, ...]
    """Every command that wrote here, each once, in order of its first session; empty where none is recorded."""
    directory: str
    remarks: tuple[str, ...] = ()
    """What must be known of who sampled, each with the policy's name: settings that a server kept to itself, repeats
    that were accepted."""

    @property
    def command(self) -> str:
        """The commands on one line, for captions."""
        earlier = len(self.commands) - _IN_A_CAPTION
        last = "; ".join(self.commands[-_IN_A_CAPTION:]) or NOT_RECORDED
        return f"{last} (and {earlier} before)" if earlier > 0 else last

    @property
    def again(self) -> str:
        """The last command: given again, it samples and verifies what is owed. Empty where none is recorded."""
        return self.commands[-1] if self.commands else ""


def provenance(store: BrowsedStore, version: str | None = None) -> Provenance:
    """The provenance of a store under a verifier version (None: the newest). Raises DataError."""
    version = store.newest_version() if version is None else version
    config, sampling, sessions = store.config(), store.sampling(), store.sessions()
    counts = store.query(
        """select min(number) as low, max(number) as high, bit_xor(hash) as hash, count(distinct problem_id) as problems
        from (select problem_id, count(*) as number, bit_xor(digest) as hash from rollouts group by policy, problem_id)
        """
    ).to_pylist()[0]
    low, high = counts["low"] or 0, counts["high"] or 0
    problems, known = store.problems(), PROBLEMS not in store.damaged()
    benchmark = config.get("benchmark") or (config.get("problems") or {}).get("benchmark")
    sources = ", ".join(dict.fromkeys(problem.source for problem in problems.values()))
    return Provenance(
        benchmark=str(benchmark or sources or "unknown problems"),
        n_problems=len(problems) if known else counts["problems"],
        rollouts_per_problem=spanned([low, high]),
        sampling=sampling_text(sampling) if sampling else NOT_RECORDED,
        verifier=version or "none: not verified",
        data_hash=content_digest(list(problems)) if known else "not known",
        rollouts_hash=f"{(counts['hash'] or 0) & (2**64 - 1):016x}",
        commands=tuple(dict.fromkeys(command_text(session.command) for session in sessions)),
        directory=str(store.path),
        remarks=tuple(dict.fromkeys(f"{origin.policy}: {text}" for origin, text in store.remarks())),
    )


def training_command(run: Path) -> str:
    """The command that finished the training run in a directory; empty where there is no report that can be read."""
    try:
        return read_report(run).command
    except S2LError:
        return ""


def command_text(words: Sequence[str]) -> str:
    """A recorded command (`sys.argv`) as it would be typed: an installed program by its name, a script by its path and
    after the interpreter that ran it."""
    if not words:
        return NOT_RECORDED
    program = Path(words[0])
    if program.name in ("-c", "-m", "__main__.py", "s2l-lab"):
        shown = ["s2l-lab"]
    elif program.suffix == ".py":
        shown = ["python", str(program)]
    else:
        shown = [program.name if program.is_absolute() else words[0]]
    return shlex.join([*shown, *words[1:]])


@dataclass(frozen=True, slots=True)
class Drawn:
    """The part of a run that a figure or table is made from."""

    n_problems: int
    rollouts_per_problem: str
    """N per policy and problem, as in `Provenance`."""
    n_clusters: int | None = None
    """Number of clusters of problems, which are resampled whole; None if every problem stands alone."""


def spanned(numbers: Sequence[int]) -> str:
    """Numbers of rollouts as N: `64`, or `60 to 64`."""
    low, high = min(numbers, default=0), max(numbers, default=0)
    return f"{low}" if low == high else f"{low} to {high}"


def caption(
    about: Provenance, drawn: Drawn | None = None, *, interval: str = "", more: Sequence[str] = ()
) -> tuple[str, ...]:
    """The caption of a figure or table in plain lines: `more` (what is seen), n, N and the interval, then the details.

    `drawn` is the part of the run that is shown; None is the whole run, or a part that `more` describes. `interval` is
    what was resampled (`rollouts`, `problems`, `seeds`), or words of the caller's own.
    """
    holds = f"n = {about.n_problems} problems, N = {about.rollouts_per_problem} rollouts per problem and policy"
    counts = f"{holds} in the run"
    if drawn is not None:
        problems = f"{drawn.n_problems} problem{'s' if drawn.n_problems != 1 else ''}"
        counts = f"n = {problems}, N = {drawn.rollouts_per_problem} rollouts per problem and policy"
        counts += "" if counts == holds else f" (the run holds {about.n_problems} and {about.rollouts_per_problem})"
    line = f"{about.benchmark}: {counts}."
    if interval in INTERVAL_MEANS:
        clusters = None if drawn is None or interval != "problems" else drawn.n_clusters
        line += f" 95 % CI over {INTERVAL_MEANS[interval] if clusters is None else drawn_units(clusters)}."
    elif interval:
        line += f" Intervals: {interval}."
    end = details(
        f"sampling {about.sampling}",
        f"Verifier {about.verifier}",
        f"data {about.data_hash}",
        f"rollouts {about.rollouts_hash}",
        f"made by: {about.command}",
    )
    return (*more, line, *(f"{remark}." for remark in about.remarks), end)
