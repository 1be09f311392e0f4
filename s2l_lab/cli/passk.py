"""`s2l-lab passk`: from flags to a request, a progress bar while it runs, then tables, figure and numbers.json."""

from __future__ import annotations

import json
import math
import shlex
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from s2l_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s2l_lab.passk import Forecast, PasskReport, PasskRequest
    from s2l_lab.rollouts import Progress as Progress_
    from s2l_lab.studies.study import Watch

FIGURE = "passk"
NUMBERS = "numbers.json"
OF_THE_CALL = ("command", "sampled", "seconds")
"""Keys of numbers.json that say how a call went, not what the run holds."""


def run(
    fields: dict[str, Any],
    *,
    preset: str,
    chosen: dict[str, Any],
    fresh: bool,
    dry_run: bool,
    rate: float | None,
    as_json: bool,
) -> None:
    """Run the command. `fields` are PasskRequest's but sampling, which is the preset with `chosen` over it."""
    from rich.console import Console

    if rate is not None and not dry_run:
        raise UsageError("--rate turns FLOPs into hours before a run; give it with --dry-run.")
    request = build_request(fields, preset, chosen)
    out, err = Console(), Console(stderr=True)
    if dry_run:
        from s2l_lab.passk import forecast

        _print_forecast(forecast(request, fresh=fresh), rate, out)
        return
    report = run_with_progress(request, fresh, err)
    _deliver(report, out, err, as_json)


def build_request(fields: dict[str, Any], preset: str, chosen: dict[str, Any]) -> PasskRequest:
    """The typed request. Raises UsageError that names the flag for a value that is not allowed."""
    from pydantic import ValidationError

    from s2l_lab.cli.prompting import prompting_fields
    from s2l_lab.passk import PasskRequest
    from s2l_lab.plans import faults
    from s2l_lab.policies.families import load_family, parse_policy
    from s2l_lab.policies.presets import CARD, PRESET_TEMPLATES, card_params, sampling_params

    family = None if fields["family"] is None else load_family(fields["family"])
    values = {**({} if family is None else {"max_tokens": family.max_tokens}), **chosen}
    if preset == CARD:
        members = [] if family is None else list(family.select(fields["members"]))
        sampling = card_params([*members, *map(parse_policy, fields["policies"])], **values)
    else:
        sampling = sampling_params(preset, **values)
    fields = {**fields, **prompting_fields(fields), "preset_template": PRESET_TEMPLATES.get(preset)}
    try:
        return PasskRequest(**fields, sampling=sampling)
    except ValidationError as error:
        place, words = next(faults(error, PasskRequest, fields))
        flag = "".join(f"--{name.replace('_', '-')}" for name in map(str, place[:1]))
        raise UsageError(f"{flag}{words.removeprefix(str(place[0])) if place else words}.") from error


def run_with_progress(request: PasskRequest, fresh: bool, console: Any) -> PasskReport:
    """Run a request with a bar per policy on the console."""
    from s2l_lab.passk import run_passk

    with watching(console) as watch:
        return run_passk(
            request,
            fresh=fresh,
            command=shlex.join(["s2l-lab", *sys.argv[1:]]),
            announce=watch.announce,
            show=watch.show,
            progress=watch.progress,
        )


