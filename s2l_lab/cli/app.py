"""The commands and their flags. Nothing heavy is imported here, so that `--help` is instant.

Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted (what was sampled is kept).
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
    Temperature,
    TopP,
    Unknown,
    VerifierTimeout,
)

app = typer.Typer(
    name="s2l-lab",
    help="pass@k curves, diversity and S2L-PO over model families, every number with its interval.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # rich costs a third of a second at every --help
    pretty_exceptions_enable=False,
)
families_app = typer.Typer(
    help="The model families that are known by name.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(families_app, name="families")


@app.command()
def passk(
    family: Annotated[
        str | None, typer.Option(help="Family name (see `s2l-lab families list`) or a family file. [default: tiny]")
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=SOURCE", help="Add a policy: a directory, hub id, http(s) endpoint or scripted:SPEC."
        ),
    ] = None,
    member: Annotated[list[str] | None, typer.Option(help="Run only this member of the family (repeatable).")] = None,
    benchmark: BenchmarkName = "countdown",
    data_root: DataRoot = None,
    rollouts: Annotated[int, typer.Option("-n", "--rollouts", help="N, rollouts per problem.")] = 64,
    problems: Annotated[int | None, typer.Option(help="Only the first so many problems. [countdown: 100]")] = None,
    preset: SamplingPreset = Preset.default,
    temperature: Temperature = None,
    top_p: TopP = None,
    top_k: Annotated[int | None, typer.Option(help="0 keeps all. [preset default: 0]")] = None,
    min_p: Annotated[float | None, typer.Option(help="[default: 0]")] = None,
    presence_penalty: Annotated[float | None, typer.Option(help="[preset default: 0]")] = None,
    max_tokens: MaxTokens = None,
    stop: Annotated[list[str] | None, typer.Option(help="Stop string (repeatable).")] = None,
    seed: RunSeed = 0,
    template: PromptTemplate = None,
    engine: EngineName = Engine.auto,
    dtype: Annotated[Dtype, typer.Option(help="Precision.")] = Dtype.auto,
    tensor_parallel: Annotated[int, typer.Option(help="GPUs per model (vLLM).")] = 1,
    max_model_len: Annotated[int | None, typer.Option(help="Context length (vLLM). [the model's]")] = None,
    model_root: ModelRoot = None,
    trust_remote_code: Annotated[bool, typer.Option(help="Run code that a checkpoint ships.")] = False,
    interval: Annotated[
        Interval, typer.Option(help="Interval: these problems, or problems like these.")
    ] = Interval.rollouts,
    extraction: Annotated[
        Extraction, typer.Option(help="Where answers are looked for; lenient verdicts are kept beside the strict ones.")
    ] = Extraction.strict,
    verifier_timeout: VerifierTimeout = 5.0,
    unknown: Annotated[Unknown, typer.Option(help="Rollouts without a verdict: bounds, or left out.")] = Unknown.bounds,
    out: RunDirectory = None,
    accept_repeats: Annotated[
        bool, typer.Option("--accept-repeats", help="Report rollouts that cannot be independent draws all the same.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh/--resume", help="Move an old run aside / go on with it.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Say what would be sampled, and stop.")] = False,
    json: AsJson = False,
) -> None:
    """Sample, verify and draw pass@k curves of a model family, with intervals and crossings."""
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
        Path | None, typer.Option(help="A run directory; nothing is sampled. Else --family or --policy.")
    ] = None,
    family: Annotated[str | None, typer.Option(help="Family name or file, sampled first. [default: tiny]")] = None,
    policy: Annotated[
        list[str] | None, typer.Option(metavar="NAME=SOURCE", help="Add a policy, as in `s2l-lab passk`.")
    ] = None,
    member: Annotated[list[str] | None, typer.Option(help="Only this member or policy (repeatable).")] = None,
    benchmark: BenchmarkName = "countdown",
    data_root: DataRoot = None,
    rollouts: Annotated[
        int | None, typer.Option("-n", "--rollouts", help="N, rollouts per problem. [64; with --run: all]")
    ] = None,
    problems: Annotated[int | None, typer.Option(help="Only the first so many problems.")] = None,
    preset: SamplingPreset = Preset.default,
    temperature: Temperature = None,
    top_p: TopP = None,
    max_tokens: MaxTokens = None,
    seed: RunSeed = 0,
    template: PromptTemplate = None,
    engine: EngineName = Engine.auto,
    model_root: ModelRoot = None,
    embedder: Annotated[
        str, typer.Option(help="Sentence embedder: minilm (offline), a directory, a hub id, or none.")
    ] = "minilm",
    out: RunDirectory = None,
    json: AsJson = False,
) -> None:
    """Measure how diverse each policy's rollouts are, and what each adds to the largest, with intervals and nulls."""
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
        str | None, typer.Option(help="Grade every gold answer of this benchmark against itself.")
    ] = None,
    data_root: DataRoot = None,
    run: Annotated[Path | None, typer.Option(help="A run directory to grade again.")] = None,
    compare: Annotated[
        str | None, typer.Option(help="What flips under another verifier, as `official`, or extraction, as `lenient`.")
    ] = None,
    extraction: Annotated[
        Extraction | None,
        typer.Option(help="With --run: store the verdicts of this extraction beside those that are there."),
    ] = None,
    regrade_errors: Annotated[
        bool, typer.Option("--regrade-errors", help="With --run: verify again only what has no verdict (errors).")
    ] = False,
    verifier_timeout: VerifierTimeout = 5.0,
) -> None:
    """Check a verifier before any model runs, or grade a stored run with another one and show what flips."""
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
    gain: Annotated[float, typer.Option(help="Difference in pass@k that is to be shown, as 0.05.")],
    k: Annotated[int, typer.Option(help="k of pass@k.")] = 1,
    claim: Annotated[
        ClaimKind, typer.Option(help="About two ways of training (seeds crossed with problems), or two policies.")
    ] = ClaimKind.training,
    seeds: Annotated[
        list[int] | None, typer.Option(help="Training runs of each method (repeatable). [5, 10, 20]")
    ] = None,
    problems: Annotated[list[int] | None, typer.Option(help="Problems (repeatable). [30, 100, 300, 1000]")] = None,
    rollouts: Annotated[
        list[int] | None, typer.Option("-n", "--rollouts", help="N, rollouts per problem (repeatable). [16, 64, 256]")
    ] = None,
    power: Annotated[float, typer.Option(help="Wanted chance to show the gain.")] = 0.8,
    level: Annotated[float, typer.Option(help="Coverage of the interval that shows it.")] = 0.95,
    rates: Annotated[
        str | None, typer.Option(metavar="LAW", help="Assumed solve rates, as in scripted:LAW. [beta(0.3,1)]")
    ] = None,
    problem_sd: Annotated[
        float | None, typer.Option(help="Assumed spread of the gain by problem, logits. [0.3]")
    ] = None,
    seed_sd: Annotated[float | None, typer.Option(help="By training run, logits. [0.15]")] = None,
    run_sd: Annotated[float | None, typer.Option(help="By run and problem beyond both, logits. [0.3]")] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH[:NAME]",
            help="Measure the spreads: counts (JSONL of id, n, c), a run with its policy, a training run with its "
            "benchmark. Repeat for further training runs.",
        ),
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(metavar="PATH[:NAME]", help="The same of the other method, in the same order.")
    ] = None,
    cluster_size: Annotated[float, typer.Option(help="Problems of one template.")] = 1,
    cluster_correlation: Annotated[float, typer.Option(help="Correlation of their gains, 0 to 1.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Plan seeds, problems and rollouts: what power does a design have to show a gain in pass@k?"""
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
def runs(directory: Annotated[Path, typer.Argument(help="Where the runs are.")] = Path("runs")) -> None:
    """List the run directories below a directory."""
    from s2l_lab.cli import runs as command

    command.run(directory)


@app.command()
def train(
    plan: Annotated[Path, typer.Argument(help="TOML file of a training plan, or a run's plan.json.")],
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Changes: seed=3, explorer.member=tiny-60k, evaluation.0.every=5."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run directory. [default: runs/training/DIGEST]")] = None,
    dry_run: Annotated[bool, typer.Option(help="Print the resolved plan and stop.")] = False,
) -> None:
    """Train with S2L-PO or one of its controls; the same command resumes an interrupted run."""
    from s2l_lab.cli import train as command

    command.run(plan, changes or [], out=out, dry_run=dry_run)


