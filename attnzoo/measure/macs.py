"""Multiply-adds of one forward pass: fvcore's count, with torch's own beside it.

fvcore counts multiply-adds and calls them flops; `torch.utils.flop_counter` counts two each. Both see convolutions and
matrix products alike; fvcore adds estimates for norms, pooling and interpolation, and neither sees element-wise work.
Left to themselves each is blind to some attention: fvcore to `scaled_dot_product_attention`, torch to the kernel that
some CPUs have for it, both to the fast path of `nn.MultiheadAttention`. Here the first two are counted by rules of our
own, and the fast path is off while counting.
"""

import copy
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from attnzoo import kernels

# what both counters see: what else fvcore counts is an estimate of its own
PRODUCTS = ("conv", "addmm", "bmm", "baddbmm", "mm", "matmul", "linear", "einsum", "scaled_dot_product_attention")
# arithmetic that fvcore leaves out without a word
UNSAID = ("relu", "relu_", "clamp", "clamp_", "max")
# what only moves numbers, and fvcore would list
MOVES = ("clone", "expand_as", "flip", "movedim", "pixel_shuffle", "repeat", "unflatten", "unfold")


@dataclass(frozen=True)
class Macs:
    """Multiply-adds of one forward pass, by two counters.

    Attributes:
        macs: fvcore's total.
        by_operator: The same by operator.
        uncounted: How often an operator ran whose arithmetic is in no total.
        products: The part of `macs` that is convolutions and matrix products.
        torch_flops: torch's count, two for each multiply-add of convolutions and matrix products.
    """

    macs: int
    by_operator: Mapping[str, int]
    uncounted: Mapping[str, int]
    products: int
    torch_flops: int

    @property
    def flops(self) -> int:
        """Floating-point operations: two for each multiply-add."""
        return 2 * self.macs

    @property
    def counters_agree(self) -> bool:
        """Whether both counters found the same convolutions and matrix products."""
        return 2 * self.products == self.torch_flops


def count(module: nn.Module, *inputs: Tensor | Sequence[int]) -> Macs:
    """Count a forward pass in evaluation mode, on a copy: the module is left as it was.

    What is counted is what definitions ask for: a faster form of a block does less, and no number moves by a switch.

    Args:
        module: Any module.
        inputs: Its inputs, or their shapes with the batch in front.
    """
    copied = copy.deepcopy(module).eval()
    home = next(copied.parameters(), torch.empty(0))
    tensors = tuple(
        given if isinstance(given, Tensor) else torch.zeros(tuple(given), device=home.device, dtype=home.dtype)
        for given in inputs
    )
    from torch.utils.flop_counter import FlopCounterMode

    # torch counts attention by the kernel that was chosen, and has no rule for the CPU's own, which not every CPU takes
    unknown = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _fused}
    with torch.no_grad(), _slow_path(), kernels.use("readable"):
        by_operator, uncounted = _fvcore(copied, tensors)
        with FlopCounterMode(display=False, custom_mapping=unknown) as counter:
            copied(*tensors)
    return Macs(
        macs=sum(by_operator.values()),
        by_operator=by_operator,
        uncounted=uncounted,
        products=sum(macs for name, macs in by_operator.items() if name in PRODUCTS),
        torch_flops=int(counter.get_total_flops()),
    )


def _fvcore(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[dict[str, int], dict[str, int]]:
    """fvcore's count by operator, and how often what it did not count ran; without its talk."""
    seen: Counter[str] = Counter()
    with warnings.catch_warnings():
        # torch.jit, on which fvcore stands, announces its end at every use
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(module, inputs).unsupported_ops_warnings(False)
        analysis.uncalled_modules_warnings(False).tracer_warnings("none")
        # fvcore forgets the second factor's batch where matrix products broadcast
        analysis.set_op_handle("aten::matmul", _matmul(0), "aten::baddbmm", _matmul(1))
        analysis.set_op_handle("aten::scaled_dot_product_attention", _attention)
        analysis.set_op_handle("aten::einsum", _einsum)
        for name in MOVES:
            analysis.set_op_handle(f"aten::{name}", None)
        for name in UNSAID:
            analysis.set_op_handle(f"aten::{name}", _seen(name, seen))
        counted = {name: int(macs) for name, macs in sorted(analysis.by_operator().items())}
    seen.update({name.removeprefix("aten::"): times for name, times in analysis.unsupported_ops().items()})
    return counted, dict(sorted(seen.items()))


def _matmul(first: int) -> Callable[[list[Any], list[Any]], int]:
    """The rule for a matrix product whose first factor is the input of that index: output size × inner length."""
    return lambda inputs, outputs: math.prod(_shape(outputs[0])) * _shape(inputs[first])[-1]


def _attention(inputs: list[Any], outputs: list[Any]) -> int:
    """Query by key, and weights by value: (…, L, E), (…, S, E) and (…, S, V) → (…, L, V)."""
    *_, width = _shape(inputs[0])
    *_, keys, _ = _shape(inputs[1])
    *batch, queries, values = _shape(outputs[0])
    return math.prod(batch) * queries * keys * (width + values)


def _fused(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_rest: object, **_more: object) -> int:
    """As `_attention`, from the shapes that torch's counter hands over, and two for each multiply-add."""
    return 2 * math.prod(query) * key[-2] + 2 * math.prod(query[:-1]) * math.prod(value[-2:])


def _einsum(inputs: list[Any], outputs: list[Any]) -> int:
    """Two factors: the product of the sizes of all indices, where fvcore rounds to four digits; else as fvcore."""
    from fvcore.nn.jit_handles import einsum_flop_jit

    factors = inputs[0].toIValue().replace(" ", "").split("->")[0].split(",")
    if len(factors) != 2:
        return int(einsum_flop_jit(inputs, outputs))
    sizes: dict[str, int] = {}
    for factor, value in zip(factors, inputs[1].node().inputs(), strict=True):
        shape = _shape(value)
        # an ellipsis stands for as many indices as are left, which meet those of the other factor from the right
        spare = len(shape) - len(factor.replace("...", ""))
        indices = factor.replace("...", "0123456789"[10 - spare :] if spare else "")
        for index, size in zip(indices, shape, strict=True):
            sizes[index] = max(size, sizes.get(index, 1))
    return math.prod(sizes.values())


def _seen(name: str, seen: Counter[str]) -> Callable[[list[Any], list[Any]], Counter[str]]:
    """A rule that counts no arithmetic, but that there was some."""

    def note(_inputs: list[Any], _outputs: list[Any]) -> Counter[str]:
        seen[name] += 1
        return Counter()

    return note


def _shape(value: Any) -> tuple[int, ...]:
    """The sizes of a traced value."""
    return tuple(value.type().sizes())


@contextmanager
def _slow_path() -> Iterator[None]:
    """Let `nn.MultiheadAttention` run as the matrix products that it is."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
