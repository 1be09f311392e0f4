"""The README blocks of the studies, from their committed results; `readme.py` puts them into the texts.

A number leaves with its interval here too: `estimate` and `percent` know no other form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    if found["value"] is None:
        return "–"
    ends = [f"{found[end]:{sign}.{digits}f}" if found[end] is not None else "–" for end in ("lower", "upper")]
    text = f"{found['value']:{sign}.{digits}f} [{ends[0]}, {ends[1]}]"
    return re.sub(r"(?<!\d)0\.", ".", text)


def percent(found: dict[str, Any]) -> str:
    """A share in percent with its interval."""
    if found["value"] is None:
        return "–"
    ends = [f"{100 * found[end]:.1f}" if found[end] is not None else "–" for end in ("lower", "upper")]
    return f"{100 * found['value'] + 0.0:.1f} % [{ends[0]}, {ends[1]}]"


def table3() -> str:
    """Every metric of every member in both conditions, and which differences to the largest exclude 0."""
    found = experiment("table3")
    policies = [policy["policy"] for policy in found["policies"]]
    cells = {(row["policy"], row["condition"], row["metric"]): row for row in found["within"]}
    parts = []
    for condition, words in (("all", "All rollouts"), ("correct", "Correct rollouts only")):
        facts = found["conditions"][condition]
        rows = []
        for metric, about in found["metrics"].items():
            row = [about["title"]]
            for policy in policies:
                cell = cells[policy, condition, metric]
                less = cell["less_reference"]
                apart = less is not None and less["lower"] is not None and (less["lower"] > 0 or less["upper"] < 0)
                row.append(estimate(cell) + ("\\*" if apart else ""))
            rows.append(row)
        parts.append(
            f"{words}, n = {facts['n_problems']} problems, rarefied to m = {facts['m']} (embeddings: "
            f"{facts['m_embedding']}):"
        )
        if condition == "all":
            rows.append(["step coherence, excess", *(estimate(found["coherence"][p]["excess"]) for p in policies)])
        parts.append(table(["metric", *policies], rows))
    parts.append(
        _about(found) + f" \\*: the paired difference to {found['reference']} excludes 0; not corrected for the "
        "number of metrics."
    )
    return "\n\n".join(parts)


def diversity() -> str:
    """The README's short form: four metrics in both conditions, and what each arm adds to the learner."""
    found = experiment("table3")
    policies = [policy["policy"] for policy in found["policies"]]
    cells = {(row["policy"], row["condition"], row["metric"]): row for row in found["within"]}
    rows = [
        [f"{found['metrics'][metric]['title']}, {words}", *(estimate(cells[p, condition, metric], 2) for p in policies)]
        for metric in ("unique_answers", "self_bleu", "edit_diversity", "strategies")
        for condition, words in (("all", "all rollouts"), ("correct", "correct only"))
    ]
    conditions = found["conditions"]
    about = (
        f"All rollouts: n = {conditions['all']['n_problems']} problems, m = {conditions['all']['m']}; correct only: n "
        f"= {conditions['correct']['n_problems']}, m = {conditions['correct']['m']}. {_about(found)}"
    )
    shares = experiment("policy-share")
    arms = [
        [arm["words"], *(percent(arm["features"][f]["share"]) for f in ("answers", "strategies", "tokens"))]
        for arm in shares["arms"]
        if arm["role"] in ("explorer", "sibling", "temperature", "kl")
    ]
    null = shares["split_halves"]
    arms.append(["split halves of the learner", *(percent(null[f]) for f in ("answers", "strategies", "tokens"))])
    head = f"Share of an even mix's diversity that lies between an arm and {shares['learner']['policy']}:"
    return "\n\n".join(
        [
            table(["metric", *policies], rows),
            about,
            head,
            table(["arm", "answers", "correct strategies", "tokens"], arms),
            _study_about(shares),
        ]
    )


def _about(found: dict[str, Any]) -> str:
    """The sentence under a table of the diversity report."""
    sampling = found["sampling"]
    return (
        f"`{found['command']}`: {found['benchmark']['n_problems']} {found['benchmark']['name']} problems, N = "
        f"{found['n_rollouts']}, T = {sampling['temperature']:g}, top-p {sampling['top_p']:g}, seed "
        f"{sampling['seed']}, verifier {found['verifier_version']}, data {found['benchmark']['digest']}. Intervals: "
        "95 %, other problems of this kind."
    )


