"""The pretrained SmolLM2-135M-Instruct of the package index against llama.cpp: the same ids, almost the same numbers.

The member is fetched as a user would; llama.cpp serves the same file. It quantises activations where transformers does
not, so log-probabilities differ by about .07 nat a token.
"""

from __future__ import annotations

import json
import random
import urllib.request
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from s2l_lab.policies import Draws, SamplingParams, find_member, open_policy
from s2l_lab.policies.checkpoint import HASHED, locate
from s2l_lab.policies.families import parse_policy
from s2l_lab.policies.tokenizers import load_tokenizer
from s2l_lab.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import RealModel

pytestmark = pytest.mark.real

FIXED = [
    "The sum of 12 and 1234567890 is 1,234,567,902; isn't naïve?\n\n\t#### (7*8)-6  \\boxed{50}.",
    "def f(x):\n    return x**2  # squared\n\n\nif __name__ == '__main__':\n\tprint(f(3.14))\r\n",
    "I'LL you'Re WE'VE don't 'tis 'Sup",
    "你好，世界！12３四 ५६ Ⅷ ½ ² émigré — “quotes” … 🙂👩‍👩‍👧 \u200b\u00a0x\u3000y",
    "عربي עברית हिन्दी ไทย a\u0301e\u0308 ÅÄÖ ǅ ʰ e.g.\u2028next\u2029p\x85q\x0bz\x0c x\x00y\x01z",
    "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n<|endoftext|>a<repo_name>x<file_sep>",
    *("   leading", "trailing   ", " \n \n  \t x", "\n", " ", "\n\n\n   \n", "$x_1^2 + \\frac{3}{4}$ = 7.5%"),
]


@pytest.fixture(scope="module")
def file(real_model: RealModel) -> Path:
    return real_model.gguf


@pytest.fixture(scope="module")
def address(file: Path) -> Iterator[str]:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx, params.n_parallel = 1024, 1
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)
    yield server.listening_address
    del server  # it serves for as long as it is held


def post(address: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    asked = urllib.request.Request(address + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def test_every_text_has_the_ids_that_llama_cpp_gives(file: Path, address: str) -> None:
    tokenizer = load_tokenizer(locate([parse_policy(f"a={file}")])[0])
    rng = random.Random(0)
    letters = list("abcXYZ019  \n\t\r'’.,$+=<>|^_~`é½ß中の🙂\u00a0\u0301")
    texts = FIXED + ["".join(rng.choice(letters) for _ in range(rng.randint(1, 40))) for _ in range(200)]
    for text in texts:
        theirs = post(address, "/tokenize", {"content": text, "add_special": True, "parse_special": True})["tokens"]
        assert tokenizer(text)["input_ids"] == theirs, text
    assert tokenizer.eos_token == "<|im_end|>"


def test_log_probabilities_are_llama_cpp_s_within_a_tenth_of_a_nat(file: Path, address: str) -> None:
    policy = open_policy(f"a={file}")
    differences: list[float] = []
    for question in ("Tom has 3 apples and buys 4 more. How many?", "What is the capital of France?", "def fib(n):"):
        problem = Problem.make(question, "7", "math", "test", {})
        (draw,) = policy.sample([Draws(problem, (0,))], SamplingParams(max_tokens=24))
        completion = draw.completion
        assert completion.token_ids is not None
        assert completion.logprobs is not None
        ids = load_tokenizer(locate([parse_policy(f"a={file}")])[0])(policy.prompt(problem), add_special_tokens=False)[
            "input_ids"
        ]
        for token, own in zip(completion.token_ids.tolist(), completion.logprobs.tolist(), strict=True):
            # One token is drawn after the ids so far; the likeliest thousand are told, and ours is looked up in them.
            told = post(
                address,
                "/completion",
                {"prompt": ids, "n_predict": 1, "temperature": 1.0, "n_probs": 1000, "samplers": [], "seed": 1},
            )["completion_probabilities"][0]["top_logprobs"]
            theirs = {one["id"]: one["logprob"] for one in told}
            if token in theirs:
                differences.append(own - theirs[token])
            ids = [*ids, token]
    policy.close()
    assert len(differences) > 40
    assert np.mean(np.abs(differences)) < 0.1
    assert abs(np.mean(differences)) < 0.05


def test_its_identity_is_the_file_s(file: Path) -> None:
    (checkpoint,) = locate([parse_policy(f"a={file}")])
    assert checkpoint.revision == find_member("smollm2-135m-instruct").packaged_revision
    assert checkpoint.revision.startswith(HASHED)
