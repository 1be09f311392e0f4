"""`s2l-lab verify` as a user sees it."""

import json

import numpy as np
import pytest

from s2l_lab.cli import verify as command
from s2l_lab.errors import DataError, UsageError
from s2l_lab.policies import Completion, Draw, StopReason
from s2l_lab.problems import Problem
from s2l_lab.rollouts import Origin, RolloutStore, RunManifest, verify_unverified, verify_with
from s2l_lab.verifiers import Outcome, Verdict, VerifierPool, verifier_version


@pytest.fixture
def data_root(tmp_path):
    rows = [{"question": "a", "answer": r"\frac{1}{2}"}, {"question": "b", "answer": "{"}]
    (tmp_path / "math500.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_gold_answers_of_a_benchmark(data_root, capsys):
    with pytest.raises(DataError, match="1 of 2 gold answers cannot be read by math-"):
        command.run(benchmark="math500", data_root=data_root, run_directory=None, compare="official")
    out = capsys.readouterr().out
    assert "math500: 2 problems" in out
    assert r"\boxed{gold} accepted: 1 of 2 (50.0 %)" in out
    assert "no_answer  gold {" in out
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
    with pytest.raises(UsageError, match="give --run DIR"):
        call(benchmark="countdown", extraction="lenient")
    with pytest.raises(UsageError, match="give --run DIR"):
        call(benchmark="countdown", regrade_errors=True)
    with pytest.raises(UsageError, match="--compare stores nothing"):
        call(run_directory=tmp_path, compare="official", extraction="lenient")
    with pytest.raises(UsageError, match="Did you mean lenient"):
        call(run_directory=tmp_path, compare="leniant")
    with pytest.raises(UsageError, match="positive number of seconds"):
        call(run_directory=tmp_path, compare="lenient", verifier_timeout=-1)
    with pytest.raises(UsageError, match="Did you mean official"):
        call(run_directory=tmp_path, compare="oficial")
    with pytest.raises(DataError):
        call(run_directory=tmp_path / "nowhere", compare="official")


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_time_limit_that_is_none_is_refused_before_anything_else(tmp_path, seconds):
    for asked in ({"regrade_errors": True}, {"extraction": "strict"}, {"compare": "official"}):
        with pytest.raises(UsageError, match="positive number of seconds"):
            verify(tmp_path, verifier_timeout=seconds, **asked)


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


PROBLEM = Problem.make("half of 24?", "12", "math", "test", {})
TEXTS = [
    r"\boxed{12}",
    "The answer is 12.",
    "We get\n**12**",
    r"\boxed{\sum_{n=1}^{10^{9}} \sin(n^{2})}",
    "I do not know",
    "The answer is 13.",
]
STRICT, LENIENT = verifier_version("math"), verifier_version("math", "lenient")


@pytest.fixture
def run(tmp_path):
    """A run of one policy on one problem, without a verdict."""
    path = tmp_path / "run"
    manifest = RunManifest.of_this_process({"a": 1}, device="cpu", seeds={"run": 0}, verifier_version=STRICT)
    one = np.array([1], dtype=np.int32), np.array([-0.5], dtype=np.float32)
    with RolloutStore.open(path, manifest, identity={"b": 2}) as store:
        store.add_problems([PROBLEM])
        draws = [
            Draw(PROBLEM.id, i, Completion(text, *one, None, None, StopReason.EOS, 3)) for i, text in enumerate(TEXTS)
        ]
        store.append(draws, Origin("small", "digest", "sampling"))
    return path


def verify(run_directory, **given):
    command.run(benchmark=None, data_root=None, run_directory=run_directory, **{"compare": None} | given)


def outcomes(run, version):
    with RolloutStore(run) as store:
        rows = store.read(["sample_index", "outcome", "detail"], version=version).to_pylist()
    return [row["outcome"] for row in rows], [row["detail"] for row in rows]


CORRECT, WRONG, NONE, ERROR = Outcome.CORRECT, Outcome.INCORRECT, Outcome.NO_ANSWER, Outcome.VERIFIER_ERROR


def test_an_extraction_is_stored_beside_the_others_and_set_beside_them(run, capsys):
    verify(run, extraction="strict", verifier_timeout=0.5)
    assert outcomes(run, STRICT)[0] == [CORRECT, NONE, NONE, ERROR, NONE, NONE]
    assert outcomes(run, STRICT)[1][3] == "no verdict in 0.5 s of computing"
    out = " ".join(capsys.readouterr().out.split())
    assert f"6 rollouts were verified by {STRICT}" in out
    assert "WARNING: 67% of small's 6 rollouts have no answer" in out
    assert f"s2l-lab verify --run {run} --extraction lenient" in out
    verify(run, extraction="lenient", verifier_timeout=0.5)
    assert outcomes(run, LENIENT)[0] == [CORRECT, CORRECT, CORRECT, ERROR, NONE, WRONG]
    assert outcomes(run, STRICT)[0] == [CORRECT, NONE, NONE, ERROR, NONE, NONE]
    out = " ".join(capsys.readouterr().out.split())
    assert f"before:{STRICT}after:{LENIENT}" in out.replace(" ", "")  # broken where the terminal ends
    assert "2 become correct, 0 no longer are" in out
    assert "WARNING" not in out
    with RolloutStore(run) as store:
        assert store.verifier_versions == [LENIENT, STRICT]  # the last counts where none is chosen
        assert store.config == {"a": 1}


@pytest.mark.parametrize(
    ("other", "gained"),
    [
        ("lenient", 2),
        pytest.param("strict", 0, marks=pytest.mark.slow),
        pytest.param("official", 2, marks=pytest.mark.slow),
    ],
)
def test_what_flips_is_shown_and_nothing_is_stored(run, capsys, other, gained):
    verify(run, extraction="strict", verifier_timeout=0.5)
    capsys.readouterr()
    verify(run, compare=other, verifier_timeout=0.5)
    out = capsys.readouterr().out
    assert f"{gained} become correct, 0 no longer are" in out
    with RolloutStore(run) as store:
        assert store.verifier_versions == [STRICT]


def test_errors_alone_are_verified_again(run, capsys):
    died = Verdict(ERROR, None, None, "the maths worker died (SIGKILL)")
    with RolloutStore.reopen(run, STRICT) as store, VerifierPool(1, seconds=0.5) as pool:

        def spoiled(pairs):
            verdicts = zip(pairs, verify_with(pool)(pairs), strict=True)
            return [died if "answer is" in c.text or v.outcome is CORRECT else v for (_, c), v in verdicts]

        verify_unverified(store, spoiled, STRICT)
    assert outcomes(run, STRICT)[0] == [ERROR, ERROR, NONE, ERROR, NONE, ERROR]
    verify(run, regrade_errors=True, verifier_timeout=0.5)
    assert outcomes(run, STRICT)[0] == [CORRECT, NONE, NONE, ERROR, NONE, NONE]
    out = " ".join(capsys.readouterr().out.split())
    assert "4 rollouts without a verdict were verified again" in out
    assert "3 have one now" in out
    assert "1 still have none: no verdict in 0.5 s of computing" in out
    verify(run, regrade_errors=True, verifier_timeout=0.25)  # the time matters, and the cause is kept up to date
    assert outcomes(run, STRICT)[1][3] == "no verdict in 0.25 s of computing"


def test_a_run_without_errors_or_without_verdicts_says_so(run, capsys):
    with pytest.raises(DataError, match=r"no verdicts of math-.*Give --extraction strict"):
        verify(run, regrade_errors=True)
    with RolloutStore.reopen(run, STRICT) as store:
        verify_unverified(store, lambda pairs: [Verdict(WRONG, "5", "5") for _ in pairs], STRICT)
    verify(run, regrade_errors=True)
    assert "nothing was verified again" in capsys.readouterr().out
