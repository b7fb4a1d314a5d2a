"""attnzoo's own U-Net: the paper's counts, the figure's arithmetic, any size."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import attnzoo
from attnzoo import UNet
from attnzoo.errors import AttnzooError
from attnzoo.hosts import Site

SMALL = (4, 8, 16)


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def refusal(call: Callable[[], Any]) -> tuple[str, str | None]:
    with pytest.raises(AttnzooError) as caught:
        call()
    return caught.value.message, caught.value.hint


@pytest.mark.parametrize(
    ("attention", "classes", "count"),
    [
        ("none", 12, 7_703_692),
        ("gate", 12, 7_791_285),
        ("ema+gate@skip/ema@bottleneck", 12, 7_794_805),
        ("gate+ema@skip/ema@bottleneck", 12, 7_794_805),
        ("ema", 12, 7_704_588),
        ("ema@skip.bottleneck", 12, 7_707_212),
        ("gate", 6, 7_790_895),
    ],
)
def test_has_the_papers_parameters_to_the_unit(attention: str, classes: int, count: int) -> None:
    assert parameters(attnzoo.insert(UNet(classes=classes), attention)) == count


def plain(net: UNet, x: Tensor) -> Tensor:
    """The textbook's U-Net of three levels with floor pooling and no crop, by the net's weights."""

    def twice(stage: nn.Module, x: Tensor) -> Tensor:
        for conv, norm in ((stage[0], stage[1]), (stage[3], stage[4])):
            x = F.conv2d(x, conv.weight, conv.bias, padding=1)
            x = F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)
            x = F.relu(x)
        return x

    first = twice(net.encoder[0], x)
    second = twice(net.encoder[1], F.max_pool2d(first, 2))
    deep = twice(net.bottleneck, F.max_pool2d(second, 2))
    up2 = F.conv_transpose2d(deep, net.upsampling[1].weight, net.upsampling[1].bias, stride=2)
    x = twice(net.decoder[1], torch.cat([second, up2], 1))
    up1 = F.conv_transpose2d(x, net.upsampling[0].weight, net.upsampling[0].bias, stride=2)
    x = twice(net.decoder[0], torch.cat([first, up1], 1))
    return F.conv2d(x, net.head.weight, net.head.bias)


def test_is_the_textbooks_at_sizes_that_divide() -> None:
    torch.manual_seed(0)
    net = UNet(classes=5, widths=SMALL).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
    x = torch.randn(2, 3, 16, 24)
    torch.testing.assert_close(net(x), plain(net, x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 7), (8, 8), (17, 23), (31, 2)])
def test_any_size_comes_back_as_it_went_in(size: tuple[int, int]) -> None:
    net = UNet(classes=2, widths=(2, 4, 8, 16)).eval()
    logits = net(torch.randn(1, 3, *size))
    assert logits.shape == (1, 2, *size)
    assert logits.isfinite().all()


def test_an_odd_size_keeps_its_last_row() -> None:
    """Pooling that rounds down would not let the last row reach the bottleneck."""
    net = UNet(in_channels=1, classes=1, widths=(2, 4)).eval()
    reached: list[Tensor] = []
    net.bottleneck.register_forward_hook(lambda module, inputs, output: reached.append(inputs[0]))
    x = torch.zeros(1, 1, 5, 5)
    net(x)
    net(x.index_fill(2, torch.tensor([4]), 3.0))
    assert reached[0].shape[2:] == (3, 3)
    assert not torch.equal(reached[0][..., 2, :], reached[1][..., 2, :])


@pytest.mark.parametrize("size", [(1, 1, 1), (4, 6, 5)])
def test_volumes_work_as_images_do(size: tuple[int, int, int]) -> None:
    net = UNet(in_channels=1, classes=2, widths=(2, 4, 8), dims=3).eval()
    assert net(torch.randn(1, 1, *size)).shape == (1, 2, *size)
    assert {site.dims for site in attnzoo.sites(net)} == {3}


def test_widths_may_be_one_number_doubled_depth_times() -> None:
    assert UNet(widths=4, depth=2).widths == (4, 8, 16)
    assert UNet(widths=4).widths == (4, 8, 16, 32)
    assert UNet(widths=[3, 5]).widths == (3, 5)


def test_uneven_widths_work() -> None:
    assert UNet(in_channels=2, classes=1, widths=(3, 7, 5)).eval()(torch.randn(1, 2, 9, 9)).shape == (1, 1, 9, 9)


WHOLE = "give a whole number from 1 up"
ONE_OR_MORE = "give one whole number, or a list of two or more"


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"dims": 4}, "`UNet` has no dims=4", "dims is 2 for images and 3 for volumes"),
        ({"dims": "2"}, "`UNet` has no dims='2'", "dims is 2 for images and 3 for volumes"),
        ({"dims": [2]}, "`UNet` has no dims=[2]", "dims is 2 for images and 3 for volumes"),
        ({"widths": 8.0}, "`UNet` cannot have widths=8.0", ONE_OR_MORE),
        ({"widths": "48"}, "`UNet` cannot have widths='48'", ONE_OR_MORE),
        ({"widths": None}, "`UNet` cannot have widths=None", ONE_OR_MORE),
        ({"in_channels": 0}, "`UNet` cannot have in_channels=0", WHOLE),
        ({"classes": 2.0}, "`UNet` cannot have classes=2.0", WHOLE),
        ({"classes": True}, "`UNet` cannot have classes=True", WHOLE),
        ({"widths": 0}, "`UNet` cannot have widths=0", WHOLE),
        ({"widths": 4, "depth": 0}, "`UNet` cannot have depth=0", WHOLE),
        ({"widths": (4, -8)}, "`UNet` cannot have widths=-8", WHOLE),
        ({"widths": ("4", 8)}, "`UNet` cannot have widths='4'", WHOLE),
        ({"widths": (4,)}, "`UNet` cannot have widths=(4,)", "give two widths or more, the last is the bottleneck's"),
        (
            {"widths": (4, 8), "depth": 2},
            "`UNet` has depth=2 beside 2 widths",
            "leave depth out, or write one number: widths=4",
        ),
    ],
)
def test_impossible_numbers_are_refused(options: dict[str, Any], message: str, hint: str) -> None:
    assert refusal(lambda: UNet(**options)) == (message, hint)


def test_inputs_of_another_shape_are_refused() -> None:
    net = UNet(widths=(2, 4))
    assert refusal(lambda: net(torch.zeros(3, 8, 8))) == (
        "`UNet` takes inputs shaped `(B, 3, H, W)`, not `(3, 8, 8)`",
        "add the batch dimension: `x[None]`",
    )
    assert refusal(lambda: net(torch.zeros(1, 4, 8, 8))) == (
        "`UNet` takes inputs shaped `(B, 3, H, W)`, not `(1, 4, 8, 8)`",
        "build it for them: `UNet(in_channels=4)`",
    )
    assert refusal(lambda: UNet(1, widths=(2, 4), dims=3)(torch.zeros(8, 8))) == (
        "`UNet` takes inputs shaped `(B, 1, D, H, W)`, not `(8, 8)`",
        "build it with dims=2 for images, dims=3 for volumes",
    )


def test_sizes_without_a_pixel_are_refused() -> None:
    assert refusal(lambda: UNet(widths=(2, 4))(torch.zeros(1, 3, 0, 8))) == (
        "`UNet` cannot take an image of size `0×8`",
        "every edge is 1 or more",
    )


def test_a_single_pixel_at_the_bottleneck_is_refused_in_training_with_the_next_good_size() -> None:
    net = UNet(widths=(2, 4, 8))
    assert refusal(lambda: net(torch.zeros(1, 3, 4, 3))) == (
        "`UNet` cannot train on a single image of size `4×3`, which is one pixel at the bottleneck",
        "take an edge of 5 or more, or two images or more",
    )
    for good in (torch.zeros(1, 3, 5, 1), torch.zeros(2, 3, 4, 3)):
        assert net(good).shape[2:] == good.shape[2:]
    assert net.eval()(torch.zeros(1, 3, 4, 3)).shape == (1, 12, 4, 3)


def test_sites_are_told_in_full() -> None:
    assert attnzoo.sites(UNet(widths=(4, 8, 16))) == (
        Site("encoder1", "encoder_slots.0", "encoder.0", 1, 4, {}, 1, 2),
        Site("encoder2", "encoder_slots.1", "encoder.1", 2, 8, {}, 2, 2),
        Site("skip1", "skips.0", "decoder.0", 1, 4, {"upsampled": 4, "coarse": 8}, 1, 2),
        Site("skip2", "skips.1", "decoder.1", 2, 8, {"upsampled": 8, "coarse": 16}, 2, 2),
        Site("bottleneck", "bottleneck_slot", "bottleneck", 3, 16, {}, 4, 2),
        Site("decoder1", "decoder_slots.0", "decoder.0", 1, 4, {}, 1, 2),
        Site("decoder2", "decoder_slots.1", "decoder.1", 2, 8, {}, 2, 2),
    )


def test_an_encoders_slot_is_before_skip_and_pooling_and_a_decoders_behind_its_stage() -> None:
    """A factor of zero at one site cuts the flow there, and nowhere else."""

    class Nought(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 0

    def reaching(site: str) -> dict[str, bool]:
        net = UNet(classes=2, widths=(4, 8)).eval()
        slots = {one.name: one.path for one in attnzoo.sites(net)}
        net.get_submodule(slots[site]).fill([("nought", Nought())])
        seen: dict[str, bool] = {}
        for name, module in (("pool", net.pool), ("upsampling", net.upsampling[0]), ("decoder", net.decoder[0])):
            module.register_forward_pre_hook(lambda _, inputs, name=name: seen.update({name: bool(inputs[0].any())}))
        net.head.register_forward_pre_hook(lambda _, inputs: seen.update(head=bool(inputs[0].any())))
        net(torch.randn(1, 3, 8, 8))
        return seen

    assert reaching("encoder1")["pool"] is False
    assert reaching("skip1") == {"pool": True, "upsampling": True, "decoder": True, "head": True}
    assert reaching("bottleneck")["upsampling"] is False
    assert reaching("decoder1") == {"pool": True, "upsampling": True, "decoder": True, "head": False}


class Probe(nn.Module):
    """Notes what passes."""

    def __init__(self, listens: str | None, seen: list[tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.listens, self.seen = listens, seen

    def forward(self, *inputs: Tensor) -> Tensor:
        self.seen.append(inputs)
        return inputs[0]


@pytest.mark.parametrize("dims", [2, 3])
def test_what_passes_a_slot_has_the_shape_that_its_site_tells(dims: int) -> None:
    net = UNet(widths=SMALL, dims=dims).eval()
    for site in attnzoo.sites(net):
        seen: list[tuple[Tensor, ...]] = []
        slot = net.get_submodule(site.path)
        slot.fill([(str(signal), Probe(signal, seen)) for signal in (site.gates or [None])])
        net(torch.randn(1, 3, *(8,) * dims))
        size = 8 // site.stride
        assert {tuple(inputs[0].shape) for inputs in seen} == {(1, site.channels, *(size,) * dims)}
        heard = {signal: tuple(inputs[1].shape) for signal, inputs in zip(site.gates, seen, strict=False)}
        resolution = {"upsampled": size, "coarse": size // 2}
        assert heard == {signal: (1, width, *(resolution[signal],) * dims) for signal, width in site.gates.items()}
        slot.fill([])


def test_an_empty_slot_leaves_no_trace_in_the_weights() -> None:
    assert not [key for key in UNet(widths=SMALL).state_dict() if "skips" in key or "slot" in key]


@pytest.fixture
def furnished() -> UNet:
    net = UNet(classes=2, widths=SMALL)
    return attnzoo.insert(net, "ema:groups=2+gate@skip/se:reduction=2@encoder.bottleneck.decoder", seed=0).eval()


def test_compiles_without_a_graph_break(furnished: UNet) -> None:
    x = torch.randn(1, 3, 17, 12)
    compiled = torch.compile(furnished, fullgraph=True, backend="aot_eager", dynamic=False)
    torch.testing.assert_close(compiled(x), furnished(x))


@pytest.mark.slow
def test_compiles_without_a_graph_break_for_any_size(furnished: UNet) -> None:
    compiled = torch.compile(furnished, fullgraph=True, backend="aot_eager", dynamic=True)
    for size in ((17, 12), (16, 20)):
        x = torch.randn(1, 3, *size)
        torch.testing.assert_close(compiled(x), furnished(x))


def test_exports_with_open_sizes_that_divide(furnished: UNet) -> None:
    sizes = {2: 4 * torch.export.Dim("h", min=2, max=64), 3: 4 * torch.export.Dim("w", min=2, max=64)}
    program = torch.export.export(furnished, (torch.randn(1, 3, 16, 24),), dynamic_shapes={"x": sizes})
    for size in ((16, 24), (32, 12), (8, 64)):
        x = torch.randn(1, 3, *size)
        torch.testing.assert_close(program.module()(x), furnished(x))


@pytest.mark.filterwarnings("error::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit.trace")
def test_is_traced_without_a_warning() -> None:
    net = UNet(classes=2, widths=SMALL).eval()  # fvcore counts by tracing
    x = torch.randn(1, 3, 16, 16)
    torch.testing.assert_close(torch.jit.trace(net, x)(x), net(x))


def test_learns(furnished: UNet) -> None:
    net = furnished.train()
    x, target = torch.randn(2, 3, 9, 9), torch.randint(2, (2, 9, 9))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), target)
        loss.backward()
        assert all(parameter.grad is not None for parameter in net.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
