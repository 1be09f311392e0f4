"""A log-ratio is 0 of a policy with itself, is what both models say, and is words where it cannot be had."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_store import SAMPLING, manifest, problems

from s2l_lab.browse.catalog import bundled_runs
from s2l_lab.browse.filters import RolloutFilter
from s2l_lab.browse.log_ratio import LogRatio, Scoring, log_ratio, scored
from s2l_lab.browse.rollout_pages import FullRollout, page, read_rollout
from s2l_lab.browse.store import BrowsedStore, open_store
from s2l_lab.passk import PasskRequest
from s2l_lab.passk.run import run_passk
from s2l_lab.policies import Completion, Draw, SamplingParams, StopReason, open_policy
from s2l_lab.policies.families import Member
from s2l_lab.policies.opening import member_here
from s2l_lab.policies.transformers_engine import TransformersPolicy
from s2l_lab.rollouts import Origin, RolloutStore

HERE = {"source": "embedded:tiny/60k", "template": "countdown-compact"}
ROUNDING = 2e-4
"""Nats: the sampler goes token by token with a cache, scoring all at once, both in float32."""


def stored(path: Path, ids: dict[str, list[int]], *, asked: bool = True, **config: object) -> BrowsedStore:
    """A store with one rollout per policy of one problem, whose text is in the store if it is `asked`."""
    (problem,) = problems(1)
    with RolloutStore.open(path, manifest(**config), {}) as store:
        if asked:
            store.add_problems([problem])
        for place, (policy, token_ids) in enumerate(ids.items()):
            logprobs = -np.arange(1, len(token_ids) + 1, dtype=np.float32) - place
            done = Completion("3+", np.array(token_ids, np.int32), logprobs, None, None, StopReason.EOS, 5)
            store.append([Draw(problem.id, 0, done)], Origin(policy, f"digest {policy}", SAMPLING.digest))
    return open_store(path)


def first(store: BrowsedStore, policy: str) -> FullRollout:
    return read_rollout(store, page(store, RolloutFilter(policies=(policy,))).rows[0].address)


def asked(store: BrowsedStore, rollout: FullRollout, other: str) -> Scoring:
    found = log_ratio(store, rollout, other)
    assert isinstance(found, Scoring)
    return found


def with_itself(store: BrowsedStore, asked: Scoring) -> LogRatio:
    own = member_here(store.config(), asked.policy)
    assert isinstance(own, Member)
    return scored(replace(asked, other=own))


def test_tokens_that_both_drew_are_compared_as_stored(tmp_path: Path) -> None:
    store = stored(tmp_path / "run", {"a": [7, 14], "b": [7, 14], "c": [7, 5]})
    for policy, other, sign in (("a", "b", 1), ("b", "a", -1)):
        found = log_ratio(store, first(store, policy), other)
        assert isinstance(found, LogRatio)
        assert found.values_T is not None
        assert found.values_T.tolist() == [sign, sign]
    for other, words in (("c", "did not draw these very tokens"), ("none", "did not draw"), ("a", "itself")):
        missing = log_ratio(store, first(store, "a"), other)
        assert isinstance(missing, LogRatio)
        assert missing.values_T is None
        assert words in missing.words
    bare = log_ratio(store, replace(first(store, "a"), logprobs=None), "b")
    assert isinstance(bare, LogRatio)
    assert bare.values_T is None


def test_on_the_bundled_run_it_is_what_both_models_say() -> None:
    bundled = bundled_runs()
    assert bundled is not None
    store = open_store(bundled / "passk-tiny-countdown")
    rollout = first(store, "tiny-60k")
    assert rollout.token_ids is not None
    problem = store.problems()[rollout.row.problem_id]
    logprobs = []
    for name in ("tiny-60k", "tiny-2m"):
        policy = open_policy(name, engine="transformers")
        assert isinstance(policy, TransformersPolicy)
        prompt = list(policy.encode(problem))
        ids = torch.tensor([prompt + rollout.token_ids.tolist()])
        with torch.inference_mode():
            every = torch.log_softmax(policy.model(ids).logits[0].double(), -1)
        policy.close()
        logprobs.append([every[at - 1, ids[0, at]].item() for at in range(len(prompt), ids.shape[1])])
    wanted = np.subtract(*logprobs)
    assert np.abs(wanted).max() > 0.5
    scoring = asked(store, rollout, "tiny-2m")
    found = scored(scoring)
    assert found.values_T == pytest.approx(wanted, abs=ROUNDING)
    assert "log p under tiny-60k minus log p under tiny-2m, at temperature 1," in found.words
    assert with_itself(store, scoring).values_T == pytest.approx(np.zeros(len(wanted)), abs=ROUNDING)


def test_of_a_policy_with_itself_it_is_0_at_the_temperature_that_is_known(tmp_path: Path) -> None:
    """At 1 where that was stored apart, else at the one that sampled: a mix of the two is not 0."""
    run_passk(
        PasskRequest(
            members=("tiny-60k", "tiny-360k"), problems=1, rollouts=1, out=tmp_path / "run",
            sampling=SamplingParams(max_tokens=24, temperature=0.6),
        ),
        command="test",
    )  # fmt: skip
    store = open_store(tmp_path / "run")
    rollout = first(store, "tiny-360k")
    assert rollout.logprobs is not None
    assert np.abs(rollout.logprobs - rollout.logprobs_t1).max() > 100 * ROUNDING
    for one, temperature in ((rollout, 1.0), (replace(rollout, logprobs_t1=None), 0.6)):
        scoring = asked(store, one, "tiny-60k")
        assert scoring.temperature == temperature
        values_T = with_itself(store, scoring).values_T
        assert values_T == pytest.approx(np.zeros(len(rollout.logprobs)), abs=ROUNDING)


def test_what_keeps_a_policy_from_scoring_is_said(tmp_path: Path) -> None:
    """Everything is there in the first store; each of the others lacks one thing."""
    ids = {"a": [7, 14], "b": [7, 5]}
    sampling = SAMPLING.model_dump(mode="json")
    strange = tmp_path / "strange"
    strange.mkdir()
    source = Path(tiny())
    for file in source.iterdir():
        (strange / file.name).write_bytes(file.read_bytes())
    letters = (source / "tokenizer.json").read_text(encoding="utf-8")
    (strange / "tokenizer.json").write_text(letters.replace('"+"', '"\u00d7"'), encoding="utf-8")
    whole = {"policies": {"a": HERE, "b": HERE}, "sampling": sampling}
    store = stored(tmp_path / "0", ids, **whole)
    assert asked(store, first(store, "a"), "b").own_T.tolist() == [-1, -2]
    lacking = [
        ("the run does not say where its weights are", whole | {"policies": {"a": HERE}}),
        ("/nowhere is not on this machine", whole | {"policies": {"a": HERE, "b": {"source": "/nowhere"}}}),
        ("problem's text", whole | {"asked": False}),
        ("truncation or a penalty", whole | {"sampling": sampling | {"top_p": 0.9}}),
        ("not recorded how", whole | {"sampling": None}),
        ("spells these tokens", whole | {"policies": {"b": HERE}}),
        ("spells these tokens", whole | {"policies": {"a": HERE, "b": HERE | {"source": str(strange)}}}),
    ]
    for place, (words, config) in enumerate(lacking, 1):
        store = stored(tmp_path / str(place), ids, **config)
        found = log_ratio(store, first(store, "a"), "b")
        assert isinstance(found, LogRatio), words
        assert found.values_T is None
        assert words in found.words
        assert "b did not draw these very tokens" in found.words


def tiny() -> str:
    """The directory of the embedded policy."""
    found = member_here({"policies": {"a": HERE}}, "a")
    assert isinstance(found, Member)
    return found.source
