"""Matrix products of a small model on a CPU by oneDNN, with weights packed once.

PyTorch sends float32 products to MKL, which on an AMD processor does not use AVX-512: seen on a Zen 5 core, 90 against
200 GFLOPS for a 192-wide model with 64 rows or more; for a 576-wide one twice the speed at 4 rows, a tenth more at 128,
and for its head of 49,152 tokens half more at 128. oneDNN (the kernels of `torch.compile`'s frozen graphs) sums in
the same order, so outputs are equal to rounding, mostly to the bit, and do not depend on the other rows of a batch.

A packed layer holds its weights twice and never sees them change, so this is for frozen models up to MAX_PACKED.
"""

from __future__ import annotations

from typing import Any

import torch

MAX_PARAMETERS = 100_000_000
"""A model of more is not small: it is sampled in one batch by all threads, and its draws are not promised to the bit
unless that is asked for."""
MAX_PACKED = 300_000_000
"""A model of more is not packed: its second copy would cost more memory than it is worth."""
_MIN_WEIGHTS = 16_384  # entries of a matrix; below, calling oneDNN costs more than it saves


class PackedLinear(torch.nn.Module):
    """y = x W^T + b for a frozen torch.nn.Linear."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self._packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., in) -> (..., out)."""
        y: torch.Tensor = torch.ops.mkldnn._linear_pointwise.default(x, self._packed, self.bias, "none", [], "")
        return y


def is_small(model: Any) -> bool:
    """True for a model on a CPU of at most MAX_PARAMETERS."""
    return _on_cpu_within(model, MAX_PARAMETERS)


@torch.inference_mode()
def pack_linears(model: Any) -> None:
    """Pack the linear layers of a frozen model of up to MAX_PACKED in place, in float32 and on a CPU with oneDNN."""
    has_onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]  # torch's own
    if not (_on_cpu_within(model, MAX_PACKED) and has_onednn and model.dtype == torch.float32):
        return
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is torch.nn.Linear and child.weight.numel() >= _MIN_WEIGHTS:
                setattr(module, name, PackedLinear(child))


def _on_cpu_within(model: Any, parameters: int) -> bool:
    return bool(model.device.type == "cpu" and sum(p.numel() for p in model.parameters()) <= parameters)
