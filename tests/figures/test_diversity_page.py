"""Figure, numbers and page of a diversity report: its fields and no other number, every gap explained, all offline."""

import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from synthetic_studies import HOSTILE, synthetic_diversity

from s2l_lab.diversity.metrics import METRICS
from s2l_lab.figures.diversity import diversity_figure, diversity_numbers
from s2l_lab.figures.diversity_page import diversity_page
from s2l_lab.figures.markup import markup
from s2l_lab.figures.numbers import as_json
from s2l_lab.figures.page import tag
from s2l_lab.figures.page_tables import coherence_html, contrasts_html, differences_html, paper_html, within_html
from s2l_lab.figures.paper import table3
from s2l_lab.studies.between import FEATURES
from s2l_lab.studies.diversity import DiversityReport

MARKS = {"self_bleu": "phrasing only", "edit_diversity": "both", "unique_answers": "strategy"}
WORDS = {"all": "all rollouts", "correct": "correct rollouts only"}
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Tags with their attributes, text outside of scripts and styles, and whether tags are closed in order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.open: list[str] = []
        self.balanced = True
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.balanced &= bool(self.open) and self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words += data + " "


@pytest.fixture(scope="module")
def report() -> DiversityReport:
    return synthetic_diversity()


@pytest.fixture(scope="module")
def figure(report: DiversityReport) -> Any:
    return diversity_figure(report, MARKS)


@pytest.fixture(scope="module")
def source(report: DiversityReport) -> str:
    return diversity_page(report, MARKS, table3())


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


@pytest.fixture(scope="module")
def lone() -> DiversityReport:
    """One policy that is never right, without embeddings."""
    return synthetic_diversity({"only": 0.0}, problems=4, rollouts=4, embed=False)


def traces(figure: Any) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data}


def texts(figure: Any) -> list[str]:
    return [a.text for a in figure.layout.annotations]


def test_every_metric_of_every_policy_stands_at_its_value_in_both_conditions(
    report: DiversityReport, figure: Any
) -> None:
    drawn = traces(figure)
    for policy in report.within.policies:
        for condition, words in WORDS.items():
            for metric, cell in policy.cells[condition].items():  # type: ignore[index]
                name = f"{policy.name}: {markup(METRICS[metric].title)}, {words}"
                assert list(drawn[name].x) == [cell.value.value]
                assert list(drawn[f"{name}: interval"].x) == [cell.value.lower, cell.value.upper]
                assert drawn[name].marker.symbol == ("circle" if condition == "all" else "circle-open")
            name = f"{policy.name}: tokens per completion, {words}"
            assert list(drawn[name].x) == [policy.length[condition].value]  # type: ignore[index]
        assert list(drawn[f"{policy.name}: pass@1, all rollouts"].x) == [policy.accuracy.value]


def test_between_shows_shares_with_their_null(report: DiversityReport, figure: Any) -> None:
    drawn = traces(figure)
    for between in report.between:
        for feature, words in zip(FEATURES, ("answers", "correct strategies", "embeddings", "tokens"), strict=True):
            found = between.features[feature]
            assert list(drawn[f"{between.policy}: {words}, share"].x) == [found.share.value]
            assert f"p {found.p_value:.2g}" in texts(figure)
    bands = [set(t.x) - {None} for t in figure.data if t.name == "reference interval"]
    assert bands == [{report.split_halves[f].lower, report.split_halves[f].upper} for f in FEATURES]


def test_the_pages_tables_are_those_of_numbers_json(report: DiversityReport, source: str) -> None:
    """A run that has just ended and a file that was read back give one table, cell by cell."""
    found = json.loads(as_json(diversity_numbers(report, MARKS)))
    tables = (
        within_html(found, MARKS),
        differences_html(found, MARKS),
        contrasts_html(found),
        coherence_html(found),
        paper_html(found, table3(), MARKS),
    )
    assert all(made.source in source for made in tables)


def test_a_policy_has_one_colour(report: DiversityReport, figure: Any) -> None:
    for policy in report.within.policies:
        dots = [t for t in figure.data if t.name.startswith(f"{policy.name}: ") and not t.name.endswith("hole")]
        assert len({t.marker.color for t in dots}) == 1


def test_the_figures_caption_carries_what_a_number_needs(report: DiversityReport, figure: Any) -> None:
    caption = texts(figure)[-1].replace("<br>", " ")
    for fact in (
        "countdown: n = 12 problems, N = 8 rollouts",
        "rarefied to m = 8",
        f"the {report.within.n_problems['correct']} of 12 problems where every policy has 2 correct",
        "T 0.7, top-p 0.8, top-k 20",
        "95 % CI over problems",
        "98.7% of their tokens embedded, 2 empty texts",
        "Verifier countdown-1",
        report.benchmark_digest,
        report.command,
    ):
        assert fact in caption


