"""The diversity of a run: within every policy, and between each policy and the largest one.

Everything here is read from the rollouts of one run directory; no policy is opened. What needs a policy (persistence,
the learner at other temperatures, other pretraining seeds) is a study of its own: `policy_share`, `persistence`.

Beside them stand single steps: does a rollout keep its own direction from one step to the next? Steps (lines) of the
first rollouts are embedded one by one; `diversity.coherence` compares a step with the next one of the same rollout, and
with the next one of the problem's other rollouts, which have the same problem and position and no common author. What
is left, the excess, is 0 where steps depend on their position alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.digest import content_digest, content_seed
from s2l_lab.diversity.coherence import matched_coherence, mean_step, steps
from s2l_lab.diversity.over_problems import mean_over_problems
from s2l_lab.diversity.rollout_set import set_clusters
from s2l_lab.errors import UsageError, unknown_name
from s2l_lab.policies import SamplingParams
from s2l_lab.rollouts import Origin, RolloutStore
from s2l_lab.rollouts.order import in_order
from s2l_lab.studies.arms import read_sets
from s2l_lab.studies.between import Feature, contrasts, null_shares
from s2l_lab.studies.vectors import FOLDER, EmbeddingFacts, embed_texts
from s2l_lab.studies.within import M_CORRECT, Within, texts_to_embed, within
from s2l_lab.verifiers import verifier_version

if TYPE_CHECKING:
    from s2l_lab.diversity.decomposition import Decomposition
    from s2l_lab.diversity.rollout_set import RolloutSet
    from s2l_lab.estimators import Estimate
    from s2l_lab.problems import Problem
    from s2l_lab.studies.within import Vectors

STEPPED = 8
"""Number of rollouts per problem whose steps are embedded, the first ones."""


@dataclass(frozen=True, slots=True)
class StepCoherence:
    """One policy's coherence, mean over problems of cosines between residuals from the problem's mean step."""

    observed: Estimate
    """Mean cosine of a step and the next step of the same rollout, -1 to 1."""
    null: Estimate
    """Mean cosine of a step and the next step of the problem's other rollouts, -1 to 1."""
    excess: Estimate
    """`observed` minus `null`; 0 where steps depend on nothing but their position."""


@dataclass(frozen=True, slots=True)
class Between:
    """What one policy adds to the reference, by feature; features that do not exist here are left out."""

    policy: str
    features: Mapping[Feature, Decomposition]


@dataclass(frozen=True, slots=True)
class DiversityReport:
    """The diversity of a run. Tables, page and numbers only render this record."""

    benchmark: str
    benchmark_digest: str
    verifier_version: str
    sampling: SamplingParams
    n_problems: int
    n_rollouts: int
    """N, the number of rollouts per problem and policy."""
    within: Within
    between: tuple[Between, ...]
    """Decomposition of each policy but the last against the last one; empty for one policy."""
    split_halves: Mapping[Feature, Estimate]
    """Null of the shares in `between`, by feature: the reference's own rollouts in two halves; at most 1."""
    coherence: Mapping[str, StepCoherence]
    """Step-to-step coherence by policy; empty without embeddings."""
    embedding: EmbeddingFacts | None
    run_directory: Path
    command: str
    seconds: float


@dataclass(frozen=True, slots=True)
class _Run:
    """The rollouts and settings that were read from the run."""

    problems: Sequence[Problem]
    sets: Mapping[str, Sequence[RolloutSet]]
    version: str
    sampling: SamplingParams
    benchmark: str
    n: int


