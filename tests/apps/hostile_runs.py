"""What the tests of four views share: a run of known rollouts, and a run of hostile ones."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "browse"))

from small_store import SAMPLING, VERSION, Known, make, manifest

from s2l_lab.policies import Completion, Draw, StopReason
from s2l_lab.problems import Problem
from s2l_lab.rollouts import Origin, Rollout, RolloutKey, RolloutStore
from s2l_lab.verifiers import Outcome, Verdict

KNOWN = "known"
HOSTILE = "hostile"
TEXTS = (
    "<script>window.harm = 1</script><img src=x onerror=alert(1)>",
    "![image](http://example.invalid/a.png) [link](javascript:alert(1)) **bold** $x^2$ :red[red] :material/bug_report:",
    "back \u202edrawrof\u202c and \x1b[31mred\x00\x07 \u200bzero\ufeff\u2066isolate",
    "</span></div><style>*{display:none}</style>&lt;script&gt;",
    '=HYPERLINK("http://example.invalid")\n\n# heading\n\n<b>bold</b>\n',
    "a" * 2_000_000 + "<script>",
)
POLICY = "<b>evil</b> **policy** ![](http://example.invalid/p.png)"


def known_runs(place: Path) -> list[Known]:
    """A directory with one run, and what is in it."""
    return make(place / KNOWN)


def hostile_runs(place: Path) -> Path:
    """A directory with one run: one problem, one policy of a hostile name, a rollout for each of TEXTS."""
    prompt = "<script>p()</script> ![x](http://example.invalid/q.png)"
    problem = Problem.make(prompt, "<i>7</i>", "countdown", "test", {})
    origin = Origin(POLICY, "digest", SAMPLING.digest)
    identity = {"benchmark": "countdown", "sampling": SAMPLING.model_dump(mode="json")}
    with RolloutStore.open(place / HOSTILE, manifest(sampling=identity["sampling"]), identity) as store:
        store.add_problems([problem])
        draws = [Draw(problem.id, i, _completion(text)) for i, text in enumerate(TEXTS)]
        store.append(draws, origin)
        rollouts = [Rollout(RolloutKey(origin, draw.problem_id, draw.index), draw.completion) for draw in draws]
        verdicts = [Verdict(Outcome.INCORRECT, text[:5000], text[:5000], text[:5000]) for text in TEXTS]
        store.append_verdicts(VERSION, rollouts, verdicts)
    return place


def _completion(text: str) -> Completion:
    length = min(len(text), 40)
    values = np.linspace(0.1, 2, length).astype(np.float32)
    return Completion(
        text, np.arange(length, dtype=np.int32), -values, None, values.astype(np.float16), StopReason.EOS, 5
    )
