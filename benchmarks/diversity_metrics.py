"""Self-BLEU against nltk's, edit diversity against a plain Python loop, and the Vendi score of 1,024 rollouts.

    python benchmarks/diversity_metrics.py

One made problem: 256 completions of 600 tokens, strung together from common phrases and rare words. nltk is timed on
some hypotheses against all their references, and the loop on some pairs; both times are scaled to the whole ("scaled"
in the results, with the counts), while ours is always the whole. Values are compared on what was timed, and on whole
Self-BLEU and edit diversity of a few of the completions. All are timed in turn, best CPU time of the rounds.
Needs nltk (the `dev` extra) and rapidfuzz (`embed`). Writes results/diversity_metrics.json.
"""

from __future__ import annotations

import time
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from results_file import keep, machine

from s2l_lab.diversity.edit import edit_distances, edit_diversity
from s2l_lab.diversity.ngrams import pair_bleu, rest_bleu, self_bleu
from s2l_lab.diversity.vendi import vendi_score

if TYPE_CHECKING:
    from collections.abc import Callable

ROLLOUTS, TOKENS, VOCABULARY = 256, 600, 30_000
HYPOTHESES = {"all": 4, "pairwise": 2}
"""How many of the 256 hypotheses nltk is given."""
LOOP_PAIRS = 12
WHOLE = 12
"""How many completions whole values are compared on."""
ROUNDS = 3

Tokens = list[list[int]]


def completions() -> Tokens:
    rng = np.random.default_rng(0)
    phrases = [rng.zipf(1.2, rng.integers(4, 16)) % VOCABULARY for _ in range(500)]

    def one() -> list[int]:
        parts = [p for k in rng.zipf(1.3, TOKENS) for p in (phrases[k % 500], rng.integers(0, VOCABULARY, 2))]
        return np.concatenate(parts)[:TOKENS].tolist()

    return [one() for _ in range(ROLLOUTS)]


def nltk_bleu(references: Tokens, hypothesis: list[int]) -> float:
    return float(sentence_bleu(references, hypothesis, smoothing_function=SmoothingFunction().method1))


def nltk_all(tokens: Tokens, hypotheses: int) -> list[float]:
    return [nltk_bleu(tokens[:i] + tokens[i + 1 :], tokens[i]) for i in range(hypotheses)]


def nltk_pairwise(tokens: Tokens, hypotheses: int) -> list[float]:
    return [nltk_bleu([r], tokens[i]) for i in range(hypotheses) for j, r in enumerate(tokens) if i != j]


def loop_distance(a: list[int], b: list[int]) -> float:
    """Levenshtein over the longer length, by the textbook's two rows."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last = [i]
        for j, y in enumerate(b, 1):
            last.append(min(row[j] + 1, last[-1] + 1, row[j - 1] + (x != y)))
        row = last
    return row[-1] / max(len(a), len(b))


def seconds(runs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Best CPU time of each, taken in turn."""
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(ROUNDS):
        for name, run in runs.items():
            start = time.process_time()
            run()
            best[name] = min(best[name], time.process_time() - start)
    return best


def differences(tokens: Tokens, pairs: list[tuple[int, int]]) -> dict[str, float]:
    """Largest absolute difference between ours and theirs."""
    few = tokens[:WHOLE]
    off_diagonal = [row[np.arange(ROLLOUTS) != i] for i, row in enumerate(pair_bleu(tokens))][: HYPOTHESES["pairwise"]]
    distance_NN, few_pairs = edit_distances(tokens), list(combinations(few, 2))
    compared = {
        "all": [
            (rest_bleu(tokens)[: HYPOTHESES["all"]], nltk_all(tokens, HYPOTHESES["all"])),
            (self_bleu(few, references="all"), np.mean(nltk_all(few, WHOLE))),
        ],
        "pairwise": [
            (np.concatenate(off_diagonal), nltk_pairwise(tokens, HYPOTHESES["pairwise"])),
            (self_bleu(few), np.mean(nltk_pairwise(few, WHOLE))),
        ],
        "edit": [
            ([distance_NN[pair] for pair in pairs], [loop_distance(tokens[i], tokens[j]) for i, j in pairs]),
            (edit_diversity(few), np.mean([loop_distance(a, b) for a, b in few_pairs])),
        ],
    }
    return {
        name: max(float(np.abs(np.subtract(ours, theirs)).max()) for ours, theirs in each)
        for name, each in compared.items()
    }


def main() -> None:
    tokens = completions()
    embedding_ND = np.random.default_rng(1).normal(0.2, 1.0, (1024, 384))
    pairs = [(i, i + 100) for i in range(LOOP_PAIRS)]
    best = seconds(
        {
            "nltk, all": lambda: nltk_all(tokens, HYPOTHESES["all"]),
            "ours, all": lambda: self_bleu(tokens, references="all"),
            "nltk, pairwise": lambda: nltk_pairwise(tokens, HYPOTHESES["pairwise"]),
            "ours, pairwise": lambda: self_bleu(tokens),
            "loop, edit": lambda: [loop_distance(tokens[i], tokens[j]) for i, j in pairs],
            "ours, edit": lambda: edit_diversity(tokens),
            "ours, vendi": lambda: vendi_score(embedding_ND),
        }
    )
    scale = {name: ROLLOUTS / given for name, given in HYPOTHESES.items()}
    scale["edit"] = ROLLOUTS * (ROLLOUTS - 1) / 2 / LOOP_PAIRS
    theirs = {name: best[f"{'loop' if name == 'edit' else 'nltk'}, {name}"] * factor for name, factor in scale.items()}
    report = {
        "rollouts": ROLLOUTS,
        "tokens": TOKENS,
        "self_bleu": {"all": self_bleu(tokens, references="all"), "pairwise": self_bleu(tokens)},
        "cpu_seconds": best,
        "scaled": {
            "why": "nltk and the loop were timed on a part of the work; these are their seconds for the whole",
            "hypotheses_timed": HYPOTHESES,
            "edit_pairs_timed": LOOP_PAIRS,
            "cpu_seconds": theirs,
        },
        "theirs_over_ours": {name: theirs[name] / best[f"ours, {name}"] for name in theirs},
        "vendi_1024_seconds": best["ours, vendi"],
        "largest_difference": differences(tokens, pairs),
        "machine": machine("numpy", "scipy", "nltk", "rapidfuzz"),
    }
    for name, aim in (("all", 40), ("pairwise", 40), ("edit", 20)):
        ratio, difference = report["theirs_over_ours"][name], report["largest_difference"][name]
        print(f"{name:10}{theirs[name]:9.1f} s (scaled) / {best[f'ours, {name}']:7.3f} s = {ratio:6.0f} x", end="")
        print(f"   (aim: at least {aim}); largest difference {difference:.1e}")
    print(f"vendi, 1,024 x 384: {best['ours, vendi']:.3f} s   (aim: under 2 s)")
    keep("diversity_metrics", report)


if __name__ == "__main__":
    main()
