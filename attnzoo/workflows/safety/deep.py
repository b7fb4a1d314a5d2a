"""The costly probes: compilers, another runtime, and full-size maps in half precision."""

import warnings
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from attnzoo.workflows.safety.cell import YES, Cell, no
from attnzoo.workflows.safety.probes import UNSEEN, compiled, open_sizes, same
from attnzoo.workflows.safety.subject import Subject

EDGE = 256
MAGNITUDES = (1, 10, 100, 1000)


def half(subject: Subject) -> Cell:
    return _precision(subject, torch.float16)


def bfloat16(subject: Subject) -> Cell:
    return _precision(subject, torch.bfloat16)


def _precision(subject: Subject, dtype: torch.dtype) -> Cell:
    """How large the skip's values may be under autocast, as multiples of a standard normal map."""
    block, edge, held = subject.awake(), subject.largest(EDGE), 0
    tensors = subject.inputs((edge, edge), 1)
    for magnitude in MAGNITUDES:
        with torch.no_grad(), torch.autocast("cpu", dtype):
            output = block(*((magnitude * tensor).to(dtype) for tensor in tensors))
        if not output.isfinite().all():
            break
        held = magnitude
    size = f"at {edge}×{edge}"
    return Cell(f"×{held:,}", size) if held else no(f"not finite for a standard normal map {size}")


def inductor(subject: Subject) -> Cell:
    return compiled(subject, "inductor")


def onnx(subject: Subject) -> Cell:
    """Exported once, run by onnxruntime at sizes that the exporter did not see."""
    import onnxruntime

    block, tensors, unseen = subject.awake(), subject.inputs(subject.usual), [subject.inputs(size) for size in UNSEEN]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "block.onnx"
        with warnings.catch_warnings():
            # the exporter's own code uses what torch has deprecated
            warnings.simplefilter("ignore")
            torch.onnx.export(block, tensors, str(file), dynamo=True, dynamic_shapes=open_sizes(tensors), verbose=False)
        session = onnxruntime.InferenceSession(str(file))
    names = [given.name for given in session.get_inputs()]
    for other in unseen:
        (output,) = session.run(None, {name: tensor.numpy() for name, tensor in zip(names, other, strict=True)})
        with torch.no_grad():
            same(torch.from_numpy(output), block(*other))
    return YES


def lacks_onnx() -> str | None:
    """The package for want of which `onnx` would break half-way."""
    return next((package for package in ("onnx", "onnxscript", "onnxruntime") if find_spec(package) is None), None)
