"""`train`: one plan from its files to its report, resumed where it was interrupted.

    plan.json                what the run is, resolved; a directory that holds another plan is refused
    metrics.jsonl            one line for each logging step and evaluation
    evaluation-BENCHMARK/    rollouts on held-out problems (evaluation.py)
    rollouts/                rollouts that were trained on (recording.py)
    checkpoints/             transformers' own
    model/                   the learner after training; `s2l-lab passk --policy trained=RUN/model` samples it
    report.json              written last: the run is finished

Under `accelerate launch` every process runs this; the first one writes.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import Dataset
from transformers import PrinterCallback, ProgressCallback, TrainerCallback
from transformers.utils import logging

from s2l_lab.errors import UsageError
from s2l_lab.policies.device import device_name
from s2l_lab.policies.stopping import eos_ids
from s2l_lab.rollouts import RolloutStore, RunManifest, verify_with
from s2l_lab.rollouts.durable import append_line, make_folder, replacing
from s2l_lab.rollouts.lock import WriterLock
from s2l_lab.training.evaluation import Evaluator
from s2l_lab.training.opening import LearnerFiles, adapters_of, evaluations_of, open_explorer, training_problems
from s2l_lab.training.plan import TrainingPlan, plan_of
from s2l_lab.training.recording import RolloutRecorder
from s2l_lab.training.report import (
    CHECKPOINTS,
    LOCK,
    METRICS,
    MODEL,
    PLAN,
    REPORT,
    CostReport,
    TrainingReport,
    read_report,
)
from s2l_lab.training.rewards import VerifiedReward, problem_rows
from s2l_lab.training.served import ServedExplorer
from s2l_lab.training.stops import last_whole_checkpoint
from s2l_lab.training.text_bank import TextBank
from s2l_lab.training.trainer import S2LPOTrainer
from s2l_lab.verifiers import VerifierPool, verifier_version

if TYPE_CHECKING:
    from s2l_lab.training.config import S2LPOConfig
    from s2l_lab.training.cost import Cost


def train(
    plan: TrainingPlan, out: Path, *, command: str = "", announce: Callable[[str], None] = lambda _: None
) -> TrainingReport:
    """Bring the run in `out` to its end and return its report; a finished one is only read.

    Raises UsageError for a directory with another plan and for options that make no sense, RunLockedError while another
    process trains there, TrainingStoppedError where going on would train on what is not known or not finite.
    """
    if (out / REPORT).is_file():
        report = read_report(out)
        _require_same(plan, report.plan, out)
        return report
    config = plan.config(out / CHECKPOINTS)
    first = int(os.environ.get("RANK", "0")) == 0
    with ExitStack() as stack:
        if first:
            make_folder(out)
            lock = WriterLock(out / LOCK)
            stack.callback(lock.release)
            _keep_plan(plan, out)
        return _train(plan, config, out, stack, first=first, command=command, announce=announce)


def _keep_plan(plan: TrainingPlan, out: Path) -> None:
    """Write the plan, or see that it is the one that is there. Raises UsageError for another."""
    path = out / PLAN
    if path.is_file():
        _require_same(plan, json.loads(path.read_bytes()), out)
        return
    with replacing(path) as stream:
        stream.write(plan.model_dump_json(indent=1).encode())


def _require_same(plan: TrainingPlan, there: Any, out: Path) -> None:
    """Raises UsageError, with what differs, unless `there` (as it was read from JSON) is the same run's plan."""
    other = plan_of(there, str(out / PLAN))
    if other.digest == plan.digest:
        return
    raise UsageError(
        f"{out} holds a run of another plan ({', '.join(_differing(plan.identity, other.identity))}). Give --out "
        "another directory, or leave it out for one that is named by the plan."
    )


def _differing(mine: Mapping[str, Any], theirs: Mapping[str, Any], at: str = "") -> Iterator[str]:
    for key in sorted({*mine, *theirs}):
        a, b = mine.get(key), theirs.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _differing(a, b, f"{at}{key}.")
        elif a != b:
            yield f"{at}{key}: {b} there, {a} asked"


