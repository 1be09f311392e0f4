"""A stored run under another verifier: hand-made rollouts whose flips and curves are known."""

import numpy as np
import pytest

from s2l_lab.errors import DataError, UsageError
from s2l_lab.policies import Completion, Draw, StopReason
from s2l_lab.problems import Problem
from s2l_lab.regrade import compare_verifiers, flips
from s2l_lab.rollouts import Origin, RolloutStore, RunManifest, verify_unverified
from s2l_lab.verifiers import Outcome, VerifierPool, VerifyItem, verifier_version

PROBLEMS = [
    Problem.make("half of 50?", "25", "math", "test", {}),
    Problem.make("14 / 3?", r"\frac{14}{3}", "math", "test", {}),
]
TEXTS = {
    # of four: one right, one that holds the gold answer, one right of two forms, one cut off
    PROBLEMS[0].id: [r"\boxed{25}", r"\boxed{125}", "Answer: 25.0", "we try 25 and"],
    PROBLEMS[1].id: [r"\boxed{\frac{14}{3}}", r"\boxed{5}", r"Answer: \frac{14}{3}", ""],
}


def completion(text, cut):
    ids = np.array([1], dtype=np.int32)
    ones = np.array([-0.5], dtype=np.float32)
    stop = StopReason.LENGTH if cut else StopReason.EOS
    return Completion(text, ids, ones, None, np.array([0.5], dtype=np.float16), stop, 3)


@pytest.fixture(scope="module")
def pool():
    with VerifierPool(1) as shared:
        yield shared


@pytest.fixture(scope="module")
def run(tmp_path_factory, pool):
    """A run directory with verified rollouts of one policy."""
    path = tmp_path_factory.mktemp("runs") / "run"
    origin = Origin("small", "digest", "sampling")
    manifest = RunManifest.of_this_process({}, device="cpu", seeds={}, verifier_version=verifier_version("math"))
    with RolloutStore.open(path, manifest, identity={}) as store:
        store.add_problems(PROBLEMS)
        draws = [
            Draw(problem_id, i, completion(text, text.endswith("and")))
            for problem_id, texts in TEXTS.items()
            for i, text in enumerate(texts)
        ]
        store.append(draws, origin)

        def verify(pairs):
            return pool.verify_many([VerifyItem(p, c.text, c.stop_reason == StopReason.LENGTH) for p, c in pairs])

        verify_unverified(store, verify, verifier_version("math"))
        late = [Draw(PROBLEMS[0].id, 4, completion("not verified", cut=False))]
        store.append(late, origin)
    return path


def test_flips_are_counted_by_pair_and_need_equal_lengths():
    right, wrong = Outcome.CORRECT, Outcome.INCORRECT
    assert flips([right, right, wrong], [right, wrong, right]) == {
        (right, right): 1,
        (right, wrong): 1,
        (wrong, right): 1,
    }
    with pytest.raises(ValueError, match="shorter"):
        flips([right], [])


def test_every_flip_of_a_known_run(run, pool):
    with RolloutStore(run) as store:
        report = compare_verifiers(store, "official", pool)
    (policy,) = report.policies
    correct, wrong = Outcome.CORRECT, Outcome.INCORRECT
    assert policy.table == {
        (correct, correct): 3,  # \boxed{25}, 25.0, Answer: \frac{14}{3}
        (wrong, correct): 1,  # \boxed{125} holds 25
        (Outcome.TRUNCATED, correct): 1,  # the last integer of the cut-off text
        (correct, wrong): 1,  # \boxed{\frac{14}{3}} is cut at the first brace
        (wrong, wrong): 1,
        (Outcome.NO_ANSWER, Outcome.NO_ANSWER): 1,
    }
    assert (policy.gained, policy.lost, policy.total) == (2, 1, 8)
    assert report.unverified == 1
    assert (report.before, report.after) == (verifier_version("math"), "official-1")
    assert [(e.problem.id, e.index, e.after is correct) for e in policy.examples] == [
        (PROBLEMS[0].id, 1, True),
        (PROBLEMS[1].id, 0, False),
    ]


def test_both_curves_are_over_the_same_rollouts(run, pool):
    with RolloutStore(run) as store:
        (policy,) = compare_verifiers(store, "official", pool).policies
    assert policy.before is not None
    assert policy.after is not None
    assert policy.before.value[0] == pytest.approx(4 / 8)
    assert policy.after.value[0] == pytest.approx((4 / 4 + 1 / 4) / 2)
    assert list(policy.before.k) == list(policy.after.k) == [1, 2, 3, 4]


def test_the_same_verifier_flips_nothing_and_the_run_is_left_as_it_was(run, pool):
    before = sorted((p.name, p.stat().st_mtime_ns) for p in run.rglob("*.parquet"))
    with RolloutStore(run) as store:
        (policy,) = compare_verifiers(store, "math", pool).policies
    assert (policy.gained, policy.lost) == (0, 0)
    assert all(a == b for a, b in policy.table)
    assert sorted((p.name, p.stat().st_mtime_ns) for p in run.rglob("*.parquet")) == before


def test_a_run_without_these_verdicts_is_refused(run, pool):
    with RolloutStore(run) as store:
        with pytest.raises(DataError, match=r"no verdicts of other-1 .*math-2"):
            compare_verifiers(store, "official", pool, version="other-1")
        with pytest.raises(UsageError, match="unknown verifier"):
            compare_verifiers(store, "oficial", pool)  # type: ignore[arg-type]
