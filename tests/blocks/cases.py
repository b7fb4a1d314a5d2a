"""What the contract cannot read from a signature, one row for each block; and modules and maps filled by formula."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from attnzoo import registry, spec

CHANNELS, GATE_CHANNELS = 64, 96
SIZES = {2: ((8, 8), (5, 7), (12, 3), (1, 1)), 3: ((4, 4, 4), (3, 5, 2), (1, 1, 1))}


@dataclass(frozen=True)
class Case:
    """`others`: for each option a value that must change something. `impossible`: (channels, options) to be refused.

    `without_gradient`: parameters that the output does not depend on, each for a reason that its docstring gives.
    `sizes`: for a block bound to a map size (one with `check_size`), the sizes that its defaults can take, by dims.
    `bounds`: options that only say which maps `check_size` takes, each with a value that refuses the usual one.
    """

    others: Mapping[str, spec.Value] = field(default_factory=dict)
    impossible: tuple[tuple[int, Mapping[str, spec.Value]], ...] = ()
    without_gradient: frozenset[str] = frozenset()
    sizes: Mapping[int, tuple[tuple[int, ...], ...]] = field(default_factory=lambda: SIZES)
    bounds: Mapping[str, spec.Value] = field(default_factory=dict)


CASES = {
    "aff": Case(
        others={"reduction": 8, "variant": "paper"},
        impossible=((2, {}), (64, {"reduction": 0}), (64, {"reduction": 65})),
    ),
    "bam": Case(
        others={"reduction": 8, "dilation": 1, "variant": "paper"},
        impossible=((8, {}), (64, {"reduction": 0}), (64, {"reduction": 65}), (64, {"dilation": 0})),
    ),
    "caa": Case(
        others={"kernel": 3, "pool": 3},
        impossible=((64, {"kernel": 4}), (64, {"kernel": 0}), (64, {"pool": 2}), (64, {"pool": -1})),
    ),
    "cbam": Case(
        others={"reduction": 8, "kernel": 3},
        impossible=((8, {}), (64, {"reduction": 0}), (64, {"reduction": 65}), (64, {"kernel": 4}), (64, {"kernel": 0})),
    ),
    "cca": Case(others={"variant": "paper"}, impossible=((64, {"variant": "code"}),)),
    "coord": Case(others={"reduction": 4}, impossible=((64, {"reduction": 0}),)),
    "cpca": Case(others={"reduction": 8}, impossible=((3, {}), (64, {"reduction": 0}), (64, {"reduction": 65}))),
    "criss_cross": Case(
        others={"reduction": 4, "recurrence": 2},
        impossible=((4, {}), (64, {"reduction": 0}), (64, {"reduction": 65}), (64, {"recurrence": 0})),
        without_gradient=frozenset({"key_conv.bias"}),
    ),
    "danet_channel": Case(),
    "danet_position": Case(
        others={"reduction": 4},
        impossible=((4, {}), (64, {"reduction": 0}), (64, {"reduction": 65}), (64, {"positions": 0})),
        without_gradient=frozenset({"key_conv.bias"}),
        bounds={"positions": 3},
    ),
    "eca": Case(others={"kernel": 5}, impossible=((64, {"kernel": 4}), (64, {"kernel": 0}), (64, {"kernel": -3}))),
    "ela": Case(others={"variant": "small"}, impossible=((24, {}), (48, {"variant": "tiny"}))),
    "ema": Case(
        others={"groups": 8},
        impossible=((48, {}), (64, {"groups": 0}), (64, {"groups": -8}), (64, {"groups": 128}), (1, {})),
    ),
    "epa": Case(
        others={"heads": 2, "projection": 16, "variant": "authors"},
        impossible=(
            (64, {"size": 0}),
            (64, {"size": (16,)}),
            (64, {"size": ()}),
            (63, {"heads": 1}),
            (66, {}),
            (64, {"heads": 0}),
            (64, {"projection": 0}),
        ),
        sizes={2: ((16, 16),), 3: ((16, 16, 16),)},
        bounds={"size": 8},
    ),
    "epsa": Case(
        others={"kernels": (3, 3, 5, 5), "groups": (1, 2, 4, 8), "reduction": 8},
        impossible=(
            (32, {}),
            (66, {}),
            (64, {"kernels": (3, 4, 5, 7)}),
            (64, {"kernels": ()}),
            (64, {"groups": (1, 4)}),
            (64, {"groups": (1, 4, 8, 0)}),
            (64, {"reduction": 0}),
            (64, {"reduction": 17}),
        ),
    ),
    "external": Case(
        others={"memory": 32},
        impossible=((64, {"memory": 0}),),
        without_gradient=frozenset({"conv1.bias"}),
    ),
    "fca": Case(
        others={"frequencies": 8, "grid": 14, "reduction": 8},
        impossible=(
            (24, {}),
            (64, {"frequencies": 3}),
            (64, {"grid": 6}),
            (64, {"reduction": 0}),
            (64, {"reduction": 65}),
        ),
    ),
    "frozen": Case(
        others={"block": spec.Chain((spec.Block("se"),))},
        impossible=((48, {}), (64, {"block": spec.Chain((spec.Block("ema"), spec.Block("se")))})),
        without_gradient=frozenset(
            f"block.{layer}.{part}" for layer in ("gn", "conv1x1", "conv3x3") for part in ("weight", "bias")
        ),
    ),
    "gam": Case(
        others={"reduction": 8, "kernel": 3},
        impossible=((3, {}), (64, {"reduction": 0}), (64, {"reduction": 65}), (64, {"kernel": 4}), (64, {"kernel": 0})),
    ),
    "gate": Case(others={"inner": 8}, impossible=((64, {"inner": 0}),)),
    "gc": Case(
        others={"reduction": 8},
        impossible=((8, {}), (64, {"reduction": 0}), (64, {"reduction": 65})),
        without_gradient=frozenset({"conv_mask.bias"}),
    ),
    "gct": Case(others={"mode": "l1"}, impossible=((64, {"mode": "l3"}),)),
    "grid_gate": Case(others={"inner": 8}, impossible=((64, {"inner": 0}),)),
    "iaff": Case(
        others={"reduction": 8, "variant": "authors"},
        impossible=((2, {}), (64, {"reduction": 0}), (64, {"reduction": 65})),
    ),
    "identity": Case(),
    "lgag": Case(
        others={"inner": 8, "kernel": 5, "groups": 4},
        impossible=((64, {"inner": 0}), (64, {"kernel": 4}), (64, {"groups": 3}), (64, {"groups": 64})),
    ),
    "lka": Case(
        others={"kernel": 9, "dilation": 4},
        impossible=((64, {"kernel": 20}), (64, {"dilation": 0}), (64, {"kernel": 0}), (64, {"kernel": 2})),
    ),
    "lsk": Case(
        others={"kernels": (3, 7), "dilations": (1, 2), "squeeze": 3},
        impossible=(
            (1, {}),
            (64, {"kernels": (5,)}),
            (64, {"kernels": (5, 6)}),
            (64, {"dilations": (0, 3)}),
            (64, {"squeeze": 2}),
        ),
    ),
    "lska": Case(others={"kernel": 7}, impossible=((64, {"kernel": 21}), (64, {"kernel": 0}))),
    "matched": Case(
        others={"block": spec.Chain((spec.Block("se"),))},
        impossible=((48, {}), (64, {"block": spec.Chain((spec.Block("ema"), spec.Block("se")))})),
    ),
    "mca": Case(others={"kernel": 5, "channel_gate": False}, impossible=((64, {"kernel": 4}), (64, {"kernel": -1}))),
    "mlca": Case(
        others={"local_size": 3, "local_weight": 0.25, "kernel": 5},
        impossible=((64, {"local_size": 0}), (64, {"local_weight": 1.5}), (64, {"kernel": 4}), (64, {"kernel": -1})),
    ),
    "ms_cam": Case(others={"reduction": 8}, impossible=((2, {}), (64, {"reduction": 0}), (64, {"reduction": 65}))),
    "msca": Case(
        others={"local": 3, "strips": (5, 7)},
        impossible=((64, {"local": 4}), (64, {"strips": (7, 0)}), (64, {"strips": ()})),
    ),
    "nam": Case(),
    "non_local": Case(
        others={"inner": 8, "pool": 2, "variant": "paper"},
        impossible=((64, {"inner": 0}), (64, {"pool": 0}), (64, {"positions": 0})),
        without_gradient=frozenset({"phi.bias"}),
        bounds={"positions": 3},
    ),
    "polarized": Case(
        others={"layout": "sequential", "variant": "paper"},
        impossible=((1, {}), (6, {"layout": "sequential"}), (64, {"variant": "code"}), (64, {"layout": "serial"})),
    ),
    "scsa": Case(
        others={"heads": 4, "window": 3},
        impossible=((6, {}), (12, {}), (64, {"heads": 0}), (64, {"heads": 3}), (64, {"window": 0})),
    ),
    "scse": Case(
        others={"reduction": 8, "fuse": "sum"},
        impossible=((1, {}), (64, {"reduction": 0}), (64, {"reduction": 65})),
    ),
    "se": Case(others={"reduction": 8}, impossible=((8, {}), (64, {"reduction": 0}), (64, {"reduction": 65}))),
    "sge": Case(others={"groups": 16}, impossible=((20, {}), (64, {"groups": 0}), (64, {"groups": 128}))),
    "shuffle": Case(
        others={"groups": 4},
        impossible=((24, {}), (63, {}), (63, {"groups": "auto"}), (64, {"groups": 0}), (64, {"groups": 64})),
    ),
    "simam": Case(others={"e_lambda": 0.1}, impossible=((64, {"e_lambda": 0.0}), (64, {"e_lambda": -1.0}))),
    "srm": Case(),
    "strip_pool": Case(others={"pools": (2, 3)}, impossible=((3, {}), (64, {"pools": (0, 12)}))),
    "triplet": Case(others={"kernel": 3, "spatial": False}, impossible=((64, {"kernel": 4}), (64, {"kernel": 0}))),
}


def make(name: str, channels: int = CHANNELS, dims: int = 2, **options: spec.Value) -> nn.Module:
    """A block in evaluation mode, filled by formula."""
    block = registry.build(name, channels, gate_channels=GATE_CHANNELS, dims=dims, **options).eval()
    fill(block)
    return block


def usual(name: str, dims: int) -> tuple[int, ...]:
    """A size for tests that need but one: odd and not square, where the block takes that."""
    possible = CASES[name].sizes[dims]
    return possible[1] if len(possible) > 1 else possible[0]


def fill(module: nn.Module) -> None:
    """Weights, buffers too, that depend on no generator: waves, positive where they are variances."""
    for index, (name, tensor) in enumerate(module.state_dict().items()):
        if tensor.is_floating_point():
            # a lone number in the first place would be sin 0, and hide what it scales
            values = wave(*tensor.shape, start=index or float(tensor.numel() == 1)) / 2
            tensor.copy_(1 + values if name.endswith("running_var") else values)


def wave(*shape: int, start: float = 0.0) -> Tensor:
    """A map from -1 to 1 that looks disorderly and is the same everywhere; in float64."""
    count = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return torch.sin(start + 0.7 * count + 0.01 * count.square()).reshape(shape)


def inputs(name: str, size: tuple[int, ...], batch: int = 2) -> tuple[Tensor, ...]:
    """The skip, and for a gated block the decoder's feature in the size that it listens to; in float32."""
    skip = wave(batch, CHANNELS, *size).float()
    listens = registry.entry(name).listens
    if listens is None:
        return (skip,)
    other = size if listens == "upsampled" else tuple(-(-edge // 2) for edge in size)
    return skip, wave(batch, GATE_CHANNELS, *other, start=1.0).float()


def check_large_maps(block: nn.Module) -> None:
    """What holds of torch's fused attention on large maps of 64 channels: the output, and to a hundred the gradient."""
    noise, slope = torch.randn(2, 1, 64, 12, 10)
    for scale in (100, 1000):
        results = []
        for dtype in (torch.float32, torch.float64):
            x = (scale * noise).to(dtype).requires_grad_()
            output = copy.deepcopy(block).to(dtype)(x)
            results.append((output, *torch.autograd.grad(output, x, slope.to(dtype))))
        (output, grad), (right_output, right_grad) = results
        assert (output - right_output).norm() < 1e-4 * right_output.norm()
        assert grad.isfinite().all()
        if scale == 100:
            assert (grad - right_grad).norm() < 3e-3 * right_grad.norm()
