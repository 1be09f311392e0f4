"""A run with a damaged part: the part is named, by whoever cannot go on without it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from s2l_lab.errors import UsageError
from s2l_lab.studies.diversity import diversity_of_run

RUN = Path(__file__).parents[2] / "apps" / "sample" / "passk-tiny-countdown"


def test_a_study_that_lacks_the_verdicts_of_a_damaged_part_names_the_part(tmp_path: Path) -> None:
    run = shutil.copytree(RUN, tmp_path / "run")
    part = min((run / "verdicts").rglob("*.parquet"))
    part.write_bytes(bytes(part.stat().st_size))
    with pytest.raises(UsageError, match=rf"Damaged and left out: verdicts/.*{part.name}\. Finish the run"):
        diversity_of_run(run, embedder="none")


def test_a_study_that_lacks_rollouts_for_another_reason_names_no_part(tmp_path: Path) -> None:
    run = shutil.copytree(RUN, tmp_path / "run")
    with pytest.raises(UsageError, match=r"of some problem\. Finish the run"):
        diversity_of_run(run, n=1000, embedder="none")
