"""The member scale is readable: contrast on light and dark, size as shade, apart for colour-blind readers."""

import itertools

import numpy as np
import pytest

from s2l_lab.figures.palette import CONTROL_DASHES, FACTORS, RAMP, ROLE_SYMBOLS, member_colours, translucent

MACHADO = {
    "all colours": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
}
"""Linear-RGB simulation matrices at full severity, Machado et al. 2009."""


def linear(colour: str) -> np.ndarray:
    s = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)


def luminance(colour: str) -> float:
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


def oklab(rgb: np.ndarray) -> np.ndarray:
    to_lms = [[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]]
    to_lab = [[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]]
    return np.array(to_lab) @ np.cbrt(np.clip(np.array(to_lms) @ rgb, 0, None))


@pytest.mark.parametrize("colour", RAMP)
def test_every_stop_has_three_to_one_on_white_and_on_near_black(colour: str) -> None:
    assert 1.05 / (luminance(colour) + 0.05) >= 3
    assert (luminance(colour) + 0.05) / (luminance("#111111") + 0.05) >= 3


@pytest.mark.parametrize("members", [2, 3, 4, 8])
def test_larger_is_darker(members: int) -> None:
    colours = member_colours([f"m{i}" for i in range(members)])
    shades = [luminance(colour) for colour in colours.values()]
    assert all(a > b for a, b in itertools.pairwise(shades))


@pytest.mark.parametrize("sight", MACHADO)
@pytest.mark.parametrize("members", [2, 3, 4])
def test_members_stay_apart_without_red_or_green(sight: str, members: int) -> None:
    """A first ramp of evenly spaced hues failed here: its violet and its blue are one colour without red."""
    colours = list(member_colours([f"m{i}" for i in range(members)]).values())
    seen = [oklab(np.clip(np.array(MACHADO[sight]) @ linear(colour), 0, 1)) for colour in colours]
    apart = [float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2)]
    assert min(apart) > 0.05  # 0.02 is a just noticeable difference


def test_ends_of_the_scale_are_the_ends_of_the_ramp() -> None:
    colours = member_colours(["small", "large"])
    assert (colours["small"], colours["large"]) == (RAMP[0], RAMP[-1])
    assert member_colours(["only"]) == {"only": RAMP[-1]}


def test_translucent_keeps_the_colour() -> None:
    assert translucent("#0a10ff", 0.25) == "rgba(10,16,255,0.25)"


def test_every_role_that_is_made_from_the_learner_has_its_own_symbol() -> None:
    """They share the learner's colour; siblings and other seeds never stand in one figure."""
    made = [symbol for role, symbol in ROLE_SYMBOLS.items() if role not in ("explorer", "other seed")]
    assert len(set(made)) == len(made)
    assert len(set(CONTROL_DASHES)) == len(CONTROL_DASHES)


@pytest.mark.parametrize("sight", MACHADO)
def test_factors_stay_apart_without_red_or_green(sight: str) -> None:
    seen = [oklab(np.clip(np.array(MACHADO[sight]) @ linear(colour), 0, 1)) for colour in FACTORS.values()]
    assert min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2)) > 0.05
