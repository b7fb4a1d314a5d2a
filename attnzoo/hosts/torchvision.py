"""torchvision's segmentation networks: `FCN` and `DeepLabV3`, which have no skips, and `LRASPP`, which has one.

Slots follow the backbone's stages, which `IntermediateLayerGetter` runs as they stand. The auxiliary head has no site
of its own: it hears the stage that it hangs on. LRASPP's furnished head gets a subclass whose forward is written out,
and one new child, the slot.
"""

from dataclasses import replace
from itertools import accumulate
from operator import mul
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.segmentation.deeplabv3 import DeepLabHead, DeepLabV3
from torchvision.models.segmentation.fcn import FCN, FCNHead
from torchvision.models.segmentation.lraspp import LRASPP, LRASPPHead

from attnzoo.errors import AttnzooError
from attnzoo.hosts import Site
from attnzoo.hosts._ladder import Place, after, ladder, refuse_strangers, slot_at
from attnzoo.skip import Slot


class FurnishedHead(LRASPPHead):  # type: ignore[misc]
    """The same, with a slot that the finer feature passes before it is classified."""

    skip_slot: Slot

    def forward(self, input: dict[str, Tensor]) -> Tensor:  # noqa: A002 - torchvision's name
        low, high = input["low"], input["high"]
        coarse = self.cbr(high) * self.scale(high)
        upsampled = F.interpolate(coarse, size=low.shape[-2:], mode="bilinear", align_corners=False)
        low = self.skip_slot(low, upsampled=upsampled, coarse=coarse)
        logits: Tensor = self.low_classifier(low) + self.high_classifier(upsampled)
        return logits  # (B, classes, *low)


def sites(model: FCN | DeepLabV3 | LRASPP) -> tuple[Site, ...]:
    """The backbone's stages, the bottleneck in front of the head, and the head's last feature; LRASPP's skip.

    Raises:
        AttnzooError: If others have changed what is furnished here, or for a backbone that is not torchvision's.
    """
    heads = (LRASPPHead, FurnishedHead) if isinstance(model, LRASPP) else (FCNHead, DeepLabHead)
    refuse_strangers(model, [model.backbone], (IntermediateLayerGetter,), "torchvision")
    refuse_strangers(model, [model.classifier], heads, "torchvision")
    *stages, bottom = _stages(model)
    head: Any = model.classifier
    if isinstance(head, LRASPPHead):
        inner = head.cbr[0].out_channels
        taps = {taken: f"backbone.{name}" for name, taken in model.backbone.return_layers.items()}
        low = next(stage for stage in stages if stage.beside == taps["low"])
        skips = [
            replace(low, path="classifier.skip_slot", beside="classifier", gates={"upsampled": inner, "coarse": inner})
        ]
        decoder = after("classifier.cbr", inner, bottom.stride)
    else:
        last = max(index for index, layer in enumerate(head) if isinstance(layer, nn.ReLU))
        skips = []
        decoder = Place(f"classifier.{last}.slot", "classifier", _width(head[last - 2]), bottom.stride)
    return ladder(encoder=stages, skips=skips, bottleneck=bottom, decoder=[decoder], dims=2)


def slot(model: FCN | DeepLabV3 | LRASPP, site: Site) -> Slot:
    """The slot of a site, made where there is none yet."""
    return slot_at(model, site, {LRASPPHead: FurnishedHead})


def _stages(model: FCN | DeepLabV3 | LRASPP) -> list[Place]:
    """The layers of a `ResNet`, or what torchvision calls C0 to Cn in a `MobileNetV3`; the last feeds the head."""
    layers = dict(model.backbone.items())
    first, *_, last = layers
    if "layer1" in layers:
        names = [name for name in layers if name.startswith("layer")]
    else:
        names = [name for name, layer in layers.items() if getattr(layer, "_is_cn", False)]
        names = [first, *names, *({last} - {*names})] if names else []
    if not names:
        raise AttnzooError(
            f"the backbone of this `{type(model).__name__}` is neither a `ResNet` nor a `MobileNetV3` of torchvision",
            "say where by module paths, as in at='backbone.layer2'",
        )
    along = dict(zip(layers, accumulate(map(_stride, layers.values()), mul), strict=True))
    return [after(f"backbone.{name}", _width(layers[name]), along[name]) for name in names]


def _width(module: nn.Module) -> int:
    """The channels of a module's result; where a shortcut has the last convolution, it has as many."""
    return [layer.out_channels for layer in _own(module) if isinstance(layer, nn.Conv2d)][-1]


def _stride(module: nn.Module) -> int:
    """Input pixels per pixel of the result: one layer at most takes a step."""
    steps = [layer.stride for layer in _own(module) if isinstance(layer, nn.Conv2d | nn.MaxPool2d)]
    return max((step if isinstance(step, int) else step[0] for step in steps), default=1)


def _own(module: nn.Module) -> list[nn.Module]:
    """A module and all within it, but for what slots hold."""
    children = [child for child in module.children() if not isinstance(child, Slot)]
    return [module, *(layer for child in children for layer in _own(child))]
