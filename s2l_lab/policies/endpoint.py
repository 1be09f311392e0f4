"""Any server that speaks OpenAI's protocol as a policy: `/v1/completions` takes text or token ids, and
`/v1/chat/completions` messages, which the server renders itself.

One request per draw with n = 1 and the draw's own seed, several in flight, finished ones yielded at once. A request
that fails is tried again a few times where that can help (connection lost, 408, 429, 5xx), then it is an error: never
an empty completion. What is sent, and how an answer is compared with it, is in `endpoint_fields`: a server that says it
did something else than was asked is refused by the setting's name, and a server that does not say is reported so.

What a server keeps to itself: whether it honours the seed (vLLM does, with the caveats of `vllm_engine`; collecting
refuses one that plainly does not), which weights are behind the model's name (the digest holds addresses and name), and
whether its log-probabilities are the model's or those after temperature and truncation. llama.cpp is asked for the
latter. Others' are kept only for plain sampling at temperature 1 where all settings are known, so that the two are one,
and from a vLLM server whose tokenizer is at hand, which is probed. Token ids come from vLLM and llama.cpp. Without
them, text is stored, and the number of tokens that the server counted.
"""

from __future__ import annotations

import threading
import warnings
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import numpy as np

from s2l_lab.digest import content_digest
from s2l_lab.errors import PolicyError
from s2l_lab.policies.draw_keys import seed63
from s2l_lab.policies.endpoint_fields import (
    KNOWN,
    LLAMA_CPP,
    VLLM,
    differing_settings,
    echoed_settings,
    is_neutral,
    refused_fields,
    same_model,
    sampling_fields,
    unknown_settings,
)
from s2l_lab.policies.endpoint_messages import Chat, text_of_message
from s2l_lab.policies.endpoint_server import IN_FLIGHT, PATHS, RefusedRequestError, Server
from s2l_lab.policies.endpoint_tokens import logprobs, most_likely, token_ids
from s2l_lab.policies.policy import Completion, Draw, Draws, SamplingParams, StopReason
from s2l_lab.policies.templates import encode_prompt
from s2l_lab.policies.tokenizers import tokenizer_digest
from s2l_lab.policies.waves import Prompted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from s2l_lab.policies.endpoint_server import Route
    from s2l_lab.policies.policy import ModelShape
    from s2l_lab.problems import Problem

_REFUSING = frozenset({400, 422})
"""Statuses of a request that a server does not take as it stands."""
_CUT = ("length", "max_tokens")
_ENDED = ("stop", "eos", "eos_token", "end_turn")
"""Reasons by which servers say that a completion ended; `stop` and `length` are OpenAI's."""
_LENGTH_RENAMED = "max_completion_tokens"
"""What newer models of OpenAI want instead of max_tokens; the refusal names it."""
_MOST_REMARKS = 20
"""A server that calls itself something else in every answer is not followed further."""
_PROBED = (0.5, 2.0)
"""Two temperatures, between which the most likely token of a position changes its probability, if it is asked for."""
_PROBE_TOLERANCE = 0.01
"""Nats; one value given twice differs by rounding alone."""
_ANY_TEXT = "The"
_FIELDS = "every sampling field"
"""Part of the digest: rollouts of earlier releases, which left fields to the server, are another policy's."""


Prompt = dict[str, Any]
"""What a request says of the prompt: `prompt` as text or token ids, or `messages`."""


