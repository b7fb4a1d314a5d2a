"""What the authors' own code gives, in `../shared/golden`, with its weights copied over."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from attnzoo import registry, spec

# The file, the block, and how the authors call its layers.
VECTORS = [
    ("ema_g8", "ema:groups=8", {}),
    ("ema_g32", "ema", {}),
    ("attn_gate_leejun", "gate", {"phi": "W_g", "theta": "W_x"}),
    ("attn_gate_oktay2d", "grid_gate", {}),
    (
        "cbam",
        "cbam",
        {
            "channel.0": "ChannelGate.mlp.1",
            "channel.2": "ChannelGate.mlp.3",
            "spatial.0": "SpatialGate.spatial.conv",
            "spatial.1": "SpatialGate.spatial.bn",
        },
    ),
    ("scse", "scse", {"fc1": "cSE.fc1", "fc2": "cSE.fc2", "conv": "sSE.conv"}),
    ("eca", "eca", {}),
    ("coord", "coord", {"along.0": "conv_h", "along.1": "conv_w"}),
    ("simam", "simam", {}),
    ("sa", "shuffle", {}),
    (
        "triplet",
        "triplet",
        {
            "gates.0.0": "hw.conv.conv",
            "gates.0.1": "hw.conv.bn",
            "gates.1.0": "cw.conv.conv",
            "gates.1.1": "cw.conv.bn",
            "gates.2.0": "hc.conv.conv",
            "gates.2.1": "hc.conv.bn",
        },
    ),
    ("pam", "danet_position", {}),
    ("cam", "danet_channel", {}),
    ("psa_p", "polarized", {}),
    ("lka", "lka", {}),
    ("gc", "gc", {}),
    (
        "cpca",
        "cpca",
        {
            f"strips.{row}.{place}": f"dconv{kernel}"
            for row, length in enumerate((7, 11, 21))
            for place, kernel in enumerate((f"1_{length}", f"{length}_1"))
        },
    ),
]


@pytest.mark.parametrize(("file", "spelling", "names"), VECTORS, ids=[vector[0] for vector in VECTORS])
def test_gives_what_the_authors_code_gives(file: str, spelling: str, names: dict[str, str], shared: Path) -> None:
    tensors = load_file(shared / "golden" / f"{file}.safetensors")
    gate = [tensors["second"]] if "second" in tensors else []
    block = registry.build_block(spec.parse_block(spelling), 64, gate[0].shape[1] if gate else None).eval()
    state = block.state_dict()
    theirs = {key: tensor for key, tensor in tensors.items() if key.startswith("state.")}
    for key, tensor in state.items():
        layer = next((layer for layer in names if key.startswith(f"{layer}.")), None)
        called = key if layer is None else names[layer] + key[len(layer) :]
        tensor.copy_(theirs.pop(f"state.{called}").reshape(tensor.shape))
    assert not theirs
    x = tensors["input"].requires_grad_()
    output = block(x, *gate)
    (output * torch.linspace(-1, 1, output.numel()).reshape(output.shape)).sum().backward()
    torch.testing.assert_close(output, tensors["output"], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(x.grad, tensors["input_grad"], rtol=1e-5, atol=1e-5)
