"""Choices of flags, and the flags that several commands share. Nothing heavy is imported here."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Preset(StrEnum):
    """Sampling presets: those of arXiv 2605.30789, and what the models' cards recommend."""

    default = "default"
    think = "think"
    nothink = "nothink"
    card = "card"


class Engine(StrEnum):
    """Engine that runs the model; auto is vLLM if a GPU and vLLM are found, else transformers."""

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
    """What the interval of a curve is over: other rollouts of the same problems, or other problems of this kind."""

    rollouts = "rollouts"
    problems = "problems"


class ClaimKind(StrEnum):
    """The two sides of a planned comparison: two training methods (training), or two policies (run)."""

    training = "training"
    run = "run"


class Extraction(StrEnum):
    """Where the verifier looks for an answer: only after a mark such as a box, or also in phrases such as "the answer
    is 12"."""

    strict = "strict"
    lenient = "lenient"


class Unknown(StrEnum):
    """How rollouts without a verdict are treated: as bounds on the curve, or left out as missing at random."""

    bounds = "bounds"
    missing_at_random = "missing-at-random"


class Scale(StrEnum):
    """Scale of an experiment: `mini` runs the embedded family on a CPU, `paper` the paper's models."""

    mini = "mini"
    paper = "paper"


BenchmarkName = Annotated[
    str, typer.Option(help="Name of a benchmark, reasoning-gym:SET, or a problem file (JSONL, JSON, Parquet or CSV).")
]
DataRoot = Annotated[Path | None, typer.Option(help="Directory with local benchmark files, named NAME.jsonl.")]
SamplingPreset = Annotated[
    Preset,
    typer.Option(
        help="Sampling preset: think and nothink are the paper's, card is what the models' cards recommend. Flags for "
        "single parameters override it."
    ),
]
Temperature = Annotated[
    float | None, typer.Option(help="Sampling temperature. [default: the preset's; 1 without a preset]")
]
TopP = Annotated[
    float | None, typer.Option(help="Nucleus sampling, above 0 to 1. [default: the preset's; 1 without a preset]")
]
MaxTokens = Annotated[
    int | None, typer.Option(help="Maximum length of a completion, in tokens. [default: the family's]")
]
ServedTokenizer = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="Directory with the tokenizer files of the served model (vLLM or llama.cpp), or its GGUF file: prompts go "
        "as token ids, and with config.json beside them FLOPs are counted.",
    ),
]
PromptTemplate = Annotated[
    str | None,
    typer.Option(
        help="Prompt template: raw, chat, chat-no-think or chat-think, or a Jinja file (FILE.jinja). [default: the "
        "preset's, else the family's; otherwise chat if the tokenizer has a chat template, else raw]"
    ),
]
SystemMessage = Annotated[
    str | None, typer.Option(metavar="TEXT|FILE", help="System message: the text, or a file that holds it.")
]
Instruction = Annotated[
    str,
    typer.Option(
        help="How to answer, said below the problem: boxed, answer, none or a text. auto adds what the verifier needs "
        "where the prompt does not say it."
    ),
]
TemplateArguments = Annotated[
    list[str] | None,
    typer.Option(
        "--template-arg",
        metavar="NAME=VALUE",
        help="Variable of the chat template, for example enable_thinking=false. Repeat for more.",
    ),
]
QuestionColumn = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Column of the problem file that holds the question; dots lead into it."),
]
AnswerColumn = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Column of the problem file that holds the gold answer, for example reward_model.ground_truth.",
    ),
]
RunSeed = Annotated[int, typer.Option(help="Random seed of the run.")]
EngineName = Annotated[
    Engine,
    typer.Option(help="Engine that runs the models; auto is vLLM if a GPU and vLLM are found, else transformers."),
]
ModelRoot = Annotated[Path | None, typer.Option(help="Directory with local checkpoints, searched before the hub.")]
RunDirectory = Annotated[Path | None, typer.Option(help="Run directory. [default: runs/passk-...]")]
VerifierTimeout = Annotated[
    float,
    typer.Option(help="Time limit for one verdict, in seconds of CPU time. The wall-clock limit is six times as long."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print numbers.json instead of tables.")]
