"""Ours and a twin of equal architecture, with equal weights, and the inputs of both."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attnzoo import registry
from attnzoo.hosts.unet import UNet
from attnzoo.insertion import insert

from . import plain

WITH_EMA = "ema+gate@skip/ema@bottleneck"


@dataclass(frozen=True)
class Pair:
    """Both modules, on the CPU, and the shapes that they take."""

    ours: nn.Module
    twin: nn.Module
    shapes: tuple[tuple[int, ...], ...]


Shape = tuple[int, int, int, int]


def block(spelling: str, twin: nn.Module, shape: Shape, *, gated: bool = False, **options: object) -> Pair:
    """Weights are copied in their order."""
    channels = shape[1]
    ours = registry.build(spelling, channels, **({"gate_channels": channels} if gated else {}), **options)
    pairs = zip(twin.state_dict().items(), ours.state_dict().values(), strict=True)
    twin.load_state_dict({key: own.reshape(its.shape) for (key, its), own in pairs})
    return Pair(ours, twin, (shape, shape) if gated else (shape,))


def gate_plain(shape: Shape) -> Pair:
    return block("gate", plain.Gate(shape[1]), shape, gated=True)


def gate_monai(shape: Shape) -> Pair:
    from monai.networks.nets.attentionunet import AttentionBlock

    class Twin(AttentionBlock):  # its arguments the other way round
        def forward(self, x: Tensor, gate: Tensor) -> Tensor:
            return super().forward(gate, x)

    return block("gate", Twin(2, shape[1] // 2, shape[1], shape[1]), shape, gated=True)


def se(shape: Shape) -> Pair:
    from timm.layers import SqueezeExcite

    return block("se", SqueezeExcite(shape[1], rd_channels=shape[1] // 16), shape)


def cbam(shape: Shape) -> Pair:
    from timm.layers.cbam import CbamModule

    pair = block("cbam", CbamModule(shape[1], mlp_bias=True), shape)
    with torch.no_grad():  # timm's order of mean and maximum is the other one
        weight = pair.twin.spatial.conv.conv.weight
        weight.copy_(weight.flip(1))
    return pair


def coord(shape: Shape) -> Pair:
    from timm.layers.coord_attn import CoordAttn

    return block("coord", CoordAttn(shape[1], rd_channels=max(8, shape[1] // 32), bias=True), shape)


def scse_smp(shape: Shape) -> Pair:
    from segmentation_models_pytorch.base.modules import SCSEModule

    return block("scse", SCSEModule(shape[1]), shape, reduction=16, fuse="sum")


def scse_plain(shape: Shape) -> Pair:
    return block("scse", plain.SCSE(shape[1]), shape)


def eca(shape: Shape) -> Pair:
    from timm.layers.eca import EcaModule

    return block("eca", EcaModule(kernel_size=3), shape)


def simam(shape: Shape) -> Pair:
    return block("simam", plain.SimAM(), shape)


def triplet(shape: Shape) -> Pair:
    return block("triplet", plain.Triplet(), shape)


def model(attention: str, widths: tuple[int, ...], side: int, batch: int) -> Pair:
    ours, twin = UNet(widths=widths), plain.Model(widths, ema="ema" in attention)
    insert(ours, attention)
    twin.load_state_dict({_plainly(key, len(widths)): value for key, value in ours.state_dict().items()})
    return Pair(ours, twin, ((batch, 3, side, side),))


def _plainly(key: str, levels: int) -> str:
    """`skips.0.blocks.1.phi` is `gates.0.phi`; what is no gate's is EMA's."""
    home, _, rest = key.partition(".")
    if home == "bottleneck_slot":
        return f"emas.{levels - 1}.{rest.removeprefix('blocks.0.')}"
    if home != "skips":
        return key
    level, rest = rest.split(".", 3)[::3]
    return f"{'gates' if rest.startswith(('phi', 'theta', 'psi')) else 'emas'}.{level}.{rest}"


# the word of a row, who the twin is, and how the pair is made
BLOCKS: dict[str, tuple[str, Callable[[Shape], Pair]]] = {
    "gate": ("plain", gate_plain),
    "gate, MONAI": ("MONAI's AttentionBlock", gate_monai),
    "se": ("timm's SqueezeExcite", se),
    "cbam": ("timm's CbamModule", cbam),
    "coord": ("timm's CoordAttn", coord),
    "scse:reduction=16,fuse=sum": ("smp's SCSEModule", scse_smp),
    "scse": ("plain", scse_plain),
    "eca": ("timm's EcaModule", eca),
    "simam": ("plain", simam),
    "triplet": ("plain", triplet),
}
