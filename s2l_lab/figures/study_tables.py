"""The tables of diversity and of the studies, from the numbers of their numbers.json: see `tables`.

`..._printed` says which of them, and which of their columns, a terminal of 80 columns shows.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from s2l_lab.diversity.metrics import METRICS
from s2l_lab.figures.diversity import diversity_caption
from s2l_lab.figures.paper import table3_beside
from s2l_lab.figures.tables import (
    Cell,
    Column,
    Number,
    Printed,
    Strong,
    Table,
    TableRow,
    as_number,
    number,
    p_words,
    table,
    texts,
)
from s2l_lab.figures.within_panels import CONDITION_WORDS
from s2l_lab.studies.between import FEATURE_TITLES, FEATURE_WORDS, FEATURES
from s2l_lab.studies.metric_validity import SIGNS, WORDS, metric_marks
from s2l_lab.studies.within import CONDITIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from s2l_lab.figures.paper import PaperDiversity
    from s2l_lab.studies.between import Feature
    from s2l_lab.studies.diversity import DiversityReport
    from s2l_lab.studies.within import Condition

HORIZON, LAG = 20, 8
"""Of the variance ratios and of the autocovariance in the table; the figure has all."""
METRIC = Column("metric", text=True, width=25)


def metric_name(metric: str) -> str:
    """A metric's title."""
    return METRICS[metric].title


def within_table(found: Mapping[str, Any], condition: Condition, named: Callable[[str], str] = metric_name) -> Table:
    """Every metric by policy (`*`: its paired difference to the reference excludes 0); above them what is no diversity
    but moves it. `named` writes a metric's name."""
    policies, facts = found["policies"], found["conditions"][condition]
    names = [policy["policy"] for policy in policies]
    lengths = (as_number(policy["length"][condition], 1) for policy in policies)
    rows = [TableRow(("tokens per completion", *lengths), "tokens")]
    if condition == "all":
        rows.insert(0, TableRow(("pass@1", *(as_number(policy["accuracy"]) for policy in policies)), "pass@1"))
    cells = {(one["policy"], one["metric"]): one for one in _within(found, condition)}
    for metric in METRICS:
        row = (
            as_number(cell := cells[name, metric], mark="*" if _apart(cell["less_reference"]) else "") for name in names
        )
        rows.append(TableRow((named(metric), *row), metric))
    if found["coherence"] and condition == "all":
        excess = (as_number(found["coherence"][name]["excess"]) for name in names)
        rows.append(TableRow(("step coherence, excess", *excess), "coherence"))
    about = f"(m = {facts['m']}, n = {facts['n_problems']})"
    title = f"within each policy, {CONDITION_WORDS[condition]} {about}"
    return table(title, [METRIC, *names], rows)


def _apart(less: Mapping[str, Any] | None) -> bool:
    """Whether the interval of a difference excludes 0."""
    return less is not None and less["lower"] is not None and (less["lower"] > 0 or less["upper"] < 0)


def between_table(found: Mapping[str, Any]) -> Table:
    """What each policy adds to the reference, by feature: part of an even mix's diversity that lies between the two."""
    shares = {(one["policy"], one["feature"]): one for one in found["between"]}
    policies = list(dict.fromkeys(one["policy"] for one in found["between"]))
    rows = [
        TableRow(
            (
                FEATURE_TITLES[feature],
                *(share_cell(shares.get((policy, feature))) for policy in policies),
                as_number(found["split_halves"].get(feature), percent=True),
            ),
            feature,
        )
        for feature in FEATURES
    ]
    title = f"what each policy adds to {found['reference']}: between-policy share"
    return table(title, [Column("feature", text=True, width=19), *policies, "split halves"], rows)


def share_cell(found: Mapping[str, Any] | None) -> Cell:
    """A share between two policies in percent, with its p and n."""
    if found is None:
        return "-"
    tested = () if found["p"] is None else (p_words(found["p"]),)
    return as_number(found["share"], percent=True, about=(*tested, f"n {found['n']}"))


def differences_table(found: Mapping[str, Any], condition: Condition) -> Table:
    """Every policy minus the reference under a condition, paired over problems, by metric."""
    names = [policy["policy"] for policy in found["policies"] if policy["policy"] != found["reference"]]
    less = {(one["policy"], one["metric"]): one["less_reference"] for one in _within(found, condition)}
    n = found["conditions"][condition]["n_problems"]
    rows = [
        TableRow((metric_name(metric), *(counted(less[name, metric], n, sign="+") for name in names)), metric)
        for metric in METRICS
    ]
    return table(f"Policy minus {found['reference']}, paired over problems", [METRIC, *names], rows)


