"""What a run refuses, in which words, and that nothing is left of it."""

import numpy as np
import pytest
import torch

from attnzoo.data import Dataset
from attnzoo.errors import AttnzooError
from attnzoo.registry.entries import ENTRIES
from attnzoo.results import Result
from attnzoo.training import run
from attnzoo.training.task import Task


def go(recipe, folder, data, **options) -> Result:
    return run(recipe, folder, data=data, **{"device": "cpu", "progress": False, **options})


def refusal(recipe, folder, data, **options) -> AttnzooError:
    with pytest.raises(AttnzooError) as error:
        go(recipe, folder, data, **options)
    return error.value


def test_another_run_in_the_folder_is_refused_with_its_differences(finished, recipe, data, plugin):
    other = recipe.override(
        {"training.epochs": 2, "training.precision": "bf16-mixed", "model.attention": "ema:groups=2"}
    )
    error = refusal(other, finished, data, plugins=[plugin], threads=1)
    assert error.message == (
        f'`{finished}` holds another run: `model.attention`: "noisy" there, "ema:groups=2" here; '
        '`training.epochs`: 4 there, 2 here; `training.precision`: "32-true" there, "bf16-mixed" here'
    )
    assert error.hint == "give another folder, or delete this one"


def test_other_data_threads_and_plugins_are_another_run(finished, recipe, data, plugin):
    changed = Dataset(**{**vars(data), "digest": "f" * 64})
    error = refusal(recipe, finished, changed, plugins=[plugin], threads=2)
    assert error.message == (
        f'`{finished}` holds another run: `data`: "{data.digest[:12]}…" there, "ffffffffffff…" here; '
        "`threads`: 1 there, 2 here"
    )
    error = refusal(recipe, finished, data, plugins=[plugin], threads=3)
    assert error.message == f"`{finished}` holds another run: `threads`: 1 there, 3 here"
    assert error.hint == "set OMP_NUM_THREADS=1 to go on there, or give another folder, or delete this one"


@pytest.mark.usefixtures("fresh")
def test_a_plugin_that_was_not_named_is_asked_for(finished, recipe, data):
    ENTRIES.pop("noisy")
    error = refusal(recipe, finished, data, threads=1)
    assert error.message.endswith('…" there, none here')
    assert error.hint == "name what registers its block (`--plugin`), or give another folder, or delete this one"


def test_a_changed_block_is_another_run(finished, recipe, data, plugin):
    source = plugin.read_text()
    plugin.write_text(source + "# changed\n")
    try:
        message = refusal(recipe, finished, data, plugins=[plugin], threads=1).message
        assert message.startswith(f'`{finished}` holds another run: `plugins.noisy`: "noisy.py ')
    finally:
        plugin.write_text(source)
    # what is not used decides nothing, and what was registered before need not be named again
    assert go(recipe, finished, data, plugins=[plugin], threads=1) == go(recipe, finished, data, threads=1)


def test_a_folder_of_something_else_is_refused(plain, data, tmp_path):
    for name in "abcd":
        (tmp_path / name).touch()
    error = refusal(plain, tmp_path, data)
    assert error.message == f"`{tmp_path}` holds files but no run: `a`, `b`, `c`, …"
    assert error.hint == "give another folder; a run's own folder is new or empty"
    error = refusal(plain, tmp_path / "a", data)
    assert error.message == f"`{tmp_path / 'a'}` is a file, so no run can be written there"


def test_missing_and_small_splits_are_refused(plain, data, tmp_path):
    lacking = Dataset(**{**vars(data), "splits": {"train": data.splits["train"]}})
    error = refusal(plain, tmp_path / "run", lacking)
    assert error.message == "a run needs the splits `train`, `valid` and `test`; the data set lacks `valid` and `test`"
    assert error.hint == (
        "add each as the others are, or give all images in one piece, which is dealt into the three: one COCO file, "
        "or `images` with `masks`"
    )
    empty = type(data.splits["test"])("test", ())
    error = refusal(plain, tmp_path / "run", Dataset(**{**vars(data), "splits": {**data.splits, "test": empty}}))
    assert error.message == "the split `test` has no images"
    error = refusal(plain, tmp_path / "run", data, devices=6)
    assert error.message == "the split `train` has 5 images, which is too few for 6 processes"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model.attention": "ema:groups=3"}, "`ema` cannot split 4 channels"),
        ({"training.loss": "cross_entrpy"}, "`cross_entrpy` is no loss"),
        ({"training.loss": "dice", "training.class_weights": "balanced"}, "`dice` takes no class_weights"),
        ({"training.class_weights": [1.0, 2.0]}, "2 class_weights do not fit 6 classes"),
        ({"data.augmentation": ["hflp"]}, "`data.augmentation` knows no `hflp`"),
        ({"training.precision": "16-mixed"}, "`training.precision = 16-mixed` needs a GPU"),
        (
            {"model.host": "smp.Unet", "model.encoder_weights": "imagenet"},
            "are neither in the local cache nor in reach",
        ),
    ],
)
def test_what_cannot_be_built_claims_no_folder(changes, words, plain, data, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    assert words in refusal(plain.override(changes), tmp_path / "run", data).message
    assert not (tmp_path / "run").exists()


def test_too_little_memory_is_told(plain, data, tmp_path, monkeypatch):
    def fill(*_) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate …")

    monkeypatch.setattr(Task, "training_step", fill)
    error = refusal(plain, tmp_path / "run", data)
    assert error.message == "`cpu` has too little memory for none, seed 0 at batch size 2"
    assert error.hint == (
        "take a smaller `training.batch_size` or `data.image_size`, or `training.precision = bf16-mixed`"
    )


@pytest.mark.parametrize("look_every", [32, 2])
def test_a_loss_that_is_no_number_is_refused_and_leaves_no_result(look_every, plain, data, tmp_path, monkeypatch):
    monkeypatch.setattr("attnzoo.training.task.LOOK_EVERY", look_every)
    if look_every < 3:
        monkeypatch.setattr(Task, "on_validation_epoch_start", lambda *_: pytest.fail("it was seen too late"))
    diverging = plain.override({"training.optimizer": "sgd", "training.learning_rate": 1e30, "training.epochs": 2})
    error = refusal(diverging, tmp_path / "run", data)
    assert error.message == "`train_loss` is `nan` in epoch 1, step 2 of 3; nothing was kept of it"
    assert error.hint == "take a smaller `training.learning_rate`, or `training.precision = 32-true`"
    assert not (tmp_path / "run" / "result.json").exists()
    assert not (tmp_path / "run" / "last.ckpt").exists()


@pytest.mark.parametrize(
    ("absent", "message"),
    [
        (
            "error",
            "the ground truth of `test` has no pixel of class `EDH`, `IPH`, `IVH`, `SAH` and `SDH`, "
            "and `scores.absent = error` refuses that",
        ),
        ("exclude", "the ground truth of `valid` has no pixel of any foreground class, so no epoch can be the best"),
    ],
)
def test_absent_classes_are_told_before_training(absent, message, plain, data, tmp_path, monkeypatch):
    full = np.arange(6, dtype=np.uint8)[None]
    lacking = data.splits["test" if absent == "error" else "valid"].samples
    monkeypatch.setattr("attnzoo.training.checks.mask", lambda _, sample: full * (sample not in lacking))
    error = refusal(plain.override({"scores.absent": absent}), tmp_path / "run", data)
    assert error.message == message
    assert error.hint == ("choose another policy: `exclude`" if absent == "error" else "see `attnzoo data check`")
    assert not (tmp_path / "run").exists()
