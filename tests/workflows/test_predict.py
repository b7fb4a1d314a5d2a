"""Index masks and overlays of a trained run."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from attnzoo import palette, training
from attnzoo.data import open_dataset
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Recipe
from attnzoo.results import read_json
from attnzoo.skip import Shown
from attnzoo.workflows import heat as heat_module
from attnzoo.workflows.heat import heat
from attnzoo.workflows.overlay import overlay
from attnzoo.workflows.predict import predict, targets


@pytest.fixture(scope="module")
def run(drawn: Path, tiny: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "run"
    training.run(tiny, folder, data=open_dataset(drawn, tiny.data), device="cpu", progress=False)
    return folder


@pytest.fixture(scope="module")
def furnished(drawn: Path, tiny: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "furnished"
    attention = "ema:groups=2+ema:groups=4+gate@skip/se:reduction=2@bottleneck"
    recipe = tiny.override({"model.attention": attention, "model.residual": "zero"})
    training.run(recipe, folder, data=open_dataset(drawn, tiny.data), device="cpu", progress=False)
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Two images of one name, grey and in colour, of different sizes."""
    random = np.random.default_rng(0)
    paths = [tmp_path / "in" / folder / "head.png" for folder in ("a", "b")]
    for path, shape in zip(paths, ((40, 50), (33, 20, 3)), strict=True):
        path.parent.mkdir(parents=True)
        Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(path)
    return paths


def test_masks_are_class_indices_at_the_images_size(run: Path, pictures: list[Path], tmp_path: Path) -> None:
    done = predict(run, pictures, tmp_path / "out", device="cpu")
    predictor = training.Predictor(run, "cpu")
    for prediction, size in zip(done, ((50, 40), (20, 33)), strict=True):
        with Image.open(prediction.mask) as mask, Image.open(prediction.image) as image:
            assert mask.mode == "P"
            assert mask.size == size
            assert mask.getpalette()[:9] == [*palette.colour(0), *palette.colour(1), *palette.colour(2)]
            np.testing.assert_array_equal(np.array(mask), predictor(np.array(image)))


def test_equal_names_do_not_meet(run: Path, pictures: list[Path], tmp_path: Path) -> None:
    done = predict(run, pictures, tmp_path / "out", device="cpu")
    assert [one.mask.relative_to(tmp_path / "out").as_posix() for one in done] == ["a/head_mask.png", "b/head_mask.png"]


def test_other_suffixes_do_not_meet_either(tmp_path: Path) -> None:
    found = targets([tmp_path / "x.png", tmp_path / "x.jpg", tmp_path / "y.png", tmp_path / "y.png"], tmp_path)
    assert [one.mask.name for one in found] == ["x.png_mask.png", "x.jpg_mask.png", "y_mask.png"]


def test_a_link_has_its_own_name(tmp_path: Path) -> None:
    """As those who keep data by content lay it out: a name that says something, of a file called by a digest."""
    store = tmp_path / "store" / "ab"
    store.mkdir(parents=True)
    (store / "12").touch()
    links = [tmp_path / "in" / name for name in ("first.png", "second.png")]
    links[0].parent.mkdir()
    for link in links:
        link.symlink_to(store / "12")
    found = targets([*links, tmp_path / "in" / ".." / "in" / "first.png"], tmp_path)
    assert [one.mask.name for one in found] == ["first_mask.png", "second_mask.png"]


def test_the_same_prediction_is_made_again(run: Path, pictures: list[Path], tmp_path: Path) -> None:
    first = predict(run, pictures, tmp_path / "out", device="cpu")
    before = first[0].mask.read_bytes()
    assert predict(run, pictures, tmp_path / "out", device="cpu") == first
    assert first[0].mask.read_bytes() == before


def test_by_default_it_writes_into_the_runs_folder(run: Path, pictures: list[Path]) -> None:
    assert predict(run, pictures[:1], device="cpu")[0].mask == run / "predictions" / "head_mask.png"


def refusal(run: Path, images: list[Path], out: Path) -> AttnzooError:
    with pytest.raises(AttnzooError) as caught:
        predict(run, images, out, device="cpu")
    return caught.value


def test_a_file_that_no_prediction_made_is_not_overwritten(run: Path, pictures: list[Path], tmp_path: Path) -> None:
    precious = tmp_path / "out" / "b" / "head_overlay.png"
    precious.parent.mkdir(parents=True)
    precious.write_text("precious")
    error = refusal(run, pictures, tmp_path / "out")
    assert error.message == f"`{precious}` was made by no prediction, and would be overwritten"
    assert error.hint == "choose another folder with `--out`"
    assert precious.read_text() == "precious"
    assert not (tmp_path / "out" / "a").exists()


