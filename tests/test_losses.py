"""Losses against torch, smp and hand-written sums; ignored pixels count for nothing."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from attnzoo.errors import AttnzooError
from attnzoo.losses import balanced_weights, build_loss

NAMES = (
    "cross_entropy",
    "dice",
    "focal",
    "cross_entropy+dice",
    "cross_entropy+focal",
    "dice+focal",
    "dice+cross_entropy",
    "cross_entropy+dice+focal",
)
SHAPES = pytest.mark.parametrize("shape", [(2, 4, 6, 5), (2, 4, 3, 4, 5)], ids=["2d", "3d"])


def batch(shape: tuple[int, ...] = (2, 4, 6, 5), *, ignored: bool = True) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(shape, generator=draw)
    target = torch.randint(0, shape[1], (shape[0], *shape[2:]), generator=draw)
    if ignored:
        target[0, 0] = 255
    return logits.requires_grad_(), target


@SHAPES
def test_cross_entropy_is_torch_s(shape: tuple[int, ...]) -> None:
    logits, target = batch(shape)
    expected = F.cross_entropy(logits, target, ignore_index=255)
    torch.testing.assert_close(build_loss("cross_entropy")(logits, target), expected)
    weights = (0.5, 1.0, 2.0, 0.0)
    expected = F.cross_entropy(logits, target, ignore_index=255, weight=torch.tensor(weights))
    torch.testing.assert_close(build_loss("cross_entropy", class_weights=weights)(logits, target), expected)


@SHAPES
def test_dice_and_focal_by_hand(shape: tuple[int, ...]) -> None:
    logits, target = batch(shape)
    kept = target != 255
    chances, picked = logits.softmax(1).movedim(1, -1)[kept], F.one_hot(target[kept], 4)
    dice = 2 * (chances * picked).sum(0) / (chances.sum(0) + picked.sum(0))
    torch.testing.assert_close(build_loss("dice")(logits, target), (1 - dice).mean())

    chances = logits.sigmoid().movedim(1, -1)[kept]
    right = torch.where(picked.bool(), chances, 1 - chances)
    torch.testing.assert_close(build_loss("focal")(logits, target), (-((1 - right) ** 2) * right.log()).mean())


def test_a_class_that_the_batch_lacks_counts_nothing_in_dice() -> None:
    logits, target = batch()
    target[target == 3] = 0
    probabilities, picked = logits.softmax(1), F.one_hot(target.where(target != 255, 0), 4).movedim(-1, 1)
    kept = (target != 255).unsqueeze(1)
    dice = 2 * (probabilities * picked * kept).sum((0, 2, 3)) / ((probabilities + picked) * kept).sum((0, 2, 3))
    torch.testing.assert_close(build_loss("dice")(logits, target), (1 - dice[:3]).sum() / 4)


@pytest.mark.parametrize("name", [name for name in NAMES if "+" in name])
def test_a_sum_is_the_sum_of_its_terms(name: str) -> None:
    logits, target = batch()
    parts = sum(build_loss(term)(logits, target) for term in name.split("+"))
    torch.testing.assert_close(build_loss(name)(logits, target), parts)


@pytest.mark.parametrize("name", NAMES)
@SHAPES
def test_ignored_pixels_count_for_nothing(name: str, shape: tuple[int, ...]) -> None:
    logits, target = batch(shape)
    loss = build_loss(name)(logits, target)
    loss.backward()
    assert logits.grad is not None
    assert not logits.grad[0, :, 0].any()
    assert logits.grad[1].any()
    changed = logits.detach().clone()
    changed[0, :, 0] = 7.0
    torch.testing.assert_close(build_loss(name)(changed, target), loss.detach())


@pytest.mark.parametrize("name", NAMES)
@SHAPES
def test_a_batch_of_ignored_pixels_has_loss_and_gradient_zero(name: str, shape: tuple[int, ...]) -> None:
    logits, target = batch(shape)
    loss = build_loss(name)(logits, torch.full_like(target, 255))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_a_target_of_bytes_gives_the_same_loss(name: str) -> None:
    logits, target = batch()
    loss = build_loss(name)
    assert torch.equal(loss(logits, target.byte()), loss(logits, target))


@pytest.mark.parametrize("name", NAMES)
def test_certainty_is_rewarded(name: str) -> None:
    _, target = batch(ignored=False)
    right = F.one_hot(target, 4).movedim(-1, 1).float() * 40 - 20
    assert build_loss(name)(right, target) < 1e-4 < build_loss(name)(-right, target)


@pytest.mark.parametrize("name", NAMES)
def test_works_under_autocast(name: str) -> None:
    logits, target = batch()
    with torch.autocast("cpu", torch.bfloat16):
        loss = build_loss(name)(logits.bfloat16(), target)
    assert loss.isfinite()


def test_weights_move_with_the_loss_and_stay_out_of_checkpoints() -> None:
    loss = build_loss("cross_entropy", class_weights=(1.0, 2.0))
    assert loss.state_dict() == {}
    assert all(buffer.is_meta for buffer in loss.to("meta").buffers())


def test_weights_of_absent_classes_alone_give_zero_and_not_nan() -> None:
    logits, target = torch.randn(1, 2, 3, 3), torch.zeros(1, 3, 3, dtype=torch.int64)
    assert build_loss("cross_entropy", class_weights=(0.0, 1.0))(logits, target) == 0


def test_balanced_weights_give_each_class_the_same_share() -> None:
    counts = (900, 90, 0, 10)
    weights = balanced_weights(counts)
    assert weights == pytest.approx((1000 / 2700, 1000 / 270, 0, 1000 / 30))
    shares = [weight * count for weight, count in zip(weights, counts, strict=True)]
    assert shares == pytest.approx([1000 / 3, 1000 / 3, 0, 1000 / 3])
    assert math.fsum(shares) == pytest.approx(1000)


def refusal(name: str, **options: object) -> str:
    with pytest.raises(AttnzooError) as caught:
        build_loss(name, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_an_unknown_loss_is_refused_with_the_nearest() -> None:
    assert refusal("cross_entropi") == (
        "`cross_entropi` is no loss; it can be `cross_entropy`, `dice` or `focal`, or a sum of different ones\n"
        "hint: did you mean `cross_entropy`?"
    )
    assert refusal("cross_entropy+dise").endswith("hint: did you mean `cross_entropy+dice`?")
    assert refusal("dice+dice").startswith("`dice+dice` is no loss")
    assert refusal("").endswith("hint: write a sum as `cross_entropy+dice`")


def test_weights_that_cannot_be_are_refused() -> None:
    assert refusal("dice", class_weights=(1.0, 1.0)) == (
        "`dice` takes no class_weights; only `cross_entropy` does\nhint: write `cross_entropy+dice`, or no weights"
    )
    for weights in ((1.0, -1.0), (0.0, 0.0), ()):
        assert refusal("cross_entropy", class_weights=weights) == (
            f"class_weights {list(weights)} cannot weigh classes: none may be negative, nor all zero\n"
            "hint: give one weight for each class, background first"
        )
    assert refusal("cross_entropy", class_weights="balanced") == (
        "class_weights `balanced` must be numbers by now\nhint: pass `balanced_weights(pixel counts)`"
    )


def test_weights_of_another_length_are_refused() -> None:
    logits, target = batch()
    with pytest.raises(AttnzooError) as caught:
        build_loss("cross_entropy", class_weights=(1.0, 2.0, 3.0))(logits, target)
    assert str(caught.value) == (
        "3 class_weights do not fit 4 classes\nhint: give one weight for each class, background first"
    )


def test_balanced_weights_need_a_pixel() -> None:
    with pytest.raises(AttnzooError) as caught:
        balanced_weights((0, 0))
    assert str(caught.value) == (
        "`balanced` class weights need at least one labelled pixel\nhint: check the training split's masks"
    )
