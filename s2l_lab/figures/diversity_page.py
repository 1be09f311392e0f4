"""The page of `s2l-lab diversity`: what was measured, three questions kept apart, every metric explained. One file.

It says what numbers.json says, for people: each number with its interval, and n wherever it differs from the table's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2l_lab.figures.caption import interval_words, sampling_text
from s2l_lab.figures.diversity import between_figure, diversity_figure, diversity_numbers, within_figure
from s2l_lab.figures.page import Content, Html, join, page, plot, tag
from s2l_lab.figures.page_tables import (
    coherence_html,
    contrasts_html,
    differences_html,
    metrics_table,
    paper_html,
    policy_name,
    within_html,
)
from s2l_lab.figures.paper import table3_beside
from s2l_lab.figures.write import Written, replace_file, write_figure
from s2l_lab.studies.metric_validity import metric_marks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from s2l_lab.figures.page_tables import Found
    from s2l_lab.figures.paper import PaperDiversity
    from s2l_lab.studies.diversity import DiversityReport


def diversity_page(
    report: DiversityReport, marks: Mapping[str, str], paper_table3: Sequence[PaperDiversity] | None
) -> str:
    """The HTML of the page. `marks` holds keys of `studies.metric_validity.WORDS` by metric; `paper_table3` is the
    paper's table where the benchmark is the paper's."""
    found = diversity_numbers(report, marks)
    return page(
        f"Diversity on {report.benchmark}",
        *_top(report, found),
        *_within(report, found, marks),
        *_between(report, found),
        *_persistence(found),
        *(_paper(found, paper_table3, marks) if paper_table3 else ()),
        *_metrics(marks),
        tag("footer", "Every number on this page is in numbers.json beside it, in full precision. s2l-lab."),
    )


def _top(report: DiversityReport, found: Found) -> tuple[Html, ...]:
    """Title, facts, and the three questions."""
    within, embedding = report.within, report.embedding
    names = [policy.name for policy in within.policies]
    unknown = sum(policy.n_unknown for policy in within.policies)
    vectors = "none were made; embedding metrics are undefined"
    if embedding is not None:
        vectors = (
            f"{embedding.embedder} ({embedding.digest}): {embedding.texts:,} distinct texts, {embedding.share:.1%} of "
            f"their tokens embedded, {embedding.empty} empty texts left out"
        )
    facts: list[tuple[str, Content]] = [
        ("Policies", join(*(policy_name(name, found) for name in names))),
        ("Benchmark", f"{report.benchmark}, n = {report.n_problems} problems"),
        ("Rollouts", f"N = {report.n_rollouts} per problem and policy; {unknown} without a verdict"),
        (
            "All rollouts",
            f"every metric rarefied to m = {within.m['all']} rollouts, metrics of embeddings to "
            f"{within.m_embedding['all']}",
        ),
        (
            "Correct only",
            f"rarefied to m = {within.m['correct']}, on the {within.n_problems['correct']} of {report.n_problems} "
            f"problems where every policy has {within.m['correct']} correct rollouts",
        ),
        (
            "Intervals",
            f"{interval_words(within.level, 'problems', within.n_clusters)}; not corrected for the number of metrics",
        ),
    ]
    how: list[tuple[str, Content]] = [
        ("Sampling", sampling_text(report.sampling)),
        ("Embeddings", vectors),
        ("Verifier", report.verifier_version),
        ("Data", report.benchmark_digest),
        ("Made by", tag("code", report.command)),
    ]
    questions = (
        ("within", "Within", "How varied are one policy's rollouts?"),
        ("between", "Between", f"What does a policy add to {within.reference}?"),
        ("persistence", "Persistence", "Do its deviations last along a trajectory?"),
    )
    items = [
        tag("li", tag("a", title, href=f"#{place}"), tag("span", question)) for place, title, question in questions
    ]
    return (
        tag("h1", f"Diversity on {report.benchmark}"),
        tag("p", "Three separate questions about diversity. No single number answers all of them.", class_="lead"),
        _facts(facts),
        tag("details", tag("summary", "Details"), _facts(how)),
        tag("nav", tag("ol", *items), aria_label="Questions"),
    )


def _facts(facts: Sequence[tuple[str, Content]]) -> Html:
    return tag("dl", *(part for name, fact in facts for part in (tag("dt", name), tag("dd", fact))))


def _within(report: DiversityReport, found: Found, marks: Mapping[str, str]) -> tuple[Html, ...]:
    label = (
        "Dots with intervals: every metric for every policy, over all rollouts and over correct ones only. The same "
        "numbers stand in the tables below."
    )
    parts = [
        tag("h2", "Within: how varied are one policy's rollouts?", id="within"),
        tag(
            "p",
            "Most metrics rise when accuracy falls, because wrong answers scatter. Many also depend on length and on "
            "the number of rollouts. Before you draw conclusions about strategies, read the columns of correct "
            "rollouts. Compare policies within one condition only: the two conditions are rarefied to different m.",
        ),
        plot(within_figure(report, marks), "within", label, "", with_library=True),
    ]
    parts += [tag("h3", "All metrics"), within_html(found, marks)]
    if len(report.within.policies) > 1:
        title = tag("h3", f"Differences to {report.within.reference}")
        parts += [title, differences_html(found, marks)]
    return tuple(parts)


def _between(report: DiversityReport, found: Found) -> tuple[Html, ...]:
    reference = report.within.reference
    head = tag("h2", f"Between: what does a policy add to {reference}?", id="between")
    if not report.between:
        return head, tag("p", "This run holds one policy only, so there is nothing to compare it with.")
    text = (
        f"The share is the part of the diversity of an even mix of a policy and {reference} that lies between the two: "
        "0 if both are the same policy, 1 if each policy always gives one answer and the two answers differ. Any two "
        "policies differ, and so does one policy at two temperatures, so a small p alone is no evidence of different "
        f"strategies. Compare the share with the split halves of {reference}'s own rollouts. The important controls "
        "(siblings of its size, its own rollouts at equal entropy, KL and pass@1) are made by "
    )
    label = "Dots with intervals: share of every policy by feature; the numbers stand in the table below."
    return (
        head,
        tag("p", text, tag("code", "s2l-lab figures policy-share"), "."),
        plot(between_figure(report), "between", label, "", with_library=False),
        contrasts_html(found),
    )


def _persistence(found: Found) -> tuple[Html, ...]:
    text = (
        "Stored rollouts cannot show whether a policy's deviations from the learner last along a trajectory. This "
        "needs the distributions of both policies, token by token. It also needs the learner at the temperature of "
        "equal KL as a control, because the effect of temperature persists too. This study is made by "
    )
    return (
        tag("h2", "Persistence: do deviations last along a trajectory?", id="persistence"),
        tag("p", text, tag("code", "s2l-lab figures persistence"), "."),
        *_coherence(found),
    )


def _coherence(found: Found) -> tuple[Html, ...]:
    """What embeddings of single steps say, where there are any."""
    if not found["coherence"]:
        return ()
    text = (
        "What stored rollouts do show: whether a step's embedding points the way of the next one. Steps of one "
        "position resemble each other in any rollout, so only the excess over other rollouts' next steps counts."
    )
    return tag("p", text), coherence_html(found)


def _paper(found: Found, rows: Sequence[PaperDiversity], marks: Mapping[str, str]) -> tuple[Html, ...]:
    """The paper's Table 3 above ours."""
    text = (
        "The paper (arXiv 2605.30789) names its metrics and gives no definition, no sampler, no interval and no code. "
        "Ours is Self-BLEU in its pairwise form, which fits the paper's values better than the one with all references."
    )
    title = tag("h2", "The paper's Table 3 beside ours", id="table3")
    return title, tag("p", text), paper_html(found, rows, marks)


def _metrics(marks: Mapping[str, str]) -> tuple[Html, ...]:
    """Every metric in words."""
    text = (
        "An arrow says which way is more diverse. What a metric follows was measured on Countdown, where strategies "
        "are known and phrasing can be varied on its own ("
    )
    study = tag("code", "s2l-lab figures metric-validity")
    return tag("h2", "Every metric in words", id="metrics"), tag("p", text, study, ")."), metrics_table(marks)


def write_pages(report: DiversityReport, folder: Path) -> Written:
    """Write report.html and the figure of a report into a folder."""
    marks = metric_marks()
    figure = write_figure(diversity_figure(report, marks), folder / "diversity")
    page = diversity_page(report, marks, table3_beside(report.benchmark) or None)
    return Written((replace_file(folder / "report.html", page.encode()), *figure.paths), figure.note)
