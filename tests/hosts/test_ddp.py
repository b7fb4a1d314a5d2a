"""A furnished network learns inside `DistributedDataParallel` as it does alone."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import attnzoo


def losses(model: nn.Module, learned: list[nn.Parameter]) -> list[Tensor]:
    """Of three steps on the same noise."""
    optimizer = torch.optim.SGD(learned, lr=0.1)
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    told = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        told.append(loss.detach())
    return told


@pytest.mark.parametrize("residual", ["none", "zero"])
@pytest.mark.parametrize(
    "attention", ["ema:groups=4+gate@skip/se:reduction=2@encoder.bottleneck", "frozen:block=[gate]+cbam:reduction=2"]
)
def test_learns_as_it_does_alone(tmp_path: Path, attention: str, residual: Any) -> None:
    model = attnzoo.insert(attnzoo.UNet(classes=2, widths=(4, 8)), attention, residual=residual, seed=0)
    twin = copy.deepcopy(model)
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        # without `find_unused_parameters`: the second step fails if a weight that learns had no gradient in the first
        wrapped = nn.parallel.DistributedDataParallel(model)
        parallel = losses(wrapped, [weight for weight in model.parameters() if weight.requires_grad])
    finally:
        torch.distributed.destroy_process_group()
    assert torch.equal(torch.stack(parallel), torch.stack(losses(twin, list(twin.parameters()))))
    assert parallel[2] < parallel[0]
