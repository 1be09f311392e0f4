"""Every within-policy metric in one table: what it measures, its range, and what fools it.

The sentences are shown wherever the metric is shown: in the terminal, on the page, in the app. `up` says which way is
more diverse. Whether a metric follows strategies or only phrasing is not said here but measured
(`s2l-lab figures metric-validity`), and shown as a mark beside the name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Level = Literal["answer", "strategy", "text", "embedding"]
"""What a metric looks at: final answers, solution classes, the wording, or a sentence embedding of it."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. A sentence each for what it measures and what fools it."""

    title: str
    level: Level
    up: bool
    """True if a higher value is more diverse."""
    most: Literal["1", "2", "m", "ln m", "unbounded"]
    """Its largest value for m rollouts; intervals respect it."""
    span: str
    """Its range, in words."""
    measures: str
    fooled_by: str
    least: float = 0.0

    def bounds(self, m: int) -> tuple[float, float] | None:
        """Least and largest value for m rollouts; None without bounds."""
        most = {"1": 1.0, "2": 2.0, "m": float(m), "ln m": math.log(m), "unbounded": math.inf}[self.most]
        return (self.least, most) if math.isfinite(most) else None


METRICS: dict[str, Metric] = {
    "unique_answers": Metric(
        "unique answer ratio",
        "answer",
        True,
        "1",
        "1/m to 1",
        "Distinct canonical final answers among m rollouts, divided by m; all failures to answer are one class.",
        "Wrong answers scatter, so it rises whenever accuracy falls; it falls with m.",
    ),
    "unique_answers_official": Metric(
        "unique answers, paper's extractor",
        "answer",
        True,
        "1",
        "1/m to 1",
        "The same on what the paper's own extractor reads from the text.",
        "A failure to answer yields a new string each time, so it counts broken formats as diversity.",
    ),
    "answer_entropy": Metric(
        "answer entropy",
        "answer",
        True,
        "ln m",
        "0 to ln m nats",
        "Shannon entropy of the canonical answers of m rollouts, expected over all m-subsets.",
        "As the unique answer ratio: wrong answers scatter.",
    ),
    "strategies": Metric(
        "correct strategies found",
        "strategy",
        True,
        "m",
        "0 to m",
        "Distinct correct solution classes (expressions modulo commutativity and associativity) among m rollouts.",
        "Over all rollouts it mixes accuracy with breadth: read it beside the correct-only value.",
    ),
    "strategy_coverage": Metric(
        "share of strategies found",
        "strategy",
        True,
        "1",
        "0 to 1",
        "Distinct correct solution classes among m rollouts, divided by all that exist for the problem.",
        "Small where most existing classes are outside what the policy was ever trained to write.",
    ),
    "self_bleu": Metric(
        "Self-BLEU, pairwise",
        "text",
        False,
        "1",
        "0 to 1, lower is more diverse",
        "Mean BLEU-4 of one rollout's tokens against another's, over ordered pairs.",
        "Length and shared boilerplate raise it; another wording of the same solution lowers it.",
    ),
    "self_bleu_all": Metric(
        "Self-BLEU, all references",
        "text",
        False,
        "1",
        "0 to 1, lower is more diverse",
        "Mean BLEU-4 of each rollout against all m - 1 others at once (Texygen).",
        "It rises with m and with length, towards 1 for any policy.",
    ),
    "edit_diversity": Metric(
        "edit diversity",
        "text",
        True,
        "1",
        "0 to 1",
        "Mean Levenshtein distance of two rollouts' tokens, divided by the longer length.",
        "Another wording or another order of the same steps counts as much as another solution.",
    ),
    "distinct_4": Metric(
        "distinct-4",
        "text",
        True,
        "1",
        "0 to 1",
        "Expected distinct token 4-grams among m rollouts over their expected number.",
        "It falls with length and with m; numbers of the problem are counted as repeats.",
    ),
    "compression": Metric(
        "compression ratio",
        "text",
        False,
        "unbounded",
        "about 1 and up, lower is more diverse",
        "Bytes of m completions over their bytes under zlib.",
        "Length alone raises it: longer text compresses better whatever it says.",
    ),
    "equations": Metric(
        "equation diversity",
        "text",
        True,
        "1",
        "0 to 1",
        "1 - Jaccard overlap of the sets of equations in two rollouts, mean over pairs that have any.",
        "Wrong arithmetic makes new equations; orders of equal steps do not count.",
    ),
    "vendi": Metric(
        "Vendi score, q = 1",
        "embedding",
        True,
        "m",
        "1 to m",
        "Effective number of different rollouts among m, from the cosine similarities of their embeddings.",
        "It follows what the embedder notices, which is topic and wording before it is strategy.",
        least=1.0,
    ),
    "vendi_2": Metric(
        "Vendi score, q = 2",
        "embedding",
        True,
        "m",
        "1 to m",
        "The same with Renyi order 2, which listens to frequent kinds of rollouts more than to rare ones.",
        "As for q = 1.",
        least=1.0,
    ),
    "dispersion": Metric(
        "embedding dispersion",
        "embedding",
        True,
        "2",
        "0 to 2",
        "Mean cosine distance between the embeddings of two rollouts.",
        "One far outlier moves it as much as many small differences.",
    ),
}
"""By name, in the order in which they are shown."""
