"""Sites in any network: the result of a module, named by its path, passes a slot.

Widths are measured by one dry run of an example, with hooks that are gone after it; or they are said.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from attnzoo.errors import AttnzooError, did_you_mean, first_line
from attnzoo.hosts import Site
from attnzoo.hosts._furnish import AtPath, check_after, slot_after
from attnzoo.skip import Slot

_HINT = "name a module whose result is one map, (B, C, *spatial)"
_CONVOLUTIONS = {2: (nn.Conv2d, nn.ConvTranspose2d), 3: (nn.Conv3d, nn.ConvTranspose3d)}


def sites(model: nn.Module) -> tuple[Site, ...]:
    """The paths that have been said so far, in the order of the network's modules."""
    slots = ((path, module.site) for path, module in model.named_modules() if isinstance(module, Slot))
    return tuple(
        replace(site, name=path.rpartition(".")[0], path=path, beside=path.rpartition(".")[0])
        for path, site in slots
        if site is not None
    )


def slot(model: nn.Module, site: Site) -> Slot:
    """The slot that the result of a module passes, made where there is none."""
    made = slot_after(model, site.beside, AtPath)
    made.site = site
    return made


def find(model: nn.Module, at: str, channels: int | None, example: Any, words: Iterable[str] = ()) -> tuple[Site, ...]:
    """The sites that a path, or a pattern of paths, means. Changes nothing.

    Args:
        model: Any network.
        at: The path of a module, `backbone.layer2`. `*`, `?` and `[…]` stand for parts of a name, not for dots.
        channels: The width of the result.
        example: An input of the network, in place of `channels`: a tensor, or a tuple of all that it takes.
        words: What else the path could have been meant for.

    Raises:
        AttnzooError: There is no such module, or its result cannot pass a slot.
    """
    paths, name = _matching(model, at, words), type(model).__name__
    inputs = example if isinstance(example, tuple) else (example,)
    results = _dry_run(model, paths, inputs) if channels is None and example is not None else {}
    for path in paths:
        check_after(model, path, AtPath)  # what was lazy has run by now
    if channels is not None and example is None:
        if type(channels) is not int or channels < 1:
            raise AttnzooError(f"`{at}` cannot have channels={channels!r}", "a width is a whole number from 1 up")
        return tuple(_site(path, channels, 0, _dims(model, path)) for path in paths)
    if channels is not None or example is None:
        raise AttnzooError(
            f"the width of `{at}` in `{name}` is {'unknown' if channels is None else 'said twice'}",
            "give an input, as in `example=torch.zeros(1, 3, 64, 64)`, or the width, as in `channels=128`",
        )
    return tuple(_measured(model, path, results[path], inputs) for path in paths)


def _matching(model: nn.Module, at: str, words: Iterable[str]) -> tuple[str, ...]:
    """The paths of the modules that are meant; none lies in a slot."""
    first = {module: path for path, module in model.named_modules() if path}  # a module may have several
    within = [path for module, path in first.items() if isinstance(module, Slot)]
    names = at.split(".")
    meant = dict.fromkeys(
        first[module]
        for path, module in model.named_modules(remove_duplicate=False)
        if path and len(parts := path.split(".")) == len(names) and all(map(fnmatchcase, parts, names))
    )
    free = [path for path in meant if not any(f"{path}.".startswith(f"{slot}.") for slot in within)]
    if meant and not free:
        raise AttnzooError(
            f"`{next(iter(meant))}` of `{type(model).__name__}` belongs to a slot",
            "name a module of the network itself",
        )
    if not free:
        raise AttnzooError(
            f"`{type(model).__name__}` has no module `{at}`",
            did_you_mean(at, [*words, *(path for path in first.values() if path not in within)])
            or "`model.named_modules()` tells all paths",
        )
    return tuple(free)


def _dims(model: nn.Module, path: str) -> int:
    """The spatial dimensions that convolutions tell: the module's own, or else the network's."""
    for module in (model.get_submodule(path), model):
        for inner in module.modules():
            for dims, kinds in _CONVOLUTIONS.items():
                if isinstance(inner, kinds):
                    return dims
    raise AttnzooError(
        f"`{path}` of `{type(model).__name__}` has no convolution that would tell its spatial dimensions",
        "give an input instead of channels, as in `example=torch.zeros(1, 3, 64, 64)`",
    )


