"""What a recipe does to images and masks, and that chance comes from one generator alone."""

import numpy as np
import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from attnzoo.data.transforms import AUGMENTATIONS, pipeline
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Data

SQUARE = Data(image_size=(32, 32))


def picture(*shape: int, dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def labels(height: int = 40, width: int = 40) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[5:20, 8:30] = 3
    mask[20:35, 10:20] = 5
    return mask


def drawn(name: str, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return pipeline(Data(image_size=(40, 40), augmentation=(name,)), 1, True)(picture(40, 40), labels(), generator)


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535)])
def test_without_a_window_the_whole_range_of_the_type_becomes_0_to_1(dtype: type, top: int) -> None:
    pixels = np.array([[0, top], [top // 5, top]], dtype)
    image, _ = pipeline(Data(image_size=(2, 2)), 1, False)(pixels, np.zeros((2, 2), np.uint8))
    assert image.dtype == torch.float32
    assert image.flatten().tolist() == pytest.approx([0, 1, 0.2, 1])


def test_a_window_maps_its_ends_to_0_and_1_and_clips() -> None:
    pixels = np.array([[0, 20], [60, 255]], np.uint8)
    image, _ = pipeline(Data(image_size=(2, 2), window=(20, 100)), 1, False)(pixels, np.zeros((2, 2), np.uint8))
    assert image[0].tolist() == [[0, 0], [0.5, 1]]


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_grey_fits_any_number_of_channels(channels: int) -> None:
    image = pipeline(SQUARE, channels, False).image(picture(40, 50))
    assert image.shape == (channels, 32, 32)
    assert all(torch.equal(channel, image[0]) for channel in image)


def test_colour_becomes_grey_with_the_weights_of_the_standard() -> None:
    colours = np.zeros((1, 3, 3), np.uint8)
    colours[0, range(3), range(3)] = 255
    image = pipeline(Data(image_size=(1, 3)), 1, False).image(colours)
    assert image.flatten().tolist() == pytest.approx([0.299, 0.587, 0.114], abs=2e-4)
    assert pipeline(SQUARE, 3, False).image(picture(9, 9, 3)).shape == (3, 32, 32)


@pytest.mark.parametrize(("shape", "channels"), [((8, 8, 3), 2), ((8, 8, 4), 3), ((8, 8, 2), 1)])
def test_other_channels_are_refused(shape: tuple[int, ...], channels: int) -> None:
    with pytest.raises(AttnzooError) as caught:
        pipeline(SQUARE, channels, False).image(picture(*shape))
    assert caught.value.message == f"`model.in_channels = {channels}` cannot take an image of `{shape[2]}` channels"
    assert caught.value.hint == "grey images fit any number of channels, colour images 1 or 3"


def test_sizes_are_height_then_width_and_labels_stay_labels() -> None:
    image, mask = pipeline(Data(image_size=(24, 36)), 3, False)(picture(100, 70), labels(100, 70))
    assert image.shape == (3, 24, 36)
    assert mask.shape == (24, 36)
    assert mask.dtype == torch.int64
    assert set(mask.unique().tolist()) == {0, 3, 5}
    assert type(image) is torch.Tensor
    assert type(mask) is torch.Tensor


def test_masks_take_the_nearest_pixel_centre() -> None:
    # centres of 2 of 6 pixels lie at 1 and 4; plain `nearest` would take 0 and 3
    mask = np.array([[1, 2, 3, 4, 5, 6]], np.uint8)
    _, small = pipeline(Data(image_size=(1, 2)), 1, False)(picture(1, 6), mask)
    assert small.tolist() == [[2, 5]]


def test_the_same_size_changes_no_label() -> None:
    _, mask = pipeline(Data(image_size=(40, 40)), 1, False)(picture(40, 40), labels())
    assert np.array_equal(mask.numpy(), labels())


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_augmentation_is_a_function_of_its_generator(name: str) -> None:
    plain, _ = pipeline(Data(image_size=(40, 40)), 1, True)(picture(40, 40), labels())
    results = [drawn(name, seed)[0] for seed in range(6)]
    assert any(not torch.equal(result, plain) for result in results)
    assert any(not torch.equal(result, results[0]) for result in results)
    assert all(torch.equal(*pair) for pair in zip(drawn(name), drawn(name), strict=True))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_global_stream_stays_where_it_was(name: str) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, _ = drawn(name)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert torch.equal(drawn(name)[0], first)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmented_images_stay_in_0_to_1_and_labels_are_never_mixed(name: str) -> None:
    for seed in range(5):
        image, mask = drawn(name, seed)
        assert 0 <= image.min() <= image.max() <= 1
        assert set(mask.unique().tolist()) <= {0, 3, 5, 255}


def test_image_and_mask_move_together() -> None:
    # an image that shows its own mask: wherever both are known they must agree
    mask = (labels() > 0).astype(np.uint8)
    for name in ("hflip", "vflip", "rotate", "scale", "translate", "affine"):
        transforms = pipeline(Data(image_size=(40, 40), augmentation=(name,)), 1, True)
        image, moved = transforms(mask * 255, mask, torch.Generator().manual_seed(3))
        known = moved != 255
        assert ((image[0] > 0.5) == (moved == 1))[known].float().mean() > 0.99, name


@pytest.mark.parametrize(("shift", "place"), [((0.0, 0.1), (30, 49)), ((0.1, 0.0), (36, 40))])
def test_a_shift_is_a_share_of_height_and_a_share_of_width(
    shift: tuple[float, float], place: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter(shift)
    monkeypatch.setattr("attnzoo.data.transforms._uniform", lambda *_: next(drawn))
    marker = np.zeros((60, 90), np.uint8)
    marker[30, 40] = 1
    transforms = pipeline(Data(image_size=(60, 90), augmentation=("translate",)), 1, True)
    image, mask = transforms(marker * 255, marker, torch.Generator())
    assert (mask == 1).nonzero().tolist() == [[*place]]
    assert image[0, *place] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", ["rotate", "translate", "affine"])
def test_what_comes_in_from_outside_is_ignored_and_not_background(name: str) -> None:
    transforms = pipeline(Data(image_size=(40, 40), augmentation=(name,)), 1, True)
    image, mask = transforms(np.full((40, 40), 255, np.uint8), labels(), torch.Generator().manual_seed(1))
    assert (mask == 255).any()
    assert (image[0][mask == 255] < 1).all()
    # the pitfall: torchvision's own fill is 0, which is background
    bare = v2.functional.rotate(tv_tensors.Mask(torch.ones(1, 40, 40, dtype=torch.uint8)), 12.0)
    assert (bare == 0).any()


def test_a_plain_tensor_is_taken_for_the_mask_it_is() -> None:
    # the pitfall: a v2 transform leaves a second plain tensor alone, and its functions would interpolate it
    transforms = pipeline(Data(image_size=(40, 40), augmentation=("rotate",)), 1, True)
    image, mask = transforms.prepare(picture(40, 40), labels())
    plain = mask.as_subclass(torch.Tensor)
    flipped = v2.RandomHorizontalFlip(p=1.0)(tv_tensors.Image(image), plain)[1]
    assert torch.equal(flipped, plain)
    whole, bare = (transforms.finish(image, given, torch.Generator().manual_seed(1))[1] for given in (mask, plain))
    assert torch.equal(whole, bare)
    assert not torch.equal(whole, plain[0].long())


@pytest.mark.parametrize(("train", "generator"), [(False, torch.Generator()), (True, None)])
def test_evaluation_is_not_augmented(train: bool, generator: torch.Generator | None) -> None:
    plain = pipeline(SQUARE, 1, False)(picture(40, 40), labels())
    options = Data(image_size=(32, 32), augmentation=("hflip", "noise", "affine"))
    result = pipeline(options, 1, train)(picture(40, 40), labels(), generator)
    assert all(torch.equal(*pair) for pair in zip(plain, result, strict=True))


def test_augmentations_follow_one_another() -> None:
    def ways(*names: str) -> torch.Tensor:
        transforms = pipeline(Data(image_size=(40, 40), augmentation=names), 1, True)
        return transforms(picture(40, 40), labels(), torch.Generator().manual_seed(2))[0]

    assert not torch.equal(ways("contrast", "noise"), ways("noise", "contrast"))


def test_what_was_prepared_can_be_finished_again() -> None:
    transforms = pipeline(SQUARE, 1, False)
    prepared = transforms.prepare(picture(32, 32), labels(32, 32))
    first, _ = transforms.finish(*prepared)
    kept = first.clone()
    first.zero_()
    assert torch.equal(transforms.finish(*prepared)[0], kept)


def test_imagenet_statistics() -> None:
    options = Data(image_size=(8, 8), normalisation="imagenet")
    white = pipeline(options, 3, False).image(np.full((8, 8), 255, np.uint8))
    assert white[:, 0, 0].tolist() == pytest.approx([(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225])


def test_an_image_is_normalised_by_itself() -> None:
    options = Data(image_size=(16, 16), normalisation="image")
    image = pipeline(options, 3, False).image(picture(16, 16, 3))
    assert image.mean().item() == pytest.approx(0, abs=1e-6)
    assert image.std(correction=0).item() == pytest.approx(1, abs=1e-5)
    assert pipeline(options, 1, False).image(np.full((9, 9), 7, np.uint8)).abs().max() < 1e-3


def test_imagenet_statistics_are_for_three_channels() -> None:
    with pytest.raises(AttnzooError) as caught:
        pipeline(Data(normalisation="imagenet"), 1, False)
    assert caught.value.message == "`data.normalisation = imagenet` needs `model.in_channels = 3`, not `1`"
    assert caught.value.hint == "take 3 channels, or the normalisation `image` or `none`"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("rotation", "did you mean `rotate`?"),
        (
            "xyz",
            "possible: `hflip`, `vflip`, `rotate`, `scale`, `translate`, `affine`, `brightness`, `contrast`, "
            "`noise` or `blur`",
        ),
    ],
)
def test_unknown_augmentations_are_refused(name: str, hint: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        pipeline(Data(augmentation=("hflip", name)), 3, True)
    assert caught.value.message == f"`data.augmentation` knows no `{name}`"
    assert caught.value.hint == hint
