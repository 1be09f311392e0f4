"""What the app says beside a number holds: a shown command is one, and every figure leaves with what it rests on."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import json
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from opened_views import PASSK, RUNS, SOURCES, open_view, press, said, sample, sound
from typer.main import get_command

import s2l_lab
from s2l_lab.browse.catalog import HOW_TO_MAKE_ONE
from s2l_lab.browse.provenance import provenance
from s2l_lab.browse.store import open_store
from s2l_lab.cli.app import app as command_line
from s2l_lab.passk import PasskRequest, run_passk
from s2l_lab.studies.study import DETAILS
from s2l_lab.training.arms import group_arms, read_run
from s2l_lab.training.config import S2LPOConfig
from s2l_lab.training.plan import MAX_COMPLETION_LENGTH

PACKAGE = Path(s2l_lab.__file__).parent
SMALL: dict[str, Any] = {"run": PASSK, "embedder": "none", "problems": "12", "rollouts": "8"}
SCORED = {"score_problems": "4", "score_rollouts": "4", "policy": ["tiny-60k", "tiny-360k"]}
FAMILY = {"family.passk", "family.covertau", "family.differences", "family.solverates"}
VIEWS: list[tuple[str, dict[str, Any], str, set[str]]] = [
    ("family", {"run": PASSK}, "", FAMILY),
    ("diversity", {"part": "within", **SMALL}, "Measure", {"diversity.within.dots"}),
    ("diversity", {"part": "between", **SMALL}, "Measure", {"diversity.between.dots"}),
    ("diversity", {"part": "persistence", "run": PASSK, **SCORED}, "Score", {"diversity.persistence"}),
    ("diversity", {"part": "map", "run": PASSK}, "Make the map", {"diversity.map"}),
    ("training", {"run": RUNS[0]}, "", {"training.curves"}),
    ("training", {"run": RUNS[0], "part": "evaluations"}, "", {"training.evaluations"}),
    ("training", {"run": RUNS[0], "part": "annealing"}, "", {"training.annealing"}),
    ("training", {"run": RUNS[0], "part": "cost"}, "", {"training.cost.bars"}),
    ("paper", {"item": "fig2", "run": PASSK}, "", {"paper.fig2"}),
    ("paper", {"item": "table3", **SMALL}, "Measure", {"paper.table3"}),
    ("paper", {"item": "fig4", "run": RUNS[0]}, "", {"paper.fig4"}),
]
"""View, address, the button that measures, and the figures that stand there then."""
CARRIED = {
    "n": r"\bn = (\d+|all)\b",
    "interval": r"95 ?%|[Ww]ithout an interval|Intervals: none",
    "sampling": r"\bT \d.*top-p \d.*at most \d+ tokens",
    "hash": r"\bdata [0-9a-f]{16}\b",
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample(tmp_path_factory.mktemp("captions") / "runs")


def parsed(text: str) -> tuple[str, dict[str, Any]]:
    """Name and arguments of a command line as the package's own parser reads it. Raises where it refuses."""
    program, *words = shlex.split(text)
    assert program == "s2l-lab"
    command: Any = get_command(command_line)
    name = ""
    while hasattr(command, "commands"):
        name = words.pop(0)
        command = command.commands[name]
    return name, {} if words == ["--help"] else command.make_context(name, words).params


