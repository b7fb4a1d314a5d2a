"""Attention blocks for segmentation networks: built, inserted, measured and compared by name."""

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

from attnzoo.errors import AttnzooError

if TYPE_CHECKING:
    from attnzoo.attention_maps import maps
    from attnzoo.hosts.teaching import site, teach
    from attnzoo.hosts.unet import UNet
    from attnzoo.inference import for_inference
    from attnzoo.insertion import insert, insertions, sites
    from attnzoo.registry import available, build, register
    from attnzoo.skip import Slot
    from attnzoo.training import load

    __version__: str

__all__ = [
    "AttnzooError",
    "Slot",
    "UNet",
    "__version__",
    "available",
    "build",
    "for_inference",
    "insert",
    "insertions",
    "load",
    "maps",
    "register",
    "site",
    "sites",
    "teach",
]

# Names are fetched when asked for: torch, and what trains, cost seconds to import.
_HOMES = {
    "Slot": "attnzoo.skip",
    "UNet": "attnzoo.hosts.unet",
    "available": "attnzoo.registry",
    "build": "attnzoo.registry",
    "for_inference": "attnzoo.inference",
    "insert": "attnzoo.insertion",
    "insertions": "attnzoo.insertion",
    "load": "attnzoo.training",
    "maps": "attnzoo.attention_maps",
    "register": "attnzoo.registry",
    "site": "attnzoo.hosts.teaching",
    "sites": "attnzoo.insertion",
    "teach": "attnzoo.hosts.teaching",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return metadata.version("attnzoo")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