class EndpointPolicy:
    """A served model.

    `complete_prompt` says whether rendered prompts hold all special tokens already. With `chat`, messages are sent and
    `render` is not used.
    """

    engine = "endpoint"
    shape: ModelShape | None = None

    def __init__(
        self,
        name: str,
        server: Server,
        render: Callable[[Problem], str],
        template_digest: str,
        *,
        complete_prompt: bool,
        chat: Chat | None = None,
    ) -> None:
        self.name = name
        addresses = ",".join(server.addresses)
        prompt_digest = template_digest if chat is None else chat.digest
        self.digest = content_digest(
            ["endpoint", name, addresses, server.model, prompt_digest, complete_prompt, _FIELDS]
        )
        self._chat = chat
        self.eos_ids: frozenset[int] = frozenset()
        self._server = server
        self._render = render
        self._complete_prompt = complete_prompt
        self._lock = threading.Lock()
        self._replaced: dict[str, Any] = {}
        """Fields that the server refused: what is sent instead, None for nothing."""
        self._renamed: dict[str, str] = {}
        self._remarks: dict[str, None] = {}
        self._cut = False
        if chat is not None and chat.remark:
            self._remark(chat.remark)

    @property
    def chats(self) -> bool:
        """Whether problems are sent as messages, into which no prompt of another template fits."""
        return self._chat is not None

    def remarks(self) -> tuple[str, ...]:
        """What a reader of the rollouts must know of the server, as far as it has shown; each was told as a warning."""
        with self._lock:
            return tuple(self._remarks)

    def sample(self, requests: Sequence[Draws], sampling: SamplingParams) -> Iterator[Draw]:
        """Draws in the order in which they finish. Raises PolicyError for parameters that the server does not know, and
        for an answer that the server says was made with others."""
        self._refuse(sampling)
        wanted = [(request.problem.id, request.indices, self._asked(request.problem)) for request in requests]
        return self._draws(wanted, sampling)

    def prompt(self, problem: Problem) -> str:
        """The text that is sent; the server may begin it with special tokens of its own. Messages are shown as JSON."""
        return self._render(problem) if self._chat is None else self._chat.text(problem)

    def close(self) -> None:
        """Close the connections."""
        self._server.client.close()

    def _asked(self, problem: Problem) -> Prompt:
        if self._chat is None:
            return {"prompt": self._render(problem)}
        told = {"chat_template_kwargs": dict(self._chat.template_args)} if self._chat.template_args else {}
        return {"messages": self._chat.messages(problem), **told}

    def _refuse(self, sampling: SamplingParams) -> None:
        """Raise PolicyError for parameters that the server does not know."""
        if self._server.kind not in KNOWN and (sampling.top_k or sampling.min_p):
            raise PolicyError(
                f"{self.name}: top-k and min-p are no part of OpenAI's protocol and {self._server.address} is no "
                f"server of a known kind ({', '.join(KNOWN)}); it might drop them silently. Use --top-k 0 --min-p 0, "
                "or a vLLM server."
            )
        if self._server.kind == LLAMA_CPP and sampling.presence_penalty:
            raise PolicyError(
                f"{self.name}: {self._server.address} is a llama.cpp server, whose presence penalty counts the tokens "
                "of the prompt too; here it is for those of the completion. Use --presence-penalty 0, or a vLLM server."
            )

    def _draws(self, prompts: Iterable[tuple[str, Sequence[int], Prompt]], sampling: SamplingParams) -> Iterator[Draw]:
        """A draw for each (problem id, indices, prompt)."""
        wanted = ((problem_id, index, prompt) for problem_id, indices, prompt in prompts for index in indices)
        most = IN_FLIGHT * len(self._server.addresses)
        pool = ThreadPoolExecutor(max_workers=most, thread_name_prefix="endpoint")
        running: dict[Future[Completion], tuple[str, int]] = {}
        try:
            while True:
                while len(running) < 2 * most and (item := next(wanted, None)) is not None:
                    problem_id, index, prompt = item
                    running[pool.submit(self._complete, problem_id, index, prompt, sampling)] = (problem_id, index)
                if not running:
                    return
                finished = wait(running, return_when=FIRST_COMPLETED).done
                for done in sorted(finished, key=lambda future: future.exception() is not None):  # failures last
                    problem_id, index = running.pop(done)
                    yield Draw(problem_id, index, done.result())
        finally:  # nobody waits for what is still under way when a draw failed or the caller stopped
            pool.shutdown(wait=False, cancel_futures=True)

    def _complete(self, problem_id: str, index: int, prompt: Prompt, sampling: SamplingParams) -> Completion:
        seed = seed63(sampling.seed, self.digest, sampling.digest, problem_id, index)
        answer, sent = self._ask(prompt, sampling, seed)
        return self._read(answer, sent, sampling)

    def _ask(
        self, prompt: Prompt, sampling: SamplingParams, seed: int, server: Server | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """An answer, and the fields that it answers; `server` is one of several addresses."""
        route: Route = "chat" if "messages" in prompt else "text"
        asked = sampling_fields(self._server.kind, route, sampling, seed, self.eos_ids)
        payload: dict[str, Any] = {"model": self._server.model, **prompt}
        if self._server.is_vllm and isinstance(prompt.get("prompt"), str):
            payload["add_special_tokens"] = not self._complete_prompt
        while True:
            with self._lock:
                renamed = dict(self._renamed)
                instead = {name: value for name, value in self._replaced.items() if is_neutral(name, asked.get(name))}
            left_out = {name for name, value in instead.items() if value is None}
            kept = {name: value for name, value in {**asked, **instead}.items() if name not in left_out}
            sent = {renamed.get(name, name): value for name, value in kept.items()}
            try:
                answer = (server or self._server).post(PATHS[route], payload | sent)
            except RefusedRequestError as refusal:
                if refusal.status not in _REFUSING:
                    raise
                self._do_without(refused_fields(refusal.body, sent), sent, refusal)
            else:
                return answer, sent

    def _do_without(self, refused: Sequence[str], sent: Mapping[str, Any], refusal: RefusedRequestError) -> None:
        """From now on send something else instead of these fields. Raises PolicyError where that would change the
        draws: for a field that is not at its neutral value, and where no field is named."""
        if _LENGTH_RENAMED in refusal.body and "max_tokens" in sent:
            with self._lock:
                self._renamed["max_tokens"] = _LENGTH_RENAMED
            return
        if not refused:
            raise refusal
        if shaping := [name for name in refused if not is_neutral(name, sent[name])]:
            raise PolicyError(
                f"{self.name}: {self._server.address} does not take "
                f"{', '.join(f'{name} = {sent[name]!r}' for name in shaping)}, so it cannot sample as asked. Ask for "
                f"the neutral value, or use another server. It says: {refusal.body[:300]}"
            ) from refusal
        with self._lock:
            for name in refused:
                # SGLang spells "keep all" -1 and refuses 0.
                self._replaced[name] = -1 if name == "top_k" and sent[name] == 0 else None

    def _read(self, answer: dict[str, Any], sent: Mapping[str, Any], sampling: SamplingParams) -> Completion:
        """An answer as a completion. Raises PolicyError for anything that is not a whole one, or not what was asked."""
        choices = answer.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        usage = answer.get("usage") if isinstance(answer.get("usage"), dict) else {}
        tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
        counted = tokens if isinstance(tokens, int) else None
        text = self._text(choice, counted) if isinstance(choice, dict) else None
        if not isinstance(choice, dict) or text is None or counted == 0:
            raise PolicyError(f"{self._server.address} gave no completion: {str(answer)[:300]}")
        ids = token_ids(answer, choice, counted)
        length = counted if ids is None else len(ids)
        all_known = self._compare(answer, length, sent, sampling)
        stop_reason = self._stop_reason(answer, choice, sampling)
        if stop_reason is StopReason.LENGTH and length is not None and length < sampling.max_tokens:
            self._tell_cut(length, sampling.max_tokens)
        drawn, model = self._kinds(logprobs(choice, length) if all_known else None, sampling)
        return Completion(
            text=text,
            token_ids=ids,
            logprobs=drawn,
            logprobs_t1=model,
            entropies=None,
            stop_reason=stop_reason,
            prompt_tokens=int(usage.get("prompt_tokens") or 0) if isinstance(usage, dict) else 0,
            counted_tokens=counted if ids is None else None,
        )

    def _text(self, choice: Mapping[str, Any], counted: int | None) -> str | None:
        """What a choice says; None if it says nothing. Raises PolicyError for a call of a tool."""
        message = choice.get("message")
        if not isinstance(message, dict):
            text = choice.get("text")
            return text if isinstance(text, str) else None
        if message.get("tool_calls") or message.get("function_call"):
            raise PolicyError(
                f"{self.name}: {self._server.address} called a tool instead of answering ({str(message)[:200]}). None "
                "was offered; start it without tools, or use text:http://... with a template."
            )
        text = text_of_message(message)
        if message.get("reasoning_content") or message.get("reasoning"):
            self._remark(
                "its thoughts came apart from its answers; they stand before them as <think> drafts", tell=False
            )
        # A server that hides thoughts may have nothing to show of the tokens that it counted.
        return "" if text is None and message.get("content") is None and counted else text

    def _kinds(
        self, values_T: NDArray[np.float32] | None, sampling: SamplingParams
    ) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
        """What a server's log-probabilities are: those that sampled, and those of the plain model at temperature 1."""
        if self._server.kind == LLAMA_CPP:  # after its samplers, as it is asked; a greedy draw is certain
            return values_T, None
        if _plain(sampling):
            return values_T, None
        return None, None

    def _compare(
        self, answer: Mapping[str, Any], length: int | None, sent: Mapping[str, Any], sampling: SamplingParams
    ) -> bool:
        """Compare what an answer says of itself with what was asked; True if no setting is left in the dark. Raises
        PolicyError with the names of what differs."""
        echoed = echoed_settings(answer)
        differing = differing_settings(echoed, sent)
        model, fingerprint = answer.get("model"), answer.get("system_fingerprint")
        if isinstance(model, str) and not same_model(self._server.model, model):
            differing.append(f"model = {model!r}, asked: {self._server.model!r}")
        if length is not None and length > sampling.max_tokens:
            differing.append(f"max_tokens: {length} tokens came, asked: at most {sampling.max_tokens}")
        if differing:
            raise PolicyError(
                f"{self.name}: {self._server.address} did not sample as asked ({'; '.join(differing)}). The draw was "
                "not kept. Start the server without settings of its own, or ask for what it does."
            )
        unknown = unknown_settings(self._server.kind, echoed, sent)
        if unknown:
            self._remark(f"server defaults unknown for: {', '.join(unknown)}")
        if isinstance(model, str) and model != self._server.model:
            self._remark(f"answered as model {model[:200]}")
        if isinstance(fingerprint, str) and fingerprint:
            self._remark(f"system_fingerprint {fingerprint[:200]}", tell=False)
        return not unknown

    def _tell_cut(self, length: int, max_tokens: int) -> None:
        with self._lock:
            first, self._cut = not self._cut, True
        if first:
            self._warn(
                f"the server cut a completion at {length} tokens, short of max_tokens = {max_tokens}: its context is "
                "full, or it has a cap of its own. Such rollouts count as truncated."
            )

    def _remark(self, text: str, *, tell: bool = True) -> None:
        with self._lock:
            new = text not in self._remarks and len(self._remarks) < _MOST_REMARKS
            if new:
                self._remarks[text] = None
        if new and tell:
            self._warn(text)

    def _warn(self, text: str) -> None:
        warnings.warn(f"{self.name} ({self._server.address}): {text}", stacklevel=2)

    def _stop_reason(
        self, answer: Mapping[str, Any], choice: Mapping[str, Any], sampling: SamplingParams
    ) -> StopReason:
        reason, more = choice.get("finish_reason"), answer.get("__verbose")
        if reason in _CUT:
            return StopReason.LENGTH
        if reason == "stop_sequence":
            return StopReason.STOP
        if reason in _ENDED:
            # vLLM and llama.cpp tell a stop string from an EOS; elsewhere a draw that could have met one is said to.
            met_string = bool(sampling.stop)
            if self._server.is_vllm:
                met_string = isinstance(choice.get("stop_reason"), str)
            elif isinstance(more, dict) and "stop_type" in more:
                met_string = more["stop_type"] == "word"
            return StopReason.STOP if met_string else StopReason.EOS
        raise PolicyError(f"{self._server.address} ended a draw with {reason!r}; it was not kept. Run it again.")


class TokenEndpointPolicy(EndpointPolicy):
    """A served model whose tokenizer is at hand: prompts go as token ids, so that it can explore for a learner.

    With log-probabilities under the distribution that sampled: llama.cpp gives them for every sampling, vLLM where it
    was started so (`logprobs_are_processed`); at temperature 1 without truncation or penalty the two kinds are one.
    """

    def __init__(
        self,
        name: str,
        server: Server,
        render: Callable[[Problem], str],
        template_digest: str,
        *,
        tokenizer: Any,
        eos_ids: frozenset[int],
        shape: ModelShape | None = None,
        chat: Chat | None = None,
    ) -> None:
        """`eos_ids` end a completion (vLLM is told; llama.cpp ends where its file says). Raises PolicyError for a
        server that takes no token ids."""
        if server.kind not in (VLLM, LLAMA_CPP):
            raise PolicyError(
                f"{name}: {server.address} is neither a vLLM nor a llama.cpp server, so it gives text without token "
                "ids, and a tokenizer is of no use. Leave --tokenizer out, or use one of these servers."
            )
        super().__init__(name, server, render, template_digest, complete_prompt=True, chat=chat)
        self.digest = content_digest([self.digest, tokenizer_digest(tokenizer), sorted(eos_ids)])
        self.tokenizer = tokenizer
        self.eos_ids = eos_ids
        self.shape = shape
        self._processed: bool | None = None

    def sample(self, requests: Sequence[Draws], sampling: SamplingParams) -> Iterator[Draw]:
        """As without a tokenizer, but every prompt is encoded here; messages are the server's to encode."""
        if self._chat is not None:
            self._learn_kind(encode_prompt(self.tokenizer, _ANY_TEXT), sampling)
            return super().sample(requests, sampling)
        encoded = [
            Prompted(r.problem.id, encode_prompt(self.tokenizer, self._render(r.problem)), r.indices) for r in requests
        ]
        return self.sample_prompts(encoded, sampling)

    def sample_prompts(self, prompts: Sequence[Prompted], sampling: SamplingParams) -> Iterator[Draw]:
        """As `sample`, for prompts that are token ids already: training gives those that the learner saw."""
        self._refuse(sampling)
        if prompts:
            self._learn_kind(prompts[0].prompt_ids, sampling)
        wanted = [(p.problem_id, p.indices, {"prompt": list(p.prompt_ids)}) for p in prompts]
        return self._draws(wanted, sampling)

    def require_logprobs(self, sampling: SamplingParams) -> None:
        """Raise PolicyError if this server's log-probabilities are not those of the distribution that samples."""
        self._learn_kind(encode_prompt(self.tokenizer, _ANY_TEXT), sampling)
        if self._processed is False and not _plain(sampling):
            raise PolicyError(
                f"{self.name}: {' or '.join(self._server.addresses)} gives the model's own log-probabilities, not "
                "those after temperature and truncation, and the sampling is not plain (temperature "
                f"{sampling.temperature:g}, top-p {sampling.top_p:g}, top-k {sampling.top_k}). "
                "Start it with `vllm serve ... --logprobs-mode processed_logprobs`, or sample at temperature 1 without "
                "truncation and penalties."
            )

    def logprobs_are_processed(self, prompt_ids: Sequence[int]) -> bool:
        """Whether log-probabilities are those after temperature and truncation: two requests of one token to every
        vLLM server. Raises PolicyError where one does not give the likely tokens of a position, which it is asked for.
        """
        if self._server.kind == LLAMA_CPP:
            return True
        return all(self._processes(server, prompt_ids) for server in self._server.each())

    def _processes(self, server: Server, prompt_ids: Sequence[int]) -> bool:
        tops = []
        for temperature in _PROBED:
            sampling = SamplingParams(temperature=temperature, max_tokens=1)
            answer, _ = self._ask({"prompt": list(prompt_ids)}, sampling, 0, server)
            choices = answer.get("choices")
            top = most_likely(choices[0]) if isinstance(choices, list) and choices else None
            if top is None:
                raise PolicyError(
                    f"{self.name}: {server.address} gives no log-probabilities, so what it samples from cannot be "
                    f"told. Start it with --max-logprobs 1 or more. It says: {str(answer)[:300]}"
                )
            tops.append(top)
        return abs(tops[0] - tops[1]) > _PROBE_TOLERANCE

    def _learn_kind(self, prompt_ids: Sequence[int], sampling: SamplingParams) -> None:
        if self._processed is None and not _plain(sampling):
            self._processed = self.logprobs_are_processed(prompt_ids)

    def _kinds(
        self, values_T: NDArray[np.float32] | None, sampling: SamplingParams
    ) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
        if values_T is None or _plain(sampling) or self._server.kind == LLAMA_CPP:
            return super()._kinds(values_T, sampling)
        if sampling.temperature == 0:  # the draw is certain; vLLM gives the model's own value, whatever its mode
            return np.zeros_like(values_T), values_T if sampling.presence_penalty == 0 else None
        return (values_T, None) if self._processed else (None, values_T)


def _plain(sampling: SamplingParams) -> bool:
    return sampling.full_support and sampling.temperature == 1 and sampling.presence_penalty == 0
