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
