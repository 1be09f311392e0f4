"""Servers that speak OpenAI's protocol: finding them, and asking them until they answer.

A source is `http://HOST:PORT/v1`, with `#MODEL` behind it where the server has several models, and `chat:` or `text:`
before it where the route is chosen. Several addresses of one model, parted by commas, share the requests: each goes to
the address with the fewest under way, and to another one where that address fails. Which one answers says nothing of
the draw, whose seed is its key's.
"""

from __future__ import annotations

import os
import threading
import time
import warnings
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import httpx

from s2l_lab.errors import PolicyError, UsageError
from s2l_lab.policies.endpoint_fields import LLAMA_CPP, VLLM

IN_FLIGHT = 64
"""Requests to one address at a time."""
KEY_VARIABLE = "S2L_LAB_ENDPOINT_KEY"
"""Environment variable whose value is sent as bearer token."""
_ATTEMPTS = 6
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that another attempt can mend."""
_LONGEST_WAIT_S = 60.0
_LISTING_S = 30.0
"""A server that does not tell its models by then does not answer."""
_NO_ROUTE = frozenset({404, 405, 501})
"""Statuses of a server that does not have what the path names."""
_KEY_WANTED = frozenset({401, 403})

Route = Literal["chat", "text"]
PATHS: dict[Route, str] = {"chat": "/chat/completions", "text": "/completions"}


class RefusedRequestError(PolicyError):
    """A server did not take a request as it stands; `body` says why, in its words."""

    def __init__(self, message: str, status: int, body: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = body


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answered, and the model asked of it."""

    address: str
    model: str
    kind: str
    """Who serves it, by the server's own word: `vllm`, `llamacpp`, `sglang`, or anything else."""
    client: httpx.Client
    backoff_s: float
    """Wait before the second attempt; it doubles from there."""
    others: tuple[str, ...] = ()
    """More addresses of the same model."""
    _under_way: dict[str, int] = field(default_factory=dict)
    _failed: dict[str, float] = field(default_factory=dict)
    """When an address that failed may be asked again."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses, in the order given."""
        return (self.address, *self.others)

    @property
    def is_vllm(self) -> bool:
        """vLLM gives token ids and names the model by its checkpoint."""
        return self.kind == VLLM

    def post(self, path: str, payload: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request. Raises RefusedRequestError for one that will not do as it stands, PolicyError for
        one that failed for good."""
        failure = ""
        for attempt in range(1, _ATTEMPTS + 1):
            wait_s = 0.0
            for address in self._in_turn():
                outcome = self._once(address, path, payload)
                if isinstance(outcome, dict):
                    self._failed.pop(address, None)
                    return outcome
                failure, address_wait_s = outcome
                wait_s = max(wait_s, address_wait_s)
                self._set_aside(address, failure, self._wait_s(attempt, address_wait_s))
            if attempt < _ATTEMPTS:
                time.sleep(self._wait_s(attempt, wait_s))
        raise PolicyError(
            f"{' and '.join(self.addresses)} ({path}) failed {_ATTEMPTS} times, last with {failure}. What was sampled "
            "is kept; the same command goes on from there once the server answers."
        )

    def chats(self) -> bool:
        """Whether it takes chat messages: it has the route, and a chat template for the model. Draws one token."""
        said = [{"role": "user", "content": "Hi"}]
        try:
            self.post(PATHS["chat"], {"model": self.model, "messages": said, "max_tokens": 1})
        except RefusedRequestError as refusal:
            if refusal.status in _KEY_WANTED:
                raise
            body = refusal.body.lower().replace("_", " ")
            return refusal.status not in _NO_ROUTE and "chat template" not in body
        return True

    def chat_template(self) -> str | None:
        """The text of the chat template, which llama.cpp tells beside `/v1`; None where a server does not tell."""
        if self.kind != LLAMA_CPP:
            return None
        try:
            answer = self.client.get(f"{self.address.removesuffix('/v1')}/props", timeout=_LISTING_S)
            told = answer.json() if answer.status_code == 200 else None
        except (httpx.TransportError, ValueError):
            return None
        text = told.get("chat_template") if isinstance(told, dict) else None
        return text if isinstance(text, str) and text else None

    def each(self) -> tuple[Server, ...]:
        """Its addresses one by one."""
        return tuple(replace(self, address=address, others=()) for address in self.addresses)

    def tokens(self, text: str) -> list[int] | None:
        """The ids of a text by the server's own tokenizer, special tokens in the text read and none added; None where
        it does not tell. vLLM and llama.cpp do, beside `/v1`."""
        asked: dict[str, Any] = {"content": text, "add_special": False, "parse_special": True}
        if self.is_vllm:
            asked = {"model": self.model, "prompt": text, "add_special_tokens": False}
        try:
            answer = self.client.post(f"{self.address.removesuffix('/v1')}/tokenize", json=asked)
            told = answer.json() if answer.status_code == 200 else None
        except (httpx.TransportError, ValueError):
            return None
        ids = told.get("tokens") if isinstance(told, dict) else None
        return ids if isinstance(ids, list) and all(isinstance(i, int) for i in ids) else None

    def _wait_s(self, attempt: int, asked_s: float) -> float:
        return min(max(asked_s, self.backoff_s * 2.0 ** (attempt - 1)), _LONGEST_WAIT_S)

    def _in_turn(self) -> list[str]:
        """Addresses to try, the one with the fewest requests first; those that failed of late only if all did."""
        now = time.monotonic()
        with self._lock:
            fine = [address for address in self.addresses if self._failed.get(address, now) <= now]
            return sorted(fine or self.addresses, key=lambda address: self._under_way.get(address, 0))

    def _once(self, address: str, path: str, payload: dict[str, Any]) -> dict[str, Any] | tuple[str, float]:
        """An answer, or why there is none and how long to wait by the server's word (s)."""
        with self._lock:
            self._under_way[address] = self._under_way.get(address, 0) + 1
        try:
            answer = self.client.post(f"{address}{path}", json=payload)
        except httpx.TransportError as error:
            return f"{type(error).__name__}: {error}", 0.0
        finally:
            with self._lock:
                self._under_way[address] -= 1
        if answer.status_code == 200:
            return _json_object(address + path, answer)
        if answer.status_code in _PASSING:
            return f"status {answer.status_code}: {answer.text[:300]}", _retry_after(answer)
        raise RefusedRequestError(
            f"{address}{path} refused a request with status {answer.status_code}: {answer.text[:300]}"
            f"{_way_out(answer, path)}",
            answer.status_code,
            answer.text,
        )

    def _set_aside(self, address: str, failure: str, seconds: float) -> None:
        """Leave an address alone for a while, if there is another one."""
        if not self.others:
            return
        with self._lock:
            first = address not in self._failed
            self._failed[address] = time.monotonic() + seconds
        if first:
            warnings.warn(f"{address} fails ({failure}); its requests go to the others", stacklevel=2)


def split_source(source: str) -> tuple[Route | None, tuple[str, ...], str]:
    """`[chat:|text:]ADDRESS[,ADDRESS...][#MODEL]` as the route (None: what the server has), addresses and model (empty:
    its only one). Raises UsageError for anything else."""
    route: Route | None = None
    for known in PATHS:
        if source.startswith(f"{known}:"):
            route, source = known, source.removeprefix(f"{known}:")
    addresses, models = [], []
    for part in source.split(","):
        address, _, model = part.strip().partition("#")
        if not address.startswith(("http://", "https://")):
            raise UsageError(
                f"{part.strip()!r} in {source!r} is no address. Addresses look like http://HOST:PORT/v1, several are "
                "parted by commas, and #MODEL stands behind the last one."
            )
        addresses.append(address.rstrip("/"))
        models += [model] if model else []
    if len(set(models)) > 1:
        raise UsageError(f"{source!r} names {len(set(models))} models; addresses of one policy serve one model.")
    if len(set(addresses)) < len(addresses):
        raise UsageError(f"{source!r} names an address twice.")
    return route, tuple(addresses), models[0] if models else ""


def connect(source: str, backoff_s: float = 1.0) -> Server:
    """Ask every address of a source which models it serves, and settle on one.

    Raises PolicyError if nobody answers, UsageError if the model must be named, is not served, or is another one (or
    another kind of server) at another address.
    """
    _, addresses, wanted = split_source(source)
    key = os.environ.get(KEY_VARIABLE)
    most = IN_FLIGHT * len(addresses)
    client = httpx.Client(
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=httpx.Timeout(30.0, read=3600.0, pool=None),
        limits=httpx.Limits(max_connections=most, max_keepalive_connections=most),
    )
    found = [_served(client, address, wanted) for address in addresses]
    first, model, kind = found[0]
    for address, other, its_kind in found[1:]:
        if (other, its_kind) != (model, kind):
            raise UsageError(
                f"{first} serves {model} ({kind}) and {address} serves {other} ({its_kind}). Addresses of one policy "
                "serve one model by one kind of server; name it alike (vllm serve --served-model-name, llama-server "
                "--alias), or run two policies."
            )
    return Server(first, model, kind, client, backoff_s, tuple(address for address, _, _ in found[1:]))


def _served(client: httpx.Client, address: str, wanted: str) -> tuple[str, str, str]:
    """Address, model and kind of a server that serves the wanted model."""
    address, answer = _models(client, address)
    served = [entry for entry in _json_object(f"{address}/models", answer).get("data") or [] if isinstance(entry, dict)]
    names = [str(entry.get("id")) for entry in served]
    if wanted and wanted not in names:
        raise UsageError(f"{address} does not serve {wanted!r}. It serves: {', '.join(names) or 'nothing'}.")
    if not wanted and len(names) != 1:
        raise UsageError(f"{address} serves {len(names)} models; name one as {address}#MODEL: {', '.join(names)}.")
    entry = served[names.index(wanted or names[0])]
    return address, str(entry["id"]), str(entry.get("owned_by"))


def _models(client: httpx.Client, address: str) -> tuple[str, httpx.Response]:
    """The list of models, and the address under which it is: `/v1` may be left out.

    It is looked for there first, since llama.cpp also answers without it, by routes of its own.
    """
    if not address.endswith("/v1"):
        answer = _get(client, f"{address}/v1")
        if answer.status_code == 200:
            return f"{address}/v1", answer
    answer = _get(client, address)
    if answer.status_code != 200:
        raise PolicyError(
            f"{address}/models answers with status {answer.status_code}: {answer.text[:300]}."
            f"{_way_out(answer, '/models')}"
        )
    return address, answer


def _get(client: httpx.Client, address: str) -> httpx.Response:
    try:
        return client.get(f"{address}/models", timeout=_LISTING_S)
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise PolicyError(
            f"nobody answers at {address}/models ({error}). Start the server (vllm serve MODEL, llama-server -m "
            "FILE.gguf, ollama serve), or mend the address: http://HOST:PORT/v1."
        ) from error


def _way_out(answer: httpx.Response, path: str) -> str:
    """What to do about a status, where that is known."""
    if answer.status_code in _KEY_WANTED:
        return f" Set {KEY_VARIABLE} to its key."
    if answer.is_redirect:
        return f" It sends elsewhere ({answer.headers.get('location', 'without saying where')}): give that address."
    if answer.status_code in _NO_ROUTE and path == PATHS["text"]:
        return " A server without text completions takes chat messages: chat:http://..., without --template raw."
    if answer.status_code in _NO_ROUTE and path == PATHS["chat"]:
        return " A server without chat completions takes text: text:http://..."
    return ""


def _json_object(address: str, answer: httpx.Response) -> dict[str, Any]:
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        raise PolicyError(f"{address} answers in pieces (a stream), although it was not asked to. Start it without.")
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