def _train(
    plan: TrainingPlan,
    config: S2LPOConfig,
    out: Path,
    stack: ExitStack,
    *,
    first: bool,
    command: str,
    announce: Callable[[str], None],
) -> TrainingReport:
    started = time.monotonic()
    problems, files = training_problems(plan), LearnerFiles.of(plan)
    evaluations = evaluations_of(plan, config, problems)
    logging.disable_progress_bar()
    announce(f"opening {files.member.name}{_explorer_in_words(plan)}")
    explorer, model = open_explorer(plan, config, files, out.parent, problems), files.load()
    if isinstance(explorer, ServedExplorer):
        stack.callback(explorer.close)
    ends = eos_ids(model, files.tokenizer)
    reward = VerifiedReward(problems.problems, ends)
    stack.callback(reward.close)
    pool = stack.enter_context(VerifierPool())
    evaluator = Evaluator(
        evaluations,
        files.tokenizer,
        files.template.render,
        files.template.digest,
        run=out,
        verify=verify_with(pool),
    )
    version = verifier_version(problems.kind)
    sampling = {"temperature": config.temperature, "top_p": config.top_p, "seed": config.seed}
    store = None
    if first:
        manifest = RunManifest.of_this_process(
            plan.model_dump(mode="json"),
            device=device_name(),
            seeds={"training": config.seed},
            verifier_version=version,
        )
        identity = {"training": 1, "plan": plan.digest}
        if isinstance(explorer, TextBank):
            identity["texts"] = explorer.digest
        if isinstance(explorer, ServedExplorer):
            identity["served"] = explorer.model
        store = stack.enter_context(RolloutStore.open(out / "rollouts", manifest, identity))
    recorder = RolloutRecorder(
        store,
        problems.problems,
        reward,
        files.tokenizer,
        run_digest=plan.digest,
        sampling=sampling,
        verifier_version=version,
    )
    watch = _Watch(evaluator, out, first=first, budgeted=plan.budget is not None, announce=announce)
    dataset = Dataset.from_dict(problem_rows(problems.problems, files.template.render))
    run = _alternate if plan.runner == "alternate" else _one_trainer
    steps, rounds, cost = run(plan, config, (model, files.tokenizer, reward, dataset, explorer), recorder, watch)
    report = TrainingReport(
        digest=plan.digest,
        plan=plan.model_dump(mode="json"),
        command=command,
        steps=steps,
        rounds=rounds,
        evaluations=evaluator.reports,
        cost=CostReport.model_validate(cost.to_dict()),
        relative_rollout_compute=_number(cost.relative_rollout_compute),
        explorer_share=_number(cost.explorer_share),
        seconds=time.monotonic() - started,
    )
    if first:
        with replacing(out / REPORT) as stream:
            stream.write(report.model_dump_json(indent=1).encode())
    return report


def _one_trainer(
    plan: TrainingPlan, config: S2LPOConfig, given: tuple[Any, ...], recorder: RolloutRecorder, watch: _Watch
) -> tuple[int, int, Cost]:
    """Train and save; optimiser steps, rounds and cost."""
    model, tokenizer, reward, dataset, explorer = given
    trainer = S2LPOTrainer(
        model, reward, config, dataset, processing_class=tokenizer, explorer=explorer, peft_config=adapters_of(plan)
    )
    trainer.on_round = recorder
    trainer.add_callback(recorder)
    if plan.budget is not None:
        from s2l_lab.training.budget import FlopsBudget

        trainer.add_callback(FlopsBudget(trainer, plan.budget.flops))
    watch.follow(trainer)
    trainer.add_callback(watch)
    checkpoint = last_whole_checkpoint(watch.run / CHECKPOINTS)
    if checkpoint is not None:
        watch.announce(f"going on from {checkpoint}")
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    trainer.save_model(str(watch.run / MODEL))
    steps = int(trainer.state.global_step)
    return steps, config.rounds(steps), trainer.cost


