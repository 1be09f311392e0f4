"""The commands and their flags. Nothing heavy is imported here, so that `--help` is instant.

Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted (the rollouts sampled so far are kept).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from s2l_lab.cli.options import (
    AsJson,
    BenchmarkName,
    ClaimKind,
    DataRoot,
    Dtype,
    Engine,
    EngineName,
    Extraction,
    Interval,
    MaxTokens,
    ModelRoot,
    Preset,
    PromptTemplate,
    RunDirectory,
    RunSeed,
    SamplingPreset,
    Scale,
    ServedTokenizer,
    Temperature,
    TopP,
    Unknown,
    VerifierTimeout,
)

app = typer.Typer(
    name="s2l-lab",
    help="Measure and train exploration in model families: pass@k curves with confidence intervals, diversity of "
    "rollouts, and training with S2L-PO.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # rich costs a third of a second at every --help
    pretty_exceptions_enable=False,
)
families_app = typer.Typer(
    help="List, show and train the model families that are known by name.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(families_app, name="families")


@app.command()
def passk(
    family: Annotated[
        str | None,
        typer.Option(
            help="Family to sample: a name (see `s2l-lab families list`) or a family file. [default: tiny, unless "
            "--policy is given]"
        ),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=SOURCE",
            help="Add a policy called NAME. SOURCE is a directory, a hub id, an http(s) endpoint or scripted:SPEC. "
            "Several addresses of one model are parted by commas; chat:http... and text:http... choose the route. "
            "Repeat for more.",
        ),
    ] = None,
    member: Annotated[
        list[str] | None, typer.Option(help="Sample only this member of the family. Repeat for more.")
    ] = None,
    benchmark: BenchmarkName = "countdown",
    data_root: DataRoot = None,
    rollouts: Annotated[int, typer.Option("-n", "--rollouts", help="Number of rollouts per problem (N).")] = 64,
    problems: Annotated[
        int | None,
        typer.Option(help="Number of problems to use, in the order of the benchmark. [default: all; countdown: 100]"),
    ] = None,
    preset: SamplingPreset = Preset.default,
    temperature: Temperature = None,
    top_p: TopP = None,
    top_k: Annotated[
        int | None,
        typer.Option(
            help="Sample from the k most likely tokens; 0 keeps all. [default: the preset's; 0 without a preset]"
        ),
    ] = None,
    min_p: Annotated[
        float | None, typer.Option(help="Drop tokens below this share of the largest probability. [default: 0]")
    ] = None,
    presence_penalty: Annotated[
        float | None,
        typer.Option(
            help="Penalty on tokens that the completion already contains. [default: the preset's; 0 without a preset]"
        ),
    ] = None,
    max_tokens: MaxTokens = None,
    stop: Annotated[list[str] | None, typer.Option(help="String that ends a completion. Repeat for more.")] = None,
    seed: RunSeed = 0,
    template: PromptTemplate = None,
    engine: EngineName = Engine.auto,
    dtype: Annotated[
        Dtype,
        typer.Option(
            help="Precision of weights and activations; auto is float32 on a CPU and the checkpoint's own on a GPU."
        ),
    ] = Dtype.auto,
    tensor_parallel: Annotated[int, typer.Option(help="Number of GPUs per model (vLLM only).")] = 1,
    max_model_len: Annotated[
        int | None, typer.Option(help="Context length in tokens (vLLM only). [default: the model's]")
    ] = None,
    model_root: ModelRoot = None,
    tokenizer: ServedTokenizer = None,
    trust_remote_code: Annotated[bool, typer.Option(help="Allow code that a checkpoint ships to run.")] = False,
    interval: Annotated[
        Interval,
        typer.Option(
            help="What the intervals of the curves are over: other rollouts of the same problems (rollouts), or other "
            "problems of this kind (problems)."
        ),
    ] = Interval.rollouts,
    extraction: Annotated[
        Extraction,
        typer.Option(
            help="Where answers are looked for. strict: only after a mark such as a box; lenient: also in phrases. "
            "Lenient verdicts are stored beside the strict ones."
        ),
    ] = Extraction.strict,
    verifier_timeout: VerifierTimeout = 5.0,
    unknown: Annotated[
        Unknown,
        typer.Option(
            help="Rollouts without a verdict: draw the curve with bounds, or leave them out as missing at random."
        ),
    ] = Unknown.bounds,
    out: RunDirectory = None,
    accept_repeats: Annotated[
        bool,
        typer.Option("--accept-repeats", help="Report results even if the rollouts cannot be independent draws."),
    ] = False,
    fresh: Annotated[
        bool,
        typer.Option("--fresh/--resume", help="Move an existing run aside and start again, or continue it."),
    ] = False,
    dry_run: Annotated[bool, typer.Option(help="Print what would be sampled, and stop.")] = False,
    json: AsJson = False,
) -> None:
    """Sample a model family, verify the rollouts, and plot pass@k curves with intervals and crossings."""
    from s2l_lab.cli import passk as command

    chosen = _given(
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        min_p=min_p,
        presence_penalty=presence_penalty,
        max_tokens=max_tokens,
        stop=tuple(stop) if stop else None,
        seed=seed,
    )
    command.run(
        {
            "family": family if family is not None or policy else "tiny",
            "members": tuple(member) if member else None,
            "policies": tuple(policy or ()),
            "benchmark": benchmark,
            "data_root": data_root,
            "problems": problems,
            "rollouts": rollouts,
            "template": template,
            "engine": engine.value,
            "dtype": dtype.value,
            "tensor_parallel": tensor_parallel,
            "max_model_len": max_model_len,
            "model_root": model_root,
            "tokenizer": tokenizer,
            "trust_remote_code": trust_remote_code,
            "interval": interval.value,
            "extraction": extraction.value,
            "verifier_timeout": verifier_timeout,
            "accept_repeats": accept_repeats,
            "unknown": unknown.value,
            "out": out,
        },
        preset=preset.value,
        chosen=chosen,
        fresh=fresh,
        dry_run=dry_run,
        as_json=json,
    )


@app.command()
def diversity(
    run: Annotated[
        Path | None,
        typer.Option(help="Run directory to read; nothing is sampled. Without it, --family or --policy is sampled."),
    ] = None,
    family: Annotated[
        str | None, typer.Option(help="Family to sample: a name or a family file. [default: tiny]")
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=SOURCE", help="Add a policy, as in `s2l-lab passk`. Repeat for more."),
    ] = None,
    member: Annotated[list[str] | None, typer.Option(help="Use only this member or policy. Repeat for more.")] = None,
    benchmark: BenchmarkName = "countdown",
    data_root: DataRoot = None,
    rollouts: Annotated[
        int | None,
        typer.Option("-n", "--rollouts", help="Number of rollouts per problem (N). [default: 64; with --run, all]"),
    ] = None,
    problems: Annotated[
        int | None, typer.Option(help="Number of problems to use, in the order of the benchmark.")
    ] = None,
    preset: SamplingPreset = Preset.default,
    temperature: Temperature = None,
    top_p: TopP = None,
    max_tokens: MaxTokens = None,
    seed: RunSeed = 0,
    template: PromptTemplate = None,
    engine: EngineName = Engine.auto,
    model_root: ModelRoot = None,
    embedder: Annotated[
        str,
        typer.Option(
            help="Sentence embedder: minilm (works offline), a directory, a hub id, or none to skip embeddings."
        ),
    ] = "minilm",
    out: RunDirectory = None,
    json: AsJson = False,
) -> None:
    """Measure how diverse each policy's rollouts are and what each adds to the largest, with intervals and nulls."""
    from s2l_lab.cli import diversity as command

    members = tuple(member) if member else None
    if rollouts is not None and rollouts < 2:
        raise typer.BadParameter(f"-n {rollouts}: diversity needs two rollouts of a problem at least.")
    if run is not None:
        if family is not None or policy:
            raise typer.BadParameter("--run reads a stored run; --family and --policy sample one. Give one of them.")
        command.run_of_directory(
            run, members=members, problems=problems, rollouts=rollouts, embedder=embedder, as_json=json
        )
        return
    chosen = _given(temperature=temperature, top_p=top_p, max_tokens=max_tokens, seed=seed)
    command.run_of_family(
        {
            "family": family if family is not None or policy else "tiny",
            "members": members,
            "policies": tuple(policy or ()),
            "benchmark": benchmark,
            "data_root": data_root,
            "problems": problems,
            "rollouts": 64 if rollouts is None else rollouts,
            "template": template,
            "engine": engine.value,
            "model_root": model_root,
            "out": out,
        },
        preset=preset.value,
        chosen=chosen,
        embedder=embedder,
        as_json=json,
    )