def test_a_mark_stands_wherever_its_metric_does(figure: Any, page: Page) -> None:
    assert any("<b>moves with phrasing only</b>" in text for text in texts(figure))
    # table, differences, the paper's table, the explanation; and the metric without a mark says that it has none
    assert page.words.count("moves with phrasing only") == 4
    assert page.words.count("not tested") == len(METRICS) - len(MARKS)
    warned = [attributes for _, attributes in page.tags if attributes.get("class") == "mark warn"]
    assert len(warned) == 4  # "both" and "strategy" are no warnings


def test_undefined_is_a_gap_with_its_reason_and_count(lone: DiversityReport) -> None:
    figure = diversity_figure(lone, {})
    said = " ".join(texts(figure))
    assert "n = 0 of 4" in said
    assert "no embeddings were made" in said
    assert "one policy only" in said
    assert not any("correct rollouts only" in name for name in traces(figure))
    page = Page(diversity_page(lone, {}, None))
    assert page.words.count("n = 0 ") >= len(METRICS)
    assert "nothing to compare" in page.words
    assert "nan" not in page.words.lower().split()
    assert "Differences" not in page.words


def test_numbers_hold_every_cell_and_are_json(report: DiversityReport) -> None:
    read = json.loads(as_json(diversity_numbers(report, MARKS)), parse_constant=pytest.fail)
    assert read["schema"] == 1
    assert len(read["within"]) == 3 * 2 * len(METRICS)
    for entry in read["within"]:
        policy = next(p for p in report.within.policies if p.name == entry["policy"])
        cell = policy.cells[entry["condition"]][entry["metric"]]
        assert (entry["value"], entry["lower"], entry["upper"]) == (
            cell.value.value,
            cell.value.lower,
            cell.value.upper,
        )
        assert (entry["n_problems"], entry["n_rollouts"]) == (cell.value.n_problems, cell.value.n_rollouts)
        assert (entry["m"], entry["mark"]) == (report.within.m[entry["condition"]], MARKS.get(entry["metric"]))
        assert {"level", "method", "interval"} <= entry.keys()
        assert (entry["less_reference"] is None) == (entry["policy"] == "tiny-2m")
        if cell.less_reference is not None:
            assert entry["less_reference"]["value"] == cell.less_reference.value
    assert len(read["between"]) == 2 * len(FEATURES)
    first, found = read["between"][0], report.between[0].features["answers"]
    assert (first["policy"], first["feature"]) == ("tiny-60k", "answers")
    assert (first["share"]["value"], first["between"]["value"]) == (found.share.value, found.between.value)
    assert (first["within_policy"]["value"], first["within_reference"]["value"]) == (
        found.within_b.value,
        found.within_a.value,
    )
    assert (first["p"], first["n"], first["null"]["upper"]) == (found.p_value, found.n_problems, found.null_upper)
    assert (first["n_rollouts_policy"], first["n_rollouts_reference"]) == (found.n_b, found.n_a)
    assert read["split_halves"]["tokens"]["upper"] == report.split_halves["tokens"].upper
    assert read["embedding"]["share"] == 0.987
    assert read["sampling"] == report.sampling.model_dump(mode="json")
    assert (read["verifier_version"], read["command"]) == (report.verifier_version, report.command)
    assert read["benchmark"]["digest"] == report.benchmark_digest


def test_undefined_is_null_beside_its_counts(lone: DiversityReport) -> None:
    read = json.loads(as_json(diversity_numbers(lone, {})), parse_constant=pytest.fail)
    cells = [c for c in read["within"] if c["condition"] == "correct"]
    assert {(c["value"], c["n_problems"], c["mark"]) for c in cells} == {(None, 0, None)}
    assert (read["between"], read["embedding"]) == ([], None)


def test_the_page_opens_offline_and_holds_plotly_once(source: str, page: Page) -> None:
    links = [v for _, a in page.tags for key in ("src", "href") if (v := a.get(key)) is not None]
    assert links
    assert all(link.startswith("#") for link in links)
    assert {"link", "img", "iframe", "object"}.isdisjoint(name for name, _ in page.tags)
    assert "@import" not in source
    assert source.count("Plotly.newPlot") == 2
    assert sum(len(part) > 1_000_000 for part in source.split("<script")) == 1
    assert len(re.findall(r'"showSendToCloud":\s*false', source)) == 2


def test_links_of_the_page_lead_somewhere(page: Page) -> None:
    places = [a["id"] for _, a in page.tags if "id" in a]
    assert len(places) == len(set(places))
    assert {a["href"] for _, a in page.tags if a.get("href")} <= {f"#{place}" for place in places}


def test_the_page_is_well_formed_and_says_what_its_tables_are(page: Page) -> None:
    assert page.balanced
    assert not page.open
    assert ("html", {"lang": "en"}) in page.tags
    heads = [a for name, a in page.tags if name == "th"]
    assert all(a.get("scope") in ("col", "row", "rowgroup", "colgroup") for a in heads)
    pictures = [a for _, a in page.tags if a.get("role") == "img"]
    assert len(pictures) == 2
    assert all(a.get("aria-label") for a in pictures)