def contrasts_table(found: Mapping[str, Any]) -> Table:
    """`between_table` in full, a row per feature and policy: share, between-part, null, p, and the numbers behind."""
    contrasts = {(one["policy"], one["feature"]): one for one in found["between"]}
    policies = [policy["policy"] for policy in found["policies"] if policy["policy"] != found["reference"]]
    rows = []
    for feature in FEATURES:
        null = found["split_halves"].get(feature)
        halves = "-\nnot recorded" if null is None else counted(null, found["benchmark"]["n_problems"])
        for policy in policies:
            cells = _contrast_cells(contrasts.get((policy, feature)), halves)
            rows.append(TableRow((FEATURE_WORDS[feature], policy, *cells), feature))
    title = (
        "Between-part in units of the distance; split halves as a share. p: policies permuted within problems, "
        "one-sided. n: problems with two rollouts of both policies."
    )
    heads = ("share", "between-part", f"split halves of {found['reference']}", "p", "n problems")
    return table(title, [*texts("what differs", "policy"), *heads], rows)


def _contrast_cells(one: Mapping[str, Any] | None, halves: Cell) -> tuple[Cell, ...]:
    if one is None:
        return "-\nno embeddings or token ids", "-", halves, "-", "0"
    p = "-" if one["p"] is None else f"{one['p']:.3g}"
    rollouts = f"{one['n']}\n{one['n_rollouts_policy']:,} + {one['n_rollouts_reference']:,} rollouts"
    return counted(one["share"], one["n"]), counted(one["between"], one["n"]), halves, p, rollouts


def coherence_table(found: Mapping[str, Any]) -> Table:
    """A row per policy: a step and the next one of its own rollout, of another rollout, and the difference."""
    n = found["benchmark"]["n_problems"]
    rows = [
        (policy, *(counted(one[part], n, sign="+") for part in ("observed", "null", "excess")))
        for policy, one in found["coherence"].items()
    ]
    title = "Mean cosine between a step's and the next step's residual from the problem's mean step; first rollouts."
    return table(title, [*texts("policy"), "same rollout", "other rollouts (null)", "excess"], rows)


def paper_beside_table(found: Mapping[str, Any], paper: Sequence[PaperDiversity]) -> Table:
    """The paper's Table 3 above ours; a row of one cell says whose rows follow."""
    n, metrics = found["benchmark"]["n_problems"], ("self_bleu", "edit_diversity", "unique_answers")
    ours = {(one["policy"], one["metric"]): one for one in _within(found, "all")}
    rows: list[TableRow] = [TableRow(("paper: AIME24, K = 64, no interval",))]
    rows += [TableRow((one.model, *(Strong(f"{getattr(one, name):.3f}") for name in metrics))) for one in paper]
    m = found["conditions"]["all"]["m"]
    rows.append(TableRow((f"ours: {found['benchmark']['name']}, m = {m}, n = {n} problems, all rollouts",)))
    rows += [
        TableRow((policy["policy"], *(counted(ours[policy["policy"], name], n) for name in metrics)), "ours")
        for policy in found["policies"]
    ]
    return table("", [*texts("policy"), *metrics], rows)


def counted(estimate: Mapping[str, Any] | None, n: int, **more: Any) -> Cell:
    """An estimate as a cell that says its number of problems where that is not `n`."""
    if estimate is None or estimate["n_problems"] == n:
        return as_number(estimate, **more)
    return as_number(estimate, about=(f"n = {estimate['n_problems']}",), **more)


def _within(found: Mapping[str, Any], condition: Condition) -> list[Mapping[str, Any]]:
    return [one for one in found["within"] if one["condition"] == condition]


def paper_diversity_table(paper: Sequence[PaperDiversity]) -> Table:
    """The paper's Table 3, as printed."""
    rows = [
        ["Self-BLEU", *(number(one.self_bleu) for one in paper)],
        ["edit diversity", *(number(one.edit_diversity) for one in paper)],
        ["unique answer ratio", *(number(one.unique_answers) for one in paper)],
    ]
    title = "the paper's Table 3 (AIME24, K = 64; no interval, no definition given)"
    return table(title, [METRIC, *(one.model for one in paper)], rows)


def share_table(found: Mapping[str, Any], features: Sequence[Feature] = FEATURES) -> Table:
    """Share of every arm against the learner by feature, and the null: the learner's own halves."""
    rows = [
        TableRow(
            (arm["words"], as_number(arm["accuracy"]), *(share_cell(arm["features"].get(f)) for f in features)),
            arm["role"],
        )
        for arm in found["arms"]
    ]
    null = (as_number(found["split_halves"].get(f), percent=True) for f in features)
    rows.append(TableRow(("split halves of the learner", "", *null), "null", faint=True))
    title = f"share of an even mix's diversity that lies between an arm and {found['learner']['policy']}"
    heads = ("pass@1", *(FEATURE_TITLES[f] for f in features))
    return table(title, [Column("arm", text=True, width=18), *heads], rows, stacked=True, tight=True)


