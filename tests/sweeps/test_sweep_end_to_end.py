"""A sweep with the real `s2l-lab bank` and `s2l-lab train`: two steps of the smallest member."""

from pathlib import Path

import pytest
from sweep_files import sweep_of

from s2l_lab.sweeps import reports, run_sweep, state_of

ARM = """
[[arm]]
name = "from a bank"
change = {explorer = {kind = "bank", rollouts = 8}}
"""


@pytest.mark.slow
def test_the_real_commands_fill_a_bank_and_train_from_it(tmp_path: Path) -> None:
    """By default its two halves are held: sweeps of a small process in the place of training (test_sweep_launch), and a
    bank that is filled and trained from (tests/training/test_run)."""
    sweep = sweep_of(tmp_path, ARM, "[3]")
    said: list[str] = []
    outcome = run_sweep(sweep, root=tmp_path / "runs", workers=1, announce=said.append)
    assert outcome.exit_status == 0, "\n".join(said)
    report = reports(sweep, tmp_path / "runs")["from a bank"][3]
    (digest,) = sweep.runs
    assert (report.digest, report.steps, report.plan["training"]["seed"]) == (digest, 2, 3)
    assert report.cost.explorer.tokens > 0
    assert [evaluation.step for evaluation in report.evaluations] == [0, 2]
    assert state_of(tmp_path / "runs" / digest).condition == "done"
