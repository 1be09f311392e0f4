"""A small model behind HTTP, in the shapes in which `vllm serve` answers: token ids, log-probabilities, seeded draws.

It samples for itself, token by token by a plain forward pass, so that what training gets can be held against it.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


class ModelServer:
    """Serves the checkpoint in `directory` on a port of this machine. Attributes say how it behaves."""

    def __init__(self, directory: Path, *, port: int = 0, name: str = "served") -> None:
        self.owner, self.name, self.processed, self.gives_ids = "vllm", name, False, True
        self.shift = 0
        """Added to the ids that it gives: another tokenizer."""
        self.tells_tokens = False
        self.gone_after: int | None = None
        """Requests after which it knows no such path any more."""
        self.requests: list[dict[str, Any]] = []
        self._model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
        self._tokenizer = AutoTokenizer.from_pretrained(directory)
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Quiet."""

            def _reply(self, status: int, body: dict[str, Any]) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self) -> None:
                self._reply(200, {"data": [{"id": server.name, "owned_by": server.owner}]})

            def do_POST(self) -> None:
                payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path == "/tokenize":
                    ids = server._tokenizer(payload["prompt"], add_special_tokens=False)["input_ids"]
                    told = {"tokens": [i + server.shift for i in ids]}
                    self._reply(*((200, told) if server.tells_tokens else (404, {"detail": "Not Found"})))
                    return
                with server._lock:
                    server.requests.append(payload)
                    gone = server.gone_after is not None and len(server.requests) > server.gone_after
                    status, body = (404, {"detail": "Not Found"}) if gone else (200, server._answer(payload))
                self._reply(status, body)

        self._http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def logprobs(self, prompt_ids: Any, ids: Any, temperature: float = 1.0) -> torch.Tensor:
        """Of these tokens after the prompt, by one forward pass."""
        with torch.no_grad():
            logits = self._model(torch.tensor([[*prompt_ids, *ids]])).logits[0, len(prompt_ids) - 1 : -1]
        logps = torch.log_softmax(logits / temperature, -1)
        return logps.gather(1, torch.tensor(list(ids))[:, None])[:, 0]

    def _answer(self, payload: dict[str, Any]) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(payload["seed"] % 2**31)
        temperature, ends = payload["temperature"], payload.get("stop_token_ids") or []
        ids, values, tops = [], [], []
        while len(ids) < payload["max_tokens"] and not (ids and ids[-1] in ends):
            with torch.no_grad():
                logits = self._model(torch.tensor([[*payload["prompt"], *ids]])).logits[0, -1]
            drawn = int(torch.multinomial(torch.softmax(logits / temperature, 0), 1, generator=generator))
            said = torch.log_softmax(logits / temperature if self.processed else logits, 0)
            ids.append(drawn)
            values.append(float(said[drawn]))
            tops.append({"most likely": float(said.max())})
        ended = ids[-1] in ends
        text = self._tokenizer.decode(ids[:-1] if ended else ids, skip_special_tokens=True)
        choice = {
            "text": text,
            "finish_reason": "stop" if ended else "length",
            "stop_reason": ids[-1] if ended else None,
            "logprobs": {"token_logprobs": values, "top_logprobs": tops},
        }
        if self.gives_ids:
            choice["token_ids"] = [i + self.shift for i in ids]
        usage = {"completion_tokens": len(ids), "prompt_tokens": len(payload["prompt"])}
        return {"model": self.name, "choices": [choice], "usage": usage}
