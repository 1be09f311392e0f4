"""A run of a million rollouts for the explorer's speed: 1,000 problems, 5 policies, 200 rollouts of each.

    python benchmarks/explorer_store.py DIRECTORY [--problems 1000] [--rollouts 200]

The problems are those of Countdown; everything else is drawn: tokens of the embedded family at random (about 60
characters of text, so no completion makes sense), exponential surprisals and entropies, and outcomes at rates that are
known, logit-linear in a problem's ease and a policy's strength, so that a heat map of them has a gradient. Two policies
know a few problems that the others never solve. Everything is written through RolloutStore, in batches of whole
problems, policy by policy, as `collect` would.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Tokenizer

import s2l_lab
from s2l_lab.digest import content_digest
from s2l_lab.policies import Completion, Draw, SamplingParams, StopReason
from s2l_lab.problems.benchmarks import load_benchmark
from s2l_lab.rollouts import Origin, Rollout, RolloutKey, RolloutStore, RunManifest
from s2l_lab.verifiers import Outcome, Verdict, verifier_version

if TYPE_CHECKING:
    from numpy.typing import NDArray

POLICIES = ("tiny-60k", "tiny-130k", "tiny-360k", "tiny-900k", "tiny-2m")
SOURCES = ("60k", "60k", "360k", "360k", "2m")
"""Embedded members whose tokenizer (one for all) spells the tokens."""
BATCH_PROBLEMS = 250
SAMPLING = SamplingParams(max_tokens=48)
FIRST_TOKEN, LONGEST = 3, 48
"""Ids below are special tokens; tokens of the longest completion, where it is cut."""
TRUNCATED_SHARE, NO_ANSWER_SHARE, ERROR_SHARE = 0.04, 0.06, 0.002
SECRET_PROBLEMS = 20
"""The first so many are never solved but by the smallest policy, the next so many but by the largest."""


def rates(problems: int) -> NDArray[np.float64]:
    """Solve rate of every problem under every policy, shape (P, M): known, not estimated."""
    ease_P = np.random.default_rng(1).normal(-0.5, 1.8, problems)
    strength_M = np.linspace(-1.2, 1.2, len(POLICIES))
    rate_PM = 1 / (1 + np.exp(-(ease_P[:, None] + strength_M)))
    few = min(SECRET_PROBLEMS, problems // 4)
    rate_PM[:few, 1:] = 0
    rate_PM[few : 2 * few, :-1] = 0
    return np.asarray(rate_PM)


def write(path: Path, problems: int = 1000, rollouts: int = 200) -> RunManifest:
    """Make the run in `path`, a new folder; five policies draw `rollouts` of each of `problems`."""
    benchmark = load_benchmark("countdown", n=problems)
    version = verifier_version(benchmark.kind)
    records = {
        name: {"source": f"embedded:tiny/{source}", "revision": None, "template": None, "engine": "transformers"}
        for name, source in zip(POLICIES, SOURCES, strict=True)
    }
    config = {"benchmark": "countdown", "rollouts": rollouts, "sampling": SAMPLING.model_dump(mode="json")}
    config |= {"family": None, "policies": records}
    manifest = RunManifest.of_this_process(config, device="none", seeds={"run": 0}, verifier_version=version)
    identity = {"benchmark": "countdown", "sampling": config["sampling"], "synthetic": 1}
    vocabulary = _vocabulary()
    rate_PM = rates(problems)
    rng = np.random.default_rng(0)
    ids = [problem.id for problem in benchmark.problems]
    with RolloutStore.open(path, manifest, identity) as store:
        store.add_problems(benchmark.problems)
        for m, name in enumerate(POLICIES):
            origin = Origin(name, content_digest(["synthetic", name]), SAMPLING.digest)
            for start in range(0, problems, BATCH_PROBLEMS):
                stop = min(start + BATCH_PROBLEMS, problems)
                keys = list(itertools.product(ids[start:stop], range(rollouts)))
                rate_B = np.repeat(rate_PM[start:stop, m], rollouts)
                _append(store, origin, version, keys, _verdicts(rng, rate_B), rng, vocabulary)
    return manifest


def _append(
    store: RolloutStore,
    origin: Origin,
    version: str,
    keys: list[tuple[str, int]],
    verdicts: list[Verdict],
    rng: np.random.Generator,
    vocabulary: list[str],
) -> None:
    """One batch with its verdicts."""
    lengths = np.clip(rng.poisson(26, len(keys)), 5, LONGEST - 1)
    lengths[[verdict.outcome is Outcome.TRUNCATED for verdict in verdicts]] = LONGEST
    ends = np.cumsum(lengths)
    token_ids = rng.integers(FIRST_TOKEN, len(vocabulary), ends[-1], dtype=np.int32)
    logprobs = -rng.exponential(0.4, ends[-1]).astype(np.float32)
    entropies = rng.exponential(0.4, ends[-1]).astype(np.float16)
    draws = []
    for (problem_id, index), start, stop in zip(keys, ends - lengths, ends, strict=True):
        own = slice(start, stop)
        text = "".join([vocabulary[token] for token in token_ids[own].tolist()])
        stop_reason = StopReason.LENGTH if stop - start == LONGEST else StopReason.STOP
        completion = Completion(text, token_ids[own], logprobs[own], None, entropies[own], stop_reason, 25)
        draws.append(Draw(problem_id, index, completion))
    store.append(draws, origin)
    rollouts = [Rollout(RolloutKey(origin, draw.problem_id, draw.index), draw.completion) for draw in draws]
    store.append_verdicts(version, rollouts, verdicts)


def _verdicts(rng: np.random.Generator, rate_B: NDArray[np.float64]) -> list[Verdict]:
    """Outcomes at these rates of being correct; of the others some are cut, silent or unknown."""
    correct = rng.random(rate_B.size) < rate_B
    kind = rng.random(rate_B.size)
    number = rng.geometric(0.3, rate_B.size)
    verdicts = []
    for is_correct, share, n in zip(correct.tolist(), kind.tolist(), number.tolist(), strict=True):
        if is_correct:
            verdicts.append(Verdict(Outcome.CORRECT, f"answer {n}", f"class {n}"))
        elif share < TRUNCATED_SHARE:
            verdicts.append(Verdict(Outcome.TRUNCATED, None, None, "cut at 48 tokens"))
        elif share < TRUNCATED_SHARE + NO_ANSWER_SHARE:
            verdicts.append(Verdict(Outcome.NO_ANSWER, None, None, "no equation"))
        elif share < TRUNCATED_SHARE + NO_ANSWER_SHARE + ERROR_SHARE:
            verdicts.append(Verdict(Outcome.VERIFIER_ERROR, None, None, "time-out"))
        else:
            verdicts.append(Verdict(Outcome.INCORRECT, f"answer {-n}", f"class {-n}", "another value"))
    return verdicts


def _vocabulary() -> list[str]:
    """Text of every token id of the embedded family."""
    folder = Path(s2l_lab.__file__).parent / "policies" / "tiny" / "tiny" / "2m"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return [tokenizer.id_to_token(i) for i in range(tokenizer.get_vocab_size())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, help="a new folder for the run")
    parser.add_argument("--problems", type=int, default=1000)
    parser.add_argument("--rollouts", type=int, default=200, help="of each problem and policy")
    arguments = parser.parse_args()
    begin = time.perf_counter()
    write(arguments.directory, arguments.problems, arguments.rollouts)
    total = len(POLICIES) * arguments.problems * arguments.rollouts
    size = sum(file.stat().st_size for file in arguments.directory.rglob("*") if file.is_file())
    seconds = time.perf_counter() - begin
    print(f"{total:,} rollouts in {arguments.directory}: {size / 1e6:.0f} MB, {seconds:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