@app.command()
def verify(
    benchmark: Annotated[
        str | None, typer.Option(help="Benchmark whose gold answers are graded against themselves.")
    ] = None,
    data_root: DataRoot = None,
    run: Annotated[Path | None, typer.Option(help="Run directory to grade again.")] = None,
    compare: Annotated[
        str | None,
        typer.Option(
            help="Show which verdicts change under another verifier (official) or another extraction (lenient). "
            "Nothing is stored."
        ),
    ] = None,
    extraction: Annotated[
        Extraction | None,
        typer.Option(help="With --run: store the verdicts of this extraction beside the existing ones."),
    ] = None,
    regrade_errors: Annotated[
        bool,
        typer.Option("--regrade-errors", help="With --run: verify again only the rollouts whose verification failed."),
    ] = False,
    verifier_timeout: VerifierTimeout = 5.0,
) -> None:
    """Check a verifier before any model runs, or grade a stored run again and show which verdicts change."""
    from s2l_lab.cli import verify as command

    command.run(
        benchmark=benchmark,
        data_root=data_root,
        run_directory=run,
        compare=compare,
        extraction=None if extraction is None else extraction.value,
        regrade_errors=regrade_errors,
        verifier_timeout=verifier_timeout,
    )


@app.command("plan-power")
def plan_power(
    gain: Annotated[float, typer.Option(help="Difference in pass@k to detect, for example 0.05.")],
    k: Annotated[int, typer.Option(help="The k of pass@k.")] = 1,
    claim: Annotated[
        ClaimKind,
        typer.Option(
            help="What is compared: two training methods (training; seeds crossed with problems), or two policies "
            "(run)."
        ),
    ] = ClaimKind.training,
    seeds: Annotated[
        list[int] | None,
        typer.Option(help="Number of training runs per method. Repeat for more. [default: 5, 10, 20]"),
    ] = None,
    problems: Annotated[
        list[int] | None,
        typer.Option(help="Number of problems. Repeat for more. [default: 30, 100, 300, 1000]"),
    ] = None,
    rollouts: Annotated[
        list[int] | None,
        typer.Option(
            "-n",
            "--rollouts",
            help="Number of rollouts per problem (N). Repeat for more. [default: 16, 64, 256]",
        ),
    ] = None,
    power: Annotated[float, typer.Option(help="Requested power: the chance to detect the gain if it is true.")] = 0.8,
    level: Annotated[float, typer.Option(help="Confidence level of the interval that has to lie above 0.")] = 0.95,
    rates: Annotated[
        str | None,
        typer.Option(
            metavar="DISTRIBUTION",
            help="Assumed distribution of solve rates, as in scripted:DISTRIBUTION. [default: beta(0.3,1)]",
        ),
    ] = None,
    problem_sd: Annotated[
        float | None,
        typer.Option(help="Assumed standard deviation of the gain between problems, in logits. [default: 0.3]"),
    ] = None,
    seed_sd: Annotated[
        float | None,
        typer.Option(help="Assumed standard deviation of the gain between training runs, in logits. [default: 0.15]"),
    ] = None,
    run_sd: Annotated[
        float | None,
        typer.Option(
            help="Assumed standard deviation of the interaction of training run and problem, in logits. [default: 0.3]"
        ),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH[:NAME]",
            help="Pilot of the baseline, from which the spreads are measured: counts (JSONL of id, n, c), a run with "
            "the name of a policy, or a training run with the name of a benchmark. Repeat for further training runs.",
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH[:NAME]", help="Pilot of the other method, in the same order as --baseline."),
    ] = None,
    cluster_size: Annotated[float, typer.Option(help="Number of problems made from one template.")] = 1,
    cluster_correlation: Annotated[
        float, typer.Option(help="Correlation of the gains within a template, from 0 to 1.")
    ] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Plan an experiment: the power to detect a gain in pass@k for numbers of seeds, problems and rollouts."""
    from s2l_lab.cli import plan_power as command
    from s2l_lab.estimators.power import Clusters

    command.run(
        command.PowerRequest(
            gain=gain,
            k=k,
            claim=claim.value,
            seeds=seeds,
            problems=problems,
            rollouts=rollouts,
            power=power,
            level=level,
            clusters=Clusters(cluster_size, cluster_correlation),
            assumed=_given(rates=rates, problem_sd=problem_sd, seed_sd=seed_sd, run_sd=run_sd),
            baseline=baseline or (),
            method=method or (),
        ),
        as_json_text=json,
    )


@app.command()
def runs(directory: Annotated[Path, typer.Argument(help="Directory that contains the runs.")] = Path("runs")) -> None:
    """List the run directories below a directory."""
    from s2l_lab.cli import runs as command

    command.run(directory)


@app.command()
def train(
    plan: Annotated[Path, typer.Argument(help="Training plan: a TOML file, or the plan.json of a run.")],
    changes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Settings that override the plan, for example seed=3, explorer.member=tiny-60k or "
            "evaluation.0.every=5.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run directory. [default: runs/training/DIGEST]")] = None,
    dry_run: Annotated[bool, typer.Option(help="Print the resolved plan and stop.")] = False,
) -> None:
    """Train with S2L-PO or one of its controls. The same command resumes an interrupted run."""
    from s2l_lab.cli import train as command

    command.run(plan, changes or [], out=out, dry_run=dry_run)


@app.command()
def bank(
    plan: Annotated[Path, typer.Argument(help="Training plan (TOML) whose explorer is of kind bank.")],
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Settings that override the plan, as in `s2l-lab train`."),
    ] = None,
    root: Annotated[
        Path, typer.Option(help="Directory that contains the run directories. Banks are stored beside them.")
    ] = Path("runs/training"),
) -> None:
    """Sample the explorer rollouts of a plan once, to share them between all runs that use this bank."""
    from s2l_lab.cli import train as command

    command.bank(plan, changes or [], root=root)


@app.command()
def sweep(
    plan: Annotated[
        Path,
        typer.Argument(metavar="SWEEP.toml", help="Sweep: a base plan with factors, further arms and seeds."),
    ],
    workers: Annotated[
        int | None,
        typer.Option(
            help="Number of runs at the same time, each on its own GPU or cores. [default: one per GPU; without GPUs, "
            "one per physical core]"
        ),
    ] = None,
    root: Annotated[
        Path,
        typer.Option(help="Directory that contains the run directories. Sweeps with the same root share equal runs."),
    ] = Path("runs/training"),
    dry_run: Annotated[bool, typer.Option(help="Print the arms, runs and banks, and stop.")] = False,
    status: Annotated[
        bool, typer.Option(help="Print which runs are done, running, failed and still to do, and stop.")
    ] = False,
) -> None:
    """Train every arm of a sweep with every seed. Equal runs are trained once. The same command resumes the sweep."""
    from s2l_lab.cli import sweep as command

    command.run(plan, root=root, workers=workers, dry_run=dry_run, status=status)


@app.command()
def figures(
    name: Annotated[
        str | None, typer.Argument(help="Name of a figure, table or study. Without a name, all are listed.")
    ] = None,
    scale: Annotated[
        Scale, typer.Option(help="mini: the embedded family on a CPU. paper: the paper's models.")
    ] = Scale.mini,
    dry_run: Annotated[bool, typer.Option(help="Print the plan, and stop.")] = False,
    model_root: ModelRoot = None,
    data_root: DataRoot = None,
) -> None:
    """Reproduce a figure or table of the paper, or run a study: run what is missing, and draw it beside the paper's."""
    from s2l_lab.cli import figures as command

    command.run(name, scale=scale.value, dry_run=dry_run, model_root=model_root, data_root=data_root)


@app.command()
def dashboard(
    runs: Annotated[
        Path | None,
        typer.Option(help="Directory that contains the runs. [default: the variable S2L_LAB_RUNS, else ./runs]"),
    ] = None,
    port: Annotated[int, typer.Option(help="Port of the server.")] = 8501,
    address: Annotated[
        str, typer.Option(help="Address to listen on. With localhost, only this machine can connect.")
    ] = "localhost",
) -> None:
    """Open the explorer app in a browser: read rollouts, compare policies and runs, export. It works offline."""
    from s2l_lab.cli import dashboard as command

    command.run(runs, port, address)


@families_app.command("list")
def families_list() -> None:
    """List every family with its members."""
    from s2l_lab.cli import families as command

    command.list_families()


@families_app.command("show")
def families_show(name: Annotated[str, typer.Argument(help="Family name or file.")]) -> None:
    """Show one family: members, sizes, sources, revisions and templates."""
    from s2l_lab.cli import families as command

    command.show(name)


@families_app.command("train")
def families_train(
    name: Annotated[str, typer.Argument(help="Embedded family: tiny or tiny-rich.")],
    out: Annotated[Path, typer.Option(help="Directory for the checkpoints.")] = Path("families"),
    seed: Annotated[int, typer.Option(help="Pretraining seed.")] = 0,
) -> None:
    """Pretrain an embedded family from its recipe."""
    from s2l_lab.cli import families as command

    command.train(name, out=out, seed=seed)


def _given(**flags: object) -> dict[str, object]:
    """The flags that were given; the others come from the preset."""
    return {name: value for name, value in flags.items() if value is not None}


def run() -> None:
    """Run the command line. Errors that a user can fix become one message and an exit status."""
    from s2l_lab.errors import S2LError

    try:
        app()
    except S2LError as error:
        print(f"s2l-lab: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        print("s2l-lab: interrupted; run the same command again to continue from the stored rollouts.", file=sys.stderr)
        sys.exit(130)
