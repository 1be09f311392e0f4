"""`s2l-lab verify` as a user sees it."""

import json

import pytest

from s2l_lab.cli import verify as command
from s2l_lab.errors import DataError, UsageError


@pytest.fixture
def data_root(tmp_path):
    rows = [{"question": "a", "answer": r"\frac{1}{2}"}, {"question": "b", "answer": "$t(0,4]$"}]
    (tmp_path / "math500.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_gold_answers_of_a_benchmark(data_root, capsys):
    command.run(benchmark="math500", data_root=data_root, run_directory=None, compare="official")
    out = capsys.readouterr().out
    assert "math500: 2 problems" in out
    assert r"\boxed{gold} accepted: 1 of 2 (50.0 %)" in out
    assert "verifier_error  gold $t(0,4]$  math-verify cannot read the gold answer" in out
    assert "official-1" in out
    assert out.count("Answer: gold accepted") == 2


def test_a_sentence_for_every_wrong_call(tmp_path):
    def call(**given):
        given = {"benchmark": None, "data_root": None, "run_directory": None, "compare": None} | given
        command.run(**given)

    with pytest.raises(UsageError, match="--benchmark NAME"):
        call()
    with pytest.raises(UsageError, match="--benchmark NAME"):
        call(benchmark="countdown", run_directory=tmp_path)
    with pytest.raises(UsageError, match="needs --compare"):
        call(run_directory=tmp_path)
    with pytest.raises(UsageError, match="Did you mean official"):
        call(run_directory=tmp_path, compare="oficial")
    with pytest.raises(DataError):
        call(run_directory=tmp_path / "nowhere", compare="official")


def test_a_models_text_has_no_effect_on_the_terminal(capsys):
    from rich.console import Console

    from s2l_lab.problems import Problem
    from s2l_lab.regrade import Flip, FlipReport, PolicyFlips
    from s2l_lab.rollouts import Origin
    from s2l_lab.verifiers import Outcome

    flip = Flip(
        problem=Problem.make("p", "[red]5[/red]", "math", "test", {}),
        index=0,
        before=Outcome.CORRECT,
        after=Outcome.INCORRECT,
        answer_before="\x1b[31m[bold]x",
        answer_after=None,
    )
    table = {(Outcome.CORRECT, Outcome.INCORRECT): 1}
    policy = PolicyFlips(Origin("[blink]\x1bsmall", "d", "s"), table, (flip,), None, None)
    command.print_flips(FlipReport("a", "b", (policy,), 2), Console(force_terminal=False, width=200))
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "[red]5[/red]" in out
    assert "[bold]x" in out
    assert "[blink]" in out
    assert "0 become correct, 1 no longer are" in out
    assert "2 rollouts have no verdict" in out
