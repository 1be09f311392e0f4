"""Packed layers are the layers they replace, to rounding, and to the bit they do not see the rest of the batch."""

from __future__ import annotations

import pytest
import torch

from s2l_lab.policies.keyed_sampler import packed_linear
from s2l_lab.policies.keyed_sampler.packed_linear import PackedLinear, pack_linears


@pytest.mark.parametrize(("width", "out", "bias"), [(192, 576, False), (576, 192, False), (128, 129, True)])
def test_a_packed_layer_is_its_layer(width: int, out: int, bias: bool) -> None:
    linear = torch.nn.Linear(width, out, bias=bias)
    x = torch.randn(160, 1, width)
    with torch.inference_mode():
        packed = PackedLinear(linear)
        torch.testing.assert_close(packed(x), linear(x), rtol=1e-5, atol=1e-5)
        chosen = torch.randperm(160)[:48]
        assert torch.equal(packed(x[chosen]), packed(x)[chosen])


class Small(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = torch.nn.Linear(128, 128), torch.nn.Linear(8, 8)
        self.device, self.dtype = torch.device("cpu"), torch.float32


def test_only_matrices_that_gain_are_packed_and_parameters_stay() -> None:
    model = Small()
    names = {n for n, _ in model.named_parameters()}
    pack_linears(model)
    assert type(model.wide) is PackedLinear
    assert type(model.narrow) is torch.nn.Linear
    assert {n for n, _ in model.named_parameters()} == names


@pytest.mark.parametrize("reason", ["large", "half precision"])
def test_other_models_are_left_alone(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Small()
    if reason == "large":
        monkeypatch.setattr(packed_linear, "MAX_PACKED", 1000)
    else:
        model.dtype = torch.bfloat16
    pack_linears(model)
    assert type(model.wide) is torch.nn.Linear
