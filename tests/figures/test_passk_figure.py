"""The figure shows what the report says, no more, and names everything that a number needs."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from synthetic_reports import SMALL_FAMILY, synthetic_report

from s2l_lab.figures.caption import caption_lines, split_details
from s2l_lab.figures.palette import member_colours
from s2l_lab.figures.panel import Traces
from s2l_lab.figures.passk import draw_passk, guesses_of, pairs_shown, passk_figure
from s2l_lab.passk.report import PasskReport

HOSTILE = "<script>alert(1)</script>&amp;\x1b[31m"


@pytest.fixture(scope="module")
def report() -> PasskReport:
    return synthetic_report(problems=60, rollouts=32, guessers=1000)


def traces(figure: Any, axis: str) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data if (trace.xaxis or "x") == axis}


def texts(value: Any) -> list[str]:
    """Every string anywhere in a figure."""
    if isinstance(value, dict):
        return [t for item in value.values() for t in texts(item)]
    if isinstance(value, list | tuple):
        return [t for item in value for t in texts(item)]
    return [value] if isinstance(value, str) else []


def caption(figure: Any) -> str:
    return str(figure.layout.annotations[-1].text).replace("<br>", " ")


@pytest.mark.parametrize("interval", ["rollouts", "problems"])
def test_lines_and_ribbons_are_the_reports_curves(interval: str) -> None:
    report = synthetic_report(problems=40, rollouts=16, interval=interval)
    drawn = traces(passk_figure(report), "x")
    for policy in report.policies:
        curve = policy.curve_problems if interval == "problems" else policy.curve_rollouts
        line, ribbon = drawn[policy.name], drawn[f"{policy.name}: interval"]
        assert list(line.x) == curve.k.tolist()
        assert list(line.y) == curve.value.tolist()
        assert list(ribbon.y)[:-1] == [*curve.lower, *curve.upper[::-1]]
        assert list(ribbon.x)[:-1] == [*curve.k, *curve.k[::-1]]


def test_cover_and_differences_are_the_reports(report: PasskReport) -> None:
    figure = passk_figure(report)
    cover = traces(figure, "x2")
    for policy in report.policies:
        smoothed = cover[f"{policy.name}: smoothed"]
        assert np.allclose(np.array(smoothed.y, dtype=float), policy.cover.smoothed, equal_nan=True, atol=0)
        assert list(cover[f"{policy.name}: plug-in"].y) == policy.cover.plug_in.tolist()
        assert list(cover[f"{policy.name}: likeliest"].y) == policy.cover.npmle.tolist()
        ribbon = list(cover[f"{policy.name}: bounds"].y)[:-1]
        assert ribbon == [*policy.cover.bounds_lower, *policy.cover.bounds_upper[::-1]]
        ends = f"exact bounds [{policy.cover.bounds_lower[3]:.3f}, {policy.cover.bounds_upper[3]:.3f}]"
        assert ends in smoothed.hovertext[3]
    for i, comparison in enumerate(report.comparisons):
        drawn = traces(figure, f"x{3 + i}")
        assert list(drawn["difference"].y) == comparison.value.tolist()
        assert list(drawn["simultaneous band"].y)[:-1] == [*comparison.band_lower, *comparison.band_upper[::-1]]
        assert list(drawn["pointwise interval"].y)[:-1] == [*comparison.lower, *comparison.upper[::-1]]


def test_difference_panels_share_one_scale_that_holds_every_band(report: PasskReport) -> None:
    layout = passk_figure(report).layout
    ranges = {tuple(layout[f"yaxis{3 + i}"].range) for i in range(len(report.comparisons))}
    assert len(ranges) == 1
    (low, high) = ranges.pop()
    assert low == -high
    assert all(np.abs([c.band_lower, c.band_upper]).max() <= high for c in report.comparisons)


def test_a_diamond_stands_where_a_crossing_is_supported_and_nowhere_else(report: PasskReport) -> None:
    supported = [c for c in report.comparisons if c.crossing.outcome == "at"]
    assert 0 < len(supported) < len(report.comparisons)  # else this test shows nothing
    figure = passk_figure(report)
    above = [t for t in figure.data if t.name == "crossing" and (t.xaxis or "x") == "x"]
    assert [t.x[0] for t in above] == [c.crossing.k for c in supported]
    below = {t.xaxis for t in figure.data if t.name == "crossing"} - {"x"}
    assert below == {f"x{3 + i}" for i, c in enumerate(report.comparisons) if c in supported}
    sets = [t for t in figure.data if t.name == "confidence set of k" and (t.xaxis or "x") == "x"]
    for bar, comparison in zip(sets, supported, strict=True):
        low, high = comparison.crossing.k_set or (0, 0)
        assert list(bar.x) == [low, high or comparison.k[-1]]


def test_guessers_lie_under_the_curves(report: PasskReport) -> None:
    names = [trace.name for trace in passk_figure(report).data if (trace.xaxis or "x") == "x"]
    last_guess = max(i for i, name in enumerate(names) if "guess" in name or "other problems" in name)
    assert last_guess < min(names.index(policy.name) for policy in report.policies)


def test_hover_says_value_interval_method_and_counts(report: PasskReport) -> None:
    policy = report.policies[0]
    curve = policy.curve_rollouts
    hover = traces(passk_figure(report), "x")[policy.name].hovertext[7]
    assert f"pass@8 = {curve.value[7]:.3f} [{curve.lower[7]:.3f}, {curve.upper[7]:.3f}]" in hover
    assert curve.method[7] in hover
    assert "n = 60 problems, N = 32" in hover


def test_caption_carries_what_a_number_needs(report: PasskReport) -> None:
    text = caption(passk_figure(report))
    for fact in (
        "countdown: n = 60 problems, N = 32 rollouts",
        "T 0.7, top-p 0.8, top-k 20, at most 128 tokens, seed 0",
        "95 % CI over rollouts of the same problems",
        "simultaneous over all k and pairs",
        "Verifier countdown-1",
        report.benchmark_digest,
        report.command,
        "Guess references",
    ):
        assert fact in text


def test_missing_verdicts_are_bounds_and_a_gap() -> None:
    report = synthetic_report(problems=30, rollouts=8, unknown=1)
    figure = passk_figure(report)
    drawn = traces(figure, "x")
    curve = report.policies[0].curve_rollouts
    open_k = np.isnan(curve.value)
    assert 0 < open_k.sum() < 8  # at k = N a solved problem is solved, whatever the missing verdict says
    assert [y is None for y in drawn["tiny-60k"].y] == open_k.tolist()
    assert list(drawn["tiny-60k: bounds"].y)[:-1] == [*curve.bound_low, *curve.bound_high[::-1]]
    assert f"between {curve.bound_low[0]:.3f} and {curve.bound_high[0]:.3f}" in drawn["tiny-60k"].hovertext[0]
    assert "3 rollouts without a verdict" in caption(figure)


def test_many_policies_show_neighbours_and_say_what_is_left_out() -> None:
    family = [(f"m{i}", 10**6 * (i + 1), 0.5, 1.5) for i in range(5)]
    report = synthetic_report(family, problems=20, rollouts=4)
    assert [(c.a, c.b) for c in pairs_shown(report)] == [("m0", "m1"), ("m1", "m2"), ("m2", "m3"), ("m3", "m4")]
    assert "Pairs not drawn: 6" in caption(passk_figure(report))


def test_one_policy_and_one_rollout_still_show_a_value_with_its_interval() -> None:
    report = synthetic_report(SMALL_FAMILY[:1], problems=20, rollouts=1)
    figure = passk_figure(report)
    drawn = traces(figure, "x")
    assert "markers" in drawn["tiny-60k"].mode  # a line through one point shows nothing
    low, high = drawn["tiny-60k: interval"].x[:2]
    assert low < 1 < high
    assert "differences" not in caption(figure)


@pytest.mark.parametrize("unknown", [0, 2])
def test_on_any_axes_the_drawing_is_the_reports_figures_with_a_legend_of_its_policies(unknown: int) -> None:
    report = synthetic_report(problems=30, rollouts=8, unknown=unknown, guessers=100)
    curves = {policy.name: policy.curve_rollouts for policy in report.policies}
    printed, figure = traces(passk_figure(report), "x"), go.Figure()
    flops = {name: 1e6 * (i + 1) for i, name in enumerate(curves)}
    colours = member_colours(list(curves))
    draw_passk(
        Traces(figure, legend=24),
        curves,
        colours,
        guesses=guesses_of(report.policies),
        flops=flops,
    )
    drawn = traces(figure, "x")
    assert list(drawn) == [name for name in printed if name not in ("crossing", "confidence set of k")]
    assert [trace.name for trace in figure.data if trace.showlegend is not False] == list(curves)
    for name, curve in curves.items():
        assert list(drawn[name].y) == list(printed[name].y)
        assert list(drawn[name].x) == (curve.k * flops[name]).tolist()
        assert all(f"{k * flops[name]:.3g} FLOPs" in h for k, h in zip(curve.k, drawn[name].hovertext, strict=True))
        assert drawn[f"{name}: interval"].legendgroup == drawn[name].legendgroup


def test_text_from_outside_has_no_effect() -> None:
    family = [(HOSTILE, 10**6, 0.5, 1.5), ("b", 10**7, 0.9, 1.5)]
    figure = passk_figure(synthetic_report(family, problems=20, rollouts=4, benchmark=HOSTILE, guessers=5))
    shown = [text for text in texts(figure.to_dict()) if text != figure.layout.meta["title"]]
    assert not any("<script" in text or "\x1b" in text for text in shown)
    assert any("&lt;script&gt;alert(1)" in text for text in shown)
    assert any("&amp;amp;" in text for text in shown)  # an entity in a name is shown as it stands


def test_details_are_the_last_line_of_a_caption_and_set_smaller(report: PasskReport) -> None:
    """What is seen comes first, then n and the interval; hashes and commands did stand among them."""
    shown, how = split_details(caption_lines(report, ["One more."]))
    assert len(how) == 1
    assert "n = 60 problems, N = 32 rollouts per problem and policy; 95 % CI over rollouts" in shown[1]
    assert shown[-1] == "One more."
    for fact in (report.benchmark_digest, report.command, "top-p 0.8", "Verifier"):
        assert fact in how[0]
        assert not any(fact in line for line in shown)
    before, _, small = caption(passk_figure(report)).partition('<span style="font-size:10px">Details: ')
    assert "n = 60 problems" in before
    assert report.command in small
