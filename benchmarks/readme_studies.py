"""The README blocks of the studies, from their committed results; `readme.py` puts them into the texts.

The tables are those of `s2l_lab.figures`; here they are written in Markdown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from s2l_lab.figures.pretrained_pair import pair_table, verdict_lines
from s2l_lab.figures.study_tables import persistence_table, share_table, sizes_table, validity_table, within_table
from s2l_lab.figures.tables import Cell, Number, Strong, Table, as_number
from s2l_lab.figures.within_panels import CONDITION_WORDS
from s2l_lab.studies.within import CONDITIONS
from s2l_lab.verifiers import verifier_version

ROOT = Path(__file__).resolve().parent.parent


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, first column left, others right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))


def share(value: float | None, digits: int = 3) -> str:
    """.731, or a dash where undefined."""
    return "–" if value is None else f"{value:.{digits}f}".replace("0.", ".", 1)


def experiment(name: str) -> Any:
    """The committed numbers of a study at scale mini."""
    return json.loads((ROOT / "experiments" / name / "mini.json").read_text(encoding="utf-8"))


def estimate(found: dict[str, Any], digits: int = 3, sign: str = "") -> str:
    """A number with its interval; a dash where it is undefined."""
    return cell(as_number(found, digits, sign=sign))


def cell(shown: Cell) -> str:
    """A cell in Markdown: a number with its interval, a dash where it is undefined, what stands out in bold."""
    if isinstance(shown, Strong):
        first, *more = shown.split("\n")
        return f"**{first}**" + "".join(f" ({words})" for words in more)
    if not isinstance(shown, Number):
        return "–" if shown == "-" else shown
    if shown.value is None:
        return "–"
    ends = (shown.lower, shown.upper)
    if shown.percent:
        low, high = ("–" if end is None else f"{100 * end:.1f}" for end in ends)
        text = f"{100 * shown.value + 0.0:.1f} % [{low}, {high}]"
    else:
        form = f"{shown.sign}.{shown.ends or shown.digits}f"
        low, high = ("–" if end is None else f"{end:{form}}" for end in ends)
        text = re.sub(r"(?<!\d)0\.", ".", f"{shown.value:{shown.sign}.{shown.digits}f} [{low}, {high}]")
    return ", ".join([text + shown.mark.replace("*", "\\*"), *shown.about])


def markdown(made: Table, *, keys: Sequence[str] = (), digits: int = 0, **heads: str) -> str:
    """A table of `figures` in Markdown; `keys` are the rows that are shown, else all, `heads` other titles of columns,
    `digits` those of all its numbers."""
    rows = [
        [cell(replace(c, digits=digits) if digits and isinstance(c, Number) else c) for c in row.cells]
        for row in made.rows
        if not keys or row.key in keys
    ]
    return table([heads.get(column.title, column.title) for column in made.columns], rows)


def table3() -> str:
    """Every metric of every member in both conditions, and which differences to the largest exclude 0."""
    found = experiment("table3")
    parts = []
    for condition in CONDITIONS:
        facts = found["conditions"][condition]
        parts.append(
            f"{CONDITION_WORDS[condition].capitalize()}, n = {facts['n_problems']} problems, rarefied to m = "
            f"{facts['m']} (embeddings: {facts['m_embedding']}):"
        )
        parts.append(markdown(within_table(found, condition), keys=[*found["metrics"], "coherence"]))
    parts.append(
        f"\\*: the 95 % CI of the paired difference to {found['reference']} excludes 0, not corrected for the number "
        f"of metrics. {_about(found)}"
    )
    return "\n\n".join(parts)


def diversity() -> str:
    """The README's short form: four metrics in both conditions, and what each arm adds to the learner."""
    found, shares = experiment("table3"), experiment("policy-share")
    conditions = found["conditions"]
    made = {condition: within_table(found, condition) for condition in CONDITIONS}
    rows = [
        [f"{row.cells[0]}, {words}", *(cell(replace(c, digits=2, mark="")) for c in row.cells[1:])]
        for metric in ("unique_answers", "self_bleu", "edit_diversity", "strategies")
        for condition, words in (("all", "all rollouts"), ("correct", "correct only"))
        for row in made[condition].rows
        if row.key == metric
    ]
    about = (
        f"All rollouts: n = {conditions['all']['n_problems']} problems, rarefied to m = {conditions['all']['m']} "
        f"rollouts. Correct only: n = {conditions['correct']['n_problems']}, m = {conditions['correct']['m']}. "
        f"{_about(found)}"
    )
    roles = ("explorer", "sibling", "temperature", "kl", "null")
    arms = share_table(shares).only("answers", "correct strategies", "tokens")
    short = [
        [cell(replace(c, about=()) if isinstance(c, Number) else c) for c in row.cells]
        for row in arms.rows
        if row.key in roles
    ]
    return "\n\n".join(
        [
            table(["metric", *(policy["policy"] for policy in found["policies"])], rows),
            about,
            f"Share of the diversity of an even mix that lies between an arm and {shares['learner']['policy']}:",
            table(["arm", "answers", "correct strategies", "tokens"], short),
            _study_about(shares),
        ]
    )


