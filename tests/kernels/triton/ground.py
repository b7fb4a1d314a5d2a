"""What the cases share: the device, layouts, and what a call gives with its gradients."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from attnzoo.blocks.ema import EMA
from attnzoo.kernels import triton as kernels

DEVICE = "cuda" if torch.cuda.is_available() and not kernels.INTERPRETED else "cpu"
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": Tensor.contiguous,
    "channels_last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "transposed": lambda x: x.mT.contiguous().mT,
    "cut out": lambda x: nn.functional.pad(x, (1, 2, 2, 1))[:, :, 2:-1, 1:-2],
}


def with_gradients(
    call: Callable[..., object], inputs: Sequence[Tensor], pulls: list[Tensor], weights: Iterable[Tensor] = ()
) -> list[Tensor]:
    """What a call gives, and the gradients of its inputs and weights; `pulls` is filled if it is empty."""
    inputs = [one.detach().requires_grad_() for one in inputs]
    found = call(*inputs)
    outputs: list[Tensor] = [found] if isinstance(found, Tensor) else list(found)  # type: ignore[call-overload]
    if not pulls:
        pulls += [torch.randn_like(one) for one in outputs]
    typed = [pull.to(one.dtype) for pull, one in zip(pulls, outputs, strict=True)]
    return [one.detach() for one in (*outputs, *torch.autograd.grad(outputs, [*inputs, *weights], typed))]


def far(found: Tensor, truth: Tensor) -> float:
    """The relative distance; to one, where the truth is nothing but the noise of float64."""
    scale = float(truth.norm())
    return float((found.double() - truth).norm()) / (scale if scale > 1e-12 else 1.0)


def weights_of(block: EMA) -> list[Tensor]:
    """In the order of the operator."""
    return [weight for layer in (block.conv1x1, block.gn, block.conv3x3) for weight in (layer.weight, layer.bias)]


def readable(block: EMA, x: Tensor) -> Tensor:
    """The definition, whatever `forward` may choose."""
    return x * block.weights(x)


class Fused(nn.Module):
    """The block, by the kernels."""

    def __init__(self, block: EMA) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        return kernels.ema(x, self.block.groups, self.block.conv1x1, self.block.gn, self.block.conv3x3)
