"""`s2l-lab diversity` as a user meets it: tables, one page, numbers; and what it says to bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from in_process import this_process

SMALL = ("--family", "tiny", "--member", "tiny-60k", "--member", "tiny-360k", "--problems", "3", "-n", "4")
OF_THE_CALL = ("command", "seconds")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run with the default embedder, and what was printed."""
    folder = tmp_path_factory.mktemp("diversity")
    done = this_process("diversity", *SMALL, "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_it_prints_what_each_question_found_with_n_and_provenance(made: tuple[Path, str]) -> None:
    _, printed = made
    assert "within each policy, all rollouts (m = 4, n = 3)" in printed
    assert "what each policy adds to tiny-360k" in printed
    assert "split halves" in printed
    assert "embeddings by minilm" in " ".join(printed.split())
    assert "100.0% of their tokens embedded" in " ".join(printed.split())
    assert max(map(len, printed.splitlines())) <= 80


def test_it_leaves_one_page_a_figure_and_the_numbers(made: tuple[Path, str]) -> None:
    folder, _ = made
    out = folder / "run" / "diversity"
    assert {path.name for path in out.iterdir()} >= {"report.html", "diversity.html", "numbers.json"}
    values = json.loads((out / "numbers.json").read_text())
    assert values["embedding"]["share"] == 1.0
    assert {row["policy"] for row in values["within"]} == {"tiny-60k", "tiny-360k"}
    assert {row["feature"] for row in values["between"]} == {"answers", "strategies", "embedding", "tokens"}
    assert (folder / "runs" / "embeddings").is_dir()


def test_a_stored_run_gives_the_same_numbers_and_samples_nothing(made: tuple[Path, str]) -> None:
    folder, _ = made
    first = json.loads((folder / "run" / "diversity" / "numbers.json").read_text())
    parts = sorted(path.name for path in (folder / "run" / "rollouts").iterdir())
    done = this_process("diversity", "--run", "run", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    again = json.loads(done.stdout)
    assert {k: v for k, v in again.items() if k not in OF_THE_CALL} == {
        k: v for k, v in first.items() if k not in OF_THE_CALL
    }
    assert sorted(path.name for path in (folder / "run" / "rollouts").iterdir()) == parts


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("--run", "nowhere"), 2, "there is no run here"),
        (("--run", "run", "--family", "tiny"), 2, "Give one of them"),
        (("--run", "run", "--member", "tiny-3m"), 2, "tiny-360k"),
        (("--run", "run", "-n", "9"), 2, "tiny-60k has 4"),
        (("--run", "run", "--embedder", "no-such-model"), 2, "no such directory"),
        (("--family", "tiny", "--problems", "2", "-n", "1", "--member", "tiny-60k"), 2, "needs two rollouts"),
    ],
)
def test_bad_input_gets_one_message(made: tuple[Path, str], arguments: tuple[str, ...], status: int, says: str) -> None:
    folder, _ = made
    done = this_process("diversity", *arguments, cwd=folder)
    assert done.returncode == status, done.stderr
    assert says in " ".join(done.stderr.replace("│", " ").split()), done.stderr
    assert "Traceback" not in done.stderr