def _dry_run(model: nn.Module, paths: tuple[str, ...], inputs: tuple[Any, ...]) -> Mapping[str, list[Any]]:
    """What every module gives, run by run, when the network is given the inputs."""
    results: dict[str, list[Any]] = {path: [] for path in paths}

    def note(path: str) -> Callable[[nn.Module, Any, Any], None]:
        return lambda module, given, result: results[path].append(result)

    handles = [model.get_submodule(path).register_forward_hook(note(path)) for path in paths]
    try:
        with _at_rest(model):
            model(*inputs)
    # another's network can fail in any way
    except Exception as error:
        raise AttnzooError(
            f"`{type(model).__name__}` cannot run the example: {first_line(error)}",
            "give a tensor as the network takes it, on its device, or a tuple of all that it takes",
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    return results


@contextmanager
def _at_rest(model: nn.Module) -> Iterator[None]:
    """Inside, the model evaluates, without gradients; afterwards modes and random numbers are as they were."""
    # flags, and not model.eval(): what networks do there of their own is not undone by train()
    modes = [(module, module.training) for module in model.modules()]
    devices = {parameter.device for parameter in model.parameters() if parameter.device.type == "cuda"}
    for module, _ in modes:
        module.training = False
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def _measured(model: nn.Module, path: str, results: list[Any], inputs: tuple[Any, ...]) -> Site:
    """The site that a module's results are."""

    def refuse(why: str, hint: str = _HINT) -> AttnzooError:
        return AttnzooError(f"`{path}` of `{type(model).__name__}` {why}", hint)

    if not results:
        raise refuse("is not called when the network runs", "name the module around it, or give another example")
    for result in results:
        if not isinstance(result, Tensor):
            raise refuse(f"gives a `{type(result).__name__}`")
        if result.ndim not in (4, 5):
            tokens = ": tokens, not a map" if result.ndim == 3 else ""
            raise refuse(f"gives `{tuple(result.shape)}`{tokens}")
    widths = {result.shape[1] for result in results}
    if len(widths) > 1:
        raise refuse(f"runs {len(results)} times, with {' and '.join(map(str, sorted(widths)))} channels")
    result = max(results, key=lambda result: result.shape[2:].numel())
    dims, size = result.ndim - 2, tuple(result.shape[2:])
    whole = next((tuple(one.shape[2:]) for one in inputs if isinstance(one, Tensor) and one.ndim == result.ndim), None)
    if whole is None:
        return _site(path, result.shape[1], 0, dims)
    last = not _alike(size, whole) and _alike(tuple(result.shape[1:-1]), whole)
    if last and not _makes(model.get_submodule(path), result.shape[1]):
        way_out = f"{_HINT}; if it is one, give `channels={result.shape[1]}` in place of the example"
        raise refuse(f"gives `{tuple(result.shape)}`, with the channels last", way_out)
    strides = tuple(map(_stride, whole, size))
    return _site(path, result.shape[1], strides[0] if len(set(strides)) == 1 else strides, dims)


def _makes(module: nn.Module, width: int) -> bool:
    """Whether a convolution within has this width: its maps have their channels first, whatever its strides."""
    kinds = _CONVOLUTIONS[2] + _CONVOLUTIONS[3]
    return any(isinstance(inner, kinds) and inner.out_channels == width for inner in module.modules())


def _stride(before: int, after: int) -> int:
    """Input pixels per pixel along an axis; where sizes were rounded up, a power of two is likelier than its like."""
    halved = 1
    while halved * max(after, 1) < before:
        halved *= 2
    return halved if -(-before // halved) == after else max(1, round(before / max(after, 1)))


def _alike(size: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether a map is the image, made smaller by one factor along all axes, but for rounding."""
    factor = max(1.0, max(before / max(after, 1) for before, after in zip(whole, size, strict=True)))
    return all(abs(before / factor - after) <= 1 for before, after in zip(whole, size, strict=True))


def _site(path: str, channels: int, stride: int | tuple[int, ...], dims: int) -> Site:
    return Site(path, f"{path}.{AtPath.child}", path, 0, channels, {}, stride, dims)
