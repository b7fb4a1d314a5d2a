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
        name: `encoder1` (the finest), …, `skip1`, …, `bottleneck`, `decoder1`, …; or the path of a module.
        path: Module path of the slot, once the site is furnished.
        beside: Module path of the layers that hear the slot: new blocks go to their device, dtype and mode.
        level: 1 is the finest; the bottleneck is below the coarsest skip; 0 where the site is a module's path.
        channels: Width of the feature.
        gates: Widths of the decoder's signals, by name (`upsampled`, `coarse`); empty where there is no decoder yet.
        stride: Input pixels per pixel of the feature; one number per axis where they differ; 0 where
            nobody has measured it.
        dims: Spatial dimensions, 2 or 3.
    """

    name: str
    path: str
    beside: str
    level: int
    channels: int
    gates: Mapping[str, int]
    stride: int | tuple[int, ...]
    dims: int

    @property
    def strides(self) -> tuple[int, ...]:
        """The stride along every axis."""
        return (self.stride,) * self.dims if isinstance(self.stride, int) else self.stride

    @property
    def title(self) -> str:
        """The site as messages name it: `skip level 1`."""
        if not self.level:
            return f"`{self.name}`"
        return self.name if self.family == self.name else f"{self.family} level {self.name.removeprefix(self.family)}"

    @property
    def family(self) -> str:
        """`skip` of `skip1`."""
        return self.name.rstrip("0123456789")


class Host(Protocol):
    """What attnzoo knows of one kind of network; every module of this folder is one."""

    def sites(self, model: Any) -> tuple[Site, ...]:
        """The sites: encoder, skips, bottleneck, decoder, each from the finest level down. Changes nothing."""

    def slot(self, model: Any, site: Site) -> Slot:
        """The slot of a site, made where there is none yet."""


# Full name of a class → its public name, and the module that knows it: no library is imported for nothing.
_HOSTS = {
    "attnzoo.hosts.unet.UNet": ("attnzoo.UNet", "attnzoo.hosts.unet"),
    **{
        f"segmentation_models_pytorch.decoders.{folder}.model.{name}": (
            f"segmentation_models_pytorch.{name}",
            f"attnzoo.hosts.smp.{home}",
        )
        for folder, name, home in (
            ("deeplabv3", "DeepLabV3", "deeplab"),
            ("deeplabv3", "DeepLabV3Plus", "deeplab"),
            ("dpt", "DPT", "dpt"),
            ("fpn", "FPN", "fpn"),
            ("linknet", "Linknet", "linknet"),
            ("manet", "MAnet", "manet"),
            ("pan", "PAN", "pan"),
            ("pspnet", "PSPNet", "pspnet"),
            ("segformer", "Segformer", "segformer"),
            ("unet", "Unet", "unet"),
            ("unetplusplus", "UnetPlusPlus", "unetplusplus"),
            ("upernet", "UPerNet", "upernet"),
        )
    },
    "monai.networks.nets.attentionunet.AttentionUnet": ("monai.AttentionUnet", "attnzoo.hosts.monai.attention_unet"),
    "monai.networks.nets.basic_unet.BasicUNet": ("monai.BasicUNet", "attnzoo.hosts.monai.basic_unet"),
    "monai.networks.nets.dynunet.DynUNet": ("monai.DynUNet", "attnzoo.hosts.monai.dynunet"),
    "monai.networks.nets.unet.UNet": ("monai.UNet", "attnzoo.hosts.monai.unet"),
    "dynamic_network_architectures.architectures.unet.PlainConvUNet": (
        "dynamic_network_architectures.PlainConvUNet",
        "attnzoo.hosts.nnunet",
    ),
    "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet": (
        "dynamic_network_architectures.ResidualEncoderUNet",
        "attnzoo.hosts.nnunet",
    ),
    "torchvision.models.segmentation.deeplabv3.DeepLabV3": ("torchvision.DeepLabV3", "attnzoo.hosts.torchvision"),
    "torchvision.models.segmentation.fcn.FCN": ("torchvision.FCN", "attnzoo.hosts.torchvision"),
    "torchvision.models.segmentation.lraspp.LRASPP": ("torchvision.LRASPP", "attnzoo.hosts.torchvision"),
}
# The same for networks that users have taught attnzoo: see `attnzoo.hosts.teaching`.
TAUGHT: dict[str, Host] = {}
_WRAPPERS = {
    "DataParallel",
    "DistributedDataParallel",
    "FSDPModule",
    "FullyShardedDataParallel",
    "OptimizedModule",
    "ScriptModule",
}


def known_hosts() -> Mapping[str, str]:
    """The networks whose sites attnzoo knows by itself: full name of the class → public name."""
    return {full: name for full, (name, _) in _HOSTS.items()}


def find_host(model: nn.Module) -> Host | None:
    """The host of a model's class, or of the nearest class that it is derived from; None for any other network.

    Raises:
        AttnzooError: For what is no module, and for one that is wrapped or compiled.
    """
    if not isinstance(model, nn.Module):
        raise AttnzooError(
            f"a host is a `torch.nn.Module`, not a `{type(model).__name__}`",
            f"hosts are {listing(known_hosts().values(), last='and')}",
        )
    if (wrapper := wrapper_of(model)) is not None:
        raise AttnzooError(f"a model inside `{wrapper}` cannot be furnished", "furnish the model first, then wrap it")
    if is_compiled(model):
        raise AttnzooError(
            f"this `{type(model).__name__}` is compiled already", "furnish the model first, then compile it"
        )
    for cls in type(model).__mro__:
        name = f"{cls.__module__}.{cls.__qualname__}"
        if name in TAUGHT:
            return TAUGHT[name]
        if name in _HOSTS:
            _, home = _HOSTS[name]
            return cast("Host", import_module(home))
    return None


def host_of(model: nn.Module) -> Host:
    """The host of a model's class, as `find_host` finds it.

    Raises:
        AttnzooError: For anything but the plain model of a known class.
    """
    if (host := find_host(model)) is None:
        raise AttnzooError(
            f"attnzoo does not know the sites of `{type(model).__name__}`",
            'name a module of it, as in `at="backbone.layer2"`, or teach attnzoo its sites by `attnzoo.teach`; '
            f"hosts are {listing(known_hosts().values(), last='and')}",
        )
    return host


def wrapper_of(model: nn.Module) -> str | None:
    """The name of the wrapper that a model is inside of, such as `DistributedDataParallel`; None for a plain one."""
    return next((cls.__name__ for cls in type(model).__mro__ if cls.__name__ in _WRAPPERS), None)


def is_compiled(model: nn.Module) -> bool:
    """Whether a model was compiled in place, by `model.compile()`."""
    return getattr(model, "_compiled_call_impl", None) is not None
