"""TrainingPlan: one training run, as its TOML file says it: learner, explorer, problems, evaluations, training options.

    [learner]                      member = "tiny-2m"
    [explorer]                     kind = "member", member = "tiny-360k"
    [problems]                     benchmark = "countdown-train", count = 480
    [[evaluation]]                 benchmark = "countdown", rollouts = 64, every = 20
    [training]                     every field of S2LPOConfig, which is every field of TRL's GRPOConfig

A plan's digest is what the run is: two plans with one digest give one run. So what cannot matter is left out of it:
where files lie, and, at explorer fraction 0, everything about explorers (the run is plain GRPO, whatever they say).
Nothing heavy is imported: `config` builds the S2LPOConfig, and with it refuses what makes no sense.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from s2l_lab import plans
from s2l_lab.digest import content_digest
from s2l_lab.errors import UsageError
from s2l_lab.policies.templates import Arguments, Prompting, is_template_file, no_arguments, read_template_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from s2l_lab.training.config import S2LPOConfig

EXPLORER_FIELDS = (
    "schedule",
    "mix_steps",
    "slot_rounding",
    "grouping",
    "lone_rollout",
    "correction",
    "correction_cap",
    "correction_gamma",
    "explorer_temperature",
    "explorer_top_p",
    "explorer_weight_floor",
)
"""Options of [training] that say nothing at explorer fraction 0."""
PLACES = ("output_dir", "report_to", "run_name", "project", "logging_dir", "disable_tqdm")
"""Options of [training] that change no number."""
MAX_COMPLETION_LENGTH = 4096
"""Tokens, where a plan says nothing: S2LPOConfig's default, for those who read plans without TRL."""
COUNTS = {
    "seed": 0,
    "num_generations": 2,
    "per_device_train_batch_size": 1,
    "steps_per_generation": 1,
    "num_iterations": 1,
    "gradient_accumulation_steps": 1,
}
"""Options of [training] that are whole numbers, each with its least value. TRL divides by them before it looks."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Lora(_Table):
    """Low-rank adapters instead of full training (peft)."""

    r: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: str | tuple[str, ...] = "all-linear"


class LearnerPlan(_Table):
    """The policy that is trained."""

    member: str = "tiny-2m"
    """Name of a family's member, or NAME=SOURCE."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of the weights; auto is float32 on a CPU and the checkpoint's own on a GPU. ([training] bf16 is autocast.)"""
    template: str | None = None
    """A name or a Jinja file; None takes what the tokenizer is made for."""
    template_text: str | None = Field(default=None, validate_default=True)
    """Content of the Jinja file, as the plan of a run keeps it; None reads the file."""
    system: str | None = Field(default=None, min_length=1)
    """Text of the system message."""
    instruction: str | None = Field(default=None, min_length=1)
    """How to answer, said below the problem: boxed, answer, none, a text, or auto for what the verifier needs."""
    template_args: Arguments = Field(default_factory=no_arguments)
    """Variables of the chat template by name, as enable_thinking."""
    lora: Lora | None = None

    @field_validator("template_text")
    @classmethod
    def _of_the_file(cls, text: str | None, info: ValidationInfo) -> str | None:
        template = info.data.get("template")
        if text is None and template is not None and is_template_file(template):
            return read_template_file(Path(template))
        return text

    @model_serializer(mode="wrap")
    def _what_is_chosen(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without the choices of prompts that were not made, so that a plan without them is the one of before."""
        chosen = ("template_text", "system", "instruction", "template_args")
        return {name: value for name, value in write(self).items() if value or name not in chosen}

    @property
    def prompting(self) -> Prompting:
        """How the problems are put to it, over what its family says."""
        return Prompting(**{name: getattr(self, name) for name in Prompting.model_fields})


_KIND_BY_SOURCE = {"url": "served", "texts": "texts"}
"""Explorers that are what they are drawn from: the field that says where, and the kind."""


