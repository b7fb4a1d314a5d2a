"""A step of every model before any is trained: an impossible last arm costs seconds and not a night."""

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from attnzoo import insertion, losses, models
from attnzoo.data.transforms import pipeline
from attnzoo.errors import AttnzooError, first_line
from attnzoo.recipe import Recipe
from attnzoo.training.devices import autocast


def rehearse(
    recipe: Recipe,
    classes: int,
    images: Sequence[int],
    device: torch.device,
    say: Callable[[str], None] = lambda line: None,
) -> int:
    """Build a recipe's model, and take training steps and one of evaluation on noise at the recipe's image size.

    Args:
        recipe: Whose model, loss, precision and image size are tried.
        classes: Outputs of the network, the background included.
        images: The batch sizes to try, a step each.
        device: Where to try.
        say: Hears what blocks remark of themselves, such as how near a matched control's count is; a line each.

    Returns:
        The number of the model's parameters.

    Raises:
        AttnzooError: An augmentation is unknown, the model cannot be built, or a step fails; says in which arm and,
            where it is known, at which site and in which block.
    """
    pipeline(recipe.data, recipe.model.in_channels, train=True)  # refuses an augmentation that nobody knows
    with _told(recipe, "cannot be built"):
        model = models.build_model(recipe, classes)
    for site, spelling, block in insertion.inserted(model):
        if remark := getattr(block, "remark", None):
            say(f"`{spelling}` at {site.title}: {remark}")
    weights = recipe.training.class_weights
    loss = losses.build_loss(recipe.training.loss, class_weights=weights if isinstance(weights, tuple) else None)
    check_sizes(model, recipe.data.image_size)
    _check_results(model, mixed=recipe.training.precision != "32-true")
    model.train().to(device)
    loss.to(device)
    height, width = recipe.data.image_size
    for number in images:
        with _told(recipe, f"cannot take a training step on {number} × {height}×{width} pixels", model):
            torch.autograd.backward(_loss(model, loss, recipe, classes, number, device))
    with _told(recipe, f"cannot be evaluated on 1 × {height}×{width} pixels", model), torch.inference_mode():
        _loss(model.eval(), loss, recipe, classes, 1, device)
    return sum(parameter.numel() for parameter in model.parameters())


@contextmanager
def _told(recipe: Recipe, what: str, model: nn.Module | None = None) -> Iterator[None]:
    """Say which arm, and in which block. A block of somebody's own can fail in any way."""
    try:
        yield
    except AttnzooError:
        raise
    except Exception as error:
        where = _where(model, error) if model is not None else ""
        memory = isinstance(error, torch.OutOfMemoryError)
        raise AttnzooError(
            f"`{recipe.model.attention}` {what}{where}: {first_line(error)}",
            "take a smaller batch_size or image_size"
            if memory
            else "leave the arm out, or mend its block"
            if where or model is None
            else "leave the arm out, or change image_size or batch_size",
        ) from error


def _loss(model: nn.Module, loss: nn.Module, recipe: Recipe, classes: int, images: int, device: torch.device) -> Tensor:
    """A model's loss on noise."""
    generator = torch.Generator().manual_seed(0)
    size = recipe.data.image_size
    batch = torch.randn(images, recipe.model.in_channels, *size, generator=generator)
    truth = torch.randint(classes, (images, *size), generator=generator)
    with autocast(device, recipe.training.precision):
        value: Tensor = loss(model(batch.to(device)), truth.to(device))
    return value


def check_sizes(model: nn.Module, size: tuple[int, int]) -> None:
    """Ask every block that is bound to a map size whether it can live with the one of its site."""
    for site, _, block in insertion.inserted(model):
        if (check := getattr(block, "check_size", None)) is not None:
            check(tuple(-(-length // stride) for length, stride in zip(size, site.strides, strict=True)))


def _check_results(model: nn.Module, *, mixed: bool) -> None:
    """From now on a block whose result is not like its input is told by name; the host would fail later, elsewhere."""

    def check(where: str, _: nn.Module, inputs: tuple[Any, ...], result: Any) -> None:
        x = inputs[0]
        alike = isinstance(result, Tensor) and result.shape == x.shape
        # under autocast the type is the last operation's
        if not alike or (result.dtype != x.dtype and not (mixed and result.is_floating_point())):
            raise AttnzooError(
                f"{where} gives {_like(result)}, where {_like(x)} came in",
                "mend its block: what leaves has the shape and the type of what came in; or leave the arm out",
            )

    for site, spelling, block in insertion.inserted(model):
        block.register_forward_hook(partial(check, f"`{spelling}` at {site.title}"))


def _like(value: Any) -> str:
    """A tensor's shape and type, or of what else a value is: `2×4×32×32 of float32`."""
    if isinstance(value, Tensor):
        return f"`{'×'.join(map(str, value.shape)) or 'a number'} of {str(value.dtype).removeprefix('torch.')}`"
    return "`None`" if value is None else f"a `{type(value).__name__}`"


def _where(model: nn.Module, error: BaseException) -> str:
    """The site and block in whose forward an error arose, from the frames of its traceback; empty outside all slots."""
    running = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    for site, spelling, block in insertion.inserted(model):
        if any(block is one for one in running):
            return f" (`{spelling}` at {site.title})"
    return ""
