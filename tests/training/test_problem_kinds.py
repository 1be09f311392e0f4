"""Training on every kind of problem: rewards are the verifier's verdicts, and a plan runs from start to report.

The learner's weights are random and solve nothing, so texts explore: for every problem right and wrong ones.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from any_text import write_any_text
from hypothesis import given, settings
from hypothesis import strategies as st

from s2l_lab.errors import UsageError
from s2l_lab.problems import Benchmark, Problem, load_benchmark
from s2l_lab.rollouts import RolloutStore
from s2l_lab.training.arms import read_run
from s2l_lab.training.logged import cost_row, metrics
from s2l_lab.training.plan import TrainingPlan, plan_of
from s2l_lab.training.report import read_report
from s2l_lab.training.rewards import VerifiedReward
from s2l_lab.training.run import METRICS, train
from s2l_lab.verifiers import Outcome, VerifierPool

EOS = 2
GYM = "reasoning-gym:chain_sum"
CHOICE = [
    {
        "question": f"Which is {word}?",
        "choices": {"label": list("ABCD"), "text": ["red", "blue", "green", "odd"]},
        "answerKey": key,
    }
    for word, key in (("a colour of the sky", "B"), ("the colour of grass", "C"), ("no colour", "D"), ("blood", "A"))
]
EXACT = [{"question": f"Say {word}.", "answer": word, "kind": "exact"} for word in ("yes", "no", "perhaps so", "$x$")]
MATHS = [{"question": f"What is {a} + 2?", "answer": str(a + 2)} for a in range(4)]


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def benchmarks(directory: Path) -> dict[str, Benchmark]:
    files = {
        kind: load_benchmark(lines(directory / f"{kind}.jsonl", rows))
        for kind, rows in (("choice", CHOICE), ("exact", EXACT), ("math", MATHS))
    }
    return {**files, "reasoning_gym": load_benchmark(GYM, n=4), "countdown": load_benchmark("countdown-train", n=4)}


@pytest.fixture(scope="module")
def of_kind(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Benchmark]:
    return benchmarks(tmp_path_factory.mktemp("problems"))


def right(problem: Problem) -> str:
    return f"<answer>{problem.answer}</answer>" if problem.kind == "reasoning_gym" else f"\\boxed{{{problem.answer}}}"


@pytest.fixture(scope="module")
def rewards(of_kind: dict[str, Benchmark]) -> Iterator[dict[str, VerifiedReward]]:
    found = {kind: VerifiedReward(b.problems, frozenset({EOS}), workers=1) for kind, b in of_kind.items()}
    yield found
    for reward in found.values():
        reward.close()


@pytest.fixture(scope="module")
def pool() -> Iterator[VerifierPool]:
    with VerifierPool(workers=1) as found:
        yield found


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_reward_is_the_verdict_whatever_the_kind(
    of_kind: dict[str, Benchmark], rewards: dict[str, VerifiedReward], pool: VerifierPool, data: st.DataObject
) -> None:
    kind = data.draw(st.sampled_from(["choice", "exact", "reasoning_gym", "countdown"]))
    problems = of_kind[kind].problems
    wrong = st.sampled_from(["", "I do not know", "\\boxed{A}", "\\boxed{no}", "<answer>7</answer>", "The answer is B"])
    drawn = data.draw(
        st.lists(st.tuples(st.integers(0, 3), st.one_of(st.none(), wrong), st.booleans()), min_size=1, max_size=8)
    )
    texts = [right(problems[i]) if text is None else text for i, text, _ in drawn]
    ids = [[9, EOS] if ended else [9, 9] for _, _, ended in drawn]
    found = rewards[kind](texts, ids, [problems[i].id for i, _, _ in drawn])
    for (i, _, ended), text, value in zip(drawn, texts, found, strict=True):
        problem = problems[i]
        verdict = pool.verify(text, problem.answer, problem.kind, metadata=problem.metadata, truncated=not ended)
        assert verdict.outcome is not Outcome.VERIFIER_ERROR
        assert value == float(verdict.outcome is Outcome.CORRECT)


def test_a_right_text_of_every_kind_is_rewarded(
    of_kind: dict[str, Benchmark], rewards: dict[str, VerifiedReward]
) -> None:
    for kind, benchmark in of_kind.items():
        ids = [problem.id for problem in benchmark.problems]
        texts = [right(problem) for problem in benchmark.problems]
        assert rewards[kind](texts, [[9, EOS]] * len(ids), ids) == [1.0] * len(ids)


def plan_with_texts(directory: Path, problems: dict[str, Any], texts: Path, **training: Any) -> TrainingPlan:
    values = {
        "learner": {"member": f"random={write_any_text(directory / 'learner')}", "template": "chat"},
        "explorer": {"texts": str(texts)},
        "problems": problems,
        "training": {
            "max_steps": 2,
            "num_generations": 4,
            "per_device_train_batch_size": 8,
            "schedule": "constant",
            "explorer_fraction": 0.5,
            "correction": "luffy",
            "learning_rate": 1e-3,
            "max_completion_length": 24,
            "gradient_checkpointing": False,
            "save_strategy": "no",
            "logging_steps": 1,
            "seed": 3,
            **training,
        },
    }
    return plan_of(values, "given")


@pytest.mark.parametrize("kind", ["choice", "exact", "math", "reasoning_gym"])
def test_a_plan_trains_on_the_kind(kind: str, tmp_path: Path) -> None:
    """From a local file, and on a procedural set, with an evaluation on other problems of it."""
    benchmark = benchmarks(tmp_path)[kind]
    named: dict[str, Any] = {"benchmark": str(tmp_path / f"{kind}.jsonl")}
    if kind == "reasoning_gym":
        benchmark = load_benchmark(GYM, n=4, seed=1)
        named = {"benchmark": GYM, "count": 4, "seed": 1}
    rows = [
        {"question": problem.prompt, "completion": text}
        for problem in benchmark.problems
        for text in (right(problem), "I do not know")
    ]
    plan = plan_with_texts(tmp_path, named, lines(tmp_path / "texts.jsonl", rows))
    if kind == "reasoning_gym":
        evaluation = {"benchmark": GYM, "problems": 2, "rollouts": 2, "k": [1, 2]}
        plan = plan_of(plan.model_dump(mode="json") | {"evaluation": [evaluation]}, "given")
    report = train(plan, tmp_path / "run")
    assert report.steps == 2
    assert read_report(tmp_path / "run") == train(plan, tmp_path / "run") == report  # nobody knows what a teacher cost
    assert report.cost.explorer.flops is report.relative_rollout_compute is None
    row = cost_row(read_run(tmp_path / "run"), metrics(tmp_path / "run"))
    assert math.isnan(row.flops["explorer"])
    logged = [json.loads(line) for line in (tmp_path / "run" / METRICS).read_text().splitlines()]
    steps = [entry for entry in logged if "loss" in entry]
    assert [entry["explorer/reward"] for entry in steps] == [0.5, 0.5]  # one right and one wrong text of every problem
    assert all(entry["unscored"] == 0 for entry in steps)
    assert all(entry["grad_norm"] > 0 for entry in steps)
    with RolloutStore(tmp_path / "run" / "rollouts") as store:
        kept = store.read(["policy", "text"]).to_pylist()
    texts = {row["text"] for row in kept if row["policy"] == "explorer"}
    assert texts == {row["completion"] for row in rows}


def test_what_is_trained_on_is_not_evaluated_on(tmp_path: Path) -> None:
    files = [lines(tmp_path / name, rows) for name, rows in (("a.jsonl", MATHS), ("b.jsonl", MATHS[2:]))]
    plan = plan_with_texts(tmp_path, {"benchmark": str(files[0])}, tmp_path / "none.jsonl")
    values = plan.model_dump(mode="json") | {"evaluation": [{"benchmark": str(files[1]), "problems": 2, "rollouts": 2}]}
    with pytest.raises(UsageError, match=r"2 of the 2 problems of the evaluation b are trained on too"):
        train(plan_of(values, "given"), tmp_path / "run")
    for seed, says in ((0, "seed = 1 gives other problems"), (1, None)):
        gym = values | {"problems": {"benchmark": GYM, "seed": seed}, "evaluation": [{"benchmark": GYM, "rollouts": 2}]}
        if says is None:
            assert plan_of(gym, "given").problems.seed == 1
        else:
            with pytest.raises(UsageError, match=says):
                plan_of(gym, "given")


def test_a_run_is_not_resumed_on_other_texts(tmp_path: Path) -> None:
    problems = lines(tmp_path / "exact.jsonl", EXACT)
    rows = [{"question": row["question"], "text": text} for row in EXACT for text in ("\\boxed{yes}", "no idea")]
    plan = plan_with_texts(tmp_path, {"benchmark": str(problems)}, lines(tmp_path / "texts.jsonl", rows))
    train(plan, tmp_path / "run")
    (tmp_path / "run" / "report.json").unlink()  # as if it had not come to its end
    lines(tmp_path / "texts.jsonl", [{**row, "text": "changed"} for row in rows])
    with pytest.raises(UsageError, match="texts"):
        train(plan, tmp_path / "run")