def sizes_table(found: Mapping[str, Any]) -> Table:
    """The size effect of every explorer and feature."""
    rows = [
        [
            f"{size['explorer']}, {size['feature']}",
            as_number(effect := size["effect"], 4, sign="+"),
            number(effect["p_value"]),
            f"{effect['n_small']} + {effect['n_large']}",
            effect["method"],
        ]
        for size in found["sizes"]
    ]
    title = "small, or merely different? small member beyond a sibling of the learner's size"
    heads = ("difference", "p", "models", Column("method", text=True))
    return table(title, [Column("small member, feature", text=True, width=21), *heads], rows, tight=True)


def persistence_table(found: Mapping[str, Any]) -> Table:
    """KL, drift, variance ratios, autocovariance, ICC and hazard of every arm."""
    rows = [
        [
            arm["words"],
            as_number(arm["kl"]),
            as_number(arm["drift"], sign="+"),
            *(_at(arm[f"variance_ratio{what}"], HORIZON, 2) for what in ("", "_m", "_own")),
            _at(arm["autocovariance_d"], LAG, 4),
            as_number(arm["icc"], sign="+"),
            number(arm["survival"][0]["hazard"]["value"]) if arm["survival"] else "-",
        ]
        for arm in found["arms"]
    ]
    ratios = (f"VR({HORIZON}) of e", "of m", "of e at its own T")
    heads = ("KL", "drift of e", *ratios, f"autocov. of d, lag {LAG}", "ICC of e", "hazard")
    title = f"persistence of surprisal under {found['learner']} (KL, drift: nats a token)"
    return table(title, [Column("arm", text=True, width=18), *heads], rows, stacked=True, tight=True)


def _at(curve: Mapping[str, Any] | None, place: int, digits: int) -> Cell:
    """The value at the largest point up to `place`."""
    if curve is None:
        return "-"
    i = bisect_right(curve["at"], place) - 1
    return as_number({name: curve[name][i] for name in ("value", "lower", "upper")}, digits)


def validity_table(metrics: Mapping[str, Any]) -> Table:
    """What every metric follows, and its mark. `metrics` is that part of the study's numbers."""
    rows = [
        [
            metric_name(name),
            *(_followed(one[factor]) for factor in ("strategies", "phrasing", "order")),
            one["mark"],
        ]
        for name, one in metrics.items()
    ]
    title = "what each metric follows: rank correlation [95%]; share of its variance"
    heads = ("strategies", "phrasing", "step order", Column("follows", text=True))
    return table(title, [Column("metric", text=True, width=18), *heads], rows, stacked=True, tight=True)


def _followed(factor: Mapping[str, Any]) -> Cell:
    cell = as_number(factor["follows"], 2, sign="+")
    share = factor["share"]["value"]
    return (
        replace(cell, mark=f"; {number(None if share is None else max(share, 0.0), 2)}")
        if isinstance(cell, Number)
        else cell
    )


def diversity_printed(report: DiversityReport, found: Mapping[str, Any]) -> Printed:
    """Within each policy in both conditions, the paper's table where the benchmark is its own, and between policies."""
    marks = metric_marks()
    none_correct = (
        f"Correct rollouts only: no problem has {report.within.m['correct']} correct rollouts of every policy. Sample "
        "more with -n, or leave the weakest policy out with --member."
    )
    paper = table3_beside(report.benchmark)
    tables = (
        *(within_table(found, c, signed_name) if report.within.n_problems[c] else none_correct for c in CONDITIONS),
        *([paper_diversity_table(paper)] if paper else []),
        *([between_table(found)] if report.between else []),
    )
    signs = "; ".join(f"{sign} {WORDS[mark]}" for mark, sign in SIGNS.items() if mark in marks.values() and sign)
    lines = (
        f"*: differs from {report.within.reference} (paired interval excludes 0).",
        *([f"Beside a metric, as measured on Countdown, where strategies are known: {signs}."] if signs else []),
        *diversity_caption(report),
    )
    return Printed(tables, lines)


def signed_name(metric: str) -> str:
    """The metric's name with the sign of its mark."""
    return f"{metric_name(metric)} {SIGNS.get(metric_marks().get(metric, ''), '')}".rstrip()


def policy_share_printed(_: object, found: Mapping[str, Any]) -> Printed:
    """Share of every arm against the learner by feature, then the size effect."""
    shares = share_table(found).only(*FEATURE_TITLES.values())
    if not found["sizes"]:
        return Printed((shares,), ("No other pretraining seeds: small or merely different stays open.",))
    return Printed((shares, sizes_table(found).only("difference", "p", "method")))


def persistence_printed(_: object, found: Mapping[str, Any]) -> Printed:
    """KL, drift and variance ratios of every arm; the figure has the rest."""
    made = persistence_table(found)
    return Printed((made.only(*(column.title for column in made.columns[1:5])),))


def validity_printed(_: object, found: Mapping[str, Any]) -> Printed:
    """What every metric follows, and its mark."""
    meanings = "; ".join(f"{mark}: {words}" for mark, words in WORDS.items())
    return Printed((validity_table(found["metrics"]),), (f"Marks: {meanings}.",))