def diversity_of_run(
    path: Path,
    *,
    policies: Sequence[str] | None = None,
    problems: int | None = None,
    n: int | None = None,
    m_all: int | None = None,
    m_correct: int = M_CORRECT,
    embedder: str = "minilm",
    embeddings: Path = FOLDER,
    command: str = "",
    announce: Callable[[str], None] = lambda _: None,
) -> DiversityReport:
    """Measure a run's policies (None: all that it holds), small to large as the run lists them.

    `problems` and `n` take the first problems and the rollouts with sample index below n; None takes all that every
    policy has. `m_all` and `m_correct` are what the table is rarefied to, as in `within`; `embeddings` is the folder of
    the cache. Raises DataError for a folder without a run, UsageError for an unknown policy, for an m that the rollouts
    do not allow and for a run with fewer than two rollouts per problem, naming what is missing.
    """
    start = time.monotonic()
    run = _read(path, policies, problems, n)
    announce(f"embedding the rollouts with {embedder}")
    every = [s for one in run.sets.values() for s in one]
    vectors, facts = embed_texts(chain(texts_to_embed(every), steps_to_embed(every)), embedder, embeddings)
    announce("measuring every policy")

    def done(name: str) -> None:
        announce(f"{name}: within done")

    table = within(run.sets, vectors, m_all=m_all, m_correct=m_correct, done=done)
    *others, reference = run.sets
    between = tuple(
        Between(name, contrasts(run.sets[name], run.sets[reference], vectors, content_seed("between", name, reference)))
        for name in others
    )
    return DiversityReport(
        benchmark=run.benchmark,
        benchmark_digest=content_digest([problem.id for problem in run.problems]),
        verifier_version=run.version,
        sampling=run.sampling,
        n_problems=len(run.problems),
        n_rollouts=run.n,
        within=table,
        between=between,
        split_halves=null_shares(run.sets[reference], vectors),
        coherence={} if vectors is None else {name: step_coherence(one, vectors) for name, one in run.sets.items()},
        embedding=facts,
        run_directory=path,
        command=command,
        seconds=time.monotonic() - start,
    )


def _read(path: Path, policies: Sequence[str] | None, problems: int | None, n: int | None) -> _Run:
    with RolloutStore(path) as store:
        chosen = store.problems()[:problems]
        if not chosen:
            raise UsageError(f"{path} holds no problems yet; run `s2l-lab passk` first.")
        sampling = SamplingParams.model_validate(store.config["sampling"])
        current = verifier_version(chosen[0].kind)
        version = current if current in store.verifier_versions else (store.verifier_versions or [current])[-1]
        origins = origins_in_order(store, policies, sampling)
        ids = [problem.id for problem in chosen]
        have = {o.policy: int(store.counts(o, version, ids, n).total_P.min()) for o in origins}
        few = {name: count for name, count in have.items() if count < 2 or (n is not None and count < n)}
        if few:
            wanted = 2 if n is None else n
            listed = ", ".join(f"{name} has {count}" for name, count in few.items())
            raise UsageError(
                f"{path}: {wanted} verified rollouts of every problem are needed; {listed} of some problem. "
                f"{_left_out(store)}Finish the run with the `s2l-lab passk` call that began it, or leave the policy "
                "out with --member."
            )
        common = min(have.values())
        sets = {o.policy: read_sets(store, o, version, chosen, common) for o in origins}
        return _Run(chosen, sets, version, sampling, str(store.config["benchmark"]), common)


def _left_out(store: RolloutStore) -> str:
    """The damaged parts whose rollouts or verdicts are missing, as a sentence; empty where there is none."""
    return f"Damaged and left out: {', '.join(store.damaged)}. " if store.damaged else ""


def origins_in_order(store: RolloutStore, policies: Sequence[str] | None, sampling: SamplingParams) -> list[Origin]:
    """One origin per policy, in order. Raises UsageError for an unknown policy."""
    found = {o.policy: o for o in store.origins() if o.sampling_digest == sampling.digest}
    for name in policies or ():
        if name not in found:
            raise unknown_name(f"policy of {store.path}", name, found)
    wanted = in_order(set(policies or found), store.config)
    if not wanted:
        raise UsageError(f"{store.path} holds no rollouts yet; run `s2l-lab passk` first.")
    return [found[name] for name in wanted]


def steps_to_embed(sets: Iterable[RolloutSet]) -> Iterator[str]:
    """The steps that `step_coherence` needs as embeddings."""
    for s in sets:
        for text in s.text_N[:STEPPED]:
            yield from steps(text)


def step_coherence(sets: Sequence[RolloutSet], vectors: Vectors) -> StepCoherence:
    """Coherence of one policy over its problems. NaN where no problem has two rollouts of two steps."""
    width = next(iter(vectors.values())).size
    found = []
    for s in sets:
        step_vectors_N = [
            np.array([vectors[step] for step in steps(text)]).reshape(-1, width) for text in s.text_N[:STEPPED]
        ]
        found.append(matched_coherence(step_vectors_N, mean_step(step_vectors_N)))
    n = sum(min(len(s), STEPPED) for s in sets)
    observed, null, excess = ([getattr(f, part) for f in found] for part in ("observed", "null", "excess"))
    cluster = set_clusters(sets)
    return StepCoherence(
        mean_over_problems(observed, n, bounds=(-1.0, 1.0), cluster=cluster),
        mean_over_problems(null, n, bounds=(-1.0, 1.0), cluster=cluster),
        mean_over_problems(excess, n, bounds=(-2.0, 2.0), cluster=cluster),
    )
