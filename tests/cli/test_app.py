"""The command line as a user meets it: real processes, exit statuses, one clear message, nothing heavy for --help."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from in_process import own_process, this_process

HEAVY = ("torch", "transformers", "trl", "vllm", "streamlit", "ray", "pandas", "scipy", "duckdb", "pydantic")
SCRIPTED = ("--policy", "a=scripted:beta(0.3,1)", "--policy", "b=scripted:point(0.5)", "--problems", "5", "-n", "8")


@pytest.mark.parametrize(
    "code", ["import s2l_lab", "from s2l_lab.cli.app import app; app(['--help'], standalone_mode=False)"]
)
def test_import_and_help_load_nothing_heavy(code: str) -> None:
    probe = f"import sys\n{code}\nprint('LOADED', *[m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "LOADED"


def test_passk_prints_tables_and_leaves_figure_and_numbers(tmp_path: Path) -> None:
    first = own_process("passk", *SCRIPTED, "--out", "run", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "pass@k on countdown" in first.stdout
    assert "n = 5 problems, N = 8 rollouts" in first.stdout
    assert max(map(len, first.stdout.splitlines())) <= 80
    written = json.loads((tmp_path / "run" / "numbers.json").read_text())
    assert written["sampled"] == 2 * 5 * 8
    assert (tmp_path / "run" / "passk.html").stat().st_size > 1_000_000

    drawn = (tmp_path / "run" / "passk.html").stat().st_mtime_ns
    second = this_process("passk", *SCRIPTED, "--out", "run", "--json", cwd=tmp_path)
    again = json.loads(second.stdout)
    assert again["sampled"] == 0
    assert again["curves"] == written["curves"]
    assert (tmp_path / "run" / "passk.html").stat().st_mtime_ns == drawn, "an unchanged figure is not drawn again"


def test_passk_shows_a_prompt_and_a_completion_of_each_policy(tmp_path: Path) -> None:
    done = this_process("passk", *SCRIPTED, "--member", "tiny-60k", "--family", "tiny", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    prompts = [line for line in lines if ", prompt of " in line]
    assert len(prompts) == len([line for line in lines if ", a completion of " in line]) == 3
    assert any(
        re.search(r"tiny-60k, prompt of \S+ \(template countdown-compact\): '[\d ]+=\d+\\n'$", p) for p in prompts
    )
    assert any(re.search(r"tiny-60k, a completion of \S+ \([\d,]+ tokens, ended\): '", line) for line in lines)
    again = this_process("passk", *SCRIPTED, "--out", "run", cwd=tmp_path)
    assert "prompt of" not in again.stderr, "nothing is sampled"


def test_a_dry_run_samples_nothing(tmp_path: Path) -> None:
    done = own_process("passk", *SCRIPTED, "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "80 of 80 rollouts are owed" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["passk", "--family", "qwen4"], 2, "unknown family 'qwen4'. Did you mean qwen3"),
        (["passk", "--family", "tiny", "--member", "tiny-60"], 2, "Did you mean tiny-60k"),
        (["passk", "--benchmark", "amie24"], 2, "Did you mean aime24"),
        (["passk", "-n", "0"], 2, "--rollouts is 0; it is a whole number from 1"),
        (["passk", "--problems", "1000000"], 2, "1 to 1,000 test problems"),
        (["passk", "--temperature", "-1"], 2, "temperature is -1.0; it is a number from 0, up to 10"),
        (["passk", "--stop", ""], 2, "an empty stop string stands in every text"),
        (["passk", "--policy", "nameless"], 2, "is not NAME=SOURCE"),
        (["passk", "--policy", "a=scripted:zeta(1)"], 2, "is not a law of solve rates"),
        (["passk", "--family", "qwen3", "--benchmark", "countdown"], 1, "4 of 4 checkpoints cannot be opened"),
        (["passk", "--benchmark", "aime24"], 1, "--data-root"),
        (["passk", "--benchmark", "nothing.jsonl"], 1, "nothing.jsonl"),
        (["figures", "fig99"], 2, "fig2"),
        (["verify"], 2, "--benchmark"),
    ],
)
def test_bad_input_gets_one_message_with_a_way_out(
    arguments: list[str], status: int, words: str, tmp_path: Path
) -> None:
    done = this_process(*arguments, cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == [], "a refused request leaves nothing behind"


def test_a_process_ends_with_the_status_and_the_message_alone(tmp_path: Path) -> None:
    done = own_process("passk", "--benchmark", "amie24", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean aime24" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
