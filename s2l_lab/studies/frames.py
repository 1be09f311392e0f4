"""Two questions of the studies, asked of frames of rollouts: what a policy adds to another, and whether that lasts.

The studies (`policy_share`, `persistence`) ask them of many arms with all their nulls and controls; here each is one
number of one pair, for a notebook. Whoever reads it brings the controls: the learner at another temperature, another
model of its size, the learner itself with another seed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s2l_lab.diversity.measure import Vectors, embedded_vectors, frame_sets
from s2l_lab.diversity.scoring import score
from s2l_lab.diversity.temporal import split, variance_ratio
from s2l_lab.errors import UsageError, unknown_name
from s2l_lab.policies.opening import opened_policy
from s2l_lab.policies.transformers_engine import TransformersPolicy
from s2l_lab.problems import Problem
from s2l_lab.problems.clusters import problem_clusters
from s2l_lab.studies.between import FEATURES, FEWEST_PERMUTATIONS, Feature, contrast

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from s2l_lab.estimators import Estimate
    from s2l_lab.policies import Policy


def policy_share(explorer: pd.DataFrame, learner: pd.DataFrame, feature: Feature = "answers") -> Estimate:
    """What an explorer adds to a learner: the share of an even mix's diversity that lies between the two, 0 to 1.

    Both are frames of one policy's rollouts (`sample`, `open_run(...).to_frame()`) on the same problems, at least two
    of each. `feature`: "answers" (other final answers), "strategies" (other solution classes, correct rollouts only),
    "tokens" (edit distance) or "embedding" (needs the extra `embed`). Unbiased, so below 0 by chance where the two
    agree; the interval is about other problems of this kind. Read it beside the share of controls: the learner with
    another seed gives 0, the learner at another temperature token noise, another model of its size what is not size.

    UsageError for other problems, other features, missing token ids, and for the same rollouts twice.

    >>> import s2l_lab as s2l
    >>> small, large = (s2l.sample(name, "countdown", n=8, first=6) for name in ("tiny-60k", "tiny-2m"))
    >>> s2l.policy_share(small, large, "answers")
    <Estimate: ...; 95% CI over problems; n = 6 problems, 96 rollouts>
    """
    if feature not in FEATURES:
        raise unknown_name("feature", feature, FEATURES)
    ours, theirs = frame_sets(explorer), frame_sets(learner)
    place = {s.problem_id: s for s in ours}
    if set(place) != {s.problem_id for s in theirs}:
        raise UsageError("explorer and learner have rollouts of different problems. Keep the problems of both.")
    ours = [place[s.problem_id] for s in theirs]
    if all(a.text_N == b.text_N for a, b in zip(ours, theirs, strict=True)):
        raise UsageError("explorer and learner are the same rollouts. Sample one with sampling={'seed': 1}.")
    vectors: Vectors | None = embedded_vectors([*ours, *theirs]) if feature == "embedding" else None
    found = contrast(ours, theirs, feature, vectors, seed=0, permutations=FEWEST_PERMUTATIONS)
    if found is None:
        raise UsageError(f"{feature} need token ids, and some rollouts have none (an endpoint gives text only).")
    return found.share


def persistence(
    rollouts: pd.DataFrame, learner: str | Path | Policy, horizons: Sequence[int] = (1, 5, 20)
) -> dict[int, Estimate]:
    """Do deviations from the learner last along a trajectory? The variance ratio of its surprise, by horizon in tokens.

    `rollouts` is a frame of one policy's rollouts with token ids, `learner` a name, directory or open Policy of the
    transformers engine, whose model then reads every token. With e_t the surprisal of token t minus the learner's
    entropy, in nats, VR(q) = mean of (e_1 + ... + e_q)^2 over mean of e_1^2 + ... + e_q^2: 1 where deviations do not
    add up, as on the learner's own rollouts at temperature 1, above 1 (at most q) where they last. Temperature lasts as
    well: compare with the learner's rollouts at a higher one. Intervals are about other problems of this kind.

    UsageError for a horizon below 1 and for a learner whose distributions cannot be read; DataError for rollouts
    without token ids.

    >>> import s2l_lab as s2l
    >>> s2l.persistence(s2l.sample("tiny-60k", "countdown", n=4, first=6), "tiny-60k", [1])
    {1: <Estimate: 1 [...]; 95% CI over problems; n = 6 problems, 24 rollouts>}
    """
    if missing := [name for name in _NEEDED if name not in rollouts.columns]:
        raise UsageError(f"the frame lacks {', '.join(missing)}. Take `to_frame()` with all its columns, or these too.")
    with opened_policy(learner, engine="transformers") as opened:
        if not isinstance(opened, TransformersPolicy):
            raise UsageError(f"{opened.name}: only policies of the transformers engine show the distributions needed.")
        problems = _problems(rollouts)
        prompt = {name: opened.encode(problem) for name, problem in problems.items()}
        ids = [None if one is None else np.asarray(one, np.int64) for one in rollouts["token_ids"]]
        scored = score(opened.model, [prompt[name] for name in rollouts["problem"]], ids)
    surprise_R = [split(one.logprob, one.entropy, one.cross_entropy).e for one in scored]
    codes = {name: code for code, name in enumerate(prompt)}
    problem_R = np.array([codes[name] for name in rollouts["problem"]])
    cluster_P = problem_clusters(list(problems.values()))
    cluster_R = None if cluster_P is None else [cluster_P[code] for code in problem_R]
    return {horizon: variance_ratio(surprise_R, problem_R, horizon, cluster_R) for horizon in horizons}


_NEEDED = ("problem", "question", "answer", "kind", "source", "metadata", "token_ids")


def _problems(rollouts: Any) -> dict[str, Problem]:
    """The problems of a frame by id."""
    rows = rollouts.drop_duplicates("problem")[[name for name in _NEEDED if name != "token_ids"]]
    return {
        row.problem: Problem(
            id=row.problem,
            prompt=row.question,
            answer=row.answer,
            kind=row.kind,
            source=row.source,
            metadata=json.loads(row.metadata),
        )
        for row in rows.itertuples()
    }
