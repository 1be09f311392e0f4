"""What flags may be, and the flags that several commands share, each said once. Nothing heavy is imported here."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Preset(StrEnum):
    """Sampling presets of arXiv 2605.30789."""

    default = "default"
    think = "think"
    nothink = "nothink"


class Engine(StrEnum):
    """What runs the model."""

    auto = "auto"
    transformers = "transformers"
    vllm = "vllm"
    endpoint = "endpoint"
    scripted = "scripted"


class Dtype(StrEnum):
    """Precision of weights and activations; auto is float32 on a CPU and the checkpoint's own on a GPU."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class Interval(StrEnum):
    """Which question the drawn interval answers."""

    rollouts = "rollouts"
    problems = "problems"


class ClaimKind(StrEnum):
    """What a planned comparison is about: two ways of training, or two policies."""

    training = "training"
    run = "run"


class Extraction(StrEnum):
    """Where answers are looked for: after a mark alone, or also where a person would see one."""

    strict = "strict"
    lenient = "lenient"


class Unknown(StrEnum):
    """What rollouts without a verdict count as."""

    bounds = "bounds"
    missing_at_random = "missing-at-random"


class Scale(StrEnum):
    """`mini` runs on the embedded family on a CPU; `paper` on the paper's models."""

    mini = "mini"
    paper = "paper"


BenchmarkName = Annotated[str, typer.Option(help="Benchmark name, reasoning-gym:SET or a JSONL file.")]
DataRoot = Annotated[Path | None, typer.Option(help="Directory with local benchmark files (NAME.jsonl).")]
SamplingPreset = Annotated[Preset, typer.Option(help="Sampling preset; single flags win over it.")]
Temperature = Annotated[float | None, typer.Option(help="[preset default: 1]")]
TopP = Annotated[float | None, typer.Option(help="[preset default: 1]")]
MaxTokens = Annotated[int | None, typer.Option(help="Completions are cut here. [the family's]")]
PromptTemplate = Annotated[
    str | None,
    typer.Option(
        help="raw, chat, chat-no-think or chat-think. [the family's, else chat where the tokenizer has a chat template]"
    ),
]
RunSeed = Annotated[int, typer.Option(help="Run seed.")]
EngineName = Annotated[Engine, typer.Option(help="What runs the models.")]
ModelRoot = Annotated[Path | None, typer.Option(help="Directory with local checkpoints, looked into first.")]
RunDirectory = Annotated[Path | None, typer.Option(help="Run directory. [default: runs/passk-...]")]
VerifierTimeout = Annotated[
    float, typer.Option(help="Seconds of processor time for one verdict; six times as much by the wall clock.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print numbers.json instead of tables.")]
