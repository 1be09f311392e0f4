"""Verdicts: what an interval decides, laws of the rules, Holm by hand, and how often a claim is decided wrongly."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from s2l_lab.estimators import Estimate, seed_difference_these_problems
from s2l_lab.estimators.decisions import Expectation, decisive_alpha, judge
from s2l_lab.estimators.problem_interval import student_t

MARGIN = 0.02
SMALL = "supported, smaller than the margin"
EXPECTATIONS: tuple[Expectation, ...] = ("above", "below", "equal", "not_below")


def difference(value: float, se: float, seeds: int = 10) -> Estimate:
    """A t interval with seeds - 1 degrees of freedom."""
    reach = student_t(0.95, seeds - 1) * se if seeds > 1 else float("nan")
    df = seeds - 1
    return Estimate(value, value - reach, value + reach, 0.95, "t", "seeds", 100, 128_000, seeds, se=se, df=df)


def of_ends(lower: float, upper: float) -> Estimate:
    """The difference whose interval at .95 has these ends."""
    return difference((lower + upper) / 2, (upper - lower) / 2 / student_t(0.95, 9))


def word(lower: float, upper: float, expected: Expectation) -> str:
    return judge([of_ends(lower, upper)], [expected], MARGIN)[0].word


@pytest.mark.parametrize(
    ("expected", "lower", "upper", "decision"),
    [
        ("above", 0.001, 0.04, "supported"),
        ("above", 0.021, 0.04, "supported"),
        ("above", 0.001, 0.019, SMALL),
        ("above", -0.005, 0.019, "contradicted"),  # a gain of the margin is excluded, whatever lies below 0
        ("above", -0.05, 0.019, "contradicted"),
        ("above", -0.05, -0.01, "contradicted"),
        ("above", -0.001, 0.021, "cannot tell"),
        ("below", -0.04, -0.001, "supported"),
        ("below", -0.019, -0.001, SMALL),
        ("below", -0.019, 0.05, "contradicted"),
        ("below", 0.01, 0.05, "contradicted"),
        ("below", -0.021, 0.001, "cannot tell"),
        ("equal", -0.019, 0.019, "supported"),
        ("equal", 0.001, 0.019, "supported"),  # a difference, and one that is too small to matter
        ("equal", 0.021, 0.05, "contradicted"),
        ("equal", -0.05, -0.021, "contradicted"),
        ("equal", 0.001, 0.05, "cannot tell"),  # above 0 is not outside the margin
        ("equal", -0.019, 0.021, "cannot tell"),
        ("not_below", -0.019, 0.05, "supported"),
        ("not_below", -0.05, -0.021, "contradicted"),
        ("not_below", -0.0195, -0.0185, "supported"),  # a loss, and not of the margin
        ("not_below", -0.05, -0.001, "cannot tell"),
    ],
)
def test_one_claim_by_hand(expected: Expectation, lower: float, upper: float, decision: str) -> None:
    (verdict,) = judge([of_ends(lower, upper)], [expected], MARGIN)
    assert verdict.word == decision
    assert (verdict.p <= 0.05) == (decision != "cannot tell")
    assert verdict.level == pytest.approx(0.95)


def test_a_lower_end_that_falls_takes_no_contradiction_back() -> None:
    """`above` was contradicted by [-.0039, .001] and not by [-.0068, .001], with a margin of .004."""
    for lower in (-0.0039, -0.0068, -0.1):
        (verdict,) = judge([of_ends(lower, 0.001)], ["above"], 0.004)
        assert verdict.word == "contradicted"


FACTS = {
    ("above", "supported"): {"> 0"},
    ("above", SMALL): {"> 0", "< margin"},
    ("above", "contradicted"): {"< margin"},
    ("below", "supported"): {"< 0"},
    ("below", SMALL): {"< 0", "> -margin"},
    ("below", "contradicted"): {"> -margin"},
    ("equal", "supported"): {"inside"},
    ("equal", "contradicted"): {"outside"},
    ("not_below", "supported"): {"> -margin"},
    ("not_below", "contradicted"): {"< -margin"},
}
"""What each word says of the difference."""
ends = st.lists(
    st.one_of(st.floats(-0.1, 0.1), st.sampled_from([-MARGIN, 0.0, MARGIN])), min_size=4, max_size=4, unique=True
).filter(lambda values: min(b - a for a, b in itertools.pairwise(sorted(values))) > 1e-6)


@given(ends, st.sampled_from(EXPECTATIONS))
def test_a_narrower_interval_adds_facts_and_takes_none_back(four: list[float], expected: Expectation) -> None:
    a, b, c, d = sorted(four)
    wide, narrow = (FACTS.get((expected, word(*pair, expected)), set()) for pair in ((a, d), (b, c)))
    assert wide <= narrow


@given(ends, st.sampled_from(EXPECTATIONS))
def test_words_are_monotone_in_the_interval(four: list[float], expected: Expectation) -> None:
    """An interval whose ends both lie higher says nothing lower: `above` and `not_below` rise, `below` falls."""
    order = {"contradicted": 0, "cannot tell": 1, SMALL: 1, "supported": 2}
    if expected == "equal":
        return
    a, b, c, d = sorted(four)
    low, high = (order[word(*pair, expected)] for pair in ((a, c), (b, d)))
    assert low >= high if expected == "below" else low <= high


@given(ends, st.floats(0.001, 0.05))
def test_below_is_the_mirror_of_above(four: list[float], margin: float) -> None:
    found = of_ends(min(four), max(four))
    mirrored = replace(found, value=-found.value)
    above, below = judge([found], ["above"], margin)[0], judge([mirrored], ["below"], margin)[0]
    assert (above.word, above.p, above.level) == (below.word, below.p, below.level)


Claim = tuple[float, float, Expectation]
"""Value, standard error, what is claimed."""
claims_of_a_page = st.tuples(st.floats(-0.1, 0.1), st.floats(0.0005, 0.05), st.sampled_from(EXPECTATIONS))


@given(st.lists(claims_of_a_page, min_size=1, max_size=5), st.integers(0, 4))
def test_a_clearer_claim_takes_no_fact_from_its_page(claims: list[Claim], which: int) -> None:
    """Holm: one claim's narrower interval leaves every fact of the page standing."""
    which %= len(claims)
    clearer = [(v, se / 3 if i == which else se, e) for i, (v, se, e) in enumerate(claims)]
    pages = [
        judge([difference(v, se) for v, se, _ in page], [e for *_, e in page], MARGIN) for page in (claims, clearer)
    ]
    for (*_, expected), before, after in zip(claims, *pages, strict=True):
        kept, now = (FACTS.get((expected, verdict.word), set()) for verdict in (before, after))
        assert kept <= now
        assert after.word == "cannot tell" or after.p <= 0.05


