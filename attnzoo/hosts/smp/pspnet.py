"""`PSPNet`: the bottleneck is what the pyramid pooling is given; there are no skips, and one `decoder` site."""

from typing import Any

from segmentation_models_pytorch.decoders.pspnet.decoder import PSPDecoder, PSPModule

from attnzoo.hosts import Site
from attnzoo.hosts.smp._places import behind, depth_of, feature, lay_out, refuse_strangers, slot_at, stride_of
from attnzoo.skip import Slot


def sites(model: Any) -> tuple[Site, ...]:
    """The encoder's stages, the bottleneck, and the decoder's result."""
    decoder, depth = model.decoder, depth_of(model)
    refuse_strangers(model, [decoder], PSPDecoder)
    refuse_strangers(model, [decoder.psp], PSPModule)
    return lay_out(
        model,
        bottleneck=feature(model, depth, "decoder.psp.slot_before", "decoder.psp"),
        decoder=[behind("decoder.conv", decoder.conv[0].out_channels, stride_of(model, depth))],
    )


def slot(model: Any, site: Site) -> Slot:
    """The slot of a site, made where there is none."""
    return slot_at(model, site)