def policy_share() -> str:
    """Share of every arm against the learner, and the size effect."""
    found = experiment("policy-share")
    features = ("answers", "strategies", "embedding", "tokens")
    rows = [
        [arm["words"], estimate(arm["accuracy"]), *(_share_cell(arm["features"].get(f)) for f in features)]
        for arm in found["arms"]
    ]
    null = found["split_halves"]
    rows.append(["split halves of the learner", "", *(percent(null[f]) if f in null else "–" for f in features)])
    sizes = [
        [
            f"{size['explorer']}, {size['feature']}",
            estimate(size["effect"], 4, "+"),
            f"{size['effect']['p_value']:.2f}".replace("0.", ".", 1),
            f"{size['effect']['n_small']} + {size['effect']['n_large']}",
        ]
        for size in found["sizes"]
    ]
    return "\n\n".join(
        [
            f"Share of an even mix's diversity that lies between an arm and the learner {found['learner']['policy']} "
            f"(pass@1 {estimate(found['learner']['accuracy'])}); strategies over correct rollouts only, with the "
            "number of problems that have two of both:",
            table(["arm", "pass@1", "answers", "strategies", "embeddings", "tokens"], rows),
            "Small beyond different: between-part of small and large models, less that of large ones among "
            "themselves; interval and exact one-sided p over pretrained models:",
            table(["small member, feature", "difference", "p", "models"], sizes),
            _study_about(found),
        ]
    )


def _share_cell(found: dict[str, Any] | None) -> str:
    if found is None:
        return "–"
    p = "p < .001" if found["p"] <= 0.001 else f"p {found['p']:.3f}".replace("0.", ".", 1)
    return f"{percent(found['share'])}, {p}, n {found['n']}"


def _study_about(found: dict[str, Any]) -> str:
    return " ".join(f"{line}" for line in found["about"])


def persistence() -> str:
    """Drift, variance ratio, ICC and KL of every arm."""
    found = experiment("persistence")
    rows = [
        [
            arm["words"],
            estimate(arm["kl"]),
            estimate(arm["drift"], 3, "+"),
            _at(arm["variance_ratio"], 20),
            _at(arm["variance_ratio_m"], 20),
            "–" if arm["variance_ratio_own"] is None else _at(arm["variance_ratio_own"], 20),
            _at(arm["autocovariance_d"], 8, 4),
            estimate(arm["icc"], 3, "+"),
            f"{arm['survival'][0]['hazard']['value']:.3f}".replace("0.", ".", 1),
        ]
        for arm in found["arms"]
    ]
    ratios = ["VR(20) of e", "of m", "of e at its own T"]
    heads = ["arm", "KL", "drift of e", *ratios, "autocov. of d, lag 8", "ICC of e", "hazard"]
    return "\n\n".join([table(heads, rows), _study_about(found)])


def _at(curve: dict[str, Any], place: int, digits: int = 2) -> str:
    i = curve["at"].index(place)
    return estimate({name: curve[name][i] for name in ("value", "lower", "upper")}, digits)


def metric_validity() -> str:
    """What every metric follows, and its mark."""
    found = json.loads((ROOT / "s2l_lab" / "studies" / "validity.json").read_text(encoding="utf-8"))
    titles = _metric_titles()
    rows = [
        [
            titles[name],
            *(
                f"{estimate(one[factor]['follows'], 2, '+')}; {share(max(one[factor]['share']['value'], 0.0), 2)}"
                for factor in ("strategies", "phrasing", "order")
            ),
            one["mark"],
        ]
        for name, one in found["metrics"].items()
    ]
    about = "Rank correlation with each factor [95 %, other items]; its share of the metric's variance."
    return "\n\n".join(
        [about, table(["metric", "strategies", "phrasing", "step order", "follows"], rows), _study_about(found)]
    )


def _metric_titles() -> dict[str, str]:
    from s2l_lab.diversity.metrics import METRICS

    return {name: metric.title for name, metric in METRICS.items()}
