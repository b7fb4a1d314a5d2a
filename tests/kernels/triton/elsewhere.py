"""A GPU that is not here: what Triton compiles for it, and nothing starts."""

import sys
from types import SimpleNamespace
from typing import Any

import torch
from triton.backends.compiler import GPUTarget


class Elsewhere:
    """A driver for the generation that is the program's first argument, 90 for an H100.

    Args:
        launcher: What Triton makes of a compiled kernel's source and metadata, and calls to start it.
    """

    utils = SimpleNamespace(
        load_binary=lambda *_: (1, 1, 32, 0, 1024),
        get_device_properties=lambda _: {"max_shared_mem": 232448},
        unload_module=lambda _: None,
    )

    def __init__(self, launcher: Any = None) -> None:
        self.launcher_cls = launcher

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", int(sys.argv[1]), 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int | None = None) -> int:
        return 0

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cpu")
