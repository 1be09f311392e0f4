"""A served explorer: one model behind one or several servers, asked with the learner's token ids as training goes.

`vllm serve` (and llama.cpp's server) take a prompt as ids and give ids and log-probabilities back. No file of the
served model is needed: the learner's tokenizer is taken for both, and a probe before training holds what the server
says in text against what its ids say in the learner's tokens. A server of another tokenizer is refused by it, and so is
one that gives the model's own log-probabilities where another distribution is sampled from (`--logprobs-mode` of vLLM).

Requests are spread over the servers. A draw's seed is made of the model's name and not of an address, so it does not
matter which server answers; vLLM keeps such a seed but for rounding, which differs with what else is in its batch.

A server that is away for longer than a few tries ends the run with an error. It is resumed from its last checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from s2l_lab.digest import content_digest
from s2l_lab.errors import PolicyError, UsageError
from s2l_lab.policies.endpoint import TokenEndpointPolicy
from s2l_lab.policies.endpoint_fields import LLAMA_CPP, VLLM
from s2l_lab.policies.endpoint_server import Server, connect
from s2l_lab.policies.families import Member
from s2l_lab.policies.policy import Completion, SamplingParams, StopReason
from s2l_lab.policies.served_files import shape_in
from s2l_lab.policies.templates import encode_prompt
from s2l_lab.policies.tokenizers import PROBE
from s2l_lab.policies.waves import Prompted
from s2l_lab.training.explorer import (
    RETOKENISE,
    ExplorerRollout,
    Learner,
    Request,
    prompt_id,
    rollout_of,
    slot_indices,
)
from s2l_lab.training.retokenised import decoded

if TYPE_CHECKING:
    from s2l_lab.policies import ModelShape

_BEGINNING = "The sum of 12 and 30 is"
_PROBE_DRAWS, _PROBE_TOKENS = 4, 16
_TORN = "\ufffd"
"""How a character is shown of which only the first bytes were drawn."""


class ServedExplorer:
    """A served model that samples anew in every round."""

    def __init__(self, urls: Sequence[str]) -> None:
        """`urls`: `http://HOST:PORT/v1` of every server, with `#MODEL` where it serves several. All serve one model.

        Raises PolicyError for a server that does not answer, gives no token ids or serves another model than the first.
        """
        if not urls:
            raise UsageError("a served explorer needs the address of a server, as http://localhost:8000/v1.")
        servers = [connect(url) for url in urls]
        for server in servers:
            if server.kind not in (VLLM, LLAMA_CPP):
                raise PolicyError(
                    f"{server.address} is neither a vLLM nor a llama.cpp server (it is owned by {server.kind!r}): it "
                    f"gives text without token ids, which training needs. Serve the model by `vllm serve`. {RETOKENISE}"
                )
            if server.model != servers[0].model:
                raise PolicyError(
                    f"{server.address} serves {server.model!r} and {servers[0].address} {servers[0].model!r}; the "
                    "servers of one explorer serve one model. (vllm serve --served-model-name gives it one name.)"
                )
        self.model = servers[0].model
        self.name = f"{self.model} at {', '.join(server.address for server in servers)}"
        self.shape = _shape(self.model)
        self._servers = servers
        self._policies: list[TokenEndpointPolicy] = []

    def bind(self, learner: Learner, sampling: SamplingParams) -> None:
        """Ask every server for a few tokens. Raises PolicyError for a server of another tokenizer, and for one whose
        log-probabilities are not those of the distribution that samples."""
        self._sampling, self._eos_ids = sampling, learner.eos_ids
        self._policies = [self._policy(server, learner) for server in self._servers]
        for policy, server in zip(self._policies, self._servers, strict=True):
            self._require_tokens(policy, server, learner)
            policy.require_logprobs(sampling)

    def explore(self, requests: Sequence[Request], group_size: int) -> list[list[ExplorerRollout]]:
        """Sampled now, by all servers at once. A draw's index is its group's number times G plus its place."""
        prompts = [
            Prompted(prompt_id(request.prompt_ids), request.prompt_ids, slot_indices(request, group_size))
            for request in requests
        ]
        parts = [_part(prompts, place, len(self._policies)) for place, _ in enumerate(self._policies)]
        with ThreadPoolExecutor(len(parts)) as pool:
            answers = list(pool.map(self._sampled, self._policies, parts))
        draws = {key: rollout for answer in answers for key, rollout in answer.items()}
        return [[draws[prompt.problem_id, index] for index in prompt.indices] for prompt in prompts]

    def close(self) -> None:
        """Close the connections."""
        for server in self._servers:
            server.client.close()

    def _policy(self, server: Server, learner: Learner) -> TokenEndpointPolicy:
        policy = TokenEndpointPolicy(
            self.model,
            server,
            lambda problem: problem.prompt,
            "",
            tokenizer=learner.tokenizer,
            eos_ids=learner.eos_ids,
            shape=self.shape,
        )
        policy.digest = content_digest(["served", self.model, sorted(learner.eos_ids)])  # wherever it is served
        return policy

    def _sampled(
        self, policy: TokenEndpointPolicy, prompts: Sequence[Prompted]
    ) -> dict[tuple[str, int], ExplorerRollout]:
        return {
            (draw.problem_id, draw.index): self._rollout(draw.completion)
            for draw in policy.sample_prompts(prompts, self._sampling)
        }

    def _rollout(self, completion: Completion) -> ExplorerRollout:
        rollout = rollout_of(self.name, completion)
        last = rollout.token_ids[-1] if rollout.token_ids else None
        if completion.stop_reason is StopReason.EOS and last not in self._eos_ids:
            raise PolicyError(
                f"{self.name} ended a completion at id {last}, and the learner ends at {sorted(self._eos_ids)}. What "
                "ends for one would go on for the other. Let generation_config.json, config.json and tokenizer name "
                "the same ids for both."
            )
        return rollout

    def _require_tokens(self, policy: TokenEndpointPolicy, server: Server, learner: Learner) -> None:
        """The server must spell a text as the learner does, where it tells, and its ids must say its own text."""
        told, own = server.tokens(PROBE), list(encode_prompt(learner.tokenizer, PROBE))
        if told is not None and told != own:
            equal = (a == b for a, b in zip(told, own, strict=False))
            place = next((i for i, same in enumerate(equal) if not same), min(len(told), len(own)))
            raise PolicyError(
                f"{server.address} has another tokenizer than the learner: it spells {PROBE[:20]!r}... as "
                f"{told[place : place + 8]} from token {place + 1} on, and the learner as {own[place : place + 8]}. "
                f"Serve a model of the learner's own family. {RETOKENISE}"
            )
        probe = Prompted("probe", encode_prompt(learner.tokenizer, _BEGINNING), tuple(range(_PROBE_DRAWS)))
        tokens = min(_PROBE_TOKENS, self._sampling.max_tokens)
        for draw in policy.sample_prompts([probe], SamplingParams(max_tokens=tokens)):
            found = draw.completion
            if found.token_ids is None or found.logprobs is None:
                raise PolicyError(
                    f"{server.address} gives {'token ids' if found.token_ids is not None else 'text'} without "
                    "log-probabilities for every token, which training needs. Serve the model by `vllm serve`."
                )
            ids = [int(i) for i in found.token_ids]
            outside = max(ids) >= learner.vocabulary
            says = "nothing" if outside else decoded(learner.tokenizer, ids, skip_special_tokens=True)
            if outside or says.rstrip(_TORN) != found.text.rstrip(_TORN):
                raise PolicyError(
                    f"{server.address} has another tokenizer than the learner: for ids {ids[:8]} it says "
                    f"{found.text[:60]!r}, and the learner's tokenizer {says[:60]!r}. Serve a model of the learner's "
                    f"own family. {RETOKENISE}"
                )


def _part(prompts: Sequence[Prompted], place: int, servers: int) -> list[Prompted]:
    """One draw in `servers`, counted over all prompts."""
    number, own = count(), []
    for prompt in prompts:
        indices = tuple(index for index in prompt.indices if next(number) % servers == place)
        if indices:
            own.append(Prompted(prompt.problem_id, prompt.prompt_ids, indices))
    return own


def _shape(model: str) -> ModelShape | None:
    """Of a model that is named by a directory, as vLLM names it, where it is here; else its FLOPs are not counted."""
    directory = Path(model)
    return shape_in(Member(name="served", source=model), directory) if directory.is_dir() else None