def _about(found: dict[str, Any]) -> str:
    """The sentence under a table of the diversity report."""
    sampling = found["sampling"]
    return (
        f"95 % CI over problems; {found['benchmark']['n_problems']} {found['benchmark']['name']} problems, N = "
        f"{found['n_rollouts']} rollouts, T = {sampling['temperature']:g}, top-p {sampling['top_p']:g}, seed "
        f"{sampling['seed']}, verifier {found['verifier_version']}, data {found['benchmark']['digest']}. Made by "
        f"`{found['command']}`."
    )


def policy_share() -> str:
    """Share of every arm against the learner, and the size effect."""
    found = experiment("policy-share")
    sizes = [
        [name, cell(effect), f"{size['effect']['p_value']:.2f}".replace("0.", ".", 1), models]
        for (name, effect, _, models, _), size in zip(
            (row.cells for row in sizes_table(found).rows), found["sizes"], strict=True
        )
    ]
    return "\n\n".join(
        [
            "Share of the diversity of an even mix that lies between an arm and the learner "
            f"{found['learner']['policy']} (pass@1 {estimate(found['learner']['accuracy'])}). Strategies are over "
            "correct rollouts only; their cells give the number of problems with two correct rollouts of both:",
            markdown(share_table(found), **{"correct strategies": "strategies"}),
            "Size effect: the between-part of small and large models minus that of large models among themselves. "
            "Interval and exact one-sided p are over pretrained models:",
            table(["small member, feature", "difference", "p", "models"], sizes),
            _study_about(found),
        ]
    )


def _study_about(found: dict[str, Any]) -> str:
    """The caption of a study, and whether its numbers are by the present rules."""
    old = found.get("verifier_version", verifier_version("countdown")) != verifier_version("countdown")
    return ". ".join([" ".join(found["about"]).removesuffix("."), *([OLD_STUDY] if old else [])])


OLD_STUDY = (
    "These numbers were made by an earlier release, with the verifier that is named here. They stay until the models "
    "of other pretraining seeds are trained again."
)
"""Said of a committed result whose verifier version is not the present one."""


def persistence() -> str:
    """Drift, variance ratio, ICC and KL of every arm."""
    found = experiment("persistence")
    return "\n\n".join([markdown(persistence_table(found)), _study_about(found)])


def smollm2() -> str:
    """pass@k of both members by condition and extraction, the verdicts, and what the sibling adds."""
    found = experiment("smollm2")
    parts = [markdown(pair_table(found)), "\n".join(f"- {line}." for line in verdict_lines(found))]
    for part in found["parts"]:
        parts += [f"{part['benchmark']}, share of an even mix's diversity that lies between an arm and the learner:"]
        parts += [
            markdown(share_table(part["share"])),
            "Persistence:",
            markdown(persistence_table(part["persistence"])),
        ]
    return "\n\n".join([*parts, _study_about(found)])


def smollm2_first() -> str:
    """pass@1 and pass@N of both members at the lowest temperature and at 1, read in both ways."""
    found = experiment("smollm2")
    made = pair_table(found)
    wanted = tuple(f"T = {t:g}" for t in sorted({min(found["plan"]["temperatures"]), 1.0}))
    heads = [column.title for column in made.columns]
    keep = [i for i, head in enumerate(heads) if not head.endswith("k = 8")]
    rows = [
        [cell(row.cells[i]) for i in keep]
        for row in made.rows
        if isinstance(row.cells[0], str) and row.cells[0].endswith(wanted)
    ]
    return "\n\n".join([table([heads[i] for i in keep], rows), found["about"][0]])


def metric_validity() -> str:
    """What every metric follows, and its mark."""
    found = json.loads((ROOT / "s2l_lab" / "studies" / "validity.json").read_text(encoding="utf-8"))
    about = (
        "Rank correlation of each metric with each factor [95 % CI over items], and the factor's share of its variance."
    )
    return "\n\n".join([about, markdown(validity_table(found["metrics"])), _study_about(found)])
