"""Diversity of one policy's rollouts, from lists of texts or a frame of rollouts: any metric by name, with intervals.

Each metric is computed within problems, over all rollouts (rarefied to the smallest N) and over correct ones alone
(rarefied to two, on the problems that have them), then averaged over problems. What a metric needs beyond the texts is
asked for by name: answers for answer and strategy metrics, token ids for Self-BLEU, edit distance and n-grams.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from s2l_lab.digest import content_seed
from s2l_lab.diversity.metric import Need
from s2l_lab.diversity.metrics import METRICS
from s2l_lab.diversity.over_problems import mean_over_problems
from s2l_lab.diversity.problem_profile import profile
from s2l_lab.diversity.rollout_set import RolloutSet, set_clusters, set_of_rows
from s2l_lab.errors import UsageError, unknown_name
from s2l_lab.estimators.cells import check_aligned
from s2l_lab.estimators.display import SHOWN, Displayed, about_interval, reading
from s2l_lab.problems.clusters import cluster_labels, named_in_metadata
from s2l_lab.verifiers.official import official_extract

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from s2l_lab.estimators.estimate import Estimate

Condition = Literal["all", "correct"]
CONDITIONS: tuple[Condition, ...] = ("all", "correct")
M_CORRECT = 2
"""Number of correct rollouts that the metrics of correct rollouts alone are rarefied to, unless told otherwise."""
EMBEDDED = 16
"""Rollouts per problem that are embedded, the first ones, beside all correct ones: on a CPU an embedding costs more
than all other metrics of a rollout together. Embedding metrics over all rollouts are rarefied to these."""

Vectors = dict[str, "NDArray[np.float32]"]
"""Embedding (D,) by text; NaN for text without tokens."""

NEEDED = ("problem", "policy", "text", "outcome", "canonical", "token_ids", "tokens", "stop_reason", "kind", "metadata")
"""Columns of a frame of rollouts that are read."""
WORDS: dict[Need, str] = {
    "answers": "answers=, the canonical answer of every text",
    "strategies": "answers= (the solution class of every text) and correct=",
    "all strategies": "the number of solution classes that exist: a frame of Countdown rollouts has it",
    "token ids": "token_ids=, the token ids of every text",
    "embeddings": "an embedder",
}
"""Arguments of `measure_diversity` that give what a metric needs, by need."""
ELSEWHERE = {
    "variance_ratio": "the log-probabilities of every token under the learner: s2l.persistence has it",
    "drift": "the log-probabilities of every token under the learner: s2l.persistence has it",
    "prefix_survival": "the log-probabilities along a greedy trace: `s2l-lab figures persistence` has it",
    "policy_share": "the rollouts of a second policy: s2l.policy_share has it",
}
"""Measures of diversity that are no property of one policy's texts, and what each needs."""


