"""Shaping a distribution equals its definition, and the inverse-CDF draw is exact to both ends."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from warping_reference import probabilities

from s2l_lab.policies import SamplingParams
from s2l_lab.policies.keyed_sampler.warping import draw, log_probability, shape

LAST = 1 - 2.0**-53  # the largest uniform

# Halves, so that ties happen; a few -inf, as models mask ids that no token has.
logit_rows = st.lists(
    st.one_of(st.integers(-12, 12).map(lambda i: i / 2), st.floats(-8, 8, width=32)), min_size=2, max_size=9
)
samplings = st.builds(
    SamplingParams,
    temperature=st.sampled_from([0.0, 0.3, 0.7, 1.0, 2.5]),
    top_p=st.sampled_from([1.0, 0.95, 0.8, 0.5, 0.05]),
    top_k=st.sampled_from([0, 1, 2, 4, 50]),
    min_p=st.sampled_from([0.0, 0.05, 0.4, 1.0]),
    presence_penalty=st.sampled_from([0.0, 1.5, -0.5]),
)


def ours(logits: list[float], sampling: SamplingParams, held: set[int] | None = None) -> list[float]:
    """Probabilities of every token by our code; 0 where the cumulative sum does not move."""
    held_RV = torch.tensor([[i in (held or set()) for i in range(len(logits))]])
    distribution = shape(torch.tensor([logits]), sampling, held_RV)
    tokens = torch.arange(len(logits))
    steps = distribution.cumulative_RV[0].diff(prepend=torch.zeros(1))
    logprobs = log_probability(distribution, torch.zeros_like(tokens), tokens, sampling)
    return torch.where(steps > 0, logprobs.exp(), 0.0).tolist()


@given(logits=logit_rows, sampling=samplings, data=st.data())
@settings(max_examples=300, deadline=None)
def test_equals_the_definition(logits: list[float], sampling: SamplingParams, data: st.DataObject) -> None:
    held = data.draw(st.sets(st.integers(0, len(logits) - 1)))
    logits = torch.tensor(logits).tolist()  # as float32 holds them
    # Logits nearer than a weight's rounding tie in one implementation and not in another: 0 and -2e-16 at top_k 2.
    distinct = sorted(set(logits))
    assume(all(b - a > 1e-12 * max(1.0, abs(a)) for a, b in pairwise(distinct)))
    expected = probabilities(logits, sampling, held)
    # Where top_p falls on a sum of weights, rounding decides, in any implementation.
    assume(all(probabilities(logits, sampling, held, slack=s) == expected for s in (1e-9, -1e-9)))
    # What is below half a unit in the last place of the running sum cannot be drawn: logits 3.5 and -8 at T = .3.
    found = [p if q > 2**-53 else 0 for p, q in zip(ours(logits, sampling, held), expected, strict=True)]
    np.testing.assert_allclose(found, [p if p > 2**-53 else 0 for p in expected], rtol=1e-9, atol=1e-300)


def test_the_crossing_token_is_kept() -> None:
    logits = [math.log(p) for p in (0.5, 0.3, 0.15, 0.05)]
    assert ours(logits, SamplingParams(top_p=0.6))[2:] == [0, 0]  # .5 falls short of .6, .8 reaches it
    assert ours(logits, SamplingParams(top_p=0.6))[1] == pytest.approx(0.375)
    for tiny in (0.01, 1e-20):  # 1 - 1e-20 is 1 in floating point
        assert ours(logits, SamplingParams(top_p=tiny)) == [1, 0, 0, 0]


def test_ties() -> None:
    logits = [1.0, 2.0, 2.0, 2.0, 0.0]
    assert [p > 0 for p in ours(logits, SamplingParams(top_k=2))] == [False, True, True, True, False]
    assert [p > 0 for p in ours(logits, SamplingParams(top_p=0.3))] == [False, False, True, True, False]
    assert ours(logits, SamplingParams(temperature=0)) == [0, 1, 0, 0, 0]


def test_top_p_is_taken_of_what_top_k_left() -> None:
    logits = [math.log(p) for p in (0.4, 0.3, 0.2, 0.1)]
    both = ours(logits, SamplingParams(top_k=2, top_p=0.55))
    assert both == pytest.approx([1, 0, 0, 0])  # .4 / .7 = .571 reaches .55; of the whole, .4 would not


@given(logits=logit_rows, sampling=samplings)
@settings(max_examples=100, deadline=None)
def test_a_removed_token_is_never_drawn(logits: list[float], sampling: SamplingParams) -> None:
    distribution = shape(torch.tensor([logits]), sampling)
    steps = distribution.cumulative_RV[0].diff(prepend=torch.zeros(1))
    kept = (steps > 0).nonzero()[:, 0]
    uniform = torch.tensor([0.0, LAST, *np.linspace(0, LAST, 97)], dtype=torch.float64)
    drawn = draw(distribution, torch.zeros(len(uniform), dtype=torch.int64), uniform)
    assert drawn[0] == kept[0]
    assert drawn[1] <= kept[-1]
    assert set(drawn.tolist()) <= set(kept.tolist())


@given(st.lists(st.floats(-700, 0), min_size=1, max_size=30), st.floats(-1e3, 1e3))
@settings(max_examples=200, deadline=None)
def test_the_end_of_the_distribution_is_closed(logits: list[float], shift: float) -> None:
    """u just below 1 times any total is below the total, so the search never runs past the vocabulary."""
    distribution = shape(torch.tensor([[x + shift for x in logits]], dtype=torch.float64), SamplingParams())
    drawn = draw(distribution, torch.tensor([0]), torch.tensor([LAST], dtype=torch.float64))
    assert 0 <= int(drawn) < len(logits)


def test_draws_follow_the_cumulative_sum_in_vocabulary_order() -> None:
    logits = torch.tensor([[math.log(p) for p in (0.125, 0.5, 0.375)]], dtype=torch.float64)
    uniform = (torch.arange(8, dtype=torch.float64) + 0.5) / 8
    drawn = draw(shape(logits, SamplingParams()), torch.zeros(8, dtype=torch.int64), uniform)
    assert drawn.tolist() == [0, 1, 1, 1, 1, 2, 2, 2]


def test_each_rollout_reads_its_own_row() -> None:
    logits = torch.full((3, 5), -torch.inf)
    logits[torch.arange(3), torch.tensor([4, 0, 2])] = 3.0
    row_B = torch.tensor([2, 0, 1, 1])
    drawn = draw(shape(logits, SamplingParams()), row_B, torch.full((4,), 0.99, dtype=torch.float64))
    assert drawn.tolist() == [2, 4, 0, 0]


@given(logits=logit_rows, temperature=st.sampled_from([0.5, 1.0, 2.0]))
@settings(max_examples=50, deadline=None)
def test_entropy_is_that_before_truncation(logits: list[float], temperature: float) -> None:
    sampling = SamplingParams(temperature=temperature, top_p=0.5, top_k=1)
    expected = stats.entropy(probabilities(logits, SamplingParams(temperature=temperature)))
    assert float(shape(torch.tensor([logits]), sampling).entropy_R) == pytest.approx(expected, abs=1e-9)


def test_masked_ids_cost_nothing() -> None:
    distribution = shape(torch.tensor([[0.0, -torch.inf, 0.0]]), SamplingParams(temperature=0.5))
    assert float(distribution.entropy_R) == pytest.approx(math.log(2))
    assert distribution.cumulative_RV.tolist() == [[1.0, 1.0, 2.0]]


@pytest.mark.parametrize(
    ("sampling", "same"),
    [
        (SamplingParams(), True),
        (SamplingParams(temperature=0.7), False),
        (SamplingParams(top_p=0.9), False),
        (SamplingParams(min_p=0.1), False),
        (SamplingParams(top_k=3), False),
        (SamplingParams(presence_penalty=0.5), False),
        (SamplingParams(temperature=0), False),
    ],
)
def test_the_model_at_temperature_1_is_given_where_it_differs(sampling: SamplingParams, same: bool) -> None:
    logits = torch.tensor([[0.3, -1.0, 2.0]])
    plain = shape(logits, sampling, torch.tensor([[True, False, True]])).plain_RV
    if same:
        assert plain is None
    else:
        assert plain is not None
        np.testing.assert_allclose(plain, torch.log_softmax(logits.double(), -1))
