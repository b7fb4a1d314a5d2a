"""A network as it is used once it is trained: batch norms folded, in the layout that pays, replayed as a CUDA graph."""

import copy
from collections import Counter
from itertools import pairwise
from typing import Any, ClassVar, Literal, TypeVar, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from attnzoo.blocks import _parts
from attnzoo.errors import AttnzooError, listing
from attnzoo.hosts import is_compiled, wrapper_of
from attnzoo.hosts._furnish import Furnished, furnish, own_class
from attnzoo.kernels import watched
from attnzoo.replay import Replay

Model = TypeVar("Model", bound=nn.Module)
Layout = Literal["auto", "contiguous", "channels_last"]

# compared exactly: a subclass, such as one that passes a slot on its way out, may do more
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, _parts.BatchNorm1d, _parts.BatchNorm2d, _parts.BatchNorm3d)

_DELEGATE = "_forward_impl"  # which torchvision's `forward` calls

# Pairs that no `Sequential` holds, by the class whose forward runs the one right after the other.
_NUMBERED = [(f"conv{number}", f"bn{number}") for number in (1, 2, 3)]
_PAIRS = {
    "attnzoo.blocks.coord.CoordinateAttention": _NUMBERED[:1],
    "segmentation_models_pytorch.encoders.resnet.ResNetEncoder": _NUMBERED[:1],
    "timm.models.resnet.BasicBlock": _NUMBERED[:2],
    "timm.models.resnet.Bottleneck": _NUMBERED,
    "torchvision.models.resnet.BasicBlock": _NUMBERED[:2],
    "torchvision.models.resnet.Bottleneck": _NUMBERED,
    "torchvision.models.resnet.ResNet": _NUMBERED[:1],
}


def for_inference(model: Model, example: Tensor | None = None, *, layout: Layout = "auto", fold: bool = True) -> Model:
    """A copy of a network for inference on the device where it is; the given one is left as it was.

    The copy is in evaluation mode, nothing in it asks for gradients, and `train()` is refused. Batch norms are folded
    into the convolutions before them, in every `Sequential`, in ResNets and in blocks of attnzoo's, so the copy gives
    the same but for rounding, and learns nothing; count and compare parameters on the model itself. Keys of norms are
    gone from its `state_dict`, and convolutions have biases that they had not: save the model, and prepare what was
    loaded.

    Args:
        model: Any network, furnished or not; neither wrapped nor compiled (compile the copy).
        example: A batch as it is going to come, for a model on a CUDA device: its forward is recorded as a CUDA graph,
            and inputs of this shape and type replay it. Others run as usual. The result is a new tensor each time.
            Attention on a skip that hears no decoder is recorded beside the rest, on a stream of its own.
        fold: Whether to fold batch norms. A network that takes what a convolution gives from the middle of a
            `Sequential`, and so before the norm, needs False: nothing can be seen of that in its layers.
        layout: How weights and maps lie in memory. `auto` is `channels_last` for networks in half precision on a CUDA
            device, whose tensor cores want it, and the model's own elsewhere.

    Raises:
        AttnzooError: For what is no plain module, an unknown layout, and an example that is not on the model's device.
    """
    _check(model, example, layout)
    prepared = copy.deepcopy(model).eval().requires_grad_(False)
    if fold:
        _fold(prepared)
    if layout == "contiguous":
        cast("Any", prepared).to(memory_format=torch.contiguous_format)
    elif layout == "channels_last" or _has_tensor_cores_for(prepared):
        cast("Any", prepared).to(memory_format=torch.channels_last)
    furnish(prepared, Prepared)
    if example is not None:
        cast("Any", prepared).replay = Replay(prepared, example)
    return prepared


class Prepared(Furnished):
    """Mixed into the class of what `for_inference` returns."""

    outer: ClassVar[int] = 3
    replay: Replay | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        replay = None if kwargs or torch.compiler.is_compiling() else self.replay
        if replay is not None and replay.fits(args):
            return replay(*args)
        return super().forward(*args, **kwargs)  # type: ignore[misc]

    def train(self, mode: bool = True) -> Any:
        if mode:
            raise AttnzooError(
                f"this `{type(self).__name__}` was prepared for inference and cannot be trained",
                "its batch norms are folded away: train the model that it was made from, and prepare that again",
            )
        return super().train(mode)  # type: ignore[misc]

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        if assign:  # other tensors take the place of those that were recorded
            self.replay = None
        # by keyword: smp's takes the others no other way
        return super().load_state_dict(state_dict, strict=strict, assign=assign)  # type: ignore[misc]

    def _apply(self, *args: Any, **kwargs: Any) -> Any:
        self.replay = None  # what it recorded reads the weights where they were
        return super()._apply(*args, **kwargs)  # type: ignore[misc]

    def __getstate__(self) -> dict[str, Any]:
        # a graph is bound to this process and these weights: copies and pickles run as usual
        return {name: value for name, value in vars(self).items() if name != "replay"}


