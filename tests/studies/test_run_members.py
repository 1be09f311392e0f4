"""A policy can be scored where its weights are here, whole; nothing is fetched to find out, or afterwards."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from s2l_lab.errors import PolicyError
from s2l_lab.passk import PasskRequest
from s2l_lab.passk.run import run_passk
from s2l_lab.policies import SamplingParams, find_member
from s2l_lab.policies.checkpoint import find_here, fingerprint
from s2l_lab.policies.families import Member
from s2l_lab.policies.opening import member_here, open_policy
from s2l_lab.studies.persistence import persistence_of_run

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = ("config.json", "tokenizer.json", "model.safetensors")


def tiny() -> Path:
    found = find_here(find_member("tiny-60k"))
    assert isinstance(found, Path)
    return found


def run(source: str, **more: Any) -> dict[str, Any]:
    return {"policies": {"a": {"source": source, "revision": COMMIT, "template": "raw"}}, **more}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, with no network behind it: what asks the hub fails the test."""

    def fetched(*_: object, **__: object) -> None:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.snapshot_download", fetched)
    return tmp_path / "cache"


def place(directory: Path, files: tuple[str, ...] = FILES) -> Path:
    directory.mkdir(parents=True)
    for name in files:
        shutil.copy(tiny() / name, directory / name)
    return directory


@pytest.mark.parametrize("where", ["directory", "root", "cache"])
def test_whole_weights_are_found_where_they_lie(tmp_path: Path, cache: Path, where: str) -> None:
    directory = {
        "directory": tmp_path / "models" / "tiny",
        "root": tmp_path / "models" / "tiny",
        "cache": cache / "models--some--tiny" / "snapshots" / COMMIT,
    }[where]
    place(directory)
    config = {
        "directory": run(str(directory)),
        "root": run("some/tiny", model_root=str(tmp_path / "models")),
        "cache": run("some/tiny"),
    }[where]
    assert member_here(config, "a") == Member(name="a", source=str(directory), template="raw")


def test_other_weights_than_the_run_recorded_are_refused(tmp_path: Path) -> None:
    directory = Path(shutil.copytree(tiny(), tmp_path / "tiny"))
    recorded = f"sha256:{fingerprint(directory)}"
    member = member_here({"policies": {"a": {"source": str(directory), "revision": recorded}}}, "a")
    assert isinstance(member, Member)
    open_policy(member, engine="transformers").close()
    weights = directory / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(PolicyError, match=f"a: .*{recorded} was recorded, sha256:{fingerprint(directory)} was found"):
        open_policy(member, engine="transformers")


@pytest.mark.parametrize("missing", FILES)
@pytest.mark.parametrize("cached", [True, False])
def test_what_is_missing_is_named(tmp_path: Path, cache: Path, missing: str, *, cached: bool) -> None:
    """A tokenizer alone shows token texts and scores nothing."""
    directory = cache / "models--some--tiny" / "snapshots" / COMMIT if cached else tmp_path / "model"
    place(directory, tuple(name for name in FILES if name != missing))
    found = member_here(run("some/tiny" if cached else str(directory)), "a")
    assert isinstance(found, str)
    words = {"config.json": "a whole config.json", "tokenizer.json": "tokenizer files", "model.safetensors": "weights"}
    assert found.startswith(f"a: {directory} lacks {words[missing]}")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("some/tiny", "a: some/tiny is not on this machine."),
        ("not a/hub id", "a: not a/hub id is not on this machine."),
        ("/nowhere/at/all", "a: /nowhere/at/all is not on this machine."),
        ("embedded:tiny/none", "lacks everything"),
        ("scripted:0.5", "can only be run by the engine scripted"),
        ("http://localhost:1/v1", "can only be run by the engine endpoint"),
    ],
)
@pytest.mark.usefixtures("cache")
def test_a_source_without_weights_here_says_so(source: str, says: str) -> None:
    found = member_here(run(source), "a")
    assert isinstance(found, str)
    assert says in found


@pytest.mark.parametrize("policies", [{}, None, [], {"a": 1}, {"a": {}}, {"a": {"source": 3}}, {"b": {"source": "x"}}])
def test_a_run_that_names_no_weights_is_no_error(policies: Any) -> None:
    found = member_here({"policies": policies}, "a")
    assert isinstance(found, str)
    assert found.startswith("a: ")


def test_a_name_that_no_member_may_have_is_no_error() -> None:
    assert "names no model" in str(member_here({"policies": {"<b>": {"source": str(tiny())}}}, "<b>"))


def test_scoring_names_what_is_missing_before_it_loads_anything(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub holds a tokenizer of the explorer in its cache: scoring would have fetched the weights."""
    root = tmp_path / "models"
    shutil.copytree(tiny(), root / "tiny")
    request = PasskRequest(
        members=("tiny-60k",), policies=("other=some/tiny",), model_root=root, problems=2, rollouts=2,
        sampling=SamplingParams(max_tokens=8), out=tmp_path / "run",
    )  # fmt: skip
    run_passk(request, command="test")
    assert persistence_of_run(tmp_path / "run", problems=2, n=2).result.learner == "other"
    (root / "tiny" / "model.safetensors").unlink()
    monkeypatch.setattr("s2l_lab.studies.persistence.open_for_scoring", None)
    with pytest.raises(PolicyError, match=r"1 of 2 policies cannot be scored.*\n.*tiny lacks weights"):
        persistence_of_run(tmp_path / "run", problems=2, n=2)
    shutil.rmtree(root / "tiny")
    place(cache / "models--some--tiny" / "snapshots" / COMMIT, ("tokenizer.json",))
    with pytest.raises(PolicyError, match="other: some/tiny is not on this machine"):
        persistence_of_run(tmp_path / "run", problems=2, n=2)
