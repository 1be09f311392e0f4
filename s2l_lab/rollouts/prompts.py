"""The rendered prompts of a run: for each policy and problem the exact text that its completions continue, once.

Kept in `prompts.parquet`, beside the problems. A run of before this file has none; its prompts are unknown, not empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from s2l_lab.errors import DataError
from s2l_lab.rollouts.columns import well_formed
from s2l_lab.rollouts.durable import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from s2l_lab.rollouts.rollout import Origin

PROMPTS = "prompts.parquet"
SCHEMA = pa.schema([pa.field(name, pa.string()) for name in ("policy", "policy_digest", "problem_id", "prompt")])
"""The first three are the key: how a policy draws does not shape its prompts."""


def read_prompts(run: Path) -> pa.Table:
    """The prompts of a run as SCHEMA, in order of arrival; no rows where there is no file. Raises DataError."""
    path = run / PROMPTS
    if not path.exists():
        return SCHEMA.empty_table()
    try:
        return pq.ParquetFile(path).read().cast(SCHEMA)
    except (pa.ArrowException, OSError, ValueError) as cause:
        raise DataError(
            f"{path} cannot be read ({cause}). Remove it: rollouts and verdicts stand without it, and prompts that are "
            "sampled again are written anew."
        ) from cause


def prompts_of(table: pa.Table, origin: Origin) -> dict[str, str]:
    """The prompts of one policy by problem id."""
    return {
        row["problem_id"]: row["prompt"]
        for row in table.to_pylist()
        if (row["policy"], row["policy_digest"]) == (origin.policy, origin.policy_digest)
    }


def add_prompts(run: Path, origin: Origin, prompts: Mapping[str, str]) -> None:
    """Write the prompts (by problem id) that are not there yet."""
    there = read_prompts(run)
    known = prompts_of(there, origin)
    rows = [
        {"policy": origin.policy, "policy_digest": origin.policy_digest, "problem_id": id, "prompt": well_formed(text)}
        for id, text in prompts.items()
        if id not in known
    ]
    if rows:
        with replacing(run / PROMPTS) as file:
            pq.write_table(pa.concat_tables([there, pa.Table.from_pylist(rows, SCHEMA)]), file, compression="zstd")
