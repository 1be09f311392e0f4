"""`s2l-lab families prune` as its users meet it."""

from __future__ import annotations

from pathlib import Path

import pytest
from in_process import this_process


def test_a_member_is_made_and_its_family_is_ready_to_sample(tmp_path: Path) -> None:
    healing = "--heal-steps 2 --heal-benchmark countdown --heal-problems 4 --heal-rollouts 1 --heal-max-tokens 12"
    made = this_process(
        "families", "prune", "tiny-60k", "--layers", "0", "--out", "small", *healing.split(), cwd=tmp_path
    )
    assert made.returncode == 0, made.stderr
    assert not made.stderr
    assert made.stdout.count("held-out loss") == 2
    assert "--family small/family.toml" in made.stdout
    planned = this_process(
        *["passk", "--family", "small/family.toml", "-n", "2", "--problems", "2", "--dry-run"], cwd=tmp_path
    )
    assert planned.returncode == 0, planned.stderr
    assert "small" in planned.stdout


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--layers 0 --heal-benchmark countdown", "give --heal-steps too"),
        ("--layers 0 --heal-rate 1e-3", "give --heal-steps too"),
        ("--layers 0 --heal-steps 5", "--heal-benchmark"),
        ("--layers 0 --heal-steps -5 --heal-benchmark countdown", "1 step"),
        ("--layers 1-0", "goes back"),
    ],
)
def test_flags_that_do_not_fit_are_one_line(flags: str, message: str, tmp_path: Path) -> None:
    refused = this_process("families", "prune", "tiny-60k", "--out", "small", *flags.split(), cwd=tmp_path)
    assert refused.returncode == 2
    assert message in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
