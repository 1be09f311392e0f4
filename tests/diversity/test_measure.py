"""Diversity of lists and frames: the numbers of the diversity table, each asked for by name, or refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2l_lab.diversity import METRICS
from s2l_lab.diversity.measure import ELSEWHERE, frame_sets, measure_diversity
from s2l_lab.errors import UsageError
from s2l_lab.rollouts.run import open_run
from s2l_lab.studies.within import within

RUN = Path(__file__).parents[2] / "apps" / "sample" / "passk-tiny-countdown"
TEXTS = ["3*4=12, 12-2=10", "4*3=12, 12-2=10", "5*2=10", "8+1=9", "2*4=8, 8+1=9", "3*3=9"]


@pytest.fixture(scope="module")
def rollouts() -> pd.DataFrame:
    return open_run(RUN).to_frame(where="policy = 'tiny-2m'")


def lists(frame: pd.DataFrame) -> dict[str, list]:
    """What a frame says, as a caller of lists would give it: token ids without EOS."""
    ends = frame["stop_reason"] == "eos"
    return {
        "texts": frame["text"].tolist(),
        "correct": frame["outcome"].eq("correct").tolist(),
        "problems": frame["problem"].tolist(),
        "answers": [None if pd.isna(one) else one for one in frame["canonical"]],
        "token_ids": [ids[:-1] if end else ids for ids, end in zip(frame["token_ids"], ends, strict=True)],
    }


def test_a_frame_gives_the_numbers_of_the_diversity_table(rollouts: pd.DataFrame) -> None:
    (column,) = within({"tiny-2m": frame_sets(rollouts)}, None).policies
    found = measure_diversity(rollouts)
    for condition, estimates in found.values.items():
        for name, estimate in estimates.items():
            np.testing.assert_equal(estimate, column.cells[condition][name].value)
    assert set(found.values["all"]) == {name for name, metric in METRICS.items() if metric.level != "embedding"}


def test_lists_give_what_the_frame_gives(rollouts: pd.DataFrame) -> None:
    of_frame = measure_diversity(rollouts, metrics=list(measure_diversity(**lists(rollouts)).values["all"]))
    np.testing.assert_equal(measure_diversity(**lists(rollouts)).values, of_frame.values)


@settings(max_examples=15)
@given(st.sets(st.sampled_from(["compression", "equations", "unique_answers", "self_bleu_all"]), min_size=1))
def test_no_metric_moves_another(chosen: set[str]) -> None:
    more = {"answers": list("aabbcc"), "token_ids": [[ord(c) for c in text] for text in TEXTS]}
    every = measure_diversity(TEXTS, problems=[1, 1, 1, 2, 2, 2], **more)
    some = measure_diversity(TEXTS, problems=[1, 1, 1, 2, 2, 2], metrics=sorted(chosen), **more)
    assert set(some.values["all"]) == chosen
    for name in chosen:
        np.testing.assert_equal(some[name], every[name])


def test_embedding_metrics_embed_the_texts(rollouts: pd.DataFrame) -> None:
    found = measure_diversity(rollouts[rollouts["sample"] < 3], metrics=["vendi", "dispersion"])
    assert 1 <= found["vendi"].value <= 3
    assert found["dispersion"].lower < found["dispersion"].value < found["dispersion"].upper


def test_correct_rollouts_are_measured_alone_where_outcomes_are_given() -> None:
    found = measure_diversity(TEXTS, [True, True, False, True, False, True], [1, 1, 1, 2, 2, 2], ["equations"])
    assert (found.m, found.values["correct"]["equations"].n_problems) == ({"all": 3, "correct": 2}, 2)
    assert found.values["correct"]["equations"].value != found["equations"].value
    assert list(measure_diversity(TEXTS, problems=[1, 1, 1, 2, 2, 2]).values) == ["all"]


def test_texts_of_one_problem_have_a_value_and_no_interval() -> None:
    found = measure_diversity(TEXTS, metrics=["equations"])
    assert "(no interval)" in repr(found)
    assert "n = 1 problems, m = 6" in repr(found)
    assert 0 < found["equations"].value <= 1


@pytest.mark.parametrize("name", [*METRICS, *ELSEWHERE])
def test_a_metric_is_measured_or_refused_with_what_it_needs(name: str) -> None:
    if name in METRICS and not METRICS[name].needs:
        assert np.isfinite(measure_diversity(TEXTS, metrics=[name])[name].value)
    elif name not in METRICS or METRICS[name].needs != ("embeddings",):
        with pytest.raises(UsageError, match=f"^{name} cannot be measured on these texts alone: it needs .+"):
            measure_diversity(TEXTS, metrics=[name])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"texts": "abc"}, "texts is one text"),
        ({"texts": ["a", 1]}, "texts holds a int"),
        ({"texts": ["a"]}, "has 1; it needs two"),
        ({"texts": []}, "has 0; it needs two"),
        ({"correct": [True]}, "correct has 1 entries for 6 texts"),
        ({"correct": [1] * 6}, "correct holds int64"),
        ({"problems": "pppqqq"}, "problems has 6 entries"),
        ({"problems": [1, 1, 1, 2, 2]}, "problems has 5 entries"),
        ({"problems": [1, 1, 1, 1, 1, 2]}, "has 1; it needs two"),
        ({"metrics": "equations"}, "is one text"),
        ({"metrics": []}, "no metric was named"),
        ({"metrics": ["bleu"]}, "unknown metric 'bleu'. Did you mean self_bleu"),
        ({"m": 1}, "m = 1 was asked"),
        ({"m": 7}, "m = 7 was asked"),
        ({"texts": pd.Series(TEXTS, list("abcdef")), "problems": pd.Series([1] * 6)}, "different indices"),
        ({"texts": pd.DataFrame({"text": TEXTS})}, "the frame lacks problem, policy"),
    ],
)
def test_what_is_no_list_of_texts_is_refused_in_one_message(given: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        measure_diversity(**{"texts": TEXTS} | given)


def test_a_frame_is_of_one_policy_and_verified(rollouts: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match="rollouts of tiny-60k, tiny-360k, tiny-2m; give those of one policy"):
        measure_diversity(open_run(RUN).to_frame())
    with pytest.raises(UsageError, match="1 rollouts have no verdict"):
        measure_diversity(rollouts.assign(outcome=rollouts["outcome"].where(rollouts.index > 0)))
    with pytest.raises(UsageError, match="lists beside it"):
        measure_diversity(rollouts, problems=rollouts["problem"])
