"""What others do with a finished run: load it, score it again, predict with it."""

import csv
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from attnzoo.data import Dataset, image, open_dataset
from attnzoo.data.transforms import pipeline
from attnzoo.errors import AttnzooError
from attnzoo.results import Result
from attnzoo.training import Predictor, evaluate, load
from attnzoo.training.scoring import label_map
from attnzoo.training.tables import rows


@pytest.fixture
def moved(finished, tmp_path):
    """A copy of the finished run that may be damaged."""
    return shutil.copytree(finished, tmp_path / "moved")


def test_the_best_weights_come_back_in_evaluation_mode(finished):
    model = load(finished)
    assert not any(module.training for module in model.modules())
    kept = load_file(finished / "best.safetensors")
    assert kept.keys() == model.state_dict().keys()
    assert all(torch.equal(value, kept[key]) for key, value in model.state_dict().items())


def test_a_fresh_process_loads_the_plugin_by_itself(finished):
    code = "import sys, attnzoo.training as t; print(type(t.load(sys.argv[1]).skips[0].blocks[0]).__name__)"
    code += "; print('lightning' in sys.modules)"  # seconds that only training needs
    told = subprocess.run([sys.executable, "-c", code, str(finished)], capture_output=True, text=True, check=True)
    assert told.stdout == "Noisy\nFalse\n"


def test_scored_again_a_run_has_its_own_numbers(finished, data):
    result = Result.read(finished)
    assert evaluate(finished, data, device="cpu").summary == result.test
    assert result.validation.items() < evaluate(finished, data, "valid", device="cpu").summary.items()
    written = [tuple(row.values()) for row in csv.DictReader((finished / "scores.csv").read_text().splitlines())]
    assert [(*names, str(value)) for *names, value in evaluate(finished, data, device="cpu").rows] == written


def test_resolution_and_policy_can_differ_from_the_runs(finished, data):
    small = evaluate(finished, data, device="cpu", resolution="network", absent="zero")
    assert small.summary["resolution"] == "network"
    assert small.summary["absent"] == "zero"
    assert sum(one["true_pixels"] for one in small.summary["per_class"].values()) == 5 * 32 * 32


def test_data_with_other_classes_are_refused(finished, data):
    other = Dataset(**{**vars(data), "classes": ("background", "cat")})
    with pytest.raises(AttnzooError) as error:
        evaluate(finished, other)
    assert error.value.message == (
        f"`{finished}` knows the classes `background`, `EDH`, `IPH`, `IVH`, `SAH` and `SDH`, "
        "and the data have `background` and `cat`"
    )
    assert error.value.hint == "evaluate on data with the same classes in the same order"


def test_a_prediction_is_what_was_scored(finished, data):
    predict = Predictor(finished, "cpu")
    assert predict.classes == data.classes
    counts = np.load(finished / "confusion.npz")["test_matrices"]
    for sample, matrix in zip(data.splits["test"].samples, counts, strict=True):
        mask = predict(image(sample))
        assert (mask.dtype, mask.shape) == (np.uint8, (64, 64))
        assert np.bincount(mask.ravel(), minlength=6).tolist() == matrix.sum(0).tolist()


def test_a_prediction_has_the_images_own_size(finished):
    assert Predictor(finished, "cpu")(np.zeros((7, 90), np.uint8)).shape == (7, 90)


def test_a_prediction_uses_the_runs_own_transforms(finished, recipe):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8)
    with torch.inference_mode():
        logits = load(finished)(pipeline(recipe.data, 1, train=False).image(pixels)[None])[0]
    assert np.array_equal(Predictor(finished, "cpu")(pixels), label_map(logits, (40, 50)))


def test_an_unfinished_run_is_told(moved):
    (moved / "result.json").unlink()
    with pytest.raises(AttnzooError) as error:
        load(moved)
    assert error.value.message == f"`{moved}` holds no finished run"


def test_a_plugin_that_is_gone_or_changed_is_told(moved, plugin, tmp_path):
    copy = shutil.copy(plugin, tmp_path / "noisy.py")
    about = moved / "run.json"
    about.write_text(about.read_text().replace(str(plugin), str(copy)))
    # the same source at another place is the same plugin, but a name has one home
    with pytest.raises(AttnzooError, match="`noisy` is "):
        load(moved)
    (tmp_path / "noisy.py").unlink()
    with pytest.raises(AttnzooError) as error:
        load(moved)
    assert error.value.message == f"`{moved}` needs the plugin `{copy}`, which is not there"
    assert error.value.hint == "put the file back"


def test_a_changed_plugin_is_told(moved, plugin):
    source = plugin.read_text()
    plugin.write_text(source + "# changed\n")
    try:
        with pytest.raises(AttnzooError) as error:
            load(moved)
        assert error.value.message.startswith(f'the source of `noisy` has changed since `{moved}` was run: "noisy.py ')
        assert error.value.hint == "put the old one back, or run it again into another folder"
    finally:
        plugin.write_text(source)
    load(moved)


def test_rows_leave_out_the_background_and_what_is_undefined(finished, data):
    from attnzoo.training.scoring import Scored

    matrix = torch.tensor([[[8, 1, 0], [1, 2, 0], [0, 0, 0]]])
    scored = Scored(("a.png",), ("a",), matrix, {})
    assert rows(scored, ("background", "cat", "dog")) == (
        ("a.png", "a", "cat", "dice", 2 / 3),
        ("a.png", "a", "cat", "iou", 0.5),
        ("a.png", "a", "cat", "precision", 2 / 3),
        ("a.png", "a", "cat", "recall", 2 / 3),
    )


def test_data_may_lie_elsewhere(finished, drawing, recipe, tmp_path):
    elsewhere = open_dataset(shutil.copytree(drawing, tmp_path / "elsewhere"), recipe.data)
    assert evaluate(finished, elsewhere, device="cpu").summary == Result.read(finished).test
