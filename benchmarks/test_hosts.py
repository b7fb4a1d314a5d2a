"""The hosts without attention: three channels, 64×64 pixels, batch 2."""

import pytest
import torch
from common import BATCH, SIDE, Timed
from torch import nn

from attnzoo.models import build_model
from attnzoo.recipe import Model, Recipe

HOSTS = {
    "UNet": Recipe(model=Model(widths=(32, 64, 128))),
    "smp.Unet-resnet18": Recipe(model=Model(host="smp.Unet", encoder="resnet18")),
}


def host(name: str, device: torch.device) -> tuple[nn.Module, torch.Tensor]:
    return build_model(HOSTS[name], 4).to(device), torch.randn(BATCH, 3, SIDE, SIDE, device=device)


@pytest.mark.parametrize("name", HOSTS)
def test_forward(name: str, device: torch.device, timed: Timed) -> None:
    module, image = host(name, device)
    module.eval()
    with torch.inference_mode():
        timed(lambda: module(image))


@pytest.mark.parametrize("name", HOSTS)
def test_forward_and_backward(name: str, device: torch.device, timed: Timed) -> None:
    module, image = host(name, device)
    wanted = list(module.parameters())
    timed(lambda: torch.autograd.grad(module(image).sum(), wanted, allow_unused=True))
