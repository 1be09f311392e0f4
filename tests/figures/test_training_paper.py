"""The paper's numbers on training: as digitised and as printed, and what is known of how they contradict each other."""

import numpy as np
import pytest

from s2l_lab.errors import UsageError
from s2l_lab.figures.paper import TABLES, paper_cells, paper_curve, reference_rows


def test_every_digitised_curve_has_seventeen_points_of_a_share() -> None:
    rows = reference_rows("training_curves.csv")
    series = dict.fromkeys((row["figure"], row["series"]) for row in rows)
    assert len(series) == 8
    for figure, name in series:
        curve = paper_curve(figure, name)
        assert curve.step.tolist() == list(range(17))
        assert ((curve.value > 0.08) & (curve.value < 0.24)).all()
    assert sum(row["by_eye"] == "yes" for row in rows) == 3


def test_points_by_hand() -> None:
    """Ends as they are printed beside the pictures, and one point inside each figure."""
    ends = {name: paper_curve("fig4", name).value[[0, 16]].tolist() for name in ("GRPO 8B", "S2L-PO 1.7B, 8B")}
    assert ends == {"GRPO 8B": [0.09, 0.1351], "S2L-PO 1.7B, 8B": [0.09, 0.231]}
    assert paper_curve("fig4", "S2L-PO 4B, 14B").value[[3, 13, 16]].tolist() == [0.129, 0.148, 0.185]
    assert paper_curve("fig7", "8-step").value[14] == 0.1845
    assert [paper_curve("fig7", name).value[16] for name in ("8-step", "5-step", "GRPO")] == [0.1712, 0.1629, 0.136]


def test_figure_7_is_figure_4s_4b_run_but_for_its_last_two_points() -> None:
    four, seven = paper_curve("fig4", "S2L-PO 4B, 8B").value, paper_curve("fig7", "8-step").value
    assert np.abs(four - seven)[:15].max() < 0.0006
    assert (np.abs(four - seven)[15:] > 0.005).all()


def test_table_1_as_printed() -> None:
    cells = {(c.row, c.benchmark): c.value for c in paper_cells("table1", "8B")}
    assert cells[("GRPO", "aime24")] == pytest.approx(0.150)
    assert cells[("S2L-PO, 1.7B", "olympiadbench")] == pytest.approx(0.197)
    assert ("S2L-PO, 4B", "math500") not in cells
    gains = [cells[("S2L-PO, 1.7B", b)] - cells[("GRPO", b)] for b in ("aime24", "aime25", "math500", "olympiadbench")]
    assert gains == pytest.approx([0.088, 0.104, 0.042, 0.016])  # the paper prints +1.7 for the last
    assert sum(len(paper_cells("table1", learner)) for learner in ("8B", "14B", "7B")) == 26


def test_tables_2_and_4_as_printed() -> None:
    two = [c.value for learner in ("8B", "14B") for c in paper_cells("table2", learner)]
    assert two == pytest.approx([0.639, 0.642, 0.678, 0.672, 0.707])
    four = {(c.row, c.benchmark): c.value for c in paper_cells("table4", "8B")}
    assert four[("S2L-PO without diversity, 1.7B", "aime25")] == pytest.approx(0.12)
    for benchmark in ("aime24", "aime25"):  # Table 4 repeats Table 1
        ones = {c.row: c.value for c in paper_cells("table1", "8B") if c.benchmark == benchmark}
        assert four[("GRPO", benchmark)] == ones["GRPO"]
        assert four[("S2L-PO, 1.7B", benchmark)] == ones["S2L-PO, 1.7B"]


def test_unknown_ones_are_named() -> None:
    with pytest.raises(UsageError, match=r"unknown series .9-step.\. Did you mean 8-step"):
        paper_curve("fig7", "9-step")
    for table in TABLES:
        with pytest.raises(UsageError, match="unknown learner '70B'"):
            paper_cells(table, "70B")