def _check(model: nn.Module, example: Tensor | None, layout: str) -> None:
    if not isinstance(model, nn.Module):
        raise AttnzooError(f"only a `torch.nn.Module` can be prepared, not a `{type(model).__name__}`", "give a model")
    wrapper = "torch.compile" if is_compiled(model) else wrapper_of(model)
    if wrapper is not None:
        raise AttnzooError(
            f"a model inside `{wrapper}` cannot be prepared for inference", "prepare the model first, then wrap it"
        )
    if isinstance(model, Prepared):
        raise AttnzooError(f"this `{type(model).__name__}` was prepared for inference already", "use it as it is")
    if layout not in get_args(Layout):
        raise AttnzooError(f"layout={layout!r} is unknown", f"possible: {listing(get_args(Layout))}")
    if example is None:
        return
    device = next((tensor.device for tensor in model.parameters()), torch.device("cpu"))
    if example.device != device:
        raise AttnzooError(f"the example is on `{example.device}`, and the model on `{device}`", "move one of them")
    if device.type != "cuda":
        raise AttnzooError(
            f"a forward is recorded as a CUDA graph, and the model is on `{device}`",
            "leave `example` out, or move both to a CUDA device",
        )


def _has_tensor_cores_for(model: nn.Module) -> bool:
    """Whether this is a network of two dimensions, in half precision, on a CUDA device."""
    weights = [weight for weight in model.parameters() if weight.dim() == 4]
    return any(weight.is_cuda and weight.dtype in (torch.float16, torch.bfloat16) for weight in weights)


def _fold(model: nn.Module) -> None:
    """Fold every batch norm into the convolution that runs right before it; an identity takes the norm's place."""
    places = Counter(id(module) for _, module in model.named_modules(remove_duplicate=False))
    for module in list(model.modules()):
        for conv_name, norm_name in _pairs(module):
            conv, norm = module._modules[conv_name], module._modules[norm_name]
            if _foldable(conv, norm) and places[id(conv)] == places[id(norm)] == 1:
                _fold_pair(cast("nn.Conv2d", conv), cast("_BatchNorm", norm))
                module._modules[norm_name] = nn.Identity()


def _pairs(module: nn.Module) -> list[tuple[str, str]]:
    """Names of children of which the second runs on what the first gives, and nothing else does."""
    if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
        return list(pairwise(module._modules))
    own = own_class(module)
    cls = next(base for base in own.__mro__ if "forward" in vars(base))  # whose forward it runs
    whole = getattr(own, _DELEGATE, None) is getattr(cls, _DELEGATE, None)
    return _PAIRS.get(f"{cls.__module__}.{cls.__qualname__}", []) if whole else []


def _foldable(conv: nn.Module | None, norm: nn.Module | None) -> bool:
    """Whether both are plain: nobody listens in between, and the norm has statistics of its own."""
    plain = type(conv) in _CONVOLUTIONS or (type(conv) in _TRANSPOSED and cast("nn.ConvTranspose2d", conv).groups == 1)
    if not plain or type(norm) not in _NORMS or cast("_BatchNorm", norm).running_mean is None:
        return False
    return not any(watched(module) for module in (conv, norm) if module is not None)


def _fold_pair(conv: nn.Conv2d, norm: _BatchNorm) -> None:
    """norm(conv(x)) as one convolution, computed in float64 and rounded once."""
    mean, variance = cast("Tensor", norm.running_mean).double(), cast("Tensor", norm.running_var).double()
    scale = (variance + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    offset = -mean if conv.bias is None else conv.bias.double() - mean
    offset = offset * scale
    if norm.bias is not None:
        offset = offset + norm.bias.double()
    along = [1] * conv.weight.dim()
    along[1 if conv.transposed else 0] = -1
    weight = conv.weight.double() * scale.reshape(along)
    conv.weight = nn.Parameter(weight.to(conv.weight.dtype), requires_grad=False)
    conv.bias = nn.Parameter(offset.to(conv.weight.dtype), requires_grad=False)
