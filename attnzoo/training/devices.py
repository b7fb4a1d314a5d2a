"""Where a run computes: a device by name, what it is called, and what it can do."""

import contextlib

import torch

from attnzoo.errors import AttnzooError, listing
from attnzoo.recipe import Recipe

AUTOCAST = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}


def resolve_device(name: str) -> torch.device:
    """A device of this machine: `auto` takes a GPU if there is one; otherwise `cpu`, `cuda`, `cuda:1`, `mps`.

    Raises:
        AttnzooError: No such device, here or anywhere.
    """
    there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if there[kind]))
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    possible = ["auto", *(kind for kind, count in there.items() if count)]
    if device is None or device.type not in there:
        raise AttnzooError(f"`{name}` is no device", f"here it can be {listing(possible)}")
    if (device.index or 0) >= there[device.type]:
        raise AttnzooError(f"this machine has no device `{name}`", f"here it can be {listing(possible)}")
    return device


def check_devices(recipe: Recipe, device: torch.device, devices: int) -> None:
    """Refuse a precision or a number of processes that the device, or the recipe, cannot have."""
    if recipe.training.precision == "16-mixed" and device.type == "cpu":
        raise AttnzooError(
            "`training.precision = 16-mixed` needs a GPU, and this run is on the CPU", "take `bf16-mixed` or `32-true`"
        )
    if devices < 1:
        raise AttnzooError(f"`devices` must be at least 1, not `{devices}`", "it is a number of processes")
    if devices > 1 and device.type == "mps":
        raise AttnzooError(f"there is one `mps` device, not `{devices}`", "leave `devices` at 1")
    if devices > 1 and device.type == "cuda" and (device.index is not None or devices > torch.cuda.device_count()):
        raise AttnzooError(
            f"`{device}` cannot be `{devices}` devices; this machine has {torch.cuda.device_count()}",
            "write `cuda` without a number, and at most as many devices as there are",
        )


def describe(device: torch.device) -> str:
    """What a result calls the device: the GPU's trade name, `cpu`, `mps`."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[object]:
    """The precision of a recipe, for scoring and rehearsing."""
    dtype = AUTOCAST.get(precision)
    return torch.autocast(device.type, dtype) if dtype is not None else contextlib.nullcontext()
