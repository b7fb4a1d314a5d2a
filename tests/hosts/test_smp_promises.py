"""segmentation-models-pytorch's models: every promise of a host, kept by each of them. Nothing is downloaded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import segmentation_models_pytorch as smp

from .promises import Network, asked_of, to_onnx_and_back

TINY = "tu-test_resnet"  # timm's, made for tests
NO_GATES = "ema:groups=auto+cbam:reduction=2@skip/se:reduction=2@encoder.bottleneck/cbam:reduction=2@decoder"
NO_SKIPS = "se:reduction=2@encoder.bottleneck/ema:groups=auto@decoder"
NO_STAGES = "ema:groups=auto+gate@skip/se:reduction=2@bottleneck/cbam:reduction=2@decoder"
THREE = {"encoder_depth": 3, "decoder_channels": (24, 16, 16)}


def network(
    name: str, shape: tuple[int, ...] = (2, 3, 64, 96), attention: str = Network.attention, **options: Any
) -> Network:
    bare = {"encoder_name": TINY, "encoder_weights": None, "classes": 2} | options
    return Network(lambda: getattr(smp, name)(**bare), shape, attention)


NETWORKS = {
    "Unet": network("Unet", **THREE, decoder_attention_type="scse"),
    "Unet-mit": network("Unet", encoder_name="mit_b0", decoder_channels=(16, 12, 8, 8, 8)),
    "UnetPlusPlus": network("UnetPlusPlus", encoder_depth=4, decoder_channels=(24, 16, 12, 8)),
    "MAnet": network("MAnet", **THREE, decoder_pab_channels=8),
    "Linknet": network("Linknet", encoder_depth=4),
    "FPN": network("FPN", decoder_pyramid_channels=16, decoder_segmentation_channels=32),
    "FPN-cat": network(
        "FPN",
        encoder_depth=4,
        decoder_merge_policy="cat",
        decoder_pyramid_channels=16,
        decoder_segmentation_channels=32,
    ),
    "PAN": network("PAN", (2, 3, 128, 128), encoder_depth=4, decoder_channels=16),
    "UPerNet": network("UPerNet", decoder_channels=16),
    "Segformer": network("Segformer", attention=NO_GATES, decoder_segmentation_channels=16),
    "DeepLabV3Plus": network("DeepLabV3Plus", decoder_channels=16),
    "DeepLabV3": network("DeepLabV3", attention=NO_SKIPS, decoder_channels=16),
    "PSPNet": network("PSPNet", attention=NO_SKIPS, psp_out_channels=16),
    "DPT": network(
        "DPT",
        (1, 3, 64, 64),
        NO_STAGES,
        encoder_name="tu-test_vit",
        encoder_depth=3,
        decoder_intermediate_channels=(8, 8, 8),
        decoder_fusion_channels=16,
        dynamic_img_size=True,
    ),
}


@asked_of(NETWORKS)
def test_promise(network: Network, promise: Callable[[Network], None]) -> None:
    promise(network)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_computes_the_same(name: str, tmp_path: Path) -> None:
    to_onnx_and_back(NETWORKS[name], tmp_path)
