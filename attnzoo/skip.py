"""The slot: a skip connection enters, attention looks at it, and it leaves with the same shape."""

import copy
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Protocol

import torch
from torch import Tensor, nn

from attnzoo.errors import AttnzooError

if TYPE_CHECKING:
    from attnzoo.hosts import Site

_LOOKING = threading.RLock()  # a look puts a listener into the block, where another thread's would be in its way
_SHOWS = {"scale": "weights", "add": "added"}  # by kind: the method whose result is the map


@dataclass(frozen=True)
class Shown:
    """What one block did in one forward.

    Attributes:
        kind: What the block does: `scale`, `add` or `mix`.
        tensor: The factor, (B, 1 or C, *spatial or 1…), of a block that scales; what was added by one that adds; of any
            other the L2 norm of the change over the channels, (B, 1, *spatial). Detached, on the model's device.
    """

    kind: str
    tensor: Tensor


class Watcher(Protocol):
    """Who wants to see what the blocks of a slot do."""

    def __call__(self, place: int, shown: Shown) -> None: ...


class Slot(nn.Module):
    """A place for blocks, applied from left to right. An empty one passes the skip through, and weighs nothing.

    A gated block (one with `listens`) also gets the decoder's signal of that name: `upsampled`, the decoder's feature
    at the skip's resolution, or `coarse`, the same before up-sampling.

    Attributes:
        blocks: The blocks, in order.
        spellings: How each was spelt when it was inserted, `ema:groups=8`.
        gamma: Where the slot is residual, one learned number γ: the result is x + γ·(chain(x) − x). It starts from 0,
            as in ReZero (Bachlechner et al., UAI 2021), so that what follows is as without the blocks; at that first
            step it alone learns, as the blocks' gradients are times γ. It hides no flaw: 0·inf is NaN.
    """

    gamma: nn.Parameter | None
    site: "Site | None" = None  # where it sits, if a module's path was said: nobody else could tell
    holder: Any = None  # what is mixed into the module around it, and runs it; None in a written forward
    watchers: tuple[Watcher, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        self.spellings: tuple[str, ...] = ()
        self.register_parameter("gamma", None)

    def fill(self, blocks: Iterable[tuple[str, nn.Module]], gamma: nn.Parameter | None = None) -> None:
        """Put pairs of spelling and block in place of what the slot held; with a gamma it is residual."""
        pairs = list(blocks)
        self.blocks = nn.ModuleList(block for _, block in pairs)
        self.blocks.training = self.training
        self.spellings = tuple(spelling for spelling, _ in pairs)
        self.gamma = gamma

    @property
    def residual(self) -> Literal["none", "zero"]:
        """Whether the slot is residual: `zero`, as γ starts from 0."""
        return "none" if self.gamma is None else "zero"

    def forward(self, x: Tensor, upsampled: Tensor | None = None, coarse: Tensor | None = None) -> Tensor:
        """Apply the blocks to the skip.

        Args:
            x: The skip, (B, C, *spatial).
            upsampled: (B, G, *spatial); needed where a block listens to it.
            coarse: (B, G, *coarser spatial); likewise.
        """
        signals: Mapping[str, Tensor | None] = {"upsampled": upsampled, "coarse": coarse}
        y = x
        for place, block in enumerate(self.blocks):
            listens = getattr(block, "listens", None)
            if listens is not None and signals[listens] is None:
                raise AttnzooError(
                    f"`{self.spellings[place]}` listens to `{listens}`, and the network's forward gives its slot none",
                    f"call the slot with it, as in `self.slot(skip, {listens}=…)`",
                )
            inputs = (y,) if listens is None else (y, signals[listens])
            if self.watchers and not torch.compiler.is_compiling():  # a compiled graph is the same whoever watches
                y = self._watched(place, block, inputs)
            else:
                y = block(*inputs)
        # under autocast the blocks' type may be another
        return y if self.gamma is None else x + (self.gamma * (y - x)).to(x.dtype)  # (B, C, *spatial)

    def _watched(self, place: int, block: nn.Module, inputs: tuple[Any, ...]) -> Tensor:
        """The block's result, once all watchers have seen its map."""
        result, shown = look(block, inputs)
        for watcher in self.watchers:
            watcher(place, shown)
        return result

    def __getstate__(self) -> dict[str, Any]:
        # copies and pickles are not watched
        return {name: value for name, value in vars(self).items() if name != "watchers"}

    def __prepare_scriptable__(self) -> NoReturn:
        # what `torch.jit.script` asks first of all modules; its own words would be about a line of this file
        raise AttnzooError(
            "`torch.jit.script` cannot read a network with places for attention",
            "`torch.export.export`, `torch.compile` and `torch.jit.trace` take it",
        )

    def extra_repr(self) -> str:
        chain = "+".join(self.spellings)
        return chain if self.gamma is None else f"{chain}, residual"


def look(block: nn.Module, inputs: tuple[Any, ...]) -> tuple[Tensor, Shown]:
    """A block's result, to the bit what it is without a look, and its map."""
    kind = getattr(block, "kind", "mix")
    if kind not in _SHOWS:
        result = block(*inputs)
        with torch.no_grad():
            change = result - inputs[0]
            wide = torch.promote_types(change.dtype, torch.float32)  # squares of half precision overflow
            return result, Shown(kind, torch.linalg.vector_norm(change, dim=1, keepdim=True, dtype=wide))
    with _LOOKING, _overheard(block, _SHOWS[kind]) as heard:
        result = block(*inputs)
    if len(heard) != 1:  # its forward goes another way
        heard = [_asked(block, _SHOWS[kind], inputs)]
    return result, Shown(kind, heard[0].detach())


@contextmanager
def _overheard(block: nn.Module, method: str) -> Iterator[list[Tensor]]:
    """What a method of a block gives while it is called inside; so nothing is computed or drawn twice."""
    heard: list[Tensor] = []
    own, speak = vars(block).get(method), getattr(block, method)

    def listen(*inputs: Any) -> Tensor:
        heard.append(speak(*inputs))
        return heard[-1]

    vars(block)[method] = listen
    try:
        yield heard
    finally:
        if own is None:
            del vars(block)[method]
        else:
            vars(block)[method] = own


def _asked(block: nn.Module, method: str, inputs: tuple[Any, ...]) -> Tensor:
    """What a method gives for itself; no statistics and no random numbers are moved by it."""
    twin = copy.deepcopy(block) if block.training else block
    device = inputs[0].device
    with torch.no_grad(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        answer: Tensor = getattr(twin, method)(*inputs)
        return answer
