"""The engines that run policies, and the sources that name theirs."""

from __future__ import annotations

from typing import Literal

Engine = Literal[
    "auto",
    "transformers",
    "vllm",
    "endpoint",
    "scripted",
]
"""`auto` is what the source names, else vLLM where it is installed beside a GPU, else transformers."""

ENGINE_OF_SOURCE: dict[str, Engine] = {
    "scripted:": "scripted",
    "http://": "endpoint",
    "https://": "endpoint",
    "chat:http": "endpoint",
    "text:http": "endpoint",
}
"""How a source begins that only one engine can run."""
