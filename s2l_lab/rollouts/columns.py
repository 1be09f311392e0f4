"""The stored form of rollouts, verdicts and problems: Arrow schemas, and records to and from Arrow tables.

Token ids are list<int32>, logprobs list<float32>, entropies list<float16> (DuckDB reads halffloat lists as FLOAT[]);
a missing array is null, an undefined value inside one is NaN, and neither is ever 0. `digest` is 64 bits over the key
and over what was drawn (text, token ids, stop reason) but not over logprobs, which an engine gives to rounding only. It
ties a verdict to the very rollout that was verified: should a damaged part be sampled anew and differ, the verdict of
the lost rollout no longer counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from s2l_lab.errors import PolicyError
from s2l_lab.policies import Completion, Draw, StopReason
from s2l_lab.problems import Problem
from s2l_lab.rollouts.rollout import Origin, Rollout, RolloutKey

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2l_lab.verifiers import Verdict

KEY = ("policy", "policy_digest", "sampling_digest", "problem_id", "sample_index")
"""The columns that identify a rollout."""

_KEY_FIELDS = [
    pa.field("policy", pa.string(), nullable=False),
    pa.field("policy_digest", pa.string(), nullable=False),
    pa.field("sampling_digest", pa.string(), nullable=False),
    pa.field("problem_id", pa.string(), nullable=False),
    pa.field("sample_index", pa.int32(), nullable=False),
    pa.field("digest", pa.int64(), nullable=False),
]

ROLLOUTS = pa.schema(
    [
        *_KEY_FIELDS,
        pa.field("text", pa.string(), nullable=False),
        pa.field("token_ids", pa.list_(pa.int32())),
        pa.field("logprobs", pa.list_(pa.float32())),
        pa.field("logprobs_t1", pa.list_(pa.float32())),
        pa.field("entropies", pa.list_(pa.float16())),
        pa.field("stop_reason", pa.string(), nullable=False),
        pa.field("prompt_tokens", pa.int32(), nullable=False),
        pa.field("completion_tokens", pa.int32()),
    ]
)
VERDICTS = pa.schema(
    [
        *_KEY_FIELDS,
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("answer", pa.string()),
        pa.field("canonical", pa.string()),
        pa.field("detail", pa.string(), nullable=False),
    ]
)
PROBLEMS = pa.schema([pa.field(name, pa.string()) for name in ("id", "prompt", "answer", "kind", "source", "metadata")])

Row = tuple[Any, ...]
"""Values of some columns of one row."""

_ARRAYS: dict[str, Any] = {
    "token_ids": np.int32,
    "logprobs": np.float32,
    "logprobs_t1": np.float32,
    "entropies": np.float16,
}


def rollouts_table(origin: Origin, draws: Sequence[Draw]) -> pa.Table:
    """Draws of one origin as ROLLOUTS. Raises PolicyError for a completion whose arrays differ in length."""
    done = [draw.completion for draw in draws]
    for draw in draws:
        _check_lengths(origin, draw)
    columns = _key_columns([RolloutKey(origin, draw.problem_id, draw.index) for draw in draws])
    columns["digest"] = pa.array([_digest(origin, d.problem_id, d.index, d.completion) for d in draws], pa.int64())
    columns["text"] = pa.array([well_formed(completion.text) for completion in done], pa.string())
    for name, dtype in _ARRAYS.items():
        columns[name] = _list_array([getattr(completion, name) for completion in done], dtype)
    columns["stop_reason"] = pa.array([completion.stop_reason.value for completion in done], pa.string())
    columns["prompt_tokens"] = pa.array([completion.prompt_tokens for completion in done], pa.int32())
    columns["completion_tokens"] = pa.array([completion.tokens for completion in done], pa.int32())
    return pa.table(columns, schema=ROLLOUTS)


def rollouts_of(table: pa.Table) -> list[Rollout]:
    """Rows of ROLLOUTS as records; arrays are views of the table's memory."""
    keys = zip(*(table[name].to_pylist() for name in KEY), strict=True)
    arrays = [_arrays(table[name].combine_chunks(), dtype) for name, dtype in _ARRAYS.items()]
    rest = [table[name].to_pylist() for name in ("text", "stop_reason", "prompt_tokens", "completion_tokens")]
    return [
        Rollout(
            RolloutKey(Origin(policy, policy_digest, sampling_digest), problem_id, index),
            Completion(
                text,
                ids,
                logprobs,
                logprobs_t1,
                entropies,
                StopReason(stop),
                prompt_tokens,
                tokens if ids is None else None,
            ),
        )
        for (policy, policy_digest, sampling_digest, problem_id, index), text, stop, prompt_tokens, tokens, (
            ids,
            logprobs,
            logprobs_t1,
            entropies,
        ) in zip(keys, *rest, zip(*arrays, strict=True), strict=True)
    ]


