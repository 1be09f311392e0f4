"""Real servers for tests: llama.cpp's (of the package xllamacpp) and `vllm serve`, each a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_LLAMA_CPP = """
import sys, time, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.port, params.hostnames = sys.argv[1], int(sys.argv[2]), ["127.0.0.1"]
params.n_ctx, params.n_parallel = 4096, 4
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
if len(sys.argv) > 3:
    params.use_jinja, params.chat_template = True, sys.argv[3]
server = xllamacpp.Server(params)
while True:
    time.sleep(60)
"""


@dataclass(frozen=True)
class RealServer:
    """A process that serves a model."""

    address: str
    process: subprocess.Popen[bytes]


@contextmanager
def llama_cpp(gguf: Path, folder: Path, chat_template: str | None = None) -> Iterator[RealServer]:
    """A llama.cpp server of this file, by its own chat template or the one given."""
    template = [] if chat_template is None else [chat_template]
    with _started([sys.executable, "-c", _LLAMA_CPP, str(gguf), "{port}", *template], folder, 120) as server:
        yield server


@contextmanager
def vllm_serve(checkpoint: Path, folder: Path, *flags: str) -> Iterator[RealServer]:
    """`vllm serve` of this directory on a CPU."""
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(checkpoint)]
    command += ["--port", "{port}", "--host", "127.0.0.1", "--dtype", "float32", "--enforce-eager", *flags]
    with _started(command, folder, 400) as server:
        yield server


@contextmanager
def _started(command: Sequence[str], folder: Path, seconds: float) -> Iterator[RealServer]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
    told = folder / f"server-{port}.log"
    with told.open("wb") as log:
        ported = [part.replace("{port}", str(port)) for part in command]
        process = subprocess.Popen(ported, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + seconds
            while not _healthy(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the server did not start:\n{told.read_text(errors='replace')[-4000:]}")
                time.sleep(0.5)
            yield RealServer(f"http://127.0.0.1:{port}/v1", process)
        finally:
            process.terminate()
            process.wait(60)


def _healthy(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
    except (urllib.error.URLError, OSError):
        return False
    return True
