"""What a run would take is told without a hub: what is here is counted, the rest is known by name or said."""

from __future__ import annotations

import shutil
import socket
from importlib import resources
from pathlib import Path

import pytest

from s2l_lab.cli.passk import run
from s2l_lab.errors import UsageError
from s2l_lab.estimators.compute import forward_flops
from s2l_lab.passk import PasskRequest, forecast, make_plan, run_passk
from s2l_lab.policies import SamplingParams, find_member
from s2l_lab.problems.catalog import BENCHMARKS


@pytest.fixture(autouse=True)
def _no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty hub's cache, and a machine that may not connect at all."""
    import huggingface_hub.constants as hub

    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.chdir(tmp_path)


def test_a_hub_family_on_a_hub_benchmark_is_counted_from_what_is_known() -> None:
    found = forecast(
        PasskRequest(family="qwen3", benchmark="math500", rollouts=4, sampling=SamplingParams(max_tokens=100))
    )
    members = ["qwen3-1.7b-base", "qwen3-4b-base", "qwen3-8b-base", "qwen3-14b-base"]
    assert [one.member.name for one in found.expected] == members
    assert (found.problems, found.owed, found.wanted) == (500, 4 * 500 * 4, 4 * 500 * 4)
    assert not found.benchmark_here
    for one in found.expected:
        assert not one.here
        assert one.flops == 2 * (find_member(one.member.name).parameters or 0) * 100 * 500 * 4
    assert found.flops == sum(one.flops or 0 for one in found.expected)
    assert found.hours(2e12) == pytest.approx((found.flops or 0) / 2e12 / 3600)


@pytest.mark.parametrize(("name", "problems"), [("aime24", 30), ("gsm8k", 1319), ("olympiadbench", 674)])
def test_known_benchmarks_have_their_size(name: str, problems: int) -> None:
    assert forecast(PasskRequest(family="qwen3", benchmark=name)).problems == problems
    assert forecast(PasskRequest(family="qwen3", benchmark=name, problems=7)).problems == 7
    with pytest.raises(UsageError, match=f"has {problems} problems, {problems + 1} were asked for"):
        forecast(PasskRequest(family="qwen3", benchmark=name, problems=problems + 1))


def test_every_benchmark_s_size_is_known_but_that_of_merged_repeats() -> None:
    assert {name for name, source in BENCHMARKS.items() if source.problems is None} == {"dapo17k"}


def test_an_unknown_number_of_problems_is_none() -> None:
    found = forecast(PasskRequest(family="qwen3", benchmark="dapo17k"))
    assert (found.problems, found.owed, found.wanted, found.flops, found.hours(1e15)) == (None,) * 5
    assert forecast(PasskRequest(family="qwen3", benchmark="dapo17k", problems=10, rollouts=2)).owed == 4 * 10 * 2


def test_an_unknown_size_has_no_flops_and_does_not_hide_the_others() -> None:
    found = forecast(PasskRequest(family="tiny", members=("tiny-60k",), policies=("x=org/none",), problems=3))
    known, unknown = found.expected
    assert (unknown.member.name, unknown.here, unknown.flops, unknown.template) == ("x", False, None, None)
    assert found.flops == known.flops
    assert found.owed == 2 * 3 * 64


def test_what_is_here_is_owed_as_the_plan_says_and_costs_by_its_layers(tmp_path: Path) -> None:
    asked = PasskRequest(
        family="tiny", members=("tiny-60k",), policies=("s=scripted:point(0.5)",), problems=3, rollouts=4,
        sampling=SamplingParams(max_tokens=8), out=tmp_path / "run",
    )  # fmt: skip
    for rollouts in (4, 6):
        grown = asked.model_copy(update={"rollouts": rollouts})
        found, plan = forecast(grown), make_plan(grown)
        assert [one.owed for one in found.expected] == [task.owed for task in plan.tasks]
        assert (found.owed, found.wanted) == (plan.owed, plan.wanted)
        model, script = found.expected
        shape = plan.tasks[0].shape
        assert shape is not None
        assert model.flops == plan.tasks[0].owed * forward_flops(shape, 8)
        assert script.flops is None
        run_passk(grown)
        assert forecast(grown).owed == 0
        assert forecast(grown, fresh=True).owed == found.wanted


def test_what_a_run_holds_of_weights_that_have_gone_is_not_owed_again(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    shutil.copytree(str(resources.files("s2l_lab.policies.tiny") / "tiny" / "60k"), weights)
    (tmp_path / "mine.toml").write_text(
        f'[[family]]\nname = "mine"\ntemplate = "countdown-compact"\n'
        f'[[family.members]]\nname = "one"\nsource = "{weights}"\nparameters = 1000\n'
    )
    asked = PasskRequest(
        family=str(tmp_path / "mine.toml"), problems=2, rollouts=2, sampling=SamplingParams(max_tokens=4),
        out=tmp_path / "run",
    )  # fmt: skip
    run_passk(asked)
    shutil.rmtree(weights)
    (one,) = forecast(asked).expected
    assert (one.here, one.owed, one.flops) == (False, 0, 0)
    (more,) = forecast(asked.model_copy(update={"rollouts": 5})).expected
    assert (more.owed, more.flops) == (2 * 3, 2 * 3 * 2 * 1000 * 4)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(UsageError, match="a number of FLOP/s above 0"):
        forecast(PasskRequest(family="qwen3", benchmark="aime24")).hours(rate)


def fields(**given: object) -> dict[str, object]:
    return {"family": "qwen3", "members": None, "policies": (), **given}


def test_the_command_says_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    run(
        fields(benchmark="aime24", rollouts=2, policies=("x=org/none",)), preset="default", chosen={"max_tokens": 100},
        fresh=False, dry_run=True, rate=1e12, as_json=False,
    )  # fmt: skip
    said = capsys.readouterr().out
    assert "300 of 300 rollouts are owed on 30 problems of aime24 at N = 2; at most 30,000 tokens." in said
    assert "At most 3.44e+14 FLOPs, 0.0957 hours at 1e+12 FLOP/s" in said
    assert "Not on this machine: qwen3-1.7b-base (1.72G)" in said
    assert "No FLOPs are counted for x, whose size is not known here." in said
    run(fields(benchmark="dapo17k"), preset="default", chosen={}, fresh=False, dry_run=True, rate=None, as_json=False)
    assert "how many problems it has is not known here" in capsys.readouterr().out


def test_a_rate_without_a_dry_run_is_refused() -> None:
    with pytest.raises(UsageError, match="give it with --dry-run"):
        run(fields(), preset="default", chosen={}, fresh=False, dry_run=False, rate=1e12, as_json=False)


def test_the_card_s_sampling_is_that_of_the_family(capsys: pytest.CaptureFixture[str]) -> None:
    from s2l_lab.cli.passk import build_request

    asked = build_request(fields(family="qwen3-post"), "card", {"top_p": 0.5})
    assert asked.sampling == SamplingParams(temperature=0.6, top_p=0.5, top_k=20, min_p=0, max_tokens=32768)
    plain = build_request(fields(family="qwen3-post"), "default", {})
    assert plain.sampling == SamplingParams(max_tokens=32768), "a card changes nothing where it is not asked for"
    with pytest.raises(UsageError, match="the card of x"):
        build_request(fields(family="qwen3-post", policies=("x=org/none",)), "card", {})
