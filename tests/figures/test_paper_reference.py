"""The paper's digitised Figure 2: six panels that say what the paper's picture says."""

import numpy as np
import pytest

from s2l_lab.figures.paper import PaperPanel, fig2_panels

PANELS = fig2_panels()


def test_the_six_panels_of_the_paper() -> None:
    facts = {name: (p.benchmark, p.mode, p.small, p.large, p.n_rollouts) for name, p in PANELS.items()}
    assert facts == {
        "L1": ("AIME24", "nothink", "1.7B", "4B", 64),
        "L2": ("AIME25", "nothink", "4B", "8B", 64),
        "L3": ("AIME25", "nothink", "4B", "14B", 64),
        "R1": ("AIME24", "think", "8B", "14B", 256),
        "R2": ("AIME25", "think", "4B", "8B", 256),
        "R3": ("AIME25", "think", "4B", "14B", 256),
    }


@pytest.mark.parametrize("panel", PANELS.values(), ids=list(PANELS))
def test_curves_are_pass_at_k(panel: PaperPanel) -> None:
    assert (np.diff(panel.k) > 0).all()
    assert panel.k[-1] <= panel.n_rollouts
    for values in (panel.small_value, panel.large_value):
        assert ((values > 0) & (values < 1)).all()
        assert (np.diff(values) > 0).all()


@pytest.mark.parametrize("panel", PANELS.values(), ids=list(PANELS))
def test_stated_crossings_are_those_of_the_points(panel: PaperPanel) -> None:
    """The two files were read off the picture separately; on a log axis they must agree to a few points of k."""
    lead = panel.large_value - panel.small_value
    assert lead[0] > 0  # the large one leads first
    if panel.crossing is None:
        assert (lead > 0).all()
        return
    after = int(np.flatnonzero(lead < 0)[0])
    share = lead[after - 1] / (lead[after - 1] - lead[after])
    crossing = np.exp(np.interp(share, [0, 1], np.log(panel.k[[after - 1, after]])))
    low, high = panel.crossing
    assert low * 0.9 <= crossing <= high * 1.1


def test_one_value_by_hand() -> None:
    """R3 lists 14B first in the file: 150 is .537 for 14B and .511 for 4B."""
    panel = PANELS["R3"]
    at = panel.k.tolist().index(150)
    assert (panel.small_value[at], panel.large_value[at]) == (0.511, 0.537)