@given(st.floats(-0.1, 0.1), st.floats(0.0005, 0.05), st.sampled_from(EXPECTATIONS))
def test_the_least_alpha_is_where_the_claims_interval_begins_to_decide(
    value: float, se: float, expected: Expectation
) -> None:
    found = difference(value, se)
    p = decisive_alpha(found, expected, MARGIN)
    for alpha in (1e-6, 0.01, 0.05, 0.3, 0.9):
        (verdict,) = judge([found], [expected], MARGIN, alpha=alpha)
        assert (verdict.word != "cannot tell") == (p <= alpha)


def test_the_least_alpha_is_the_p_of_a_t_test() -> None:
    rng = np.random.default_rng(5)
    total = np.full((10, 30), 64)
    a, b = rng.binomial(64, 0.3, (10, 30)), rng.binomial(64, 0.32, (10, 30))
    found = seed_difference_these_problems((a, total), (b, total), 1)
    p = stats.ttest_rel((b / 64).mean(1), (a / 64).mean(1)).pvalue
    assert decisive_alpha(found, "above", 1e-9) == pytest.approx(p)


def test_the_estimates_own_degrees_of_freedom_are_read() -> None:
    """Not its seeds less one, and not its ends."""
    found = replace(difference(0.03, 0.0125), df=2.5, lower=math.nan, upper=math.nan)
    assert judge([difference(0.03, 0.0125)], ["above"], MARGIN)[0].word == "supported"
    (verdict,) = judge([found], ["above"], MARGIN)
    assert verdict.word == "cannot tell"
    assert verdict.p == pytest.approx(2 * stats.t.sf(0.03 / 0.0125, 2.5))


def test_holm_by_hand() -> None:
    """Three claims: p = .01, .02 and .04 against .05/3 = .0167, .025 and .05: all supported. With .03 in the middle the
    second is undecided at .025, and the third, though .04 is under .05, with it."""

    def at(p: float) -> Estimate:
        return difference(1.0, 1 / float(stats.t.isf(p / 2, 9)))

    supported = judge([at(0.04), at(0.01), at(0.02)], ["above"] * 3, MARGIN)
    assert [v.word for v in supported] == ["supported"] * 3
    assert [v.p for v in supported] == pytest.approx([0.04, 0.01, 0.02])
    assert [v.level for v in supported] == pytest.approx([0.95, 1 - 0.05 / 3, 0.975])
    stopped = judge([at(0.04), at(0.01), at(0.03)], ["above"] * 3, MARGIN)
    assert [v.word for v in stopped] == ["cannot tell", "supported", "cannot tell"]
    assert "undecided at .95 over 3 claims" in stopped[0].why
    assert "undecided at .9 over 3 claims" in judge([at(0.2)] * 3, ["above"] * 3, MARGIN, alpha=0.1)[0].why


