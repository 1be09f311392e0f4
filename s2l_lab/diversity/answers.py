"""How many different final answers a policy gives to a problem: the paper's Table 3, "Unique Ans", and their entropy.

unique answer ratio = E[distinct answers among m rollouts] / m, entropy = E[plug-in entropy of m rollouts], both exact
(`rarefaction`). The paper states neither a normalisation nor what a missing answer is; here answers are compared as the
verifier extracted them, equal if equal as text.

What would surprise: a rollout without an answer (None) is a failure, and all failures are *one* class: a policy that
never answers is not diverse. Wrong answers scatter and right ones agree, so both numbers rise as accuracy falls; over
correct rollouts alone the ratio is 1/m and says nothing.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from s2l_lab.diversity.metric import Metric
from s2l_lab.diversity.rarefaction import check_subset, expected_distinct, expected_entropy

if TYPE_CHECKING:
    from collections.abc import Sequence


def unique_answer_ratio(answers: Sequence[str | None], m: int | None = None) -> float:
    """Expected distinct answers among m of the N rollouts, over m; None is the one class of failures.

    Between 1/m and 1. m = None takes all N. NaN for fewer than two rollouts. Raises UsageError unless 1 <= m <= N.
    """
    if len(answers) < 2:
        return float("nan")
    m = check_subset(m, len(answers))
    return expected_distinct(list(Counter(answers).values()), m) / m


def answer_entropy(answers: Sequence[str | None], m: int | None = None) -> float:
    """Expected plug-in entropy, in nats, of the answers of m of the N rollouts; None is the one class of failures.

    Between 0 and ln m. m = None takes all N. NaN for fewer than two rollouts. Raises UsageError unless 1 <= m <= N.
    """
    if len(answers) < 2:
        return float("nan")
    return expected_entropy(list(Counter(answers).values()), check_subset(m, len(answers)))


METRICS = (
    Metric(
        name="unique_answers",
        value=lambda s: unique_answer_ratio(s.rollouts.canonical_N, s.m),
        title="unique answer ratio",
        level="answer",
        up=True,
        most="1",
        span="1/m to 1",
        measures="Distinct canonical final answers among m rollouts, divided by m; all failures to answer are one "
        "class.",
        fooled_by="Wrong answers scatter, so it rises whenever accuracy falls; it falls with m.",
        needs=("answers",),
    ),
    Metric(
        name="unique_answers_official",
        value=lambda s: unique_answer_ratio(s.rollouts.official_N, s.m),
        title="unique answers, paper's extractor",
        level="answer",
        up=True,
        most="1",
        span="1/m to 1",
        measures="The same on what the paper's own extractor reads from the text.",
        fooled_by="A failure to answer yields a new string each time, so it counts broken formats as diversity.",
    ),
    Metric(
        name="answer_entropy",
        value=lambda s: answer_entropy(s.rollouts.canonical_N, s.m),
        title="answer entropy",
        level="answer",
        up=True,
        most="ln m",
        span="0 to ln m nats",
        measures="Shannon entropy of the canonical answers of m rollouts, expected over all m-subsets.",
        fooled_by="As the unique answer ratio: wrong answers scatter.",
        needs=("answers",),
    ),
)
