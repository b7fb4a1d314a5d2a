"""Hosts: networks whose sites can be found and furnished. A host is a module here, found by the model's class name."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast

from torch import nn

from attnzoo.errors import AttnzooError, listing
from attnzoo.skip import Slot


@dataclass(frozen=True)
class Site:
    """A named place in one network.

    Attributes:
        name: `skip1` (the finest), `skip2`, …, `bottleneck`.
        path: Module path of the slot, once the site is furnished.
        beside: Module path of the layers that hear the slot: new blocks go to their device, dtype and mode.
        level: 1 is the finest; the bottleneck is below the coarsest skip.
        channels: Width of the feature.
        gates: Widths of the decoder's signals, by name (`upsampled`, `coarse`); empty where there is no decoder yet.
        stride: Input pixels per pixel of the feature.
        dims: Spatial dimensions, 2 or 3.
    """

    name: str
    path: str
    beside: str
    level: int
    channels: int
    gates: Mapping[str, int]
    stride: int
    dims: int

    @property
    def title(self) -> str:
        """The site as messages name it: `skip level 1`."""
        family = self.name.rstrip("0123456789")
        return self.name if family == self.name else f"{family} level {self.name.removeprefix(family)}"


class Host(Protocol):
    """What attnzoo knows of one kind of network; every module of this folder is one."""

    def sites(self, model: Any) -> tuple[Site, ...]:
        """The sites, from the finest skip down to the bottleneck. Changes nothing."""

    def slot(self, model: Any, site: Site) -> Slot:
        """The slot of a site, made where there is none yet."""


# Full name of a class → its public name, and the module that knows it: no library is imported for nothing.
_HOSTS = {
    "attnzoo.hosts.unet.UNet": ("attnzoo.UNet", "attnzoo.hosts.unet"),
    "segmentation_models_pytorch.decoders.unet.model.Unet": ("segmentation_models_pytorch.Unet", "attnzoo.hosts.smp"),
}
_HINT = f"hosts are {listing((name for name, _ in _HOSTS.values()), last='and')}"
_WRAPPERS = {
    "DataParallel",
    "DistributedDataParallel",
    "FSDPModule",
    "FullyShardedDataParallel",
    "OptimizedModule",
    "ScriptModule",
}


def host_of(model: nn.Module) -> Host:
    """The host of a model's class, or of the nearest class that it is derived from.

    Raises:
        AttnzooError: For anything but the plain model of a known class.
    """
    if not isinstance(model, nn.Module):
        raise AttnzooError(f"a host is a `torch.nn.Module`, not a `{type(model).__name__}`", _HINT)
    names = [cls.__name__ for cls in type(model).__mro__]
    if wrapper := next((name for name in names if name in _WRAPPERS), None):
        raise AttnzooError(f"a model inside `{wrapper}` cannot be furnished", "furnish the model first, then wrap it")
    if getattr(model, "_compiled_call_impl", None) is not None:
        raise AttnzooError(f"this `{names[0]}` is compiled already", "furnish the model first, then compile it")
    for cls in type(model).__mro__:
        if found := _HOSTS.get(f"{cls.__module__}.{cls.__qualname__}"):
            _, home = found
            return cast("Host", import_module(home))
    raise AttnzooError(f"attnzoo does not know the sites of `{names[0]}`", _HINT)
