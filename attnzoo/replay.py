"""A forward pass recorded as a CUDA graph, in which attention on a skip runs beside what comes after its map."""

import weakref
from itertools import takewhile
from types import TracebackType
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from attnzoo.skip import Slot

_cuda = cast("Any", torch.cuda)  # its streams and events are not annotated


class Replay:
    """A network's forward pass as a CUDA graph, for inputs of one shape, type and device.

    Args:
        model: In evaluation mode, on a CUDA device.
        example: An input; others of this form replay what is recorded with it.
    """

    def __init__(self, model: nn.Module, example: Tensor) -> None:
        self.given = example.detach().clone()
        self.graph = _cuda.CUDAGraph()
        with torch.no_grad(), _cuda.device(self.given.device):
            beside, now = Beside(model), _cuda.current_stream()
            first = _cuda.Stream()  # what allocates at first use does it there
            first.wait_stream(now)
            with beside, _cuda.stream(first):
                for _ in range(3):
                    model(self.given)
            now.wait_stream(first)
            with beside, _cuda.graph(self.graph):
                self.result: Any = model(self.given)

    def fits(self, inputs: tuple[Any, ...]) -> bool:
        """Whether this is what was recorded."""
        if len(inputs) != 1 or not isinstance(inputs[0], Tensor):
            return False
        one, own = inputs[0], self.given
        alike = one.shape == own.shape and one.dtype == own.dtype and one.device == own.device
        asked = torch.is_grad_enabled() and one.requires_grad
        return alike and not asked and not torch.is_autocast_enabled(own.device.type)

    def __call__(self, x: Tensor) -> Any:
        """The result for x, a new tensor each time."""
        self.given.copy_(x)
        self.graph.replay()
        return torch.utils._pytree.tree_map_only(Tensor, torch.clone, self.result)


class _Made(NamedTuple):
    """What a module gave: the tensor, its version then, and what the GPU has done by then."""

    tensor: weakref.ref[Tensor]
    version: int
    event: Any

    def still(self, tensor: Tensor) -> bool:
        """Whether it is this one, as it was: another may have got its place since."""
        return self.tensor() is tensor and tensor._version == self.version


class Beside:
    """While a forward is recorded: a stream of its own for each block on a skip that no decoder speaks to.

    A decoder asks for such attention late, and the map that it looks at is long there. So it waits for the map and not
    for all that was asked for before, and the rest of the network waits for it only where the two meet; on a GPU that
    small maps leave half idle, it costs what it takes room, and no longer its time. Numbers are the same. Inputs and
    results are held until the recording ends, since memory that one stream gives back another still reads.
    """

    def __init__(self, model: nn.Module) -> None:
        slots = [module for module in model.modules() if isinstance(module, Slot)]
        within = {id(part) for slot in slots for block in slot.blocks for part in block.modules()}
        # a fused form steps back from layers with hooks
        fused = [module for module in model.modules() if hasattr(type(module).forward, "fused")]
        within |= {id(part) for module in fused for part in module.modules() if part is not module}
        self._makers = [module for module in model.modules() if id(module) not in within]
        self._streams: dict[nn.Module, Any] = {
            block: _cuda.Stream()
            for slot in slots
            for block in takewhile(lambda block: getattr(block, "listens", None) is None, slot.blocks)
        }
        self._hooks: list[RemovableHandle] = []
        self._forget()

    def __enter__(self) -> None:
        self._hooks = [module.register_forward_hook(self._note) for module in self._makers]
        for block in self._streams:
            self._hooks.append(block.register_forward_pre_hook(self._leave))
            self._hooks.append(block.register_forward_hook(self._return, always_call=True))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()
        self._forget()

    def _forget(self) -> None:
        self._made: dict[int, _Made] = {}
        self._latest: _Made | None = None
        self._away: tuple[Any, Tensor] | None = None
        self._held: list[object] = []

    def _note(self, module: nn.Module, inputs: Any, output: Any) -> None:
        for leaf in torch.utils._pytree.tree_leaves(output):
            if isinstance(leaf, Tensor) and not leaf.is_inference():  # whose versions nobody counts
                self._latest = self._done(leaf)

    def _done(self, tensor: Tensor) -> _Made:
        event = _cuda.Event()
        event.record()
        made = self._made[id(tensor)] = _Made(weakref.ref(tensor), tensor._version, event)
        return made

    def _leave(self, block: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Go to the block's stream, if it is known since when its map has been there, and something came after it."""
        x = inputs[0]
        made = self._made.get(id(x))
        if made is None or made is self._latest or not made.still(x):
            return
        self._away = _cuda.current_stream(), x
        stream = self._streams[block]
        stream.wait_event(made.event)
        _cuda.set_stream(stream)

    def _return(self, block: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if self._away is None:
            return
        (before, x), self._away = self._away, None
        if isinstance(output, Tensor) and not output.is_inference():  # nothing, if it ended in an error
            self._done(output)
        self._held.append((x, output))
        _cuda.set_stream(before)
        before.wait_stream(self._streams[block])
