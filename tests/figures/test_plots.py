"""Plots of a notebook: every number drawn is the estimator's, names are text, and what is no result is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from s2l_lab.errors import UsageError
from s2l_lab.estimators import pass_at_k_curve
from s2l_lab.estimators.compare import compare
from s2l_lab.figures.plots import plot_difference, plot_passk, plot_solve_rates
from s2l_lab.rollouts.run import open_run

RUN = Path(__file__).parents[2] / "apps" / "sample" / "passk-tiny-countdown"
SMALL, LARGE = np.array([9, 0, 20, 12]), np.array([30, 0, 41, 64])


def words(figure: object) -> str:
    return " ".join(annotation.text for annotation in figure.layout.annotations)  # type: ignore[attr-defined]


def test_curves_are_drawn_as_they_are_with_n_and_what_the_interval_is_about() -> None:
    curves = {name: pass_at_k_curve(c, 64) for name, c in (("1.7B", SMALL), ("<b>8B</b>", LARGE))}
    figure = plot_passk(curves, title="mine")
    lines = {trace.name: trace for trace in figure.data}
    np.testing.assert_array_equal(lines["1.7B"].y, curves["1.7B"].value)
    assert "&lt;b&gt;8B&lt;/b&gt;" in lines
    assert figure.layout.meta["title"] == "mine"
    assert "n = 4 problems, N = 64" in words(figure)
    assert "95 % CI over problems" in words(figure)
    assert len(plot_passk(curves["1.7B"]).data) == 2


def test_differences_are_drawn_as_they_are_one_panel_a_pair() -> None:
    found = compare({"1.7B": (SMALL, 64), "8B": (LARGE, 64)})
    (line,) = [trace for trace in plot_difference(found).data if trace.name == "difference"]
    np.testing.assert_array_equal(line.y, found.value)
    pairs = compare({"a": (SMALL, 64), "b": (LARGE, 64), "c": (SMALL, 64)})
    figure = plot_difference(pairs)
    assert len([trace for trace in figure.data if trace.name == "difference"]) == 3
    assert "simultaneous over all k and pairs" in words(figure)


def test_solve_rates_are_counts_over_totals_the_easiest_problem_first() -> None:
    figure = plot_solve_rates({"1.7B": (SMALL, [64, 0, 64, 64]), "8B": (LARGE, 64)}, problems=["p", "q", "r", "s"])
    (heat,) = figure.data
    assert heat.z[1] == [1.0, 41 / 64, 30 / 64, 0.0]
    assert heat.z[0][:3] == [12 / 64, 20 / 64, 9 / 64]
    assert heat.z[0][3] is None
    assert "problem r<br>41 of 64 correct" in heat.hovertext[1][1]


def test_the_frame_of_a_run_is_drawn_policy_by_policy() -> None:
    counts = open_run(RUN).counts()
    (heat,) = plot_solve_rates(counts).data
    rates = (counts["correct"] / counts["total"]).unstack("problem").loc[["tiny-60k", "tiny-360k", "tiny-2m"]]
    np.testing.assert_allclose(np.sort(np.array(heat.z), axis=1), np.sort(rates.to_numpy(), axis=1))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: plot_passk({}), "no curve was given"),
        (lambda: plot_passk({"a": SMALL}), "'a' is a ndarray"),
        (lambda: plot_difference([]), "takes the result of compare"),
        (lambda: plot_difference(pass_at_k_curve(SMALL, 64)), "takes the result of compare"),
        (lambda: plot_solve_rates({}), "no counts were given"),
        (lambda: plot_solve_rates({"a": (SMALL, 64), "b": (LARGE[:2], 64)}), "different lengths"),
        (lambda: plot_solve_rates({"a": (SMALL, 64)}, problems=["p"]), "different lengths"),
        (lambda: plot_solve_rates(open_run(RUN).to_frame()), "none of counts"),
    ],
)
def test_what_is_no_result_is_refused(call: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        call()  # type: ignore[operator]
