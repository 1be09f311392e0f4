"""Any server that speaks OpenAI's `/v1/completions`: a running vLLM server, or another one, as a policy.

One request per draw with n = 1 and the draw's own seed, several in flight, finished ones yielded at once. A request
that fails is tried again a few times where that can help (connection lost, 408, 429, 5xx), then it is an error: never
an empty completion.

What a server keeps to itself: whether it honours the seed (vLLM does, with the caveats of `vllm_engine`), which weights
are behind the model's name (the digest holds address and name), and whether its log-probabilities are the model's or
those after temperature and truncation; they are kept only for plain sampling at temperature 1, where the two are one.
Token ids come from vLLM servers alone. Without token ids, text alone is stored.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np

from s2l_lab.digest import content_digest
from s2l_lab.errors import PolicyError, UsageError
from s2l_lab.policies.draw_keys import seed63
from s2l_lab.policies.policy import Completion, Draw, Draws, SamplingParams, StopReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from s2l_lab.problems import Problem

_IN_FLIGHT = 64
_ATTEMPTS = 6
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that another attempt can mend."""
_LONGEST_WAIT_S = 60.0
KEY_VARIABLE = "S2L_LAB_ENDPOINT_KEY"
"""Environment variable whose value is sent as bearer token."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answered, and the model asked of it."""

    address: str
    model: str
    is_vllm: bool
    """vLLM takes top-k and min-p, and gives token ids."""
    client: httpx.Client
    backoff_s: float
    """Wait before the second attempt; it doubles from there."""

    def post(self, path: str, payload: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request. Raises PolicyError when it failed for good."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                answer = self.client.post(f"{self.address}{path}", json=payload)
            except httpx.TransportError as error:
                failure, wait_s = f"{type(error).__name__}: {error}", 0.0
            else:
                if answer.status_code == 200:
                    return _json_object(self.address + path, answer)
                failure = f"status {answer.status_code}: {answer.text[:300]}"
                if answer.status_code not in _PASSING:
                    raise PolicyError(f"{self.address}{path} refused a request with {failure}")
                wait_s = _retry_after(answer)
            if attempt < _ATTEMPTS:
                time.sleep(min(max(wait_s, self.backoff_s * 2 ** (attempt - 1)), _LONGEST_WAIT_S))
        raise PolicyError(
            f"{self.address}{path} failed {_ATTEMPTS} times, last with {failure}. What was sampled is kept; the same "
            "command goes on from there once the server answers."
        )


def connect(source: str, backoff_s: float = 1.0) -> Server:
    """Ask `http://host:port/v1` (or `...#MODEL`) which models it serves, and settle on one.

    Raises PolicyError if nobody answers, UsageError if the model must be named or is not served.
    """
    address, _, wanted = source.partition("#")
    address = address.rstrip("/")
    key = os.environ.get(KEY_VARIABLE)
    client = httpx.Client(
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=httpx.Timeout(30.0, read=3600.0, pool=None),
        limits=httpx.Limits(max_connections=_IN_FLIGHT, max_keepalive_connections=_IN_FLIGHT),
    )
    try:
        answer = client.get(f"{address}/models")
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise PolicyError(
            f"nobody answers at {address}/models ({error}). Start the server, or mend the address: http://HOST:PORT/v1."
        ) from error
    if answer.status_code != 200:
        hint = f" Set {KEY_VARIABLE} to its key." if answer.status_code in (401, 403) else ""
        raise PolicyError(f"{address}/models answers with status {answer.status_code}: {answer.text[:300]}.{hint}")
    served = [entry for entry in _json_object(f"{address}/models", answer).get("data", []) if isinstance(entry, dict)]
    names = [str(entry.get("id")) for entry in served]
    if wanted and wanted not in names:
        raise UsageError(f"{address} does not serve {wanted!r}. It serves: {', '.join(names) or 'nothing'}.")
    if not wanted and len(names) != 1:
        raise UsageError(f"{address} serves {len(names)} models; name one as {address}#MODEL: {', '.join(names)}.")
    entry = served[names.index(wanted or names[0])]
    return Server(address, str(entry["id"]), entry.get("owned_by") == "vllm", client, backoff_s)


class EndpointPolicy:
    """A served model. `complete_prompt` says whether rendered prompts hold all special tokens already."""

    engine = "endpoint"
    shape = None

    def __init__(
        self,
        name: str,
        server: Server,
        render: Callable[[Problem], str],
        template_digest: str,
        *,
        complete_prompt: bool,
    ) -> None:
        self.name = name
        self.digest = content_digest(["endpoint", name, server.address, server.model, template_digest, complete_prompt])
        self._server = server
        self._render = render
        self._complete_prompt = complete_prompt

    def sample(self, requests: Sequence[Draws], sampling: SamplingParams) -> Iterator[Draw]:
        """Draws in the order in which they finish. Raises PolicyError for parameters that the server does not know."""
        if not self._server.is_vllm and (sampling.top_k or sampling.min_p):
            raise PolicyError(
                f"{self.name}: top-k and min-p are no part of OpenAI's protocol and {self._server.address} is no vLLM "
                "server; it might drop them silently. Use --top-k 0 --min-p 0, or a vLLM server."
            )
        prompts = [self._render(request.problem) for request in requests]
        return self._draws(requests, prompts, sampling)

    def prompt(self, problem: Problem) -> str:
        """The text that is sent; the server may begin it with special tokens of its own."""
        return self._render(problem)

    def close(self) -> None:
        """Close the connections."""
        self._server.client.close()

    def _draws(self, requests: Sequence[Draws], prompts: Sequence[str], sampling: SamplingParams) -> Iterator[Draw]:
        wanted = (
            (request.problem.id, index, prompt)
            for request, prompt in zip(requests, prompts, strict=True)
            for index in request.indices
        )
        pool = ThreadPoolExecutor(max_workers=_IN_FLIGHT, thread_name_prefix="endpoint")
        running: dict[Future[Completion], tuple[str, int]] = {}
        try:
            while True:
                while len(running) < 2 * _IN_FLIGHT and (item := next(wanted, None)) is not None:
                    problem_id, index, prompt = item
                    running[pool.submit(self._complete, problem_id, index, prompt, sampling)] = (problem_id, index)
                if not running:
                    return
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    problem_id, index = running.pop(done)
                    yield Draw(problem_id, index, done.result())
        finally:  # nobody waits for what is still under way when a draw failed or the caller stopped
            pool.shutdown(wait=False, cancel_futures=True)

    def _complete(self, problem_id: str, index: int, prompt: str, sampling: SamplingParams) -> Completion:
        payload: dict[str, Any] = {
            "model": self._server.model,
            "prompt": prompt,
            "n": 1,
            "seed": seed63(sampling.seed, self.digest, sampling.digest, problem_id, index),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "presence_penalty": sampling.presence_penalty,
            "max_tokens": sampling.max_tokens,
            "stop": list(sampling.stop) or None,
            "logprobs": 1,
        }
        if self._server.is_vllm:
            payload |= {"top_k": sampling.top_k, "min_p": sampling.min_p, "return_token_ids": True}
            payload["add_special_tokens"] = not self._complete_prompt
        return self._read(self._server.post("/completions", payload), sampling)

    def _read(self, answer: dict[str, Any], sampling: SamplingParams) -> Completion:
        """An answer as a completion. Raises PolicyError for anything that is not a whole one."""
        choices = answer.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        usage = answer.get("usage") if isinstance(answer.get("usage"), dict) else {}
        tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
        if not isinstance(choice, dict) or not isinstance(choice.get("text"), str) or tokens == 0:
            raise PolicyError(f"{self._server.address} gave no completion: {str(answer)[:300]}")
        ids = choice.get("token_ids")
        token_ids = np.asarray(ids, dtype=np.int32) if isinstance(ids, list) else None
        length = tokens if token_ids is None else len(token_ids)
        return Completion(
            text=choice["text"],
            token_ids=token_ids,
            logprobs=_logprobs(choice, length) if _plain(sampling) else None,
            logprobs_t1=None,
            entropies=None,
            stop_reason=self._stop_reason(choice, sampling),
            prompt_tokens=int(usage.get("prompt_tokens") or 0) if isinstance(usage, dict) else 0,
        )

    def _stop_reason(self, choice: dict[str, Any], sampling: SamplingParams) -> StopReason:
        reason = choice.get("finish_reason")
        if reason == "length":
            return StopReason.LENGTH
        if reason == "stop":
            # Only vLLM tells a stop string from an EOS; elsewhere a draw that could have met one is said to have.
            met_string = isinstance(choice.get("stop_reason"), str) if self._server.is_vllm else bool(sampling.stop)
            return StopReason.STOP if met_string else StopReason.EOS
        raise PolicyError(f"{self._server.address} ended a draw with {reason!r}; it was not kept. Run it again.")


def _plain(sampling: SamplingParams) -> bool:
    return sampling.full_support and sampling.temperature == 1 and sampling.presence_penalty == 0


def _logprobs(choice: dict[str, Any], length: int | None) -> np.ndarray[Any, np.dtype[np.float32]] | None:
    """(T,) log-probabilities if the server gave one for each token."""
    given = choice.get("logprobs")
    values = given.get("token_logprobs") if isinstance(given, dict) else None
    if not isinstance(values, list) or len(values) != length or not all(isinstance(v, int | float) for v in values):
        return None
    return np.asarray(values, dtype=np.float32)


def _json_object(address: str, answer: httpx.Response) -> dict[str, Any]:
    try:
        value = answer.json()
    except ValueError as error:
        raise PolicyError(
            f"{address} did not answer in JSON: {answer.text[:200]!r}. Is this an OpenAI-compatible server?"
        ) from error
    if not isinstance(value, dict):
        raise PolicyError(f"{address} did not answer with a JSON object: {answer.text[:200]!r}.")
    return value


def _retry_after(answer: httpx.Response) -> float:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else 0.0
