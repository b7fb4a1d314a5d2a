"""From a recipe to its network: the host is built first, and furnished second."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from attnzoo import insertion
from attnzoo.errors import AttnzooError, did_you_mean, first_line, listing
from attnzoo.hosts.unet import UNet
from attnzoo.recipe import Model, Recipe

PROBE_S = 5.0  # how long the weights' server may take to answer at all


def build_model(recipe: Recipe, classes: int) -> nn.Module:
    """Build a recipe's network on the CPU, freshly initialised.

    The host's weights depend on the seed alone, those of every block on (seed, site, position, block), so at one seed
    all attentions start from the same host. torch's global generator is left as it was.

    Args:
        recipe: Its `model` and `training.seed` are used.
        classes: Outputs of the network, the background included.

    Raises:
        AttnzooError: The host, its encoder or weights, its image size or the attention are impossible; or the weights
            out of reach.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        # torch.manual_seed would seed the GPUs as well, whose streams are not forked here
        torch.default_generator.manual_seed(recipe.training.seed)
        model = _host(recipe.model, classes)
    _check_size(model, recipe.model, recipe.data.image_size)
    if recipe.model.attention != "none":
        insertion.insert(model, recipe.model.attention, residual=recipe.model.residual, seed=recipe.training.seed)
    return model


def empty_model(recipe: Recipe, classes: int) -> nn.Module:
    """The same network for weights that come from a file: pretrained ones of the encoder are not fetched."""
    return build_model(replace(recipe, model=replace(recipe.model, encoder_weights=None)), classes)


def _host(options: Model, classes: int) -> nn.Module:
    if options.host == "UNet":
        return UNet(options.in_channels, classes, widths=options.widths)
    import segmentation_models_pytorch as smp

    architecture = getattr(smp, options.host.removeprefix("smp."))
    # its encoders are vision transformers, bound to one image size unless told otherwise
    special = {"dynamic_img_size": True} if options.host == "smp.DPT" else {}
    weights_name = options.encoder_weights
    weights = _check_encoder(options.encoder, weights_name)
    try:
        with _server_in_reach() if weights else nullcontext():
            model: nn.Module = architecture(
                options.encoder, encoder_weights=weights, in_channels=options.in_channels, classes=classes, **special
            )
    except OSError as error:
        raise AttnzooError(
            f"the weights `{weights_name}` of `{options.encoder}` are neither in the local cache nor in reach",
            "fetch them once on a machine with a network (cache: $HF_HOME), or leave `model.encoder_weights` out",
        ) from error
    # timm has hundreds of encoders; some have no feature maps as decoders need them, each failing its own way
    except Exception as error:
        raise AttnzooError(
            f"`{options.encoder}` cannot be the encoder of `{options.host}`: {first_line(error)}", "choose another"
        ) from error
    return model


def _check_size(model: Any, options: Model, size: tuple[int, int]) -> None:
    """Refuse images that the decoder cannot take: most of smp's want edges that the encoder's stride divides."""
    if not getattr(model, "requires_divisible_input_shape", False):
        return
    stride = model.encoder.output_stride
    # the pyramid of PAN halves the deepest feature three times
    least = 8 * stride if options.host == "smp.PAN" else stride
    if any(edge % stride or edge < least for edge in size):
        fitting = [max(-(-edge // stride) * stride, least) for edge in size]
        wanted = f"edges that {stride} divides" + (f", {least} or more" if least > stride else "")
        raise AttnzooError(
            f"`{options.host}` with `{options.encoder}` takes images with {wanted}, not `{size[0]}×{size[1]}`",
            f"write data.image_size = {fitting}",
        )


def _check_encoder(encoder: str, weights: str | None) -> str | bool | None:
    """The weights as smp wants them, once encoder and weights are known to exist."""
    import timm
    from segmentation_models_pytorch.encoders import encoders, get_encoder_names

    if encoder.startswith("tu-"):
        if not timm.is_model(encoder.removeprefix("tu-").partition(".")[0]):
            near = did_you_mean(encoder, [f"tu-{name}" for name in timm.list_models()])
            raise AttnzooError(f"timm has no model for the encoder `{encoder}`", near or "see `timm.list_models()`")
        if weights not in (None, "default"):
            raise AttnzooError(
                f"`{encoder}` has no weights `{weights}`, only `default`",
                'timm names weights in the encoder: encoder = "tu-resnet18.a1_in1k", encoder_weights = "default"',
            )
        return weights is not None or None
    if encoder not in encoders:
        raise AttnzooError(
            f"smp has no encoder `{encoder}`",
            did_you_mean(encoder, get_encoder_names()) or "see segmentation_models_pytorch.encoders",
        )
    offered = sorted(encoders[encoder]["pretrained_settings"])
    if weights is not None and weights not in offered:
        raise AttnzooError(
            f"`{encoder}` has no weights `{weights}`",
            did_you_mean(weights, offered) or f"it has {listing(offered, last='and')}",
        )
    return weights


@contextmanager
def _server_in_reach() -> Iterator[None]:
    """Where the server of weights is silent, only the local cache is asked: its client would retry for a minute."""
    from huggingface_hub import constants, get_session

    before = constants.HF_HUB_OFFLINE
    try:
        get_session().head(constants.ENDPOINT, timeout=PROBE_S)
    # the client's errors come from a package whose name changes with huggingface_hub's versions
    except Exception:
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
