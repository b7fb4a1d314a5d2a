"""Compiles the kernels for a GPU that need not be here; a line for each: type, layout, name, bytes spilt by a thread.

python -m tests.kernels.triton.machine_code 90
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import triton
from triton.runtime.jit import JITFunction

from attnzoo.blocks.ema import EMA
from attnzoo.kernels import triton as kernels

from .elsewhere import Elsewhere

TYPES = (torch.float32, torch.float16, torch.bfloat16)
TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"


def spilt(machine_code: bytes) -> int:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(machine_code)
        file.flush()
        told = subprocess.run(
            [TOOLS / "cuobjdump", "--dump-resource-usage", file.name], capture_output=True, check=True
        )
    return int(re.findall(rb"STACK:(\d+)", told.stdout)[0])


def main() -> None:
    triton.runtime.driver.set_active(Elsewhere())
    made: list[tuple[str, bytes]] = []
    run = JITFunction.run

    def compiled(self: Any, *args: Any, grid: Any, warmup: bool, **options: Any) -> None:
        """Gives no kernel that the next call could start."""
        kernel = run(self, *args, grid=grid, warmup=True, **options)
        made.append((self.fn.__name__, kernel.asm["cubin"]))

    JITFunction.run = compiled
    cases = [(dtype, layout, 2, 64, 64) for dtype in TYPES for layout in (torch.contiguous_format, torch.channels_last)]
    cases += [(dtype, torch.contiguous_format, 4, 256, 32) for dtype in TYPES]  # groups that one launch takes
    for dtype, layout, batch, channels, side in cases:
        block = EMA(channels)
        x = torch.zeros(batch, channels, side, side, dtype=dtype).contiguous(memory_format=layout).requires_grad_()
        out = kernels.ema(x, block.groups, block.conv1x1, block.gn, block.conv3x3)
        torch.autograd.grad(out, x, torch.zeros_like(x))
        for name, code in made:
            sys.stdout.write(f"{dtype} {layout} {name} {spilt(code)}\n")
        made.clear()


if __name__ == "__main__":
    main()