@dataclass(frozen=True, slots=True, repr=False)
class Diversity(Displayed):
    """Metrics of one policy's rollouts, each a mean over problems with its interval."""

    values: Mapping[Condition, Mapping[str, Estimate]]
    """Estimate by condition ("all" rollouts, "correct" ones alone where outcomes were given) and metric name."""
    m: Mapping[Condition, int]
    """Number of rollouts per problem that metrics are rarefied to, by condition; for embeddings at most EMBEDDED."""

    def __getitem__(self, metric: str) -> Estimate:
        """The estimate over all rollouts. UsageError for a metric that was not measured."""
        if metric not in self.values["all"]:
            raise unknown_name("measured metric", metric, self.values["all"])
        return self.values["all"][metric]

    def _columns(self) -> dict[str, Any]:
        rows = [
            {"metric": name, "condition": condition, "more_diverse": "higher" if METRICS[name].up else "lower"}
            | {key: value[0] for key, value in one._columns().items()}
            | {"m": self.m[condition]}
            for condition, estimates in self.values.items()
            for name, one in estimates.items()
        ]
        return {key: [row[key] for row in rows] for key in rows[0]}

    def _rows(self) -> list[tuple[str, str]]:
        return [
            (name if condition == "all" else f"{name}, correct only", reading(one.value, one.lower, one.upper))
            for condition, estimates in self.values.items()
            for name, one in estimates.items()
        ]

    def _few(self, rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
        more = [(f"{len(rows) - SHOWN} more", "to_frame()")] if len(rows) > SHOWN else []
        return rows[:SHOWN] + more

    def _notes(self) -> list[str]:
        level = next(iter(self.values["all"].values())).level
        n = [
            f"{condition}: n = {max(one.n_problems for one in estimates.values())} problems, m = {self.m[condition]}"
            for condition, estimates in self.values.items()
        ]
        return [about_interval(level, "problems"), *n]


def measure_diversity(
    texts: Sequence[str] | pd.DataFrame,
    correct: Sequence[bool] | NDArray[np.bool_] | None = None,
    problems: Sequence[object] | None = None,
    metrics: Sequence[str] | None = None,
    *,
    answers: Sequence[str | None] | None = None,
    token_ids: Sequence[Sequence[int]] | None = None,
    m: int | None = None,
    level: float = 0.95,
) -> Diversity:
    """How varied are one policy's rollouts? Any metric by name, within problems, with intervals over problems.

    `texts`: R completions, at least two of every problem. `problems`: the problem of each text (R labels); None means
    that all are of one problem, and then there is no interval. `correct`: whether each text is right (R booleans); the
    metrics are then also computed over right ones alone, since wrong answers scatter. `answers`: R canonical answers
    (equal answers are equal strings; None for no answer). `token_ids`: R lists of token ids, without the EOS token.
    Or give, in place of all of these, a frame of one policy's rollouts (`sample`, `open_run(...).to_frame()`).

    `metrics`: names of `s2l_lab.diversity.METRICS`, which says for each what it measures, its range and what fools it;
    None takes all that the given lists define, but the three that load an embedder (vendi, vendi_2, dispersion).
    Metrics are rarefied to `m` rollouts of a problem (None: the fewest of any problem), over right ones alone to two.

    UsageError for a single text, for lists of different lengths, for fewer than two texts of a problem, and for a
    metric whose lists are missing, with what it needs.

    >>> import s2l_lab as s2l
    >>> texts = ["3*4=12, 12-2=10", "4*3=12, 12-2=10", "5*2=10", "8+1=9", "2*4=8, 8+1=9", "3*3=9"]
    >>> s2l.measure_diversity(texts, problems=[1, 1, 1, 2, 2, 2], metrics=["equations"])
    <Diversity: equations: 0.75 [...]; 95% CI over problems; all: n = 2 problems, m = 3>
    """
    if hasattr(texts, "columns"):
        if correct is not None or problems is not None or answers is not None or token_ids is not None:
            raise UsageError("a frame of rollouts was given, and lists beside it; it has its own columns. Give one.")
        sets = frame_sets(texts)
        lacking: set[Need] = set() if all(s.n_classes for s in sets) else {"all strategies"}
        graded = True
    else:
        sets = _list_sets(texts, correct, problems, answers, token_ids)
        lacking = _lacking(correct is not None, answers is not None, token_ids is not None)
        graded = correct is not None
    chosen = _chosen(metrics, lacking)
    return _measured(sets, chosen, m, level, graded)


def frame_sets(frame: Any) -> list[RolloutSet]:
    """One RolloutSet per problem of a frame of one policy's verified rollouts, in order of first appearance.

    UsageError for missing columns, several policies, or rollouts without a verdict.
    """
    if missing := [name for name in NEEDED if name not in frame.columns]:
        raise UsageError(f"the frame lacks {', '.join(missing)}. Take `to_frame()` with all its columns, or these too.")
    names = list(dict.fromkeys(frame["policy"]))
    if len(names) > 1:
        one = f"frame[frame.policy == {names[0]!r}]"
        raise UsageError(f"the frame holds rollouts of {', '.join(names)}; give those of one policy, as {one}.")
    if unverified := int(frame["outcome"].isna().sum()):
        raise UsageError(f"{unverified} rollouts have no verdict. Leave them out: where='outcome is not null'.")
    by_problem = {str(problem): rows for problem, rows in frame.groupby("problem", sort=False)}
    about = {problem: json.loads(rows["metadata"].iloc[0]) for problem, rows in by_problem.items()}
    ids = list(by_problem)
    clusters = cluster_labels(ids, named_in_metadata(about)) or (None,) * len(ids)
    return [_frame_set(id, by_problem[id], about[id], cluster) for id, cluster in zip(ids, clusters, strict=True)]


def _frame_set(problem: str, rows: Any, about: Mapping[str, Any], cluster: str | None) -> RolloutSet:
    known = rows.rename(columns={"tokens": "completion_tokens"}).astype(object)
    plain = known.where(known.notna(), None).to_dict("records")
    return set_of_rows(problem, rows["kind"].iloc[0], about.get("n_classes"), plain, cluster)


def _list_sets(
    texts: Any,
    correct: Sequence[bool] | NDArray[np.bool_] | None,
    problems: Sequence[object] | None,
    answers: Sequence[str | None] | None,
    token_ids: Sequence[Sequence[int]] | None,
) -> list[RolloutSet]:
    """One RolloutSet per label of `problems`, in order of first appearance."""
    if isinstance(texts, str):
        raise UsageError("texts is one text, whose characters would be taken for rollouts. Give a list of texts.")
    wrong = [type(text).__name__ for text in texts if not isinstance(text, str)]
    if wrong:
        raise UsageError(f"texts holds a {wrong[0]}; every entry is the text of one rollout.")
    lists: dict[str, Any] = {"correct": correct, "problems": problems, "answers": answers, "token_ids": token_ids}
    given = {name: one for name, one in lists.items() if one is not None}
    check_aligned(texts=texts, **given)
    for name, one in given.items():
        if isinstance(one, str) or len(one) != len(texts):
            raise UsageError(f"{name} has {len(one)} entries for {len(texts)} texts; give one for each text.")
    right_R = np.zeros(len(texts), bool) if correct is None else np.asarray(correct)
    if right_R.dtype != bool:
        raise UsageError(f"correct holds {right_R.dtype}; give True or False for each text.")
    rows: dict[object, list[int]] = {}
    for row, label in enumerate(["one problem"] * len(texts) if problems is None else problems):
        rows.setdefault(label, []).append(row)
    text_R = list(texts)
    answer_R = [None] * len(texts) if answers is None else list(answers)
    ids_R = None if token_ids is None else list(token_ids)
    return [
        RolloutSet(
            problem_id=str(label),
            text_N=tuple(text_R[i] for i in at),
            token_ids_N=None if ids_R is None else tuple(np.asarray(ids_R[i], np.int32) for i in at),
            length_N=np.full(len(at), np.nan) if ids_R is None else np.array([float(len(ids_R[i])) for i in at]),
            canonical_N=tuple(answer_R[i] for i in at),
            official_N=tuple(official_extract(text_R[i]) for i in at),
            correct_N=right_R[at],
            unknown_N=np.zeros(len(at), bool),
            # Enough for the metric that counts classes; the share of those that exist is not to be had from texts.
            n_classes=None if answers is None or correct is None else max(1, len({answer_R[i] for i in at})),
        )
        for label, at in rows.items()
    ]


def _lacking(correct: bool, answers: bool, token_ids: bool) -> set[Need]:
    """What these lists do not give."""
    there: dict[Need, bool] = {"answers": answers, "strategies": answers and correct, "token ids": token_ids}
    return {"all strategies", *(need for need, given in there.items() if not given)}


def _chosen(metrics: Sequence[str] | None, lacking: set[Need]) -> list[str]:
    """The metrics to measure, checked: each is known and has what it needs."""
    if metrics is None:
        left_out = {*lacking, "embeddings"}
        return [name for name, metric in METRICS.items() if left_out.isdisjoint(metric.needs)]
    if isinstance(metrics, str):
        raise UsageError(f"metrics = {metrics!r} is one text; give a list of names, as [{metrics!r}].")
    for name in metrics:
        if name in METRICS:
            needs = [WORDS[need] for need in METRICS[name].needs if need in lacking][-1:]
        elif name in ELSEWHERE:
            needs = [ELSEWHERE[name]]
        else:
            raise unknown_name("metric", name, METRICS)
        if needs:
            raise UsageError(f"{name} cannot be measured on these texts alone: it needs {needs[0]}.")
    if not metrics:
        raise UsageError(f"no metric was named. Known: {', '.join(METRICS)}.")
    return list(dict.fromkeys(metrics))


def _measured(
    sets: Sequence[RolloutSet], metrics: Sequence[str], m: int | None, level: float, graded: bool
) -> Diversity:
    fewest = min((len(s) for s in sets), default=0)
    if fewest < 2 or (m is not None and not 2 <= m <= fewest):
        said = f"m = {m} was asked, and " if m is not None else ""
        raise UsageError(f"{said}the problem with the fewest texts has {fewest}; it needs two, and m at most these.")
    rarefied: dict[Condition, int] = {"all": fewest if m is None else m}
    chosen: dict[Condition, Sequence[RolloutSet]] = {"all": sets}
    if graded:
        rarefied["correct"] = M_CORRECT
        chosen["correct"] = [s.take(np.flatnonzero(s.correct_N & (s.correct_N.sum() >= M_CORRECT))) for s in sets]
    vectors = embedded_vectors(sets) if any(METRICS[name].level == "embedding" for name in metrics) else None
    values: dict[Condition, dict[str, Estimate]] = {}
    cluster = set_clusters(sets)
    for condition, ones in chosen.items():
        at, of_embeddings = rarefied[condition], min(rarefied[condition], EMBEDDED)
        embedded = EMBEDDED if condition == "all" else None
        value_P = condition_values(condition, ones, at, vectors, embedded, of_embeddings)
        n = sum(map(len, ones))
        values[condition] = {
            name: mean_over_problems(
                value_P[name],
                n,
                level=level,
                bounds=METRICS[name].bounds(of_embeddings if METRICS[name].level == "embedding" else at),
                cluster=cluster,
            )
            for name in metrics
        }
    return Diversity(values, rarefied)


def embedded_vectors(sets: Sequence[RolloutSet]) -> Vectors:
    """Embeddings by the default embedder of what `condition_values` looks up. UsageError where it is not installed."""
    from s2l_lab.diversity.embeddings import DEFAULT, open_embedder

    texts = list(dict.fromkeys(texts_to_embed(sets)))
    return dict(zip(texts, open_embedder(DEFAULT).embed(texts).vector_ND, strict=True))


def texts_to_embed(sets: Iterable[RolloutSet]) -> Iterator[str]:
    """The first EMBEDDED rollouts of each problem, and all correct ones."""
    for s in sets:
        yield from s.text_N[:EMBEDDED]
        yield from (text for text, correct in zip(s.text_N, s.correct_N, strict=True) if correct)


def condition_values(
    condition: Condition,
    sets: Sequence[RolloutSet],
    m: int,
    vectors: Vectors | None,
    embedded: int | None,
    m_embedding: int,
) -> dict[str, NDArray[np.float64]]:
    """Metric values (P,) by name; embeddings of the first `embedded` rollouts (None: all), rarefied to `m_embedding`.
    Subsets are drawn by condition, problem and metric alone, so policies see the same ones."""
    rows = []
    for s in sets:
        rng = np.random.default_rng(content_seed("within", condition, s.problem_id))
        known = None if vectors is None or not len(s) else np.stack([vectors[text] for text in s.text_N[:embedded]])
        rows.append(profile(s, m, rng=rng, embedding_ND=known, m_embedding=m_embedding))
    return {name: np.array([row[name] for row in rows]) for name in METRICS}
