"""The cheap probes: each asks one question of a block, in seconds."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from attnzoo import registry, report
from attnzoo.measure import macs
from attnzoo.workflows.safety.cell import YES, Cell, no
from attnzoo.workflows.safety.subject import Subject, seeded

UNSEEN = ((32, 28), (19, 23), (40, 17))  # even, odd, far from square
# what torch.use_deterministic_algorithms refuses on CUDA; bilinear up-sampling is decomposed there instead
NONDETERMINISTIC = {
    "_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward", "adaptive_max_pool2d_backward",
    "adaptive_max_pool3d_backward", "avg_pool3d_backward", "max_pool3d_with_indices_backward",
    "upsample_linear1d_backward", "upsample_bicubic2d_backward", "upsample_trilinear3d_backward",
    "reflection_pad1d_backward", "reflection_pad2d_backward", "reflection_pad3d_backward",
    "replication_pad1d_backward", "replication_pad2d_backward", "replication_pad3d_backward",
    "grid_sampler_2d_backward", "grid_sampler_3d_backward", "nll_loss2d_forward", "histc", "kthvalue", "put_",
}  # fmt: skip


def dims(subject: Subject) -> Cell:
    entry = registry.entry(subject.block.name)
    return Cell(" and ".join(f"{number}-D" for number in entry.dims), entry.only_2d)


def parameters(subject: Subject) -> Cell:
    return Cell(f"{sum(weight.numel() for weight in subject.fresh().parameters()):,}")


def multiply_adds(subject: Subject) -> Cell:
    edge = subject.largest(64)
    counted = macs.count(subject.fresh(), *subject.inputs((edge, edge), 1))
    return Cell(f"{report.si(counted.macs)} · {report.si(counted.torch_flops / 2)}", f"at {edge}×{edge}")


def identity_at_start(subject: Subject) -> Cell:
    skip, *gate = subject.inputs(subject.usual)
    with torch.no_grad():
        output = subject.fresh()(skip, *gate)
    if torch.equal(output, skip):
        return YES
    return Cell(f"×{float(output.norm() / skip.norm()):.2f}", "size of the output, relative to the skip's")


def odd_sizes(subject: Subject) -> Cell:
    for size in ((5, 7), (1, 9), (33, 2)):
        _evaluate(subject.awake(), *subject.inputs(size))
    return YES


def one_position(subject: Subject) -> Cell:
    _train(subject.awake(), *subject.inputs((1, 1)))
    _evaluate(subject.awake(), *subject.inputs((1, 1)))
    return YES


def single_image(subject: Subject) -> Cell:
    for size in filter(subject.takes, (subject.usual, (1, 1))):
        _train(subject.awake(), *subject.inputs(size, 1))
    return YES


def deterministic(subject: Subject) -> Cell:
    with _Operators() as seen:
        first = _train(subject.awake(), *subject.inputs(subject.usual))
    if not all(map(torch.equal, first, _train(subject.awake(), *subject.inputs(subject.usual)))):
        return no("two runs differ on the CPU")
    found = sorted(seen.names & NONDETERMINISTIC)
    return no(f"`{found[0]}` has no deterministic form on CUDA") if found else YES


def channels_last(subject: Subject) -> Cell:
    block, tensors = subject.awake(), subject.inputs(subject.usual)
    last = copy.deepcopy(block).to(memory_format=torch.channels_last)
    output = last(*(tensor.contiguous(memory_format=torch.channels_last) for tensor in tensors))
    same(output, block(*tensors))
    kept = output.is_contiguous(memory_format=torch.channels_last)
    return YES if kept else Cell("values", "the result is right, in another memory format")


def traced(subject: Subject) -> Cell:
    return compiled(subject, "aot_eager")


def compiled(subject: Subject, backend: str) -> Cell:
    """The whole block as one graph, forward and backward, in training mode and, where that differs, in evaluation mode.

    In float64, where rounding cannot put a value on the other side of a ReLU's kink.
    """
    tensors = [tensor.double() for tensor in subject.inputs(subject.usual)]
    before: list[Tensor] = []
    for mode in (True, False):
        block = subject.awake().double().train(mode)
        whole = copy.deepcopy(block)
        with seeded():
            wanted = _results(block, *tensors)
        if len(before) == len(wanted) and all(map(torch.equal, before, wanted)):
            break
        torch.compiler.reset()
        whole.compile(fullgraph=True, backend=backend)
        with seeded():
            ours = _results(whole, *tensors)
        for result, expected in zip(ours, wanted, strict=True):
            same(result, expected, 1e-6)
        before = wanted
    return YES


def exported(subject: Subject) -> Cell:
    block, tensors, unseen = subject.awake(), subject.inputs(subject.usual), [subject.inputs(size) for size in UNSEEN]
    program = torch.export.export(block, tensors, dynamic_shapes=open_sizes(tensors)).module()
    for other in unseen:
        same(program(*other), block(*other))
    return YES


def open_sizes(tensors: tuple[Tensor, ...]) -> tuple[dict[int, Any], ...]:
    """Every spatial axis of every input may change."""
    return tuple(dict.fromkeys(range(2, tensor.ndim), torch.export.Dim.AUTO) for tensor in tensors)


def same(result: Tensor, wanted: Tensor, tolerance: float = 1e-4) -> None:
    """Refuse a result that is further away than rounding explains, and say how far."""
    scale = max(1.0, float(wanted.abs().max()))
    if (worst := float((result - wanted).abs().max()) / scale) > tolerance:
        raise ArithmeticError(f"differs by {worst:.1e} of its size")


def _evaluate(block: nn.Module, *tensors: Tensor) -> None:
    with torch.no_grad():
        _check(block(*tensors))


def _train(block: nn.Module, *tensors: Tensor) -> list[Tensor]:
    results = _results(block.train(), *tensors)
    for result in results:
        _check(result)
    return results


def _results(block: nn.Module, *tensors: Tensor) -> list[Tensor]:
    """The output, and the gradients of the inputs and parameters."""
    leaves = [tensor.detach().clone().requires_grad_() for tensor in tensors]
    output = block(*leaves)
    wanted = [*leaves, *(weight for weight in block.parameters() if weight.requires_grad)]
    slope = torch.linspace(-1, 1, output.numel()).reshape(output.shape)
    grads = torch.autograd.grad((output * slope).sum(), wanted, allow_unused=True)
    return [output.detach(), *(grad for grad in grads if grad is not None)]


def _check(tensor: Tensor) -> None:
    if not tensor.isfinite().all():
        raise ArithmeticError("gives what is not finite")


class _Operators(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the names of all operators that run, those of the backward pass among them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.names.add(func._schema.name.removeprefix("aten::"))
        return func(*args, **(kwargs or {}))
