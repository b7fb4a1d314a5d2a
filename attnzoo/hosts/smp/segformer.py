"""`Segformer`: a slot on every feature before its linear layer; the deepest is the bottleneck.

The levels are resized and fused all at once: none hears a coarser one, so there is nothing that a gate could listen to.
"""

from typing import Any

from segmentation_models_pytorch.decoders.segformer.decoder import MLP, SegformerDecoder

from attnzoo.hosts import Site
from attnzoo.hosts.smp._places import behind, depth_of, feature, lay_out, refuse_strangers, slot_at
from attnzoo.skip import Slot


def sites(model: Any) -> tuple[Site, ...]:
    """The encoder's stages, the skips, the bottleneck, and the fused feature at stride 4."""
    decoder, depth = model.decoder, depth_of(model)
    refuse_strangers(model, [decoder, *getattr(decoder, "mlp_stage", ())], SegformerDecoder, MLP)
    *skips, bottleneck = (
        feature(model, index, f"{path}.slot_before", path)
        for index in range(depth - len(decoder.mlp_stage) + 1, depth + 1)
        if (path := f"decoder.mlp_stage.{depth - index}")  # the decoder begins with the coarsest
    )
    fused = behind("decoder.fuse_stage", decoder.fuse_stage[0].out_channels, stride=4)
    return lay_out(model, skips=skips, bottleneck=bottleneck, decoder=[fused])


def slot(model: Any, site: Site) -> Slot:
    """The slot of a site, made where there is none."""
    return slot_at(model, site)
