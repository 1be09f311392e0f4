"""What numbers of training runs rest on, in words for captions: plans, sampling, problems, hashes of data and rollouts.

Plans and reports say what was planned and evaluated; the hashes are those of the stores beside them, as the Provenance
view shows them. What a run did not record is said to be not recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import streamlit as st

from s2l_lab.browse.provenance import NOT_RECORDED, Provenance, provenance, spanned
from s2l_lab.browse.store import open_store
from s2l_lab.errors import S2LError
from s2l_lab.rollouts.parts import LEDGER, ROLLOUTS_FOLDER
from s2l_lab.studies.study import details
from s2l_lab.training.arms import Arm, TrainingRun, evaluations, group_size
from s2l_lab.training.plan import MAX_COMPLETION_LENGTH
from s2l_lab.training.report import EvaluationReport


def arms_caption(
    arms: Sequence[Arm], interval: str, more: Sequence[str] = (), benchmark: str | None = None
) -> tuple[str, ...]:
    """Plain lines: `more` (what is seen), the interval, arms with their seeds and n, evaluations with n and N, and the
    details: sampling, plans, hashes, commands. `benchmark` is the one whose evaluations are shown (None: all)."""
    lines = [*more, f"Intervals: {interval}."]
    how: list[str] = []
    for arm in arms:
        seeds = ", ".join(str(run.seed) for run in arm.runs)
        digests = ", ".join(run.plan.digest for run in arm.runs)
        stores = _hashes(run.path / ROLLOUTS_FOLDER for run in arm.runs)
        lines.append(f"{arm.name}: {_trained(arm.runs[0])}, seeds {seeds}.")
        how.append(f"{arm.name}: sampling {_sampling(arm.runs[0])}; plans {digests}; {stores}")
    runs = [run for arm in arms for run in arm.runs]
    for name, (counts, made_of) in _evaluated(runs).items():
        if benchmark in (None, name):
            lines.append(f"{name}: {counts}.")
            how.append(f"{name}: {made_of}")
    commands = dict.fromkeys(run.report.command for run in runs if run.report is not None)
    made = list(commands)[:2]
    rest = f" and {len(commands) - len(made)} more" if len(commands) > len(made) else ""
    if not made:
        return (*lines, "No run is finished yet.", details(*how))
    return (*lines, details(*how, f"made by: {'; '.join(made)}{rest}"))


def _trained(run: TrainingRun) -> str:
    """The learner, what it is trained on, n and G."""
    plan = run.plan
    n = "all" if plan.problems.count is None else plan.problems.count
    return f"learner {plan.learner.member} on {plan.problems.benchmark}, n = {n} problems, G = {group_size(run)}"


def _sampling(run: TrainingRun) -> str:
    """The sampling parameters of the rollouts that it was trained on."""
    plan, options = run.plan, run.plan.training
    sampling = [f"T {options.get('temperature', 1.0):g}, top-p {options.get('top_p', 1.0):g}"]
    if plan.explores:
        temperature, top_p = options.get("explorer_temperature", 1.0), options.get("explorer_top_p", 1.0)
        sampling.append(f"explorer T {temperature:g}, top-p {top_p:g}")
    return f"{', '.join(sampling)}, at most {_max_tokens(run)} tokens"


def _max_tokens(run: TrainingRun) -> int:
    return int(run.plan.training.get("max_completion_length", MAX_COMPLETION_LENGTH))


def _evaluated(runs: Sequence[TrainingRun]) -> dict[str, tuple[str, str]]:
    """By benchmark: n and N over all evaluations; and sampling of the first run with the hashes of every run."""
    found: dict[str, list[EvaluationReport]] = {}
    sampling: dict[str, str] = {}
    stores: dict[str, dict[Path, None]] = {}
    for run in runs:
        for one in evaluations(run):
            found.setdefault(one.benchmark, []).append(one)
            stores.setdefault(one.benchmark, {})[run.path / one.rollouts] = None
            sampling.setdefault(one.benchmark, _evaluation_sampling(run, one.benchmark))
    words = {}
    for name, reports in found.items():
        problems = spanned([len(one.problem_ids) for one in reports])
        rollouts = spanned([n for one in reports for n in one.total])
        data = ", ".join(dict.fromkeys(one.data for one in reports))
        words[name] = (
            f"n = {problems} problems, N = {rollouts} rollouts of each",
            f"{sampling[name]}; problems {data}; {_hashes(stores[name])}",
        )
    return words


def _evaluation_sampling(run: TrainingRun, benchmark: str) -> str:
    wanted = next((e for e in run.plan.evaluation if e.benchmark == benchmark), None)
    if wanted is None:
        return f"sampling {NOT_RECORDED}"
    most = wanted.max_tokens or _max_tokens(run)
    return f"sampling T {wanted.temperature:g}, top-p {wanted.top_p:g}, at most {most} tokens, seed {wanted.seed}"


def _hashes(places: Iterable[Path]) -> str:
    """Verifiers, data and rollouts of these stores, each hash once."""
    found = [_about(place) for place in places]

    def each(values: Iterable[str]) -> str:
        return ", ".join(dict.fromkeys(values))

    verifiers = each(NOT_RECORDED if one is None else one.verifier for one in found)
    data = each(NOT_RECORDED if one is None else one.data_hash for one in found)
    rollouts = each(NOT_RECORDED if one is None else one.rollouts_hash for one in found)
    return f"verifier {verifiers}; data {data}; rollouts {rollouts}"


def _about(place: Path) -> Provenance | None:
    """What a store rests on; None where there is none that can be read."""
    try:
        status = (place / LEDGER).stat()
        return _provenance(str(place), f"{status.st_mtime_ns:x}.{status.st_size:x}")
    except (OSError, S2LError):
        return None


@st.cache_data(max_entries=256, show_spinner=False)
def _provenance(path: str, ledger: str) -> Provenance:
    return provenance(open_store(path))