@app.command()
def bank(
    plan: Annotated[Path, typer.Argument(help="TOML file of a training plan whose explorer is of kind bank.")],
    changes: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Changes, as in train.")] = None,
    root: Annotated[Path, typer.Option(help="Where the run directories are; banks lie beside them.")] = Path(
        "runs/training"
    ),
) -> None:
    """Sample the explorer rollouts of a plan once, for every run that draws from them."""
    from s2l_lab.cli import train as command

    command.bank(plan, changes or [], root=root)


@app.command()
def sweep(
    plan: Annotated[Path, typer.Argument(metavar="SWEEP.toml", help="Base plan, factors, further arms and seeds.")],
    workers: Annotated[
        int | None,
        typer.Option(help="Runs at once, each on a GPU or cores of its own. [default: GPUs, else cores]"),
    ] = None,
    root: Annotated[Path, typer.Option(help="Where the run directories are; sweeps that share runs share it.")] = Path(
        "runs/training"
    ),
    dry_run: Annotated[bool, typer.Option(help="Print arms, runs and banks, and stop.")] = False,
    status: Annotated[bool, typer.Option(help="Print what is done, running, failed and owed, and stop.")] = False,
) -> None:
    """Train every arm of a sweep with every seed, each distinct run once; the same command resumes it."""
    from s2l_lab.cli import sweep as command

    command.run(plan, root=root, workers=workers, dry_run=dry_run, status=status)


