"""Peak memory: tensors counted by hand."""

import pytest
import torch
from torch import nn

from attnzoo.measure import peak_bytes

CPU = torch.device("cpu")
KIB = torch.zeros(256)  # 1024 bytes


def test_what_lives_at_once_counts() -> None:
    assert peak_bytes(lambda: KIB + 1, CPU) == 1024
    assert peak_bytes(lambda: (KIB + 1) + 1, CPU) == 2 * 1024
    assert peak_bytes(lambda: (KIB + 1, KIB + 2, KIB + 3), CPU) == 3 * 1024


def test_what_is_dropped_does_not() -> None:
    def chain() -> None:
        x = KIB
        for _ in range(10):
            x = x + 1

    assert peak_bytes(chain, CPU) == 2 * 1024


def test_views_and_writes_into_what_was_there_are_free() -> None:
    assert peak_bytes(lambda: KIB.view(16, 16).t()[2:], CPU) == 0
    assert peak_bytes(lambda: KIB.add_(0), CPU) == 0


@pytest.mark.parametrize("inference", [True, False])
def test_activations_are_kept_for_the_way_back_only(inference: bool) -> None:
    x, layers = torch.zeros(1, 256), nn.Sequential(*(nn.Sigmoid() for _ in range(8)))
    x.requires_grad_(not inference)
    with torch.inference_mode(inference):
        assert peak_bytes(lambda: layers(x), CPU) == (2 if inference else 8) * 1024


def test_gradients_count() -> None:
    weight = torch.zeros(256, requires_grad=True)
    assert peak_bytes(lambda: weight.sum().backward(), CPU) >= 1024
    assert weight.grad is not None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_gpu_s_peak_is_the_allocator_s() -> None:
    x = torch.zeros(2**20, device="cuda")
    assert peak_bytes(lambda: (x + 1, x + 2), x.device) == 2 * 2**22
