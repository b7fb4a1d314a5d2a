"""What was measured on: the device, its driver, the versions and the switches that move timings."""

import subprocess
from typing import Any

import torch

from attnzoo import results
from attnzoo.errors import AttnzooError, did_you_mean


def resolve(device: str) -> torch.device:
    """`auto` (the GPU if there is one), `cpu`, `cuda` or `cuda:1` as a device that is there.

    Raises:
        AttnzooError: For a device that is unknown, absent, or has no clock here.
    """
    kind, _, index = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (index and not (kind == "cuda" and index.isdecimal())):
        raise AttnzooError(
            f"`{device}` cannot be timed; devices are `auto`, `cpu`, `cuda` or `cuda:1`",
            did_you_mean(device, ("auto", "cpu", "cuda")),
        )
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "cpu" or (kind == "auto" and not there):
        return torch.device("cpu")
    if int(index or 0) >= there:
        raise AttnzooError(f"`{device}` is not there: torch sees {there} CUDA devices", "take `--device cpu`")
    return torch.device("cuda", int(index) if index else torch.cuda.current_device())


def describe(device: torch.device) -> dict[str, Any]:
    """The machine in words and numbers, ready for JSON."""
    recorded = results.environment()
    about: dict[str, Any] = {
        **recorded["machine"],
        "versions": recorded["versions"],
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }
    if device.type != "cuda":
        return about | {"cpu_capability": torch.backends.cpu.get_cpu_capability()}
    gpu = torch.cuda.get_device_properties(device)
    return about | {
        "gpu": gpu.name,
        "gpu_memory_bytes": gpu.total_memory,
        "driver": _driver(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "tf32_matmul": torch.backends.cuda.matmul.fp32_precision == "tf32",
        "tf32_convolution": torch.backends.cudnn.conv.fp32_precision == "tf32",  # type: ignore[attr-defined]
    }


def _driver() -> str | None:
    """The driver's version, where nvidia-smi tells it."""
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return told.splitlines()[0].strip() if told.strip() else None