def test_another_images_prediction_is_not_overwritten(run: Path, pictures: list[Path], tmp_path: Path) -> None:
    predict(run, pictures[:1], tmp_path / "out", device="cpu")
    error = refusal(run, pictures[1:], tmp_path / "out")
    mask = tmp_path / "out" / "head_mask.png"
    assert error.message == f"`{mask}` is the prediction of `{pictures[0]}`, and would be overwritten"


def test_a_damaged_image_stops_before_the_first(run: Path, pictures: list[Path], tmp_path: Path) -> None:
    pictures[1].write_bytes(pictures[1].read_bytes()[:100])
    assert f"`{pictures[1]}` cannot be decoded" in refusal(run, pictures, tmp_path / "out").message
    assert not (tmp_path / "out").exists()


def test_no_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AttnzooError, match="there is no image to predict"):
        targets([], tmp_path)


def test_an_overlay_tints_classes_and_leaves_the_background() -> None:
    pixels = np.full((400, 400), 100, np.uint8)
    mask = np.zeros((400, 400), np.uint8)
    mask[100:200, 100:300] = 1
    picture = np.array(overlay(pixels, mask, ("background", "EDH", "a longer name")))
    assert tuple(picture[0, 0]) == (100, 100, 100)
    assert tuple(picture[150, 200]) == tuple(round(0.55 * 100 + 0.45 * channel) for channel in palette.colour(1))
    for row, column in ((100, 200), (199, 200), (150, 100), (150, 299)):
        assert tuple(picture[row, column]) == palette.colour(1)  # the outline is the legend's colour, on any ground
    assert tuple(picture[99, 200]) == (100, 100, 100)
    assert picture.shape[0] == 400
    legend = {tuple(pixel) for pixel in picture[:, 400:].reshape(-1, 3)}
    assert {palette.colour(1), palette.colour(2)} <= legend


def test_an_overlay_shows_the_recipes_window() -> None:
    pixels = np.array([[0, 20, 30, 40, 255]], np.uint8).repeat(400, 0)
    picture = np.array(overlay(pixels, np.zeros_like(pixels), ("background",), window=(20, 40)))
    assert picture[0, :5, 0].tolist() == [0, 0, 128, 255, 255]


def test_small_images_are_enlarged_by_a_whole_number() -> None:
    picture = overlay(np.zeros((32, 20), np.uint8), np.zeros((32, 20), np.uint8), ("background", "EDH"))
    assert picture.height == 32 * 12


# what the attention did