def shown_commands() -> Iterator[tuple[str, str]]:
    """(place, command) of every text in the app that is a command; what is filled in is X."""
    for path in (*SOURCES, *sorted((PACKAGE / "browse").glob("*.py"))):
        tree = ast.parse(path.read_text())
        pieces = {id(piece) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for piece in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                text = "".join(str(v.value) if isinstance(v, ast.Constant) else "X" for v in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in pieces:
                text = node.value
            else:
                continue
            if re.match("s2l-lab [a-z]", text):
                yield f"{path.name}:{node.lineno}", text


@pytest.mark.parametrize(("place", "text"), list(shown_commands()))
def test_a_shown_command_is_one(place: str, text: str) -> None:
    name, _ = parsed(text)
    assert name != "verify", f"{place}: it compares verifiers and stores no verdict, so it mends nothing"


def test_the_commands_are_found() -> None:
    found = {text for _, text in shown_commands()}
    assert {HOW_TO_MAKE_ONE, "s2l-lab train --help", "s2l-lab figures X", "s2l-lab dashboard --runs X"} <= found


def test_a_run_without_verdicts_shows_the_command_that_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It showed `s2l-lab verify PATH`, which is refused, and which would have stored no verdict."""
    place = sample(tmp_path / "runs")
    ledger = place / PASSK / "parts.json"
    ledger.write_text(without_verdicts(ledger.read_text()))
    view = sound(open_view(monkeypatch, place, "diversity", run=PASSK))
    assert "Nothing is verified here yet" in said(view)
    assert [code.value for code in view.code] == [provenance(open_store(place / PASSK)).again]


def without_verdicts(ledger: str) -> str:
    """The ledger as it stands before anything is verified."""
    values = json.loads(ledger)
    values["parts"] = {name: part for name, part in values["parts"].items() if not name.startswith("verdicts/")}
    return json.dumps(values)


@pytest.mark.parametrize("policies", [("tiny-60k", "tiny-2m"), ("--help", "a b'$(c)")])
def test_the_command_of_a_measurement_measures_what_was_chosen(policies: Sequence[str]) -> None:
    from s2l_lab.app.parts.diversity_measure import diversity_command

    name, values = parsed(diversity_command(Path("some runs/-x"), policies, 25, 8, "none"))
    assert name == "diversity"
    chosen = {"run": Path("some runs/-x"), "member": list(policies), "problems": 25, "rollouts": 8, "embedder": "none"}
    assert {key: values[key] for key in chosen} == chosen
    _, usual = parsed("s2l-lab diversity")
    assert {key: value for key, value in values.items() if key not in chosen} == {
        key: value for key, value in usual.items() if key not in chosen
    }


def keep_captions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What every figure is exported with from now on, by key, in one line."""
    return keep(monkeypatch, "export_figure", 2)


def keep(monkeypatch: pytest.MonkeyPatch, function: str, place: int) -> dict[str, str]:
    """The captions that a function of `export_row` gets, after the key in this place."""
    kept: dict[str, str] = {}
    names = [path.stem for path in SOURCES if path.parent.name == "parts"]
    modules = [importlib.import_module(f"s2l_lab.app.parts.{name}") for name in names]
    real = getattr(sys.modules["s2l_lab.app.parts.export_row"], function)

    def export(key: str, *given: Any, **more: Any) -> None:
        kept[key] = " ".join(given[place])
        real(key, *given, **more)

    for module in modules:
        if getattr(module, function, None) is real:
            monkeypatch.setattr(module, function, export)
    return kept


def opened(
    monkeypatch: pytest.MonkeyPatch, runs: Path, view: str, address: dict[str, Any], button: str
) -> dict[str, str]:
    kept = keep_captions(monkeypatch)
    app = sound(open_view(monkeypatch, runs, view, **address))
    if any(one.label == button for one in app.button):  # not where another test has had it measured
        sound(press(app, button))
    return kept


@pytest.mark.parametrize(("view", "address", "button", "keys"), VIEWS)
def test_every_figure_leaves_with_n_interval_sampling_and_hash(
    runs: Path, view: str, address: dict[str, Any], button: str, keys: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = opened(monkeypatch, runs, view, address, button)
    assert keys <= set(kept)
    for key, caption in kept.items():
        missing = [what for what, pattern in CARRIED.items() if not re.search(pattern, caption)]
        assert not missing, f"{key} lacks {missing}: {caption}"


def test_every_figure_of_the_app_is_in_the_table_above() -> None:
    listed = set().union(*(keys for *_, keys in VIEWS))
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "export_figure":
                (key, *_) = node.args
                values = key.values if isinstance(key, ast.JoinedStr) else [key]
                pattern = "".join(str(v.value) if isinstance(v, ast.Constant) else "*" for v in values)
                assert any(fnmatch(one, pattern) for one in listed), f"{path.name}:{node.lineno}: {pattern}"


def test_a_measurement_names_its_rollouts_and_the_switches_that_its_command_lacks(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = provenance(open_store(runs / PASSK))
    for m, correct in (("8", "2"), ("4", "3")):
        address = {"part": "within", **SMALL, "m": m, "m_correct": correct}
        caption = opened(monkeypatch, runs, "diversity", address, "Measure")["diversity.within.dots"]
        assert f"Rollouts {about.rollouts_hash}" in caption
        assert ("All rarefied to (m = 4)" in caption) == (m == "4")
        assert ("Correct rarefied to (m = 3)" in caption) == (correct == "3")
        assert ("no flag" in caption) == ((m, correct) != ("8", "2"))


def test_a_caption_is_of_the_data_that_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that grew: 9 problems, of which one policy has 6, and more rollouts of the other. It said n = 9, N = 8 to
    12 of curves that were of 6 problems at N = 8."""
    laws = {"low": "low=scripted:beta(0.3,1)", "high": "high=scripted:point(0.6)"}
    for names, problems, n in ((("low", "high"), 6, 8), (("low",), 9, 12)):
        policies = tuple(laws[name] for name in names)
        run_passk(PasskRequest(family=None, policies=policies, problems=problems, rollouts=n, out=tmp_path / "grown"))
    figures, tables = keep_captions(monkeypatch), keep(monkeypatch, "export_table", 1)
    for view, address in (("family", {}), ("paper", {"item": "fig2"}), ("compare", {})):
        sound(open_view(monkeypatch, tmp_path, view, run="grown", **address))
    curves = "n = 6 problems, N = 8 rollouts per problem and policy (the run holds 9 and 8 to 12)."
    for key in ("family.passk", "family.covertau", "family.differences", "paper.fig2"):
        assert curves in figures[key], key
    assert curves in tables["family.verdicts"]
    assert "n = 9 problems, N = 8 to 12 rollouts per problem and policy." in figures["family.solverates"]
    assert "n = 1 problem, N = 8 to 12 rollouts per problem and policy" in tables["compare.found"]
    assert "n = 6 problems, N = 8 to 12 rollouts per problem and policy" in tables["compare.solves"]
    sound(open_view(monkeypatch, tmp_path, "family", run="grown", policy=["low"]))
    assert (
        "n = 9 problems, N = 12 rollouts per problem and policy (the run holds 9 and 8 to 12)"
        in (figures["family.passk"])
    )


def test_an_evaluations_n_is_over_all_its_steps(runs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It was the first step's, "at the least", though fewer are drawn between than at the ends."""
    place = sample(tmp_path / "runs")
    for name in RUNS:
        path = place / name / "report.json"
        report = json.loads(path.read_bytes())
        between = report["evaluations"][1]
        between["total"] = [4] * len(between["total"])
        between["correct"] = [min(4, c) for c in between["correct"]]
        other = report["evaluations"][0] | {"benchmark": "another", "problem_ids": ["p"], "correct": [0], "total": [3]}
        report["evaluations"].append(other | {"unknown": [0]})
        path.write_text(json.dumps(report))
    address = {"run": RUNS[0], "part": "evaluations", "benchmark": "countdown"}
    caption = opened(monkeypatch, place, "training", address, "")["training.evaluations"]
    assert "n = 12 problems, N = 4 to 8 rollouts of each" in caption
    assert "another" not in caption


def test_a_training_caption_has_the_hashes_of_its_stores(runs: Path) -> None:
    from s2l_lab.app.parts.training_caption import arms_caption

    found = [read_run(runs / name) for name in RUNS]
    caption = " ".join(arms_caption(group_arms(found), "none"))
    for name in RUNS:
        for store in ("rollouts", "evaluation-countdown"):
            about = provenance(open_store(runs / name / store))
            assert about.rollouts_hash in caption
            assert f"data {about.data_hash}" in caption
    assert "n = 16 problems, G = 4, seeds " in caption
    assert "sampling T 1, top-p 1, explorer T 1, top-p 1, at most 64 tokens; plans " in caption
    assert "countdown: n = 12 problems, N = 8 rollouts of each." in caption
    assert "countdown: sampling T 1, top-p 1, at most 64 tokens, seed 0; problems " in caption
    assert "not recorded" not in caption


def test_what_a_training_run_did_not_record_is_said(tmp_path: Path) -> None:
    from s2l_lab.app.parts.training_caption import arms_caption

    place = sample(tmp_path / "runs") / RUNS[0]
    (place / "rollouts" / "parts.json").unlink()
    run = read_run(place)
    training = {name: value for name, value in run.plan.training.items() if name != "max_completion_length"}
    run = dataclasses.replace(run, plan=run.plan.model_copy(update={"training": training}))
    caption = arms_caption(group_arms([run]), "none")
    assert "verifier not recorded; data not recorded; rollouts not recorded" in caption[-1]
    assert f"at most {MAX_COMPLETION_LENGTH} tokens" in caption[-1]
    assert caption[-1].startswith(DETAILS)
    (usual,) = [field.default for field in dataclasses.fields(S2LPOConfig) if field.name == "max_completion_length"]
    assert usual == MAX_COMPLETION_LENGTH
