"""The switches and the report that the views of diversity share: what is measured, on how much, rarefied to what."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import streamlit as st

from s2l_lab.app.parts.measured import embeddings_folder, on_demand
from s2l_lab.app.parts.runs import provenance_of, rates_of
from s2l_lab.app.parts.states import empty
from s2l_lab.figures.diversity import diversity_caption
from s2l_lab.studies.vectors import NO_EMBEDDER
from s2l_lab.studies.within import M_CORRECT as USUAL_CORRECT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from s2l_lab.app.parts.address import Address
    from s2l_lab.app.parts.runs import Opened
    from s2l_lab.studies.diversity import DiversityReport

PROBLEMS = ("12", "25", "50", "100", "200", "500")
ROLLOUTS = ("4", "8", "16", "32", "64", "128", "256")
M_CORRECT = ("2", "3", "4", "8", "16")
EMBEDDERS = ("minilm", NO_EMBEDDER)
EMBEDDER_HELP = (
    "Sentence embeddings cost more than all other metrics together; without them the embedding metrics are undefined."
)


def steps_to(options: Sequence[str], most: int) -> list[str]:
    """The options up to `most`, and `most` itself."""
    kept = [option for option in options if int(option) < most]
    return [*kept, str(most)]


def measured_report(here: Opened, address: Address, policies: tuple[str, ...]) -> DiversityReport | None:
    """The diversity of the open run under the switches, once the reader has asked for it."""
    n_problems, n_rollouts, least = _sizes(here, policies)
    if not policies:
        empty("No policy is chosen.")
        return None
    if least < 2:
        empty("Diversity needs two rollouts of every problem by every policy, and some problem has fewer.")
        return None
    numbers = _numbers(address, n_problems, n_rollouts)
    problems, n, m_all, m_correct = numbers
    embedder = address.value("embedder")
    content = ("diversity", str(here.store.path), here.store.fingerprint(), policies, numbers, embedder)

    def make(announce: Callable[[str], None]) -> DiversityReport:
        from s2l_lab.studies.diversity import diversity_of_run

        return diversity_of_run(
            here.store.path,
            policies=policies,
            problems=problems,
            n=n,
            m_all=m_all,
            m_correct=m_correct,
            embedder=embedder,
            embeddings=embeddings_folder(),
            command=diversity_command(here.store.path, policies, problems, n, embedder),
            announce=announce,
        )

    total = len(policies) * problems * n
    about = (
        f"Measures {total:,} rollouts: {len(policies)} policies, the first {problems} problems, {n} rollouts of each"
        + ("." if embedder == NO_EMBEDDER else f", embedded with {embedder}; the first time may take minutes.")
    )
    return on_demand("diversity.measure", "Measure", about, content, make)


def diversity_command(path: Path, policies: Sequence[str], problems: int, n: int, embedder: str) -> str:
    """The command line that measures the same rollouts in the same way, but for the two rarefactions."""
    words = ["s2l-lab", "diversity", "--run", str(path)]
    for name in policies:
        words += ["--member", name]
    return shlex.join([*words, "--problems", str(problems), "-n", str(n), "--embedder", embedder])


def measured_caption(here: Opened, report: DiversityReport) -> list[str]:
    """Plain lines: the study's own caption, which switches its command has no flag for, that its verifier is not the
    one that other views show where that is so, and the rollouts' hash."""
    own = {"All rarefied to": report.within.m["all"], "Correct rarefied to": report.within.m["correct"]}
    usual = {"All rarefied to": report.n_rollouts, "Correct rarefied to": USUAL_CORRECT}
    changed = [f"{name} (m = {m})" for name, m in own.items() if m != usual[name]]
    words = f"The command has no flag for {' and '.join(changed)}: a switch of this app." if changed else ""
    other = (
        f"The study takes verdicts of {report.verifier_version}, whatever version the app shows (now {here.version})."
        if report.verifier_version != here.version
        else ""
    )
    about = f"Rollouts {provenance_of(here.store).rollouts_hash} (all that the run holds)."
    return diversity_caption(report, [*filter(None, (words, other)), about])


def _sizes(here: Opened, policies: tuple[str, ...]) -> tuple[int, int, int]:
    """Problems, the smallest number of rollouts that every chosen policy has of every problem (2 or more), that number
    itself."""
    rates = rates_of(here.store)
    columns = [rates.policies.index(name) for name in policies if name in rates.policies]
    least = int(rates.total_PM[:, columns].min()) if columns and len(rates.problem_ids) else 0
    return len(rates.problem_ids), max(least, 2), least


def _numbers(address: Address, n_problems: int, n_rollouts: int) -> tuple[int, int, int, int]:
    """(problems, rollouts of each, m of all, m of correct) as the switches stand; drawn in one row."""
    problem_options, rollout_options = steps_to(PROBLEMS, n_problems), steps_to(ROLLOUTS, n_rollouts)
    columns = st.columns(5)
    problems = columns[0].selectbox(
        "Problems", problem_options, key=key_of_few(address, "problems", problem_options, 50)
    )
    rollouts = columns[1].selectbox(
        "Rollouts of each", rollout_options, key=key_of_few(address, "rollouts", rollout_options, 32)
    )
    m_options = steps_to(("2", *ROLLOUTS), int(rollouts))
    m_all = columns[2].selectbox(
        "All rarefied to",
        m_options,
        key=address.option("m", m_options, default=m_options[-1]),
        help="Number of rollouts per problem to which every policy is rarefied, because more rollouts show more "
        "distinct answers.",
    )
    correct_options = [option for option in M_CORRECT if int(option) <= int(rollouts)]
    m_correct = columns[3].selectbox(
        "Correct rarefied to",
        correct_options,
        key=address.option("m-correct", correct_options),
        help="Number of correct rollouts per problem. Only problems where every policy has this many are used, so a "
        "larger number means fewer problems.",
    )
    columns[4].selectbox("Embedder", EMBEDDERS, key=address.option("embedder", EMBEDDERS), help=EMBEDDER_HELP)
    return int(problems), int(rollouts), int(m_all), int(m_correct)


def key_of_few(address: Address, name: str, options: list[str], most: int) -> str:
    """Key of a switch whose default is the largest option up to `most`, or the first option."""
    few = [option for option in options if int(option) <= most][-1:] or options
    return address.option(name, options, default=few[0])
