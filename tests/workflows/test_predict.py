"""Index masks and overlays of a trained run."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attnzoo import palette, training
from attnzoo.data import open_dataset
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Recipe
from attnzoo.workflows.overlay import overlay
from attnzoo.workflows.predict import predict, targets


@pytest.fixture(scope="module")
def run(drawn: Path, tiny: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "run"
    training.run(tiny, folder, data=open_dataset(drawn, tiny.data), device="cpu", progress=False)
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
