"""Where the tests marked `real` find the pretrained model that they need."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class RealModel:
    """SmolLM2-135M-Instruct: the GGUF file that a llama.cpp server runs, and the same weights as a checkpoint."""

    gguf: Path
    checkpoint: Path


@pytest.fixture(scope="session")
def real_model() -> RealModel:
    """By the environment: S2L_LAB_REAL_GGUF and S2L_LAB_REAL_CHECKPOINT."""
    return RealModel(Path(os.environ["S2L_LAB_REAL_GGUF"]), Path(os.environ["S2L_LAB_REAL_CHECKPOINT"]))
