"""Two ranks of training runs over gloo: `python two_ranks.py FOLDER`. Each writes what it saw as FOLDER/rank-R.json,
and both write the run of a plan as FOLDER/run.

Every rank has whole groups of its own. `run` in one process trains on the same groups.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from gloo_ranks import fork_ranks
from tiny_training import config, explorer, flat, losses, s2l, trained

from s2l_lab.errors import UsageError
from s2l_lab.training.explorer import PolicyExplorer
from s2l_lab.training.plan import plan_of
from s2l_lab.training.run import train

SMALL_ONLY = {"schedule": "constant", "explorer_fraction": 1.0, "correction": "truncated", "max_steps": 2}
ANNEALED = {"mix_steps": 3, "grouping": "split", "max_steps": 2}

PLANNED: dict[str, Any] = {
    "learner": {"member": "tiny-60k"},
    "explorer": {"member": "tiny-60k"},
    "problems": {"count": 8},
    "evaluation": [{"benchmark": "countdown", "problems": 2, "rollouts": 2, "every": 1, "k": [1, 2]}],
    "training": {
        "max_steps": 2,
        "num_generations": 4,
        "per_device_train_batch_size": 8,
        "mix_steps": 2,
        "max_completion_length": 12,
        "gradient_checkpointing": False,
        "save_strategy": "no",
        "seed": 3,
    },
}
"""Of a run: two groups of four on each rank."""


class Overheard(PolicyExplorer):
    def __init__(self, policy: Any) -> None:
        super().__init__(policy)
        self.said: list[Any] = []

    def explore(self, requests, group_size):
        answers = super().explore(requests, group_size)
        for request, group in zip(requests, answers, strict=True):
            for rollout in group:
                self.said.append([request.round, request.group, list(request.prompt_ids), list(rollout.token_ids)])
        return answers


def run(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    given = Overheard(explorer())
    trainer = s2l(folder, given=given, **settings)
    batches: list[Any] = []
    generate = trainer._generate_and_score_completions

    def overheard(inputs: Any) -> Any:
        batch = generate(inputs)
        batches.append(batch["explorer"].tolist())
        return batch

    trainer._generate_and_score_completions = overheard
    trained(trainer)
    return {
        "rank": trainer.accelerator.process_index,
        "losses": losses(trainer),
        "log": [entry for entry in trainer.state.log_history if "explorer/slots" in entry],
        "said": given.said,
        "explorer": batches,
        "parameters": float(flat(trainer.accelerator.unwrap_model(trainer.model)).double().abs().sum()),
    }


def refusal(folder: Path) -> str:
    """Half a group on each of two ranks is whole for TRL and cut for us."""
    try:
        config(folder, per_device_train_batch_size=2)
    except UsageError as error:
        return str(error)
    return ""


def main(folder: Path) -> None:
    one_group = {"per_device_train_batch_size": 4}
    seen: dict[str, Any] = {
        "small_only": run(folder / "small-only", SMALL_ONLY | one_group),
        "annealed": run(folder / "annealed", ANNEALED | one_group),
    }
    seen["refusal"] = refusal(folder / "cut")
    train(plan_of(PLANNED, "given"), folder / "run")
    (folder / f"rank-{seen['small_only']['rank']}.json").write_text(json.dumps(seen))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    end = fork_ranks()
    main(Path(sys.argv[1]))
    end()
