"""The scripts of analyses/ as one function: a shipped plan, or a plan of the caller's, into a folder of its own."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from rich.console import Console

from s2l_lab.errors import S2LError
from s2l_lab.figures.experiment import load_plan, read_plan


def run_analysis(study: str, docstring: str) -> int:
    """Run a study of `study_figures.STUDIES` from the command line; the exit status. The script's docstring opens with
    its question.

    Flags: --scale mini|paper takes the shipped plan, --plan FILE one of the caller's, --out says where to.
    """
    from s2l_lab.cli.study_figures import STUDIES

    script = Path(sys.argv[0])
    parser = argparse.ArgumentParser(description=docstring.partition("\n")[0])
    parser.add_argument("--scale", choices=("mini", "paper"), default="mini", help="the shipped plan")
    parser.add_argument("--plan", type=Path, help="a plan file of your own, with the keys of the shipped ones")
    parser.add_argument("--out", type=Path, default=Path("runs") / "analyses" / script.stem, help="where results go")
    chosen = parser.parse_args()
    console = Console()
    try:
        kind = STUDIES[study].plan
        plan = load_plan(study, chosen.scale, kind) if chosen.plan is None else read_plan(chosen.plan, kind)
        command = shlex.join(["python", f"analyses/{script.name}", *sys.argv[1:]])
        written = STUDIES[study].make(plan, chosen.out, command, console)
    except S2LError as error:
        print(f"{script.name}: {error}", file=sys.stderr)
        return error.exit_status
    for line in written.lines:
        console.print(line, style="dim", soft_wrap=True, highlight=False)
    return 0
