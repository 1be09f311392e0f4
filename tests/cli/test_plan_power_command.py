"""`s2l-lab plan-power` as a user sees it: the table, the JSON, pilots of every kind, and a message for every slip."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from s2l_lab.cli.app import app
from s2l_lab.cli.pilot import read_counts
from s2l_lab.errors import DataError, S2LError, UsageError
from s2l_lab.estimators import pilot_components


def plan(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["plan-power", *map(str, arguments)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def values(*arguments: object) -> dict:
    return json.loads(plan(*arguments, "--json"))


def write_counts(path: Path, seed: int, lift: float = 0.0, problems: int = 60, n: int = 32) -> Path:
    rng = np.random.default_rng(seed)
    logit = np.random.default_rng(0).normal(-1, 2, problems) + rng.normal(0, 0.3) + lift
    correct = rng.binomial(n, 1 / (1 + np.exp(-logit)))
    rows = [{"id": f"p{i}", "n": n, "c": int(c)} for i, c in enumerate(correct)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_table_names_assumptions_power_and_the_cheapest_design() -> None:
    out = plan("--gain", 0.05, "--k", 8)
    assert "A gain of .050 in pass@8 between two ways of training, shown where its 95% interval lies above 0" in out
    assert "solve rates beta(0.3,1) (pass@8 .530 without the gain)" in out
    assert "10 seeds" in out
    assert "Cheapest (fewest training runs, then rollouts): 10 seeds of each method, 100 problems, N = 16" in out
    assert "Fewer than 10 seeds are a smoke result" in out
    table = out.split("smallest gain shown")[1].split("Cheapest")[0]
    assert max(map(len, table.splitlines())) <= 80


def test_json_says_what_the_table_says() -> None:
    seen = values("--gain", 0.05, "--k", 8, "--seeds", 5, "--seeds", 12, "--problems", 100, "-n", 16)
    assert [(one["seeds"], one["problems"], one["rollouts"]) for one in seen["designs"]] == [
        (5, 100, 16),
        (12, 100, 16),
    ]
    assert seen["cheapest"]["seeds"] == 12
    assert seen["cheapest"]["total_rollouts"] == 2 * 12 * 100 * 16
    assert 0.7 < seen["designs"][0]["power"] < seen["designs"][1]["power"]
    assert seen["components"]["rollout_sd"].keys() == {"16"}


def test_nothing_in_reach_says_what_to_enlarge() -> None:
    out = plan("--gain", 0.01, "--k", 8, "--problems", 30, "-n", 16)
    assert "No design with ten seeds or more of this grid reaches power .80" in out
    assert "Ask for larger --seeds, --problems or --rollouts" in out
    assert values("--gain", 0.01, "--k", 8, "--problems", 30, "-n", 16)["cheapest"] is None


def test_two_policies_need_no_seeds_and_clusters_cost() -> None:
    plain = values("--gain", 0.05, "--claim", "run", "--problems", 100, "-n", 16)
    assert [one["seeds"] for one in plain["designs"]] == [1]
    grouped = ("--cluster-size", 5, "--cluster-correlation", 0.5)
    costly = values("--gain", 0.05, "--claim", "run", "--problems", 100, "-n", 16, *grouped)
    assert costly["designs"][0]["power"] < plain["designs"][0]["power"]
    assert "design effect 3.00" in plan("--gain", 0.05, "--claim", "run", *grouped)


def test_a_pilot_of_counts_measures_the_spreads(tmp_path: Path) -> None:
    a = [write_counts(tmp_path / f"a{s}.jsonl", s) for s in range(3)]
    b = [write_counts(tmp_path / f"b{s}.jsonl", 10 + s, lift=0.4) for s in range(3)]
    pairs = [part for x, y in zip(a, b, strict=True) for part in ("--baseline", x, "--method", y)]
    seen = values("--gain", 0.05, "--k", 4, "--seeds", 10, "--problems", 100, "-n", 16, *pairs)
    assert seen["components"]["source"] == "estimated from 3 pairs of runs on 60 problems"
    counts = [[read_counts(str(one)) for one in side] for side in (a, b)]
    tables = [(np.stack([c.correct_P for c in side]), np.stack([c.total_P for c in side])) for side in counts]
    assert seen["components"]["seed_sd"] == pytest.approx(np.sqrt(pilot_components(*tables, 4).seed))
    with pytest.raises(UsageError, match="claim run"):
        plan("--gain", 0.05, "--baseline", a[0], "--method", b[0])
    assert "1 pair of runs" in plan("--gain", 0.05, "--claim", "run", "--baseline", a[0], "--method", b[0])


def test_a_pilot_of_a_stored_run_names_its_policies(tmp_path: Path) -> None:
    run = tmp_path / "run"
    scripted = ("--policy", "a=scripted:beta(0.3,1)", "--policy", "b=scripted:beta(0.5,1)")
    done = CliRunner().invoke(app, ["passk", *scripted, "--problems", "20", "-n", "8", "--out", str(run), "--json"])
    assert done.exit_code == 0, done.output
    out = plan("--gain", 0.1, "--k", 4, "--claim", "run", "--baseline", f"{run}:a", "--method", f"{run}:b")
    assert "estimated from 1 pair of runs on 20 problems" in out
    assert read_counts(f"{run}:a").total_P.tolist() == [8] * 20
    with pytest.raises(UsageError, match=r"2 policies: a, b. Say which, as .*run:a"):
        read_counts(str(run))
    with pytest.raises(UsageError, match=r"unknown policy of .*'c'"):
        read_counts(f"{run}:c")


def test_files_that_are_no_counts(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    for text, says in (
        ("{}\n", "line 1: a line of counts is"),
        ("[1]\n", "line 1"),
        ("no json\n", "line 1"),
        ('{"id": 1, "n": 4, "c": 5}\n', "5 correct of 4"),
        ('{"id": 1, "n": 4, "c": 0.5}\n', "must hold integers"),
        ('{"id": 1, "n": 4, "c": null}\n', "must hold integers"),
        ('{"id": 1, "n": 4, "c": 1}\n{"id": 1, "n": 4, "c": 1}\n', "stands twice"),
        ("", "no problem was given"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=says):
            read_counts(str(path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(S2LError):
        read_counts(str(tmp_path / "empty"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--gain", "5"], "--gain 5: a gain is a difference in pass@k"),
        (["--gain", "-0.1"], "above 0 and below 1"),
        (["--gain", "0.9", "--k", "8"], "out of reach: these problems' pass@8 is 0.530"),
        (["--gain", "0.05", "--k", "0"], "k = 0 was asked"),
        (["--gain", "0.05", "--k", "16", "-n", "8"], "N is at least k"),
        (["--gain", "0.05", "--seeds", "1"], "two seeds at least"),
        (["--gain", "0.05", "--claim", "run", "--seeds", "3"], "--seeds are for --claim training"),
        (["--gain", "0.05", "--power", "80"], "power = 80"),
        (["--gain", "0.05", "--level", "95"], "Did you mean 0.95"),
        (["--gain", "0.05", "--rates", "zeta(1)"], "is not a law of solve rates"),
        (["--gain", "0.05", "--seed-sd", "-1"], "seed spread of -1"),
        (["--gain", "0.05", "--cluster-size", "0.5"], "1 problem or more"),
        (["--gain", "0.05", "--baseline", "nowhere", "--method", "nope"], "there is no nowhere"),
        (["--gain", "0.05", "--baseline", "nowhere"], "given: 1 and 0"),
        (["--gain", "0.05", "--baseline", "a", "--method", "b", "--rates", "point(0.5)"], "leave --rates"),
    ],
)
def test_bad_input_gets_one_message_with_a_way_out(arguments: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=re.escape(says)):
        plan(*arguments)