def test_the_page_keeps_three_questions_apart_and_explains_every_metric(page: Page) -> None:
    for question in ("Within: how varied", "Between: what does a policy add to tiny-2m?", "Persistence: do deviations"):
        assert question in page.words
    assert "s2l-lab figures persistence" in page.words
    assert "s2l-lab figures policy-share" in page.words
    for metric in METRICS.values():
        for sentence in (metric.title, metric.measures, metric.span, metric.fooled_by):
            assert sentence in page.words


def test_every_number_of_the_report_is_on_the_page(report: DiversityReport, page: Page) -> None:
    def shown(value: float, digits: int = 3, sign: str = "") -> bool:
        return f"{value:{sign}.{digits}f}".replace("-", "\u2212") in page.words

    for policy in report.within.policies:
        assert shown(policy.accuracy.value)
        for condition in ("all", "correct"):
            assert shown(policy.length[condition].value, 1)  # type: ignore[index]
            for cell in policy.cells[condition].values():  # type: ignore[index]
                assert all(shown(v) for v in (cell.value.value, cell.value.lower, cell.value.upper))
                if cell.less_reference is not None:
                    less = cell.less_reference
                    assert all(shown(v, sign="+") for v in (less.value, less.lower, less.upper))
    for between in report.between:
        for found in between.features.values():
            assert all(shown(e.value) and shown(e.lower) for e in (found.share, found.between))
            assert f"{found.n_b:,} + {found.n_a:,} rollouts" in page.words


def test_the_page_says_what_was_measured(report: DiversityReport, page: Page) -> None:
    for fact in (
        "n = 12 problems",
        "N = 8 per problem and policy; 0 without a verdict",
        "T 0.7, top-p 0.8, top-k 20, at most 128 tokens, seed 0",
        "countdown-1",
        "98.7% of their tokens embedded",
        "3f8a09bc12de4567",
        report.command,
    ):
        assert fact in page.words


def test_fewer_problems_than_the_tables_are_said_in_the_cell(report: DiversityReport, page: Page) -> None:
    cells = [p.cells["correct"]["equations"].value for p in report.within.policies]
    few = [cell.n_problems for cell in cells if cell.n_problems != report.within.n_problems["correct"]]
    assert few  # else this test shows nothing
    assert all(f"n = {n} " in page.words for n in few)


def test_the_papers_table_stands_there_only_where_it_is_given(report: DiversityReport, page: Page) -> None:
    assert "0.314" in page.words
    assert "K = 64, no interval" in page.words
    other = Page(diversity_page(report, MARKS, None))
    assert "Table 3" not in other.words


def hostile(report: DiversityReport) -> DiversityReport:
    """The report with a name that acts wherever a name can stand."""
    names = {policy.name: f"{HOSTILE}{i}" for i, policy in enumerate(report.within.policies)}
    policies = tuple(replace(policy, name=names[policy.name]) for policy in report.within.policies)
    return replace(
        report,
        benchmark=HOSTILE,
        command=f"s2l-lab '{HOSTILE}'",
        verifier_version=HOSTILE,
        within=replace(report.within, policies=policies, reference=names[report.within.reference]),
        between=tuple(replace(between, policy=names[between.policy]) for between in report.between),
        coherence={names[name]: found for name, found in report.coherence.items()},
    )


def test_text_from_outside_has_no_effect(report: DiversityReport) -> None:
    marks = {"self_bleu": HOSTILE}
    source = diversity_page(hostile(report), marks, None)
    page = Page(source)
    assert page.balanced
    assert "alert(1)</script>" not in source
    assert not any({"onerror", "onload"} & attributes.keys() for _, attributes in page.tags)
    assert "\x1b" not in source
    assert unescape(page.words).count("</script><script>alert(1)") >= 20
    figure = diversity_figure(hostile(report), marks)
    hovers = [hover for trace in figure.data for hover in trace.hovertext or ()]
    shown = [*texts(figure), *traces(figure), *hovers]
    assert not any("<script" in text or "<img" in text or "\x1b" in text for text in shown)


def test_the_page_is_a_function_of_the_report(report: DiversityReport, source: str) -> None:
    assert diversity_page(report, MARKS, table3()) == source


def test_tags_escape_their_text_and_attributes() -> None:
    assert tag("a", '<b>"', href='"x', aria_label="y", class_="z").source == (
        '<a href="&quot;x" aria-label="y" class="z">&lt;b&gt;&quot;</a>'
    )


def test_step_coherence_stands_under_persistence_with_its_null(report: DiversityReport) -> None:
    page = diversity_page(report, MARKS, None)
    for found in report.coherence.values():
        for estimate in (found.observed, found.null, found.excess):
            assert f"{estimate.value:+.3f}" in page
