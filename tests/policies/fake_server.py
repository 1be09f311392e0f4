"""A fake of a served model: an HTTP server on this machine that answers as a test wants it to.

It exists for faults that a real server shows only on bad days, and for the shapes of answers that real servers gave;
what it answers by itself is made from the request alone.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[dict[str, Any], int], tuple[int, dict[str, str], bytes]]
"""(request, how many came before) to (status, headers, body)."""


def fine(payload: dict[str, Any], _before: int) -> tuple[int, dict[str, str], bytes]:
    """A completion that depends on prompt and seed alone."""
    choice = {
        "text": f"{payload['prompt']} {payload['seed'] % 97}",
        "finish_reason": "stop",
        "logprobs": {"token_logprobs": [-0.5, -0.25]},
    }
    if payload.get("return_token_ids"):
        choice |= {"token_ids": [5, 1], "stop_reason": None}
    body = {"choices": [choice], "usage": {"completion_tokens": 2, "prompt_tokens": 4}}
    return 200, {}, json.dumps(body).encode()


class FakeServer:
    """An HTTP server on a free port of this machine; `answer` decides what /completions says."""

    def __init__(self) -> None:
        self.answer: Answer = fine
        self.owner = "vllm"
        self.models = ["m"]
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []
        """Of the requests, in their order."""
        self.routes = {"/v1/completions"}
        """What is served; every other path is answered as vLLM and llama.cpp answer it, with 404."""
        self.props: dict[str, Any] | None = None
        """What llama.cpp tells of itself under /props; None for a server without it."""
        self.keys: list[str | None] = []
        self.peak = 0
        self._open, self._lock = 0, threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Quiet."""

            def _reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                fake.keys.append(self.headers.get("Authorization"))
                if self.path == "/props" and fake.props is not None:
                    self._reply(200, {}, json.dumps(fake.props).encode())
                    return
                data = [{"id": model, "owned_by": fake.owner} for model in fake.models]
                known = self.path == "/v1/models"
                self._reply(200 if known else 404, {}, json.dumps({"data": data}).encode())

            def do_POST(self) -> None:
                payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path not in fake.routes:
                    self._reply(404, {}, b'{"detail":"Not Found"}')
                    return
                with fake._lock:
                    before = len(fake.requests)
                    fake.requests.append(payload)
                    fake.paths.append(self.path)
                    fake._open += 1
                    fake.peak = max(fake.peak, fake._open)
                status, headers, body = fake.answer(payload, before)
                with fake._lock:
                    fake._open -= 1
                if status == 0:  # hang up in the middle of an answer
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                self._reply(status, headers, body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
