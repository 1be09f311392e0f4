"""One pool for all maths tests that do not hurt it: its start-up is most of their time."""

import pytest

from s2l_lab.problems import Problem
from s2l_lab.verifiers import VerifierPool


@pytest.fixture(scope="session")
def pool():
    with VerifierPool(workers=1) as shared:
        yield shared


@pytest.fixture(scope="session")
def problem():
    """Problems of any kind by gold answer."""
    return lambda answer, kind="math", **metadata: Problem.make(f"find {answer}", answer, kind, "test", metadata)
