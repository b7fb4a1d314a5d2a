"""Multiply-adds by hand, and the two counters against each other on convolutions and matrix products."""

import copy
import logging
import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from attnzoo import measure
from attnzoo.recipe import load


class Function(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


class Attend(nn.MultiheadAttention):
    def forward(self, *inputs: Tensor) -> Tensor:
        return super().forward(*inputs)[0]


class PartlyUnused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Conv2d(2, 4, 1), nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.used(x).softmax(1)


PRODUCTS = {
    "conv": (nn.Conv2d(8, 6, 3, padding=1, bias=False), [(2, 8, 5, 7)], 2 * 5 * 7 * 6 * 8 * 9),
    "grouped": (nn.Conv2d(8, 8, 3, padding=1, groups=4), [(1, 8, 5, 7)], 5 * 7 * 8 * 2 * 9),
    "strided": (nn.Conv2d(4, 8, 2, stride=2), [(1, 4, 6, 8)], 3 * 4 * 8 * 4 * 4),
    "transposed": (nn.ConvTranspose2d(8, 4, 2, 2), [(1, 8, 5, 7)], 5 * 7 * 8 * 4 * 4),
    "conv3d": (nn.Conv3d(2, 3, 3, padding=1), [(1, 2, 4, 5, 6)], 4 * 5 * 6 * 3 * 2 * 27),
    "linear": (nn.Linear(6, 5), [(3, 4, 6)], 3 * 4 * 6 * 5),
    "matmul": (Function(torch.matmul), [(2, 3, 4, 5), (2, 3, 5, 6)], 2 * 3 * 4 * 5 * 6),
    "broadcast matmul": (Function(torch.matmul), [(4, 5), (3, 5, 6)], 3 * 4 * 5 * 6),
    "baddbmm": (Function(torch.baddbmm), [(2, 4, 6), (2, 4, 5), (2, 5, 6)], 2 * 4 * 5 * 6),
    "einsum": (
        Function(lambda x, y: torch.einsum("bchw,bdhw->bcd", x, y)),
        [(2, 3, 4, 5), (2, 6, 4, 5)],
        2 * 3 * 6 * 20,
    ),
    "einsum ...": (
        Function(lambda x, y: torch.einsum("bc,bc...->b...", x, y)),
        [(7, 64), (7, 64, 33, 31)],
        7 * 64 * 33 * 31,
    ),
    "einsum of three": (
        Function(lambda x, y, z: torch.einsum("ij,jk,kl->il", x, y, z)),
        [(2, 3), (3, 4), (4, 5)],
        24 + 40,
    ),
    "attention": (
        Function(nn.functional.scaled_dot_product_attention),
        [(2, 3, 7, 4), (2, 3, 5, 4), (2, 3, 5, 4)],
        2 * 3 * 7 * 5 * (4 + 4),
    ),
    "nn.MultiheadAttention": (
        Attend(8, 2, batch_first=True),
        [(2, 9, 8)] * 3,
        2 * 9 * 8 * 8 * 4 + 2 * 9 * 9 * 8 * 2,
    ),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_by_hand_and_by_both_counters(name: str) -> None:
    module, shapes, expected = PRODUCTS[name]
    counted = measure.count(module, *shapes)
    assert counted.products == expected
    assert counted.torch_flops == 2 * expected
    assert counted.counters_agree
    assert counted.flops == 2 * counted.macs


def test_norms_are_in_the_total_and_not_in_the_products() -> None:
    counted = measure.count(nn.Sequential(nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4)), (1, 2, 3, 3))
    assert counted.by_operator == {"batch_norm": 2 * 4 * 9, "conv": 4 * 2 * 9}
    assert counted.macs == 72 + 72
    assert counted.products == 72
    assert counted.counters_agree


def test_element_wise_work_is_listed_and_moves_are_not() -> None:
    module = Function(lambda x: (x.relu() * x.sigmoid() + x).repeat(1, 1, 2, 2).reshape(1, -1).clamp(0))
    counted = measure.count(module, (1, 2, 3, 3))
    assert counted.macs == 0
    assert counted.uncounted == {"add": 1, "clamp": 1, "mul": 1, "relu": 1, "sigmoid": 1}


def test_work_hidden_from_fvcore_is_named_and_the_counters_disagree() -> None:
    class Hidden(torch.autograd.Function):
        @staticmethod
        def forward(_context, x: Tensor) -> Tensor:
            return x @ x

    counted = measure.count(Function(Hidden.apply), (3, 3))
    assert (counted.macs, counted.torch_flops) == (0, 54)
    assert any("Hidden" in name for name in counted.uncounted)
    assert not counted.counters_agree


def test_the_module_is_left_as_it_was() -> None:
    module = nn.Sequential(nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4), nn.Dropout()).train()
    before, fast = copy.deepcopy(module.state_dict()), torch.backends.mha.get_fastpath_enabled()
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    measure.count(module, torch.randn(2, 2, 3, 3, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(torch.rand(1), expected)
    assert all(part.training for part in module.modules())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())
    assert torch.backends.mha.get_fastpath_enabled() == fast


def test_counting_says_nothing(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, recwarn) -> None:
    with caplog.at_level(logging.DEBUG):
        measure.count(PartlyUnused(), (1, 2, 3, 3))
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if "fvcore" in record.name]
    assert not list(recwarn)


def test_the_first_count_of_a_process_says_nothing_either() -> None:
    script = "from torch import nn; from attnzoo import measure; measure.count(nn.Conv2d(2, 4, 1), (1, 2, 3, 3))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize(("recipe", "params"), [("attention-unet", 7_791_285), ("ema-attention-unet", 7_794_805)])
def test_the_paper_s_models(recipe: str, params: int) -> None:
    from attnzoo.models import build_model

    model = build_model(load(f"ema-attention-unet/{recipe}"), 12)
    counted = measure.count(model, (1, 3, 32, 32))
    assert measure.parameters(model) == params
    assert counted.counters_agree
    if recipe == "attention-unet":
        # 256×256 has 64 times the pixels, and every layer works on each of them alike
        assert 64 * counted.products == 64 * counted.by_operator["conv"] == 37_613_993_984  # 37.61 G
        assert 64 * counted.macs == 37_689_663_488  # 37.69 G with batch norms


def test_parameters_count_frozen_ones_and_shared_ones_once() -> None:
    linear = nn.Linear(3, 4)
    linear.weight.requires_grad_(False)
    assert measure.parameters(nn.Sequential(linear, nn.BatchNorm1d(4), linear)) == 16 + 8
