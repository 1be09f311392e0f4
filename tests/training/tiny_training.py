"""What the training tests share: the smallest embedded member, a few Countdown prompts, a reward of the text alone."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from s2l_lab.policies import Policy, open_policy
from s2l_lab.policies.tiny.prompt import compact_prompt
from s2l_lab.problems.countdown import countdown_benchmark
from s2l_lab.training import S2LPOConfig, S2LPOTrainer
from s2l_lab.training.explorer import ExplorerRollout, PolicyExplorer, Request

MEMBER = Path(__file__).parents[2] / "s2l_lab" / "policies" / "tiny" / "tiny" / "60k"

SETTINGS: dict[str, Any] = {
    "num_generations": 4,
    "per_device_train_batch_size": 8,
    "max_completion_length": 12,
    "max_steps": 3,
    "learning_rate": 1e-3,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": [],
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "disable_tqdm": True,
    "seed": 5,
}


def config(output_dir: Path, **changes: Any) -> S2LPOConfig:
    return S2LPOConfig(str(output_dir), **{**SETTINGS, **changes})


def learner() -> Any:
    return AutoModelForCausalLM.from_pretrained(MEMBER, dtype=torch.float32)


@functools.cache
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(MEMBER)


@functools.cache
def prompts(n: int = 8) -> tuple[str, ...]:
    problems = countdown_benchmark(n, split="train").problems
    return tuple(compact_prompt(p.metadata["numbers"], p.metadata["target"]) for p in problems)


def dataset(n: int = 8) -> Dataset:
    return Dataset.from_dict({"prompt": list(prompts(n))})


def explorer(name: str = "tiny-60k") -> Policy:
    return open_policy(name)


def reward(completions: Sequence[str], **_: Any) -> list[float]:
    """Of the text alone and seldom equal within a group."""
    return [float(sum(map(ord, text)) % 3) for text in completions]


class Overheard(PolicyExplorer):
    """A policy explorer that remembers what it was asked and what it answered."""

    def __init__(self, policy: Any) -> None:
        super().__init__(policy)
        self.heard: list[tuple[list[Request], list[list[ExplorerRollout]]]] = []

    def explore(self, requests, group_size):
        answers = super().explore(requests, group_size)
        self.heard.append((list(requests), answers))
        return answers


class Recorder(TrainerCallback):
    """RNG states and parameters after every optimiser step, and every loss."""

    def __init__(self) -> None:
        self.states: list[tuple[Any, ...]] = []
        self.parameters: list[torch.Tensor] = []

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        self.states.append((torch.get_rng_state(), random.getstate(), np.random.get_state()[1]))
        self.parameters.append(flat(model))


def flat(model: Any) -> torch.Tensor:
    return torch.cat([p.detach().reshape(-1).clone() for p in model.parameters()])


def trained(trainer: GRPOTrainer, **arguments: Any) -> Recorder:
    recorder = Recorder()
    trainer.add_callback(recorder)
    trainer.train(**arguments)
    return recorder


def losses(trainer: GRPOTrainer) -> list[float]:
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def s2l(
    output_dir: Path, *, given: Any = None, n: int = 8, model: Any = None, reward_funcs: Any = reward, **changes: Any
):
    """An S2LPOTrainer on the tiny member, with `given` as its explorer."""
    return S2LPOTrainer(
        model or learner(),
        reward_funcs,
        config(output_dir, **changes),
        dataset(n),
        processing_class=tokenizer(),
        explorer=given,
    )


def grpo(output_dir: Path, **changes: Any) -> GRPOTrainer:
    """TRL's own trainer under the same resolved config."""
    resolved = config(output_dir, **changes)
    own = {f: getattr(resolved, f) for f in GRPOConfig.__dataclass_fields__ if f != "generation_batch_size"}
    plain = GRPOConfig(**{name: value for name, value in own.items() if GRPOConfig.__dataclass_fields__[name].init})
    return GRPOTrainer(learner(), reward, plain, dataset(), processing_class=tokenizer())
