"""Furnishes a network of each library with `ema`, `gate` and `cbam`; trains two steps, exports to ONNX, and compares.

    python benchmarks/furnish_all.py                # all libraries, a few minutes on a CPU
    python benchmarks/furnish_all.py smp monai      # those whose name begins so

A Markdown table on stdout, what is going on on stderr. Ends with 1 if anything but a stated reason stands in the way.
"""

import logging
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor, nn

import attnzoo
from attnzoo.errors import AttnzooError

CLASSES, SIZE, BATCH = 3, 64, 2
ATTENTIONS = ("ema:groups=auto", "gate", "cbam")
TOLERANCE = 1e-3  # of the largest logit: two libraries sum in different orders
COLUMNS = ("network", "attention", "blocks", "parameters", "loss, two steps", "onnxruntime", "")


def unet() -> nn.Module:
    return attnzoo.UNet(3, CLASSES, widths=(16, 32, 64))


def smp_unet() -> nn.Module:
    import segmentation_models_pytorch as smp

    return smp.Unet("resnet18", encoder_weights=None, classes=CLASSES)


def smp_fpn() -> nn.Module:
    import segmentation_models_pytorch as smp

    return smp.FPN("resnet18", encoder_weights=None, classes=CLASSES)


def monai_unet() -> nn.Module:
    from monai.networks.nets import UNet

    return UNet(2, 3, CLASSES, (16, 32, 64), (2, 2), num_res_units=1)


def torchvision_fcn() -> nn.Module:
    from torchvision.models.segmentation import fcn_resnet50

    return fcn_resnet50(weights=None, weights_backbone=None, num_classes=CLASSES)


def torchvision_lraspp() -> nn.Module:
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    return lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=CLASSES)


def nnunet() -> nn.Module:
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    return PlainConvUNet(
        input_channels=3,
        n_stages=3,
        features_per_stage=(16, 32, 64),
        conv_op=nn.Conv2d,
        kernel_sizes=3,
        strides=(1, 2, 2),
        n_conv_per_stage=2,
        num_classes=CLASSES,
        n_conv_per_stage_decoder=2,
        norm_op=nn.InstanceNorm2d,
        norm_op_kwargs={"affine": True},
        nonlin=nn.LeakyReLU,
    )


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "attnzoo.UNet": unet,
    "smp.Unet": smp_unet,
    "smp.FPN": smp_fpn,
    "monai.UNet": monai_unet,
    "torchvision.FCN": torchvision_fcn,
    "torchvision.LRASPP": torchvision_lraspp,
    "nnunet.PlainConvUNet": nnunet,
}


def rows(name: str) -> Iterator[tuple[str, ...]]:
    """One network with every attention in turn, at its skips, or at its encoder where it has none."""
    for attention in ATTENTIONS:
        torch.manual_seed(0)
        try:
            model = NETWORKS[name]()
        except ImportError as error:
            yield (name, "all", "", "", "", "", f"skipped: {error}")
            return
        before = sum(parameter.numel() for parameter in model.parameters())
        places = {site.family for site in attnzoo.sites(model)}
        spelling = f"{attention}@{'skip' if 'skip' in places else 'encoder'}"
        print(f"{name}: {spelling}", file=sys.stderr)
        try:
            attnzoo.insert(model, spelling, seed=0)
        except AttnzooError as error:
            yield (name, spelling, "", "", "", "", f"skipped: {error.message}")
            continue
        added = sum(parameter.numel() for parameter in model.parameters()) - before
        blocks = len(attnzoo.insertions(model))
        first, second = train(model)
        difference = through_onnx(model)
        verdict = "the same" if difference < TOLERANCE else "DIFFERS"
        yield (name, spelling, str(blocks), f"+{added}", f"{first:.4f} → {second:.4f}", f"{difference:.1e}", verdict)


def logits(answer: Tensor | dict[str, Tensor]) -> Tensor:
    """torchvision answers with a dictionary."""
    return answer["out"] if isinstance(answer, dict) else answer


def train(model: nn.Module) -> tuple[float, float]:
    """The losses of two steps on the same noise."""
    images, truth = torch.randn(BATCH, 3, SIZE, SIZE), torch.randint(CLASSES, (BATCH, SIZE, SIZE))
    optimizer = torch.optim.Adam(model.train().parameters(), lr=1e-4)
    losses = []
    for _ in range(2):
        loss = nn.functional.cross_entropy(logits(model(images)), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses[0], losses[1]


def through_onnx(model: nn.Module) -> float:
    """The largest difference between torch and onnxruntime, as a part of the largest logit."""
    image = torch.randn(1, 3, SIZE, SIZE)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        torch.onnx.export(model.eval(), (image,), file, dynamo=True, verbose=False)
        session = onnxruntime.InferenceSession(file)
    answer = session.run(None, {session.get_inputs()[0].name: image.numpy()})[0]
    with torch.inference_mode():
        expected = logits(model(image))
    return float((torch.from_numpy(answer) - expected).abs().max() / expected.abs().max())


def main(wanted: list[str]) -> int:
    warnings.simplefilter("ignore")  # the libraries' own, at import and in the exporter
    logging.disable(logging.WARNING)
    names = [name for name in NETWORKS if not wanted or name.startswith(tuple(wanted))]
    print(f"| {' | '.join(COLUMNS)} |", "|---|---|--:|--:|---|--:|---|", sep="\n", flush=True)
    passed = True
    for name in names:
        for row in rows(name):
            print(f"| {' | '.join(row)} |", flush=True)
            passed &= row[-1] != "DIFFERS"
    return 0 if passed and names else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
