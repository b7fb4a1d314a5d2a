"""Which modules of an encoder make the features that it hands to the decoder.

No list of encoders: the encoder runs once on torch's `meta` device, where tensors have shapes and no values, and the
graph that autograd keeps says whose result each feature is.
"""

import copy
from collections import Counter
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from attnzoo.errors import AttnzooError
from attnzoo.hosts._furnish import Behind, check_after
from attnzoo.skip import Slot

# Image sizes to try: some transformers take no other than their own.
SIZES = (64, 224, 256, 384)
_KNOWN: WeakKeyDictionary[nn.Module, tuple[tuple[str, int, int], ...]] = WeakKeyDictionary()


def stages(encoder: Any) -> tuple[tuple[str, int, int], ...]:
    """The path, width and index of every stage above the deepest whose result can be changed for deeper stages too.

    Either all are here, from the finest, or none is: `encoder` must not mean half of it. Features at the image's own
    resolution and those of width 0 do not count; the deepest stage is told by the bottleneck.
    """
    if encoder not in _KNOWN:
        _KNOWN[encoder] = _find(encoder)
    return _KNOWN[encoder]


@torch.inference_mode(False)
@torch.enable_grad()
def _find(encoder: Any) -> tuple[tuple[str, int, int], ...]:
    for size in SIZES:
        try:
            features, results = _rehearse(encoder, size)
        # an encoder of timm's can fail in any way at a size that is not its own; without features it has no sites
        except Exception:
            continue
        break
    else:
        return ()
    wanted = [(index, width) for index, width in enumerate(encoder.out_channels[:-1]) if index and width]
    made = [source for index, _ in wanted if (source := _source(features[index], results)) is not None]
    if not made or len(made) < len(wanted):
        return ()
    heard = torch.autograd.grad(features[-1].sum(), [result for _, result in made], allow_unused=True)
    if any(gradient is None for gradient in heard):
        return ()
    return tuple((f"encoder.{path}", width, index) for (index, width), (path, _) in zip(wanted, made, strict=True))


def _rehearse(encoder: Any, size: int) -> tuple[list[Tensor], dict[Any, tuple[str, Tensor]]]:
    """The features, and every module's result by the node of the graph that stands for it."""
    tensors = (*encoder.parameters(), *encoder.buffers())
    skeleton = copy.deepcopy(encoder, {id(tensor): tensor.detach().to("meta") for tensor in tensors}).eval()
    calls: Counter[str] = Counter()
    results: dict[Any, tuple[str, Tensor]] = {}

    def watch(path: str) -> Callable[[nn.Module, Any, Any], Tensor | None]:
        def note(module: nn.Module, inputs: Any, result: Any) -> Tensor | None:
            calls[path] += 1
            if not isinstance(result, Tensor) or not result.requires_grad:
                return None
            # a tensor of its own for every module: else one that returns what it was given could not be told from it
            own: Tensor = result.clone()
            results[own.grad_fn] = (path, own)
            return own

        return note

    for path, module in skeleton.named_modules():
        if isinstance(module, Slot):
            module.fill([])
        if path and _has_room(skeleton, path):
            # ahead of the hooks by which some of timm's encoders collect their features
            module.register_forward_hook(watch(path), prepend=True)
    with torch.device("meta"):
        image = torch.empty(1, encoder._in_channels, size, size, dtype=next(encoder.parameters()).dtype)
        features = skeleton(image.requires_grad_())
    return features, {node: (path, result) for node, (path, result) in results.items() if calls[path] == 1}


def _has_room(encoder: nn.Module, path: str) -> bool:
    """Whether the result of a module can pass a slot."""
    try:
        check_after(encoder, path, Behind)
    except AttnzooError:
        return False
    return True


def _source(feature: Tensor, results: dict[Any, tuple[str, Tensor]]) -> tuple[str, Tensor] | None:
    """The module whose result a feature is, be it in another memory layout."""
    node = feature.grad_fn
    while node is not None and node not in results and node.name() == "CloneBackward0":
        node = node.next_functions[0][0]
    path, result = results.get(node, ("", None))
    return (path, result) if result is not None and result.shape == feature.shape else None
