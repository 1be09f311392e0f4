"""Policy share: every dot is a decomposition's field; nulls, controls and what cannot be told are said."""

import dataclasses
import json
import math
from typing import Any

import pytest
from synthetic_studies import ABOUT, HOSTILE, synthetic_share, synthetic_sizes

from s2l_lab.figures.arms import arm_words, by_role
from s2l_lab.figures.markup import markup
from s2l_lab.figures.numbers import as_json, plain
from s2l_lab.figures.policy_share import policy_share_figure, policy_share_numbers
from s2l_lab.studies.between import FEATURE_TITLES, FEATURES
from s2l_lab.studies.policy_share import PolicyShare


@pytest.fixture(scope="module")
def result() -> PolicyShare:
    return synthetic_share()


@pytest.fixture(scope="module")
def figure(result: PolicyShare) -> Any:
    return policy_share_figure(result, ABOUT)


@pytest.fixture(scope="module")
def bare() -> PolicyShare:
    """Without embeddings and pretraining seeds."""
    return synthetic_share(embed=False, seeds=0)


def on_axis(figure: Any, number: int) -> dict[str, Any]:
    axis = "x" if number == 1 else f"x{number}"
    return {trace.name: trace for trace in figure.data if (trace.xaxis or "x") == axis}


def texts(figure: Any) -> list[str]:
    return [a.text for a in figure.layout.annotations]


def test_the_first_block_is_the_share_of_every_arm(result: PolicyShare, figure: Any) -> None:
    for column, feature in enumerate(FEATURES):
        drawn = on_axis(figure, 1 + column)
        for row in result.rows:
            estimate = row.features[feature].share
            name = f"{markup(arm_words(row))}: {FEATURE_TITLES[feature]}, share"
            assert list(drawn[name].x) == [estimate.value]
            assert list(drawn[f"{name}: interval"].x) == [estimate.lower, estimate.upper]


def test_the_band_is_the_split_halves(result: PolicyShare, figure: Any) -> None:
    for column, feature in enumerate(FEATURES):
        null = result.split_halves[feature]
        assert set(on_axis(figure, 1 + column)["reference interval"].x) - {None} == {null.lower, null.upper}
        assert list(on_axis(figure, 1 + column)["reference"].x) == [0.0, 0.0]


def test_accuracy_stands_beside_with_the_learners_as_band(result: PolicyShare, figure: Any) -> None:
    drawn = on_axis(figure, 5)
    assert [drawn[n].x[0] for n in drawn if n.endswith("pass@1")] == [row.accuracy.value for row in result.rows]
    learner = result.learner_accuracy
    assert list(drawn["reference"].x) == [learner.value] * 2
    assert set(drawn["reference interval"].x) - {None} == {learner.lower, learner.upper}


def test_every_p_is_said(result: PolicyShare, figure: Any) -> None:
    said = [text for text in texts(figure) if text.startswith("p ")]
    wanted = [f"p {row.features[f].p_value:.2g}" for f in FEATURES for row in result.rows]
    assert said[: len(wanted)] == wanted


def test_size_effects_have_their_interval_over_models(result: PolicyShare, figure: Any) -> None:
    for column, feature in enumerate(FEATURES):
        drawn = on_axis(figure, 6 + column)
        for size in (s for s in result.sizes if s.feature == feature):
            dot = drawn[f"{size.explorer}: size effect"]
            assert list(dot.x) == [size.effect.value]
            whisker = drawn[f"{size.explorer}: size effect: interval"]
            assert list(whisker.x) == [size.effect.lower, size.effect.upper]
            assert "CI over models" in dot.hovertext[0]
    assert "cannot tell" not in texts(figure)


def test_too_few_models_cannot_tell(bare: PolicyShare) -> None:
    few = dataclasses.replace(bare, sizes=synthetic_sizes(1))
    assert texts(policy_share_figure(few, ABOUT)).count("cannot tell") == 2 * len(FEATURES)


def test_what_does_not_exist_is_said(bare: PolicyShare) -> None:
    figure = policy_share_figure(bare, ABOUT)
    assert sum("not recorded" in text for text in texts(figure)) == len(bare.rows)  # embeddings
    assert any("the question stays open" in text for text in texts(figure))


def test_arms_of_one_role_stand_together_whatever_order_they_come_in(bare: PolicyShare) -> None:
    mixed = dataclasses.replace(bare, rows=bare.rows[::-1])
    dots = [t for t in policy_share_figure(mixed, ABOUT).data if t.xaxis == "x5" and t.name.endswith("pass@1")]
    assert [t.name.partition(":")[0] for t in dots] == [markup(arm_words(row)) for row in by_role(mixed.rows)]
    roles = list(dict.fromkeys(row.role for row in by_role(mixed.rows)))
    assert roles == ["explorer", "sibling", "temperature", "entropy", "kl", "pass@1"]


def test_rows_are_named_by_their_role(figure: Any) -> None:
    for words in (
        "tiny-360k",
        "tiny-2m-seed1 (sibling)",
        "learner, T = 1.5",
        "learner at tiny-360k&#x27;s KL (T = 1.23)",
        "learner at tiny-60k&#x27;s entropy (T = 1.31)",
        "learner at tiny-360k&#x27;s pass@1 (T = 1.4)",
    ):
        assert words in texts(figure)


def test_caption_carries_the_callers_lines_and_what_matching_reached(figure: Any) -> None:
    caption = texts(figure)[-1].replace("<br>", " ")
    for fact in (*ABOUT, "one-sided", "T = 1.620 (0.403 for 0.4)", "out of reach (nearest 0.2 for 0.01)"):
        assert fact in caption


def test_numbers_are_json_with_every_field(result: PolicyShare) -> None:
    read = json.loads(as_json(policy_share_numbers(result, ABOUT)), parse_constant=pytest.fail)
    assert [arm["arm"] for arm in read["arms"]] == [row.name for row in result.rows]
    found, written = result.rows[0].features["tokens"], read["arms"][0]["features"]["tokens"]
    assert (written["share"]["value"], written["p"], written["n"]) == (
        found.share.value,
        found.p_value,
        found.n_problems,
    )
    assert (written["within_policy"]["value"], written["within_reference"]["value"]) == (
        found.within_b.value,
        found.within_a.value,
    )
    assert written["null"]["upper"] == found.null_upper
    assert written["between_P"] == [None if math.isnan(v) else v for v in found.between_P.tolist()]
    assert read["split_halves"]["answers"] == plain(result.split_halves["answers"])
    assert read["sizes"][0]["effect"]["p_value"] == result.sizes[0].effect.p_value
    assert read["matches"][1]["result"]["temperature"] is None
    assert read["about"] == list(ABOUT)


def test_text_from_outside_has_no_effect(bare: PolicyShare) -> None:
    rows = (dataclasses.replace(bare.rows[0], name=HOSTILE), *bare.rows[1:])
    figure = policy_share_figure(dataclasses.replace(bare, rows=rows, learner=HOSTILE), [HOSTILE])
    shown = [*texts(figure), *(t.name for t in figure.data), *(h for t in figure.data for h in t.hovertext or ())]
    assert not any("<script" in text or "<img" in text or "\x1b" in text for text in shown)
    assert any("&lt;script&gt;alert(1)" in text for text in shown)