def test_maps_are_drawn_beside_the_masks_and_claimed(furnished: Path, pictures: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = predict(furnished, pictures, out, maps=True, device="cpu")
    names = ["skip1_ema", "skip1_ema-2", "skip1_gate", "bottleneck_se"]
    assert [path.name for path in done[1].files] == [
        "head_mask.png",
        "head_overlay.png",
        *(f"head_map_{name}.png" for name in names),
    ]
    claimed = read_json(out / "predictions.json", "", "")["files"]
    assert claimed == {
        path.relative_to(out).as_posix(): str(prediction.image) for prediction in done for path in prediction.files
    }
    plain = predict(furnished, pictures, tmp_path / "plain", device="cpu")
    assert [one.mask.read_bytes() for one in plain] == [one.mask.read_bytes() for one in done]
    assert plain[0].maps == ()
    assert predict(furnished, pictures, out, maps=True, device="cpu") == done


def test_what_is_drawn_is_what_the_model_did(
    furnished: Path, pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []

    def note(pixels: np.ndarray, shown: Shown, block: str, site: str, **options: object) -> Image.Image:
        drawn.append((block, site, tuple(shown.tensor.shape), options["gamma"]))
        return Image.new("RGB", (1, 1))

    monkeypatch.setattr("attnzoo.workflows.predict.heat", note)
    predict(furnished, pictures[:1], tmp_path / "out", maps=True, device="cpu")
    model = training.load(furnished)
    gammas = [model.skips[0].gamma.item(), model.bottleneck_slot.gamma.item()]
    assert all(gammas)
    assert drawn == [
        ("ema:groups=2", "skip1", (1, 4, 32, 32), gammas[0]),
        ("ema:groups=4", "skip1", (1, 4, 32, 32), gammas[0]),
        ("gate", "skip1", (1, 1, 32, 32), gammas[0]),
        ("se:reduction=2", "bottleneck", (1, 8, 1, 1), gammas[1]),
    ]


def test_a_map_in_the_way_stops_before_the_first(furnished: Path, pictures: list[Path], tmp_path: Path) -> None:
    precious = tmp_path / "out" / "head_map_skip1_gate.png"
    precious.parent.mkdir()
    precious.write_text("precious")
    with pytest.raises(AttnzooError) as caught:
        predict(furnished, pictures[:1], tmp_path / "out", maps=True, device="cpu")
    assert caught.value.message == f"`{precious}` was made by no prediction, and would be overwritten"
    assert precious.read_text() == "precious"


def test_a_run_without_attention_has_no_maps(run: Path, pictures: list[Path]) -> None:
    with pytest.raises(AttnzooError) as caught:
        predict(run, pictures, maps=True, device="cpu")
    assert (caught.value.message, caught.value.hint) == (
        f"`{run}` has no attention whose maps could be drawn",
        "leave `--maps` out",
    )


GREY = np.full((400, 600), 100, np.uint8)
DARK, BRIGHT = (68, 1, 84), (253, 231, 37)


def drawing(shown: Shown, **options: object) -> tuple[np.ndarray, list[str]]:
    """The picture, and the lines of its caption."""
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        caption = heat_module._above
        patch.setattr(heat_module, "_above", lambda picture, said: lines.extend(said) or caption(picture, said))
        defaults = {"block": "ema:groups=8", "site": "skip1", "window": None, "gamma": None}
        picture = heat(GREY, shown, **defaults | options)
    return np.array(picture), lines


def test_a_factor_is_laid_over_the_image_and_alone_has_the_scales_colours() -> None:
    factor = torch.tensor([[[[0.2, 0.4], [0.4, 0.8]], [[0.0, 0.2], [0.6, 1.0]]]])  # its mean: 0.1, 0.3, 0.5, 0.9
    picture, lines = drawing(Shown("scale", factor))
    assert lines == ["ema:groups=8 at skip1", "factor, mean over 2 channels", "0.1 to 0.9, map of 2x2"]
    assert tuple(picture[0, 600]) == tuple(picture[199, 899]) == DARK
    assert tuple(picture[200, 900]) == tuple(picture[399, 1199]) == BRIGHT
    assert tuple(picture[199, 299]) == tuple(round(0.4 * 100 + 0.6 * channel) for channel in DARK)
    assert {DARK, BRIGHT} <= {tuple(pixel) for pixel in picture[:, 1200:].reshape(-1, 3)}


@pytest.mark.parametrize(
    ("kind", "tensor", "what", "numbers"),
    [
        ("scale", [[[1.0, 2.0]]], "factor, one for all channels", "1 to 2, map of 1x2"),
        ("add", [[[3.0, -1.0]], [[-4.0, 0.0]]], "what is added, L2 norm over 2 channels", "1 to 5, map of 1x2"),
        ("add", [[[3.0, -1.0]]], "what is added, one for all channels", "-1 to 3, map of 1x2"),
        ("mix", [[[3.0, 1e6]]], "change, L2 norm over the channels", "3 to 1e+06, map of 1x2"),
        ("scale", [[[3.0]], [[1.0]]], "factor, channel by channel from the left", "1 to 3, map of 1x1"),
        ("mix", [[[2.0]]], "change, channel by channel from the left", "2 to 2, map of 1x1"),
    ],
)
def test_the_caption_says_what_became_of_the_channels(kind: str, tensor: list, what: str, numbers: str) -> None:
    _, lines = drawing(Shown(kind, torch.tensor([tensor])), gamma=-0.25)
    assert lines == ["ema:groups=8 at skip1", what, numbers, "residual slot: its change is taken -0.25 times"]


def test_numbers_of_channels_are_marked_as_high_as_they_are() -> None:
    picture, _ = drawing(Shown("scale", torch.tensor([0.0, 1.0, 0.5]).reshape(1, 3, 1, 1)))
    assert (picture[:400, :600] == 100).all()
    rows = [np.flatnonzero((picture[:400, 600:] == colour).all(-1).any(1)).mean() for colour in (BRIGHT, DARK)]
    assert rows[0] < 20
    assert 360 < rows[1] < 384


def test_what_is_not_finite_is_white_and_does_not_stretch_the_scale() -> None:
    values = torch.tensor([[[[float("nan"), 1.0], [2.0, float("inf")]]]])
    picture, lines = drawing(Shown("scale", values))
    assert lines[2:] == ["1 to 2, map of 2x2", "white, or missing: no finite number"]
    assert tuple(picture[0, 600]) == tuple(picture[399, 1199]) == (255, 255, 255)
    assert tuple(picture[0, 1199]) == DARK
    _, lines = drawing(Shown("scale", torch.full((1, 2, 1, 1), float("nan"))))
    assert lines[2] == "0 to 0, map of 1x1"
