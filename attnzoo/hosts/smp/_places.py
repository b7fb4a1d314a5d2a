"""What smp's decoders share: how places become sites, and how a place gets its slot."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, cast

from torch import nn

from attnzoo.errors import AttnzooError
from attnzoo.hosts import Site
from attnzoo.hosts._furnish import Behind, Holder, become, check_forward, furnish, hang, own_class, slot_after
from attnzoo.hosts._ladder import Place, ladder
from attnzoo.hosts.smp._encoder import stages
from attnzoo.skip import Slot


class WithSlot:
    """Mixed into a written-out subclass: its skip passes a slot."""

    slot: Slot
    training: bool

    def open_slots(self) -> None:
        self.slot = Slot().train(self.training)


class Before(Holder):
    """A module whose first input passes a slot."""

    child: ClassVar[str] = "slot_before"
    slot_before: Slot

    def forward(self, x: Any, *args: Any) -> Any:
        return super().forward(self.slot_before(x), *args)  # type: ignore[misc]


def depth_of(model: Any) -> int:
    """The index of the encoder's deepest feature; 0 is the image's resolution."""
    return len(model.encoder.out_channels) - 1


def stride_of(model: Any, index: int) -> int:
    """Input pixels per pixel of one of the encoder's features."""
    return int(min(2**index, model.encoder.output_stride))


def feature(model: Any, index: int, path: str, beside: str, gates: Mapping[str, int] | None = None) -> Place:
    """The place where one of the encoder's features enters the decoder, by the path of its slot."""
    return Place(path, beside, model.encoder.out_channels[index], stride_of(model, index), gates or {})


def behind(path: str, channels: int, stride: int) -> Place:
    """The place behind a module."""
    return Place(f"{path}.slot_after", path, channels, stride)


def lay_out(
    model: Any, *, skips: Iterable[Place] = (), bottleneck: Place, decoder: Iterable[Place]
) -> tuple[Site, ...]:
    """The sites of a model: its encoder's, the skips, the bottleneck and the decoder's, each from the finest."""
    return ladder(
        encoder=[behind(path, width, stride_of(model, index)) for path, width, index in stages(model.encoder)],
        skips=[place for place in skips if place.channels],
        bottleneck=bottleneck,
        decoder=decoder,
        dims=2,
    )


def slot_at(model: Any, site: Site, written: Mapping[type, type] | None = None) -> Slot:
    """The slot of a site, made where there is none.

    Args:
        model: Whose site it is.
        site: Its path says where the slot is: `….slot_after` a module, `….slot_before` one, or else within one whose
            forward is written out.
        written: Class of smp → the subclass that writes its forward out.
    """
    path = site.path
    if path.endswith(".slot_after"):
        return slot_after(model, path.removesuffix(".slot_after"), Behind)
    if path.endswith(".slot_before"):
        inner = path.removesuffix(".slot_before")
        module = model.get_submodule(inner)
        if not hasattr(module, Before.child):
            check_forward(module, inner)
            hang(module, Before)
            furnish(module, Before)
    else:
        for inner, part in _ancestors(model, path):
            if (cls := (written or {}).get(own_class(part))) is not None:
                check_forward(part, inner)
                become(part, cls)
                part.open_slots()
    return cast("Slot", model.get_submodule(path))


def refuse_strangers(model: Any, parts: Iterable[nn.Module], *classes: type) -> None:
    """Refuse a decoder that others have changed: a forward written out here would undo it.

    Raises:
        AttnzooError: For a part of another class than smp's or attnzoo's own.
    """
    for part in parts:
        if own_class(part) not in classes:
            raise AttnzooError(
                f"`{type(part).__name__}` in the decoder of this `{type(model).__name__}` is not smp's",
                "furnish a model whose decoder is as smp builds it",
            )


def _ancestors(model: nn.Module, path: str) -> Iterator[tuple[str, Any]]:
    """The modules on the way to a slot, each asked for when the ones above it have theirs."""
    names = path.split(".")
    for end in range(1, len(names)):
        inner = ".".join(names[:end])
        yield inner, model.get_submodule(inner)