def verdicts_table(rollouts: Sequence[Rollout], verdicts: Sequence[Verdict]) -> pa.Table:
    """Verdicts on these rollouts, in the same order, as VERDICTS."""
    columns = _key_columns([rollout.key for rollout in rollouts])
    keys = [(r.key.origin, r.key.problem_id, r.key.index, r.completion) for r in rollouts]
    columns["digest"] = pa.array([_digest(*key) for key in keys], pa.int64())
    columns["outcome"] = pa.array([verdict.outcome.value for verdict in verdicts], pa.string())
    columns["answer"] = pa.array([_well_formed_or_none(verdict.answer) for verdict in verdicts], pa.string())
    columns["canonical"] = pa.array([_well_formed_or_none(verdict.canonical) for verdict in verdicts], pa.string())
    columns["detail"] = pa.array([well_formed(verdict.detail) for verdict in verdicts], pa.string())
    return pa.table(columns, schema=VERDICTS)


def keyed_verdicts(table: pa.Table) -> list[tuple[Row, Row]]:
    """Every row of VERDICTS as the key of its rollout (with the digest) and the verdict, outcome first."""
    key, said = ((*KEY, "digest"), ("outcome", "answer", "canonical", "detail"))
    return [
        (row[: len(key)], row[len(key) :])
        for row in zip(*(table[name].to_pylist() for name in (*key, *said)), strict=True)
    ]


def problems_table(problems: Sequence[Problem]) -> pa.Table:
    """Problems as PROBLEMS, metadata as JSON text."""
    rows = [{**p.model_dump(exclude={"metadata"}), "metadata": json.dumps(p.metadata)} for p in problems]
    return pa.Table.from_pylist(rows, schema=PROBLEMS)


def problems_of(table: pa.Table) -> list[Problem]:
    """Rows of PROBLEMS as records."""
    return [Problem(**{**row, "metadata": json.loads(row["metadata"])}) for row in table.to_pylist()]


def well_formed(text: str) -> str:
    """The text with lone surrogates, which no UTF-8 file can hold, as U+FFFD; any other text is returned as it is."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _well_formed_or_none(text: str | None) -> str | None:
    return None if text is None else well_formed(text)


def _digest(origin: Origin, problem_id: str, index: int, completion: Completion) -> int:
    parts = (origin.policy, origin.policy_digest, origin.sampling_digest, problem_id, str(index))
    head = "\0".join((*parts, completion.stop_reason, well_formed(completion.text)))
    digest = hashlib.blake2b(head.encode(), digest_size=8)
    if completion.token_ids is not None:
        digest.update(b"\0" + completion.token_ids.astype("<i4").tobytes())
    return int.from_bytes(digest.digest(), "little", signed=True)


def _check_lengths(origin: Origin, draw: Draw) -> None:
    lengths = {name: len(array) for name in _ARRAYS if (array := getattr(draw.completion, name)) is not None}
    if len(set(lengths.values())) > 1:
        raise PolicyError(
            f"policy {origin.policy} gave rollout {draw.index} of problem {draw.problem_id} arrays of different "
            f"lengths: {lengths}. This is a defect of its engine; nothing of this batch was stored."
        )


def _key_columns(keys: Sequence[RolloutKey]) -> dict[str, pa.Array]:
    return {
        "policy": pa.array([key.origin.policy for key in keys], pa.string()),
        "policy_digest": pa.array([key.origin.policy_digest for key in keys], pa.string()),
        "sampling_digest": pa.array([key.origin.sampling_digest for key in keys], pa.string()),
        "problem_id": pa.array([key.problem_id for key in keys], pa.string()),
        "sample_index": pa.array([key.index for key in keys], pa.int32()),
    }


def _list_array(arrays: Sequence[NDArray[Any] | None], dtype: Any) -> pa.ListArray:
    """One list per array, null for None. Lists are built from buffers, so NaN stays NaN."""
    empty = np.empty(0, dtype)
    lengths = [0 if array is None else len(array) for array in arrays]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    values = np.concatenate([empty, *(array for array in arrays if array is not None)]).astype(dtype, copy=False)
    missing = pa.array([array is None for array in arrays], pa.bool_())
    # from_pandas=False: NaN is a value, not a null.
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values, from_pandas=False), mask=missing)


def _arrays(column: pa.Array, dtype: Any) -> list[NDArray[Any] | None]:
    """The inverse of `_list_array`."""
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    offsets = column.offsets.to_numpy()
    values = column.values.to_numpy(zero_copy_only=False).astype(dtype, copy=False)
    present = column.is_valid().to_pylist()
    bounds = zip(offsets[:-1], offsets[1:], present, strict=True)
    return [values[start:stop] if there else None for start, stop, there in bounds]