@app.command()
def figures(
    name: Annotated[str | None, typer.Argument(help="A figure, table or study; left out, all are listed.")] = None,
    scale: Annotated[Scale, typer.Option(help="mini: embedded family, CPU. paper: the paper's models.")] = Scale.mini,
    dry_run: Annotated[bool, typer.Option(help="Print the plan and stop.")] = False,
    model_root: ModelRoot = None,
    data_root: DataRoot = None,
) -> None:
    """Re-make a figure of the paper: plan, run what is missing, draw ours beside the paper's."""
    from s2l_lab.cli import figures as command

    command.run(name, scale=scale.value, dry_run=dry_run, model_root=model_root, data_root=data_root)


@app.command()
def dashboard(
    runs: Annotated[Path | None, typer.Option(help="Runs directory; else S2L_LAB_RUNS, else ./runs.")] = None,
    port: Annotated[int, typer.Option(help="Port.")] = 8501,
    address: Annotated[str, typer.Option(help="Who may connect: localhost alone, unless told.")] = "localhost",
) -> None:
    """The explorer app: read rollouts, compare policies and runs, export; offline, in a browser."""
    from s2l_lab.cli import dashboard as command

    command.run(runs, port, address)


@families_app.command("list")
def families_list() -> None:
    """Every family with its members."""
    from s2l_lab.cli import families as command

    command.list_families()


@families_app.command("show")
def families_show(name: Annotated[str, typer.Argument(help="Family name or file.")]) -> None:
    """One family: members, sizes, sources, revisions, templates."""
    from s2l_lab.cli import families as command

    command.show(name)


@families_app.command("train")
def families_train(
    name: Annotated[str, typer.Argument(help="An embedded family: tiny or tiny-rich.")],
    out: Annotated[Path, typer.Option(help="Where the checkpoints go.")] = Path("families"),
    seed: Annotated[int, typer.Option(help="Pretraining seed.")] = 0,
) -> None:
    """Train an embedded family from its recipe."""
    from s2l_lab.cli import families as command

    command.train(name, out=out, seed=seed)


def _given(**flags: object) -> dict[str, object]:
    """The flags that were given; the preset speaks for the others."""
    return {name: value for name, value in flags.items() if value is not None}


def run() -> None:
    """Run the command line; turn errors that a user can mend into one message and an exit status."""
    from s2l_lab.errors import S2LError

    try:
        app()
    except S2LError as error:
        print(f"s2l-lab: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        print("s2l-lab: interrupted; the same command goes on from what is stored.", file=sys.stderr)
        sys.exit(130)
