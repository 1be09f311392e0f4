"""A run directory as pandas frames: one row a rollout, or one row a policy and problem.

The names of the columns are those of a notebook, not of the files. Only what is asked for is read: columns and
conditions go down into the Parquet parts, and verdicts are joined where one of their columns comes up. Any number of
readers may stand beside a writer; each frame is of what is there when it is made.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from s2l_lab.errors import DataError, UsageError, unknown_name
from s2l_lab.problems.clusters import problem_clusters
from s2l_lab.rollouts.columns import KEY, problems_table
from s2l_lab.rollouts.condition import columns_of
from s2l_lab.rollouts.listing import is_run, run_folders
from s2l_lab.rollouts.order import in_order
from s2l_lab.rollouts.store import RolloutStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from s2l_lab.problems import Problem

COLUMNS = {
    "problem": "r.problem_id",
    "question": "p.prompt",
    "prompt": "q.prompt",
    "answer": "p.answer",
    "policy": "r.policy",
    "sample": "r.sample_index",
    "text": "r.text",
    "outcome": "v.outcome",
    "extracted": "v.answer",
    "canonical": "v.canonical",
    "tokens": "r.completion_tokens",
    "stop_reason": "r.stop_reason",
    "prompt_tokens": "r.prompt_tokens",
    "token_ids": "r.token_ids",
    "detail": "v.detail",
    "kind": "p.kind",
    "source": "p.source",
    "metadata": "p.metadata",
    "logprobs": "r.logprobs",
    "logprobs_t1": "r.logprobs_t1",
    "entropies": "r.entropies",
}
"""What a frame of rollouts can have, and where it is."""
WIDE = ("prompt", "logprobs", "logprobs_t1", "entropies")
"""Columns that a frame has only where they are asked for: a number for each token, or a text that many rows share."""
_JOINED_BY = ", ".join([*KEY, "digest"])


@dataclass(frozen=True, slots=True, repr=False)
class Run:
    """The rollouts of one run directory, for reading; see `open_run`."""

    path: Path

    @property
    def policies(self) -> list[str]:
        """Who sampled, small to large as the run lists them."""
        with RolloutStore(self.path) as store:
            return _policies(store)

    @property
    def verifier(self) -> str | None:
        """The verifier version whose verdicts are read: the newest strict one; None where nothing is verified."""
        with RolloutStore(self.path) as store:
            return _verifier(store)

    def to_frame(self, columns: Sequence[str] | None = None, where: str | None = None) -> pd.DataFrame:
        """One row a rollout, by policy (small to large), problem (in order of arrival) and sample index.

        `columns` in the order wanted, None for all but `prompt`, `logprobs`, `logprobs_t1` and `entropies`:

        - problem (its id), question, answer (the gold one), kind, source, metadata (JSON text)
        - prompt (the very text that the completion continues, special tokens written out; missing where a run of
          before did not keep it)
        - policy, sample (0, 1, ...), text, stop_reason (eos, stop or length)
        - outcome (correct, incorrect, no_answer, truncated or verifier_error; missing where nothing was verified),
          extracted (the answer in the text), canonical (equal answers are equal here), detail
        - tokens and prompt_tokens (counts), token_ids, logprobs and entropies (nats, one for each token)

        `where` is a SQL condition over these names, also over columns that are not asked for:
        "outcome = 'correct' and tokens < 40". It filters and can do nothing else. UsageError for an unknown column and
        for anything but a condition; DataError where the run cannot be read. Damaged parts are left out with a warning.
        """
        names = [name for name in COLUMNS if name not in WIDE] if columns is None else _checked(columns)
        read = [] if where is None else columns_of(where, list(COLUMNS))
        with RolloutStore(self.path) as store:
            policies = _policies(store)
            sql = _sql(names, {*names, *read}, where)
            try:
                table = store.query(
                    sql,
                    [policies],
                    version=_verifier(store),
                    incoming=_problems(store.problems()),
                    prompts=store.prompts() if "prompt" in {*names, *read} else None,
                )
            except duckdb.Error as error:
                why = str(error).strip().splitlines()[0]
                raise UsageError(f"where = {where!r} cannot be evaluated ({why}).") from error
            _warn_of_damage(store)
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def counts(self) -> pd.DataFrame:
        """Verified rollouts by (policy, problem): correct, total, unknown (verifier_error) and the problem's cluster.

        The index has every policy (small to large) with every problem (in order of arrival), also those without
        rollouts. `compare` takes the frame, and `pass_at_k_curve` one policy's part of it, `counts().loc["tiny-2m"]`.
        `cluster` is a text, equal for problems that were made from one template, and missing throughout where no
        problem names one; intervals over problems then resample whole clusters. Rollouts of several sampling
        parameters are counted together. DataError where the run cannot be read, or for a cluster that is no name.
        """
        import pandas as pd

        with RolloutStore(self.path) as store:
            policies, problems = _policies(store), store.problems()
            table = store.query(
                f"""select policy, problem_id as problem, count(*) filter (outcome = 'correct') as correct,
                    count(*) as total, count(*) filter (outcome = 'verifier_error') as unknown
                    from rollouts join (select {_JOINED_BY}, outcome from verdicts) using ({_JOINED_BY})
                    group by all""",
                version=_verifier(store),
            )
            _warn_of_damage(store)
        ids = [problem.id for problem in problems]
        every = pd.MultiIndex.from_product([policies, ids], names=["policy", "problem"])
        found: pd.DataFrame = table.to_pandas().set_index(["policy", "problem"])
        clusters = problem_clusters(problems) or (None,) * len(ids)
        return found.reindex(every, fill_value=0).astype("int64").assign(cluster=[*clusters] * len(policies))

    def __repr__(self) -> str:
        with RolloutStore(self.path) as store:
            rollouts, _ = store.sizes()
            problems, policies, verifier = len(store.problems()), _policies(store), _verifier(store)
        said = f"{rollouts:,} rollouts of {problems} problems by {', '.join(policies) or 'nobody'}"
        return f"<Run {self.path}: {said}; verifier {verifier or 'none'}>"


def open_run(path: str | Path) -> Run:
    """Open a run directory (of `s2l-lab passk`, or the `rollouts` of a training run) for reading.

    Gives a `Run`: `to_frame()` has one row a rollout, `counts()` one row a policy and problem. Another process may be
    writing: what is there now is read, with a warning. DataError where there is no such directory, or where it is no
    run; runs below it are then named.

    >>> import s2l_lab as s2l
    >>> run = s2l.open_run("runs/passk-tiny-countdown")
    >>> run
    <Run runs/passk-tiny-countdown: ... rollouts of ... problems by tiny-60k, ...; verifier countdown-...>
    >>> short = run.to_frame(["policy", "text"], where="outcome = 'correct' and tokens < 40")
    >>> run.counts().loc["tiny-2m"].columns.to_list()
    ['correct', 'total', 'unknown', 'cluster']
    """
    path = Path(path).expanduser()
    if not is_run(path):
        raise DataError(_no_run(path))
    with RolloutStore(path) as store:
        writer = store.writer
    if writer is not None:
        warnings.warn(f"{path} is being written by {writer}: frames hold what is there now.", stacklevel=2)
    return Run(path)


def _no_run(path: Path) -> str:
    if not path.exists():
        return f"there is no {path}. Give the directory of a run; `s2l-lab runs` lists those below runs/."
    if not path.is_dir():
        return f"{path} is a file. Give the directory of a run."
    below = [str(one) for one in islice(run_folders(path), 4)]
    if not below:
        return (
            f"{path} is no run directory, and there is none below it. Make one with `s2l-lab passk --out {path}/NAME`."
        )
    more = ", ..." if len(below) > 3 else ""
    return f"{path} is no run directory, but holds some: {', '.join(below[:3])}{more}. Open one of them."


def _checked(columns: Sequence[str]) -> list[str]:
    if isinstance(columns, str):
        raise UsageError(f"columns = {columns!r} is one text; give a list of names, as [{columns!r}].")
    for name in columns:
        if name not in COLUMNS:
            raise unknown_name("column", str(name), COLUMNS)
    if len(set(columns)) < len(columns) or not columns:
        raise UsageError(f"columns = {list(columns)} was asked; name at least one, each once.")
    return list(columns)


def _sql(names: Sequence[str], read: set[str], where: str | None) -> str:
    """The query for columns `names`, where those of `read` can be named. Its one parameter lists the policies."""
    source = "rollouts r left join incoming p on r.problem_id = p.id"
    if "prompt" in read:
        on = " and ".join(f"r.{key} = q.{key}" for key in ("policy", "policy_digest", "problem_id"))
        source += f" left join prompts q on {on}"
    if any(COLUMNS[name].startswith("v.") for name in read):
        on = " and ".join(f"r.{key} = v.{key}" for key in (*KEY, "digest"))
        source += f" left join verdicts v on {on}"
    inner = ", ".join(f'{COLUMNS[name]} as "{name}"' for name in COLUMNS if name in read)
    order = "list_position(?, r.policy) as o1, p.place as o2, r.sample_index as o3, r.problem_id as o4"
    outer = ", ".join(f'"{name}"' for name in names)
    condition = "" if where is None else f" where ({where}\n)"
    return f"select {outer} from (select {inner}, {order} from {source}) rollouts{condition} order by o1, o2, o4, o3"


def _problems(problems: Sequence[Problem]) -> pa.Table:
    """The run's problems in order of arrival, with their place."""
    return problems_table(problems).append_column("place", pa.array(range(len(problems)), pa.int64()))


def _policies(store: RolloutStore) -> list[str]:
    return in_order({origin.policy for origin in store.origins()}, store.config)


def _verifier(store: RolloutStore) -> str | None:
    found = store.verifier_versions
    return found[-1] if found else None


def _warn_of_damage(store: RolloutStore) -> None:
    if store.damaged:
        warnings.warn(f"{store.path}: damaged and left out: {', '.join(store.damaged)}.", stacklevel=3)
