"""What a run refuses, in which words, and that nothing is left of it."""

import pytest
import torch

from attnzoo.data import Dataset
from attnzoo.errors import AttnzooError
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
    assert "`plugins`: [{" in refusal(recipe, finished, data, threads=1).message
    error = refusal(recipe, finished, data, plugins=[plugin], threads=3)
    assert error.message == f"`{finished}` holds another run: `threads`: 1 there, 3 here"
    assert error.hint == "set OMP_NUM_THREADS=1 to go on there, or give another folder, or delete this one"


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
        monkeypatch.setattr(Task, "validation_step", lambda *_: pytest.fail("it was seen too late"))
    diverging = plain.override({"training.optimizer": "sgd", "training.learning_rate": 1e30, "training.epochs": 2})
    error = refusal(diverging, tmp_path / "run", data)
    assert error.message == "`train_loss` is `nan` in epoch 1, step 2 of 3; nothing was kept of it"
    assert error.hint == "take a smaller `training.learning_rate`, or `training.precision = 32-true`"
    assert not (tmp_path / "run" / "result.json").exists()
    assert not (tmp_path / "run" / "last.ckpt").exists()


def test_too_few_class_weights_are_refused(plain, data, tmp_path):
    few = plain.override({"training.class_weights": [1.0, 2.0]})
    assert refusal(few, tmp_path / "run", data).message == "2 class_weights do not fit 6 classes"
