"""EMA forward and backward: as plain functions, and as operators of torch's library that compilers and exporters take.

They are opaque (`custom_op`, not `triton_op`): the interpreter can then stand in for a GPU under compile and
export too, and there is nothing worth fusing into passes that the memory bounds. Autocast leaves them alone: they take
any floating type, add in float32, and give x's type back. An operator's way round takes longer than a small map's
passes, so an eager call goes by the plain functions.
"""

# torch's `Function` and `custom_op` are not annotated
# mypy: disable-error-code="no-untyped-call,no-any-return,misc,untyped-decorator"

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from attnzoo.kernels import ema_again
from attnzoo.kernels.ema import Weights
from attnzoo.kernels.triton import gradients, kept, outputs, returning
from attnzoo.kernels.triton.launching import form

Grads = tuple[Tensor | None, ...]


def on(x: Tensor) -> AbstractContextManager[Any]:
    """Kernels start on the current device, which need not be x's."""
    if not x.is_cuda or x.device.index == torch.cuda.current_device():
        return nullcontext()
    return torch.cuda.device(x.device)


def forward(
    x: Tensor, groups: int, conv1: Tensor, bias1: Tensor, gamma: Tensor, beta: Tensor, conv3: Tensor, bias3: Tensor,
    eps: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """All of EMA, and what the backward pass wants of it: see `outputs.Forward`."""
    weights = Weights(conv1, bias1, gamma, beta, conv3, bias3)
    if x.numel() == 0:
        return _forward(x, groups)
    with on(x):
        return outputs.prepared(form(x), groups, eps, tuple(map(form, weights)))(x, weights)


def backward(
    grad: Tensor, x: Tensor, groups: int, conv1: Tensor, bias1: Tensor, gamma: Tensor, beta: Tensor, conv3: Tensor,
    bias3: Tensor, eps: float, buffer: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The gradients of x and, one after the other, of the weights: see `gradients.Backward`."""
    weights = Weights(conv1, bias1, gamma, beta, conv3, bias3)
    if x.numel() == 0:
        return _backward(grad, x, groups, conv1)
    with on(x):
        passes = gradients.prepared(form(x), form(grad), groups, eps, tuple(map(form, weights)))
        return passes(x, grad, weights, buffer)


# what they give, in form; a map without values leaves it at that


def _forward(x: Tensor, groups: int, *_: Any) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), x.new_zeros(sum(kept.sizes(x.shape, groups)), dtype=torch.float32)


def _backward(grad: Tensor, x: Tensor, groups: int, conv1: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), x.new_zeros(sum(returning.sizes(conv1.shape[0])), dtype=torch.float32)


def _registered(function: Any, fake: Callable[..., Any]) -> Any:
    operator = torch.library.custom_op(f"attnzoo::ema_{function.__name__}", function, mutates_args=())
    operator.register_fake(fake)
    return operator


registered_forward = _registered(forward, _forward)
registered_backward = _registered(backward, _backward)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, ctx.groups, *weights, ctx.eps = inputs
    ctx.set_materialize_grads(False)  # only the map has one
    ctx.save_for_backward(x, *weights, output[1])


def _return(function: Callable[..., tuple[Tensor, Tensor]], ctx: Any, grad: Tensor) -> Grads:
    x, *weights, buffer = ctx.saved_tensors
    out, total = function(grad, x, ctx.groups, *weights, ctx.eps, buffer)
    return out, None, *gradients.named(total, Weights(*weights)), None


def _return_registered(ctx: Any, grad: Tensor, *_: None) -> Grads:
    return _return(registered_backward, ctx, grad)


registered_forward.register_autograd(_return_registered, setup_context=_keep)


class Eager(Function):
    """All of EMA where nothing is traced, by the plain functions."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        found = forward(*inputs)
        _keep(ctx, inputs, found)
        return found[0]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Grads:
        if not ema_again.asked(grad):
            return _return(backward, ctx, grad)
        x, *weights, _ = ctx.saved_tensors
        needed = [ctx.needs_input_grad[0], *ctx.needs_input_grad[2:-1]]
        first, *others = ema_again.gradients(x, ctx.groups, ctx.eps, Weights(*weights), needed, grad)
        return first, None, *others, None
