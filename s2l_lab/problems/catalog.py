"""The benchmarks known by name: where their items are, at which revision, and which contents are accepted.

A hub revision is a git commit, which fixes the bytes. The commits below were taken from public references and agree
between several of them, but they could not be fetched where this table was written; what is verified at every load is
the SHA-256 of the items themselves (`content_hash`), against `known_contents`: the evaluation files released with
arXiv 2605.30789. A content that is not in the list is used, and `provenance` says so in every number made from it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from s2l_lab.problems.problem import Problem
    from s2l_lab.problems.rows import FileRow


def content_hash(problems: Sequence[Problem]) -> str:
    """SHA-256 (64 hex digits) of the ordered list of problem ids, each a digest of prompt, answer and kind."""
    return hashlib.sha256("\n".join(p.id for p in problems).encode()).hexdigest()


def _gsm8k(fields: dict[str, Any]) -> dict[str, Any]:
    """The answer stands after `####` at the end of a worked solution, with thousands separators."""
    return {**fields, "answer": str(fields["answer"]).rpartition("####")[2].strip().replace(",", "")}


def _dapo(fields: dict[str, Any]) -> dict[str, Any]:
    """One chat message as prompt; the gold answer inside `reward_model`."""
    return {"prompt": fields["prompt"], "answer": fields["reward_model"]["ground_truth"]}


def _olympiad(fields: dict[str, Any]) -> dict[str, Any]:
    """Open-ended items keep their answers, proof items their solution, as a list of strings."""
    answers = fields.get("final_answer") or fields["solution"]
    return {"question": fields["question"], "answer": ",".join(answers), "id": fields["id"]}


def _as_is(fields: dict[str, Any]) -> dict[str, Any]:
    return fields


def _every_row(row: FileRow) -> bool:
    return True


def _proof(row: FileRow) -> bool:
    """OlympiadBench's theorem-proving items, whose `answer` is a whole proof, carry a source that begins with TP."""
    return str(row.fields.get("source", "")).startswith("TP")


def _open_ended(row: FileRow) -> bool:
    return not _proof(row)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a benchmark comes from."""

    repository: str
    revision: str
    file: str
    """Path inside the repository: JSONL or Parquet."""
    convert: Callable[[dict[str, Any]], dict[str, Any]] = _as_is
    """From a hub row to fields that `problems_of` reads; local files are expected to have them."""
    local: str = ""
    """Name of the local file (without .jsonl) where it is not the benchmark's own."""
    keep: Callable[[FileRow], bool] = _every_row
    """Which rows of a local file belong to the benchmark."""
    answer_space: int | None = None
    proofs: bool = False
    """Gold answers are proofs: rollouts can be sampled and compared, but nothing here can grade them."""
    merge_duplicates: bool = False
    problems: int | None = None
    """Number of problems at this revision, where it is known without the file."""
    known_contents: dict[str, str] = field(default_factory=dict)
    """Content hash of the whole set to what it is."""


_PAPER = "evaluation file of arXiv 2605.30789"
_OLYMPIAD = ("Hothan/OlympiadBench", "91184b52131e7fc9455fef848035173aea8cc01a")

BENCHMARKS: dict[str, Source] = {
    "aime24": Source(
        "HuggingFaceH4/aime_2024",
        "2fe88a2f1091d5048c0f36abc874fb997b3dd99a",
        "data/train-00000-of-00001.parquet",
        answer_space=1000,
        known_contents={"97be01b2981e6b89dc756728e1cdc0f744b6d97cf0e6340fd958a0dea772161e": _PAPER},
        problems=30,
    ),
    "aime25": Source(
        "math-ai/aime25",
        "563bb8404243c5f09de6ec262f2db674fe5bce9b",
        "test.jsonl",
        answer_space=1000,
        known_contents={"6fe9d4851ac3389932f90c5818475fbc7981b5ee9acad340c5c677762c5f0fdb": _PAPER},
        problems=30,
    ),
    "math500": Source(
        "HuggingFaceH4/MATH-500",
        "6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be",
        "test.jsonl",
        known_contents={"4343db567025ea3ee57bc753a427b50e564535aa98cd16d56df2cb62e3269bb5": _PAPER},
        problems=500,
    ),
    "olympiadbench": Source(
        *_OLYMPIAD,
        "OlympiadBench/OE_TO_maths_en_COMP/OE_TO_maths_en_COMP.parquet",
        convert=_olympiad,
        keep=_open_ended,
        known_contents={"ded03d1a7cdeb6be5ba2d4f8fb31038d8de55bbddf91db5b0aedc5bee88e590a": _PAPER},
        problems=674,
    ),
    "olympiadbench-proofs": Source(
        *_OLYMPIAD,
        "OlympiadBench/TP_TO_maths_en_COMP/TP_TO_maths_en_COMP.parquet",
        convert=_olympiad,
        local="olympiadbench",
        keep=_proof,
        proofs=True,
        known_contents={"cdaa0812b74380ec47d27e204636d428c1e7824f23a1c31e29241e012c366c1d": _PAPER},
        problems=503,
    ),
    "gsm8k": Source(
        "openai/gsm8k",
        "cc7b047b6e5bb11b4f1af84efc572db110a51b3c",
        "main/test-00000-of-00001.parquet",
        convert=_gsm8k,
        problems=1319,
    ),
    "commonsenseqa": Source(
        "tau/commonsense_qa",
        "94630fe30dad47192a8546eb75f094926d47e155",
        "data/validation-00000-of-00001.parquet",
        answer_space=5,
        known_contents={"de3facb72d76bc80a004eacc17fde8502ee4f00bd4b3383a64c052f084e0fc62": _PAPER},
        problems=1221,
    ),
    "dapo17k": Source(
        "BytedTsinghua-SIA/DAPO-Math-17k",
        "65877096c24ffa7abc4e4fa5edb95cf3413a5674",
        "data/dapo-math-17k.parquet",
        convert=_dapo,
        merge_duplicates=True,
    ),
}
"""By name. The paper trains on `dapo17k` without exact repeats and evaluates on all others but `gsm8k`."""