def test_few_seeds_cannot_tell_and_do_not_cost_the_others_their_level() -> None:
    clear = difference(0.5, 0.001, seeds=9)
    verdicts = judge([clear, None, difference(0.03, 0.0125), difference(0.1, float("nan"), 1)], ["above"] * 4, MARGIN)
    assert [v.word for v in verdicts] == ["cannot tell", "cannot tell", "supported", "cannot tell"]
    assert "9 of the 10 seeds" in verdicts[0].why
    assert verdicts[1].why == "no pair of finished runs"
    assert np.isnan(verdicts[0].p)


def test_an_estimate_without_a_standard_error_is_not_decided() -> None:
    """Ends alone, as an older release's, say nothing of where the interval at another level would end."""
    (verdict,) = judge([Estimate(0.5, 0.4, 0.6, 0.95, "?", "seeds", 100, 1, 10)], ["above"], MARGIN)
    assert (verdict.word, verdict.why) == ("cannot tell", "it has no standard error to be judged by")


def test_differences_known_exactly_are_decided() -> None:
    assert judge([difference(0.0, 0.0)], ["equal"], MARGIN)[0].word == "supported"
    assert judge([difference(0.1, 0.0)], ["above"], MARGIN)[0].word == "supported"
    assert judge([difference(0.01, 0.0)], ["above"], MARGIN)[0].word == SMALL
    assert judge([difference(MARGIN, 0.0)], ["equal"], MARGIN)[0].word == "cannot tell"  # neither in nor out


def draws(truth: float, se: float, rng: np.random.Generator, seeds: int = 10) -> Estimate:
    """A difference as a run of ten seeds gives it."""
    d = rng.normal(truth, se * seeds**0.5, seeds)
    return difference(float(d.mean()), float(d.std(ddof=1)) / seeds**0.5, seeds)


@pytest.mark.parametrize("se", [0.0005, 0.004, 0.01, 0.03])
@pytest.mark.parametrize(
    ("expected", "truth", "wrong"),
    [
        ("above", 0.0, ("supported", SMALL)),
        ("above", MARGIN, ("contradicted", SMALL)),
        ("below", 0.0, ("supported", SMALL)),
        ("below", -MARGIN, ("contradicted", SMALL)),
        ("equal", MARGIN, ("supported",)),
        ("equal", -MARGIN, ("supported",)),
        ("equal", 0.019, ("contradicted",)),
        ("not_below", -0.019, ("contradicted",)),  # true, and contradicted in 92 % of runs once
        ("not_below", -MARGIN, ("supported",)),
    ],
)
def test_at_the_margin_and_at_0_each_word_is_seldom_wrong(
    expected: Expectation, truth: float, wrong: tuple[str, ...], se: float
) -> None:
    """400 runs of nominal .05: binomial error .011."""
    rng = np.random.default_rng(7)
    seen = [judge([draws(truth, se, rng)], [expected], MARGIN)[0].word for _ in range(400)]
    assert np.mean([decision in wrong for decision in seen]) <= 0.05 + 2 * 0.011


@pytest.mark.parametrize("margin_in_se", [1e-6, 2.0, 4.0, 20.0])
@pytest.mark.parametrize("expects", [("above",), ("above", "equal", "not_below", "below")])
def test_a_page_is_seldom_wrong_anywhere(margin_in_se: float, expects: tuple[Expectation, ...]) -> None:
    """Ten claims, truths at the bars that they must not clear. A step-down over claims by the clearer end decided 15 %
    of such pages wrongly at a margin of four standard errors. 300 pages: binomial error .0126."""
    rng, wrong = np.random.default_rng(11), 0
    claims = list(itertools.islice(itertools.cycle(expects), 10))
    truths = {"above": 0.0, "below": 0.0, "equal": margin_in_se, "not_below": -margin_in_se}
    for _ in range(300):
        page = [draws(truths[expected], 1.0, rng, seeds=20) for expected in claims]
        wrong += any(verdict.word.startswith("supported") for verdict in judge(page, claims, margin_in_se))
    assert wrong / 300 <= 0.05 + 2 * 0.0126
    assert wrong > 0