@contextmanager
def watching(console: Any) -> Iterator[Watch]:
    """A line on the console for what is slow, and a bar per policy (rollouts, tokens/s, time left)."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.text import Text

    from s2l_lab.studies.study import Watch

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(compact=True),
    )
    bars = Progress(*columns, console=console, transient=not console.is_terminal)
    tasks: dict[str, Any] = {}

    def show(state: Progress_) -> None:
        if not tasks:
            bars.start()
        if state.policy not in tasks:
            tasks[state.policy] = bars.add_task(state.policy, total=state.wanted, speed="")
        rate = state.tokens_per_second
        speed = f"{rate:,.0f} tokens/s" if math.isfinite(rate) else ""
        bars.update(tasks[state.policy], completed=state.kept + state.sampled, speed=speed)

    try:
        yield Watch(
            announce=lambda line: console.print(f"{line} ...", style="dim", highlight=False, soft_wrap=True),
            show=lambda line: console.print(Text(line, style="dim"), soft_wrap=True),
            progress=show,
        )
    finally:
        if tasks:
            bars.stop()


def _deliver(report: PasskReport, out: Any, err: Any, as_json: bool) -> None:
    """Print the tables (or the numbers); write figure and numbers.json into the run directory where they changed."""
    from s2l_lab.cli.tables import print_passk, silent_lines
    from s2l_lab.figures.numbers import as_json as json_text
    from s2l_lab.figures.numbers import numbers

    values = numbers(report)
    if as_json:
        print(json_text(values), end="")
        for line in silent_lines(report):
            err.print(line, style="bold red", highlight=False, markup=False, soft_wrap=True)
    else:
        print_passk(report, out)
    html, numbers_path = report.run_directory / f"{FIGURE}.html", report.run_directory / NUMBERS
    if html.is_file() and _same_numbers(numbers_path, values):
        lines = [str(html), str(numbers_path)]
    else:
        from s2l_lab.figures.passk import passk_figure
        from s2l_lab.figures.write import replace_file, write_figure

        written = write_figure(passk_figure(report), report.run_directory / FIGURE)
        # Last, since it is what says that the figure beside it is of these numbers.
        replace_file(numbers_path, json_text(values).encode())
        lines = [*map(str, written.paths), str(numbers_path), *([written.note] if written.note else [])]
    for line in lines:
        err.print(line, style="dim", highlight=False, soft_wrap=True)


def _same_numbers(path: Path, values: dict[str, Any]) -> bool:
    """Whether the file holds these numbers already, whichever call made it."""
    try:
        there = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(there, dict) and all(
        there.get(key) == value for key, value in values.items() if key not in OF_THE_CALL
    )


def _print_forecast(found: Forecast, rate: float | None, console: Any) -> None:
    """What would be sampled, by policy, and what it takes at most."""
    from s2l_lab.cli.tables import in_terminal
    from s2l_lab.figures.tables import amount, table, texts

    request, problems = found.request, found.problems
    hours = None if rate is None else found.hours(rate)
    rows = []
    for one in found.expected:
        there = "-" if one.owed is None or problems is None else f"{problems * request.rollouts - one.owed:,}"
        about = [one.engine, one.template or "by tokenizer", one.source]
        numbers = [there, "-" if one.owed is None else f"{one.owed:,}", _flops(one.flops)]
        rows.append([one.member.name, *about, *numbers])
    names = texts("policy", "engine", "template", "source")
    console.print(in_terminal(table("", [*names, "there", "owed", "FLOPs"], rows)))
    for line in found.notes:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    length = request.sampling.max_tokens
    of = "an unknown number of" if problems is None else f"{problems:,}"
    on = f"on {of} problems of {found.benchmark} at N = {request.rollouts}"
    if found.owed is None or found.wanted is None:
        lines = [
            f"Rollouts are owed {on}, each of at most {length:,} tokens; how many problems it has is not known here. "
            "Give --problems, or its file."
        ]
    else:
        lines = [f"{found.owed:,} of {found.wanted:,} rollouts are owed {on}; at most {found.owed * length:,} tokens."]
    if found.flops is not None:
        time = (
            ""
            if rate is None or hours is None
            else f", {hours:{',.0f' if hours >= 100 else '.3g'}} hours at {rate:.3g} FLOP/s"
        )
        lines.append(f"At most {_flops(found.flops)} FLOPs{time} (completions at full length, without prompts).")
    if away := [one for one in found.expected if not one.here]:
        listed = ", ".join(
            f"{one.member.name} ({amount(one.member.parameters)})" if one.member.parameters else one.member.name
            for one in away
        )
        lines.append(f"Not on this machine: {listed}. Their FLOPs are 2 a parameter and token.")
    if unknown := [one.member.name for one in found.expected if one.flops is None and one.owed is not None]:
        lines.append(f"No FLOPs are counted for {', '.join(unknown)}, whose size is not known here.")
    if not found.benchmark_here:
        lines.append(
            f"The problems of {found.benchmark} are not on this machine; what the run holds was not looked at."
        )
    lines.append(f"They go to {request.run_directory}. Nothing was sampled.")
    console.print(" ".join(lines), highlight=False, markup=False, soft_wrap=True)


def _flops(flops: float | None) -> str:
    """`3.41e+21`; a dash where it is not known."""
    return "-" if flops is None else f"{flops:.3g}"