class ExplorerPlan(_Table):
    """Who fills the explorer's slots."""

    kind: Literal["member", "served", "bank", "texts", "learner", "noise", "pruned", "rounded"] = "member"
    """A frozen member that samples as training goes; a served model that does (the kind where `url` is given); a bank
    of a member's rollouts, sampled before; texts that others wrote (the kind where `texts` is given); or a copy of the
    learner: as it is now (at [training] explorer_temperature), with noise, without layers, with rounded weights."""
    member: str | None = None
    """Name of the member that explores; for kinds `member` and `bank`."""
    url: tuple[str, ...] = ()
    """Addresses of the servers of one model with the learner's tokenizer, as http://localhost:8000/v1; for kind
    `served`."""
    texts: str | None = None
    """A .jsonl or .parquet file, or a directory of datasets.save_to_disk, with prompts and completions; for kind
    `texts`. Only with corrections `none` and `luffy`."""
    engine: Literal["auto", "transformers", "vllm"] = "auto"
    retokenise: bool = False
    """Allow an explorer with another tokenizer: its text is tokenised anew by the learner's. Only with
    corrections `none` and `luffy`."""
    rollouts: int | None = Field(default=None, ge=1)
    """Number of rollouts per problem in the bank; for kind `bank`."""
    seed: int = Field(default=0, ge=0)
    """Seed of the bank; one bank serves every training seed. For kind `bank`."""
    resample: bool = False
    """Start again with the bank's first rollouts when they are used up, instead of an error; for kind `bank`."""
    select: Literal["all", "diversity_removed", "placebo"] = "all"
    """Rollouts of the bank to use: all of them, the control of the paper's Table 4 (diversity removed), or its placebo,
    which drops the same number at random. For kind `bank`."""
    scale: float | None = Field(default=None, gt=0)
    """Standard deviation of the noise, in units of a matrix's root mean square; for kind `noise`."""
    layers: tuple[int, ...] = ()
    """Indices of the layers that are left out, counted from 0; for kind `pruned`."""
    bits: int | None = Field(default=None, ge=2, le=16)
    """Number of bits to which weights are rounded; for kind `rounded`."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if "kind" not in self.model_fields_set:
            by_source = (kind for name, kind in _KIND_BY_SOURCE.items() if getattr(self, name))
            object.__setattr__(self, "kind", next(by_source, self.kind))  # not yet seen by anyone
        needed = {
            "member": ("member",),
            "bank": ("member", "rollouts"),
            "served": ("url",),
            "texts": ("texts",),
            "noise": ("scale",),
            "pruned": ("layers",),
            "rounded": ("bits",),
        }.get(self.kind, ())
        optional = {"member": ("engine", "retokenise"), "bank": ("engine", "seed", "resample", "select")}
        allowed = {"kind", *needed, *optional.get(self.kind, ())}
        for name in needed:
            if not getattr(self, name):
                raise ValueError(f"an explorer of kind {self.kind!r} needs {name}")
        for address in self.url:
            if not address.startswith(("http://", "https://")):
                raise ValueError(f"url has {address!r}, which is no address of a server, as http://localhost:8000/v1")
        for name in self.model_fields_set - allowed:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"an explorer of kind {self.kind!r} has no {name}; leave it out")
        return self

    @property
    def who(self) -> str:
        """Who explores, in words; empty for a copy of the learner."""
        served = f"at {', '.join(self.url)}" if self.url else ""
        return self.member or served or (f"texts of {self.texts}" if self.texts else "")


class ProblemsPlan(_Table):
    """What is trained on."""

    benchmark: str = "countdown-train"
    count: int | None = Field(default=None, ge=1)
    """Number of problems to use, from the first; None takes all (of a procedural set 100)."""
    seed: int = Field(default=0, ge=0)
    """Seed of procedural problem sets. Evaluations take seed 0."""


class EvaluationPlan(_Table):
    """pass@k on held-out problems, before training, every so many optimiser steps, and after it."""

    benchmark: str = "countdown-validation"
    problems: int | None = Field(default=100, ge=2)
    """Number of problems to use, from the first; None takes all."""
    rollouts: int = Field(default=64, ge=1)
    """N, rollouts per problem, before and after training."""
    every: int | None = Field(default=None, ge=1)
    """Optimiser steps. None evaluates before and after only."""
    between: int | None = Field(default=None, ge=1)
    """N of the evaluations between; None takes as many there."""
    k: tuple[int, ...] = Field(default=(1, 8, 64), min_length=1)
    """Values of k for pass@k; values above an evaluation's N are left out."""
    temperature: float = Field(default=1.0, gt=0, le=10)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    """Maximum length of a completion in tokens; None takes max_completion_length of [training]."""
    seed: int = Field(default=0, ge=0)
    """Of the sampling. One seed for all runs: their differences are then of weights alone."""


class Budget(_Table):
    """An end before [training] max_steps: the run stops at the first optimiser step that reaches it."""

    flops: float = Field(gt=0)
    """Counted FLOPs of rollouts (the explorer's included) and updates."""


