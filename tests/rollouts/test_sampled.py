"""`sample` gives what `s2l-lab passk` gives: the same draws, templates and verdicts, from whatever form of problems."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from s2l_lab.cli.passk import build_request
from s2l_lab.errors import DataError, PolicyError, UsageError
from s2l_lab.passk import run_passk
from s2l_lab.policies import SamplingParams, open_policy
from s2l_lab.problems import Problem, load_benchmark
from s2l_lab.rollouts.run import open_run
from s2l_lab.rollouts.sampled import sample

SCRIPT = "even=scripted:beta(0.5,1)"
PAIRS = [("1+1", "2"), ("2+2", "4")]


def test_the_rollouts_are_those_of_the_command(tmp_path: Path) -> None:
    fields = {"family": "tiny", "members": ("tiny-60k",), "problems": 3, "rollouts": 4, "out": tmp_path / "run"}
    run_passk(build_request(fields, "default", {"seed": 5}))
    stored = open_run(tmp_path / "run").to_frame()
    drawn = sample("tiny-60k", "countdown", n=4, first=3, sampling={"seed": 5})
    for name in drawn.columns.drop("token_ids"):
        pd.testing.assert_series_equal(drawn[name], stored[name])
    assert all((a == b).all() for a, b in zip(drawn["token_ids"], stored["token_ids"], strict=True))
    # More rollouts of the same problems begin with these.
    policy = open_policy("tiny-60k")
    more = sample(policy, load_benchmark("countdown", n=3), n=6, sampling=SamplingParams(seed=5, max_tokens=160))
    pd.testing.assert_series_equal(more.loc[more["sample"] < 4, "text"].reset_index(drop=True), drawn["text"])
    # An open policy stays open.
    assert len(sample(policy, "countdown", n=1, first=1)) == 1
    policy.close()


def test_problems_may_be_pairs_mappings_or_records() -> None:
    given = [
        PAIRS,
        [{"question": q, "answer": a} for q, a in PAIRS],
        [{"problem": q, "answer": int(a)} for q, a in PAIRS],
    ]
    given += [[Problem.make(q, a, "math", "list", {}) for q, a in PAIRS]]
    frames = [sample(SCRIPT, one, n=3)[["problem", "question", "answer", "text", "outcome"]] for one in given]
    for frame in frames[1:]:
        pd.testing.assert_frame_equal(frame, frames[0])
    assert len(sample(SCRIPT, PAIRS, n=3, first=1)) == 3


@pytest.mark.parametrize(
    ("error", "options", "said"),
    [
        (UsageError, {"n": 0}, "n = 0 rollouts"),
        (UsageError, {"problems": []}, "without entries"),
        (UsageError, {"problems": [("1+1",)]}, "entry 1 of problems is a tuple"),
        (
            UsageError,
            {"problems": [*PAIRS, Problem.make("3", "3", "math", "x", {})]},
            "entry 3 of problems is a Problem",
        ),
        (UsageError, {"problems": [Problem.make("3", "3", "math", "x", {})] * 2}, "stands twice"),
        (DataError, {"problems": [*PAIRS, PAIRS[0]]}, "the same problem as line 1"),
        (DataError, {"problems": [{"question": "1+1"}]}, "no answer"),
        (UsageError, {"first": 3}, "Ask for 1 to 2"),
        (UsageError, {"sampling": {"temp": 1}}, "unknown key 'temp'"),
        (UsageError, {"sampling": {"preset": "think"}}, "unknown key 'preset'"),
        (UsageError, {"template": 3}, "template"),
        (UsageError, {"system": ["s"]}, "system"),
        (UsageError, {"template_args": "thinking"}, "give a mapping"),
        (UsageError, {"template_args": {"a": [1]}}, "template_args"),
        (UsageError, {"policy": "http://localhost:1/v1"}, r"Give NAME=http://localhost:1/v1"),
        (UsageError, {"policy": "scripted:beta(1,1)"}, "Give NAME=scripted"),
        (UsageError, {"policy": "tiny-3m"}, "unknown member 'tiny-3m'"),
        (UsageError, {"policy": "tiny-60k"}, "renders Countdown problems only"),
        (PolicyError, {"policy": "no/model"}, "cannot be opened"),
    ],
)
def test_what_cannot_be_sampled_is_refused_in_one_message(error: type, options: dict, said: str) -> None:
    with pytest.raises(error, match=said):
        sample(**{"policy": SCRIPT, "problems": PAIRS} | options)


def test_an_open_policy_has_its_prompts_already() -> None:
    policy = open_policy("known=scripted:point(0.5)")
    for chosen in ({"system": "s"}, {"instruction": "none"}, {"template": "raw"}, {"template_args": {"a": 1}}):
        with pytest.raises(UsageError, match="known is open and has its prompts already"):
            sample(policy, [("1+1?", "2")], n=1, **chosen)
    assert len(sample("known=scripted:point(0.5)", [("1+1?", "2")], n=2, instruction="none")) == 2
