"""Every host that a recipe can name, without attention; and the paper's second model. Batch 2, 64×64 pixels.

Backward is timed where the network is ours or stands for its library: of the others attnzoo owns the slots alone.
"""

from typing import get_args, get_type_hints

import torch

from attnzoo.models import build_model
from attnzoo.recipe import Model, Recipe

from .case import PASSES, Case, passing

HOSTS: tuple[str, ...] = get_args(get_type_hints(Model)["host"])
FURNISHED = "UNet:ema+gate@skip.ema@bottleneck"
BOTH_WAYS = ("UNet", "smp.Unet", FURNISHED)
CLASSES, SIDE, BATCH = 4, 64, 2
SIDES = {"smp.PAN": 128}  # its pyramid halves the deepest feature three times
ENCODERS = {"smp.DPT": "tu-vit_tiny_patch16_224"}  # it takes vision transformers only


def names() -> list[str]:
    return [f"{host}/{kind}" for host in (*HOSTS, FURNISHED) for kind in (PASSES if host in BOTH_WAYS else PASSES[:1])]


def build(name: str, device: torch.device) -> Case:
    host, _, kind = name.rpartition("/")
    side = SIDES.get(host, SIDE)
    changes: dict[str, object] = {"data.image_size": (side, side)}
    if host.startswith("UNet"):
        changes["model.widths"] = (32, 64, 128)
        changes["model.attention"] = "ema+gate@skip/ema@bottleneck" if host == FURNISHED else "none"
    else:
        changes |= {"model.host": host, "model.encoder": ENCODERS.get(host, "resnet18")}
    model = build_model(Recipe().override(changes), CLASSES).to(device)
    return passing(kind, model, [torch.randn(BATCH, 3, side, side, device=device)])
