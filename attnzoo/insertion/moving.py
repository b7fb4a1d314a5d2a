"""The blocks move in: all of them, or none."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Never

import torch
from torch import nn

from attnzoo.errors import AttnzooError
from attnzoo.hosts import Host, Site
from attnzoo.hosts._furnish import Furnished, furnish

Blocks = list[tuple[str, nn.Module]]


class Unsaved(Furnished):
    """Mixed into the class of a furnished model: what its library's own saving would silently drop is refused."""

    def save_pretrained(self, *args: Any, **kwargs: Any) -> Never:
        raise AttnzooError(
            f"`save_pretrained` would lose the attention of this `{type(self).__name__}`",
            "save its state_dict(); to load it, build the host anew, furnish it by attnzoo.insert, and load_state_dict",
        )

    def push_to_hub(self, *args: Any, **kwargs: Any) -> Never:
        self.save_pretrained()


def move_in(model: nn.Module, host: Host, built: Iterable[tuple[Site, Blocks, nn.Parameter | None]]) -> None:
    """Fill the slot of every site with its blocks, and its γ where it is residual.

    Raises:
        AttnzooError: A module has no room for a slot; the model is as it was.
    """
    with _as_it_was(model):
        slots = [(host.slot(model, site), blocks, gamma) for site, blocks, gamma in built]
        for site, *_ in built:
            for module in _around(model, site):
                if hasattr(type(module), "save_pretrained"):
                    furnish(module, Unsaved)
    for slot, blocks, gamma in slots:
        slot.fill(blocks, gamma)


@contextmanager
def _as_it_was(model: nn.Module) -> Iterator[None]:
    """Inside, a failure gives every module back its class and its children."""
    plain = [module for module in model.modules() if not isinstance(module, torch.jit.ScriptModule)]
    before = [(module, type(module), dict(module._modules)) for module in plain]
    try:
        yield
    except BaseException:
        for module, cls, children in before:
            module.__class__ = cls
            module._modules.clear()
            module._modules.update(children)
        raise


def _around(model: nn.Module, site: Site) -> Iterator[nn.Module]:
    """The modules that a slot lies in, from the outermost."""
    module = model
    for name in site.path.split("."):
        yield module
        module = module.get_submodule(name)