class TrainingPlan(_Table):
    """A training run."""

    learner: LearnerPlan = LearnerPlan()
    explorer: ExplorerPlan | None = None
    problems: ProblemsPlan = ProblemsPlan()
    evaluation: tuple[EvaluationPlan, ...] = ()
    training: dict[str, Any] = Field(default_factory=dict)
    """Fields of S2LPOConfig that differ from its defaults."""
    runner: Literal["trainer", "alternate"] = "trainer"
    """`alternate` repeats the released script: an explorer step, then a learner step, each with groups of its own."""
    budget: Budget | None = None
    model_root: Path | None = None
    data_root: Path | None = None

    @field_validator("training")
    @classmethod
    def _are_numbers(cls, training: dict[str, Any]) -> dict[str, Any]:
        for name, least in COUNTS.items():
            value = training.get(name, least)
            if type(value) is not int or value < least:
                raise ValueError(f"{name} is {value!r}; it is a whole number from {least}")
        fraction = training.get("explorer_fraction", 1.0)
        if type(fraction) not in (int, float):
            raise ValueError(f"explorer_fraction is {fraction!r}; it is a number")
        return training

    @model_validator(mode="after")
    def _apart(self) -> Self:
        for evaluation in self.evaluation:
            if evaluation.benchmark == self.problems.benchmark and self.problems.seed == 0:
                raise ValueError(
                    f"{evaluation.benchmark} would be trained on and evaluated on; of a procedural set, [problems] "
                    "seed = 1 gives other problems"
                )
        names = [evaluation.benchmark for evaluation in self.evaluation]
        if len(set(names)) < len(names):
            raise ValueError("two evaluations are of one benchmark; give each benchmark once")
        if self.explores and self.explorer is None:
            raise ValueError(
                f"explorer_fraction is {self.training.get('explorer_fraction', 1.0):g} and there is no [explorer]; "
                "name one, or set explorer_fraction = 0 in [training] for plain GRPO"
            )
        if self.runner == "alternate" and self.budget is not None:
            raise ValueError("the alternate runner has no budget; its steps are those of its schedule")
        return self

    @property
    def explores(self) -> bool:
        """Whether the explorer has slots at all."""
        return bool(self.training.get("explorer_fraction", 1.0) != 0)

    @property
    def seed(self) -> int:
        """Of the training: order of problems, the learner's draws, the explorer's."""
        return int(self.training.get("seed", 42))  # transformers' default

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the run, JSON-like."""
        left_out = {*PLACES, *(() if self.explores else EXPLORER_FIELDS)}
        values = self.model_dump(mode="json", exclude={"model_root", "data_root", "training"})
        if not self.explores:
            values |= {"explorer": None, "runner": "trainer"}
        elif self.explorer is not None:  # plans of earlier releases, which had no such fields, keep their digests
            unused = {name for name in _KIND_BY_SOURCE if not getattr(self.explorer, name)}
            values["explorer"] = {k: v for k, v in values["explorer"].items() if k not in unused}
        return values | {"training": {k: v for k, v in sorted(self.training.items()) if k not in left_out}}

    @property
    def digest(self) -> str:
        """Of the identity."""
        return content_digest(self.identity)

    def config(self, output_dir: str | Path) -> S2LPOConfig:
        """The training options with all defaults, what a machine without a GPU needs, and no tracker unless named.

        Raises UsageError for a misspelt or senseless option.
        """
        from s2l_lab.policies.device import has_gpu
        from s2l_lab.training.config import S2LPOConfig

        here = {"report_to": "none"} | ({} if has_gpu() else {"use_cpu": True, "bf16": False})
        try:
            return S2LPOConfig.from_mapping({**here, **self.training, "output_dir": str(output_dir)})
        except (ValueError, ArithmeticError, ImportError) as error:  # of TRL and transformers
            raise UsageError(f"training options: {error}") from error


def read_plan(path: Path, changes: Sequence[str] = ()) -> TrainingPlan:
    """A plan file (or a run's plan.json) with `key=value` changes over it: `training.seed=3`,
    `explorer.member=tiny-60k`, `evaluation.0.rollouts=16`; a key without a dot is one of [training].

    Raises DataError for a file that is none, UsageError for a change that is none or a value that is not allowed.
    """
    return plans.read_plan(path, TrainingPlan, changes, home="training")


def plan_of(values: Mapping[str, Any], where: str, changes: Sequence[str] = ()) -> TrainingPlan:
    """A plan from nested values with changes over it. Raises UsageError that names every fault."""
    return plans.plan_of(TrainingPlan, values, where, changes, home="training")