def _alternate(
    plan: TrainingPlan, config: S2LPOConfig, given: tuple[Any, ...], recorder: RolloutRecorder, watch: _Watch
) -> tuple[int, int, Cost]:
    """As `_one_trainer`, by the phases of the released script. An interrupted run begins anew."""
    from s2l_lab.training.alternate import train_alternate

    model, tokenizer, reward, dataset, explorer = given
    if (lora := adapters_of(plan)) is not None:
        from peft import get_peft_model
        from transformers import set_seed

        set_seed(config.seed)  # as TRL does before it makes adapters
        model = get_peft_model(model, lora)
    result = train_alternate(
        config,
        model,
        tokenizer,
        reward,
        dataset,
        explorer,
        callbacks=(recorder, watch),
        on_phase=lambda trainer, _: watch.follow(trainer),
        on_round=recorder,
    )
    result.model.save_pretrained(str(watch.run / MODEL))
    tokenizer.save_pretrained(str(watch.run / MODEL))
    return result.updates, config.rounds(config.max_steps), result.cost


class _Watch(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Evaluates when it is due and keeps metrics.jsonl. The model's mode and every generator are left as they were."""

    def __init__(
        self, evaluator: Evaluator, run: Path, *, first: bool, budgeted: bool, announce: Callable[[str], None]
    ) -> None:
        """`budgeted`: the run can end before max_steps. (A phase's end is not the run's.)"""
        self.run, self.announce, self._budgeted = run, announce, budgeted
        self._evaluator, self._metrics, self._first = evaluator, run / METRICS, first

    def follow(self, trainer: S2LPOTrainer) -> None:
        """This is the trainer now. What it would print, `announce` says."""
        self._trainer = trainer
        for printer in (PrinterCallback, ProgressCallback):
            trainer.remove_callback(printer)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._first:
            _forget_after(self._metrics, state.global_step)
            self._evaluator.resume(state.global_step)
        if state.global_step == 0:
            self._evaluate(0, end=True)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # The end is seen here: at on_train_end, trackers that were added first have closed their runs.
        end = state.global_step >= state.max_steps or (self._budgeted and control.should_training_stop)
        if end or self._evaluator.due(state.global_step):
            self._evaluate(state.global_step, end=end)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if not (self._first and logs):
            return
        append_line(self._metrics, json.dumps({"step": state.global_step, **_finite(logs)}))
        if "loss" in logs:
            self.announce(_round_in_words(state.global_step, state.max_steps, logs))

    def _evaluate(self, step: int, *, end: bool) -> None:
        trainer = self._trainer
        found: dict[str, float] = {}
        if self._first:
            found = self._evaluator.evaluate(trainer.accelerator.unwrap_model(trainer.model), step, end=end)
        trainer.accelerator.wait_for_everyone()
        if not found:
            return
        for report in self._evaluator.reports:
            if report.step == step:
                self.announce(report.in_words())
        training, due = trainer.model.training, trainer.control.should_log
        trainer.model.eval()  # else TRL's log would take what training has gathered for the step's own line
        trainer.log(dict(found))
        trainer.model.train(training)
        trainer.control.should_log = due  # a line was written, but not the step's


def _round_in_words(step: int, steps: int, logs: Mapping[str, Any]) -> str:
    sources = [f"{s} {float(logs[f'{s}/reward']):.3f}" for s in ("explorer", "learner") if f"{s}/reward" in logs]
    slots = f", explorer slots {float(logs['explorer/slots']):g}" if "explorer/slots" in logs else ""
    silent = f", silent groups {float(logs['zero_variance_groups']):.0%}" if "zero_variance_groups" in logs else ""
    return f"step {step} of {steps}: reward {', '.join(sources)}{slots}{silent}"


def _explorer_in_words(plan: TrainingPlan) -> str:
    wanted = plan.explorer
    if not plan.explores or wanted is None:
        return ""
    return f" and explorer {wanted.who}" if wanted.who else f" and a copy of it ({wanted.kind}) as explorer"


def _forget_after(metrics: Path, step: int) -> None:
    """Drop the lines after the checkpoint that is resumed from: those steps are done again."""
    if not metrics.is_file():
        return
    lines = metrics.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if step and line.endswith("\n") and json.loads(line)["step"] <= step]
    with replacing(metrics) as stream:
        stream.write("".join(kept).encode())


def _finite(logs: Mapping[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in logs.items()}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
