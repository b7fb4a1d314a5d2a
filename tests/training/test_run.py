"""One run from outside: what the folder holds, what its numbers are, what it says."""

import csv
import hashlib
import json
import math
import sys

import numpy as np
import pytest
import torch

from attnzoo import metrics, models
from attnzoo.data import mask
from attnzoo.data.loading import loader
from attnzoo.errors import AttnzooError
from attnzoo.losses import balanced_weights, build_loss
from attnzoo.results import Result
from attnzoo.training import run
from attnzoo.training.checkpoints import load_best
from attnzoo.training.task import Task


def go(recipe, folder, data, **options) -> Result:
    return run(recipe, folder, data=data, **{"device": "cpu", "progress": False, **options})


def test_the_folder_of_a_run(finished, data):
    names = {path.name for path in finished.iterdir()}
    text = {"recipe.toml", "run.json", "result.json", "curves.csv", "scores.csv"}
    assert names == text | {"best.safetensors", "last.ckpt", "confusion.npz", "tensorboard", ".lock"}
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(finished / "tensorboard")).Reload()
    curves = list(csv.DictReader((finished / "curves.csv").read_text().splitlines()))
    logged = [(one.step, one.value) for one in log.Scalars("val_macro_dice")]
    assert logged == [(int(row["epoch"]), pytest.approx(float(row["val_macro_dice"]))) for row in curves]


def test_the_best_epoch_is_the_best_of_the_curves(finished, data):
    result = Result.read(finished)
    rows = list(csv.DictReader((finished / "curves.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    scores = [float(row["val_macro_dice"]) for row in rows]
    assert result.best_score == max(scores)
    assert result.best_epoch == 1 + scores.index(max(scores))
    # the kept weights, scored once more, have the score that selected them
    assert result.validation["global_macro"]["dice"] == result.best_score
    assert result.validation["batch_average"]["dice"] == pytest.approx(
        float(rows[result.best_epoch - 1]["val_batch_dice"])
    )


def test_at_half_precision_the_kept_weights_have_the_score_that_selected_them_too(plain, data, tmp_path):
    result = go(plain.override({"training.precision": "bf16-mixed", "training.epochs": 3}), tmp_path / "run", data)
    assert result.validation["global_macro"]["dice"] == result.best_score


def test_the_validation_loss_is_the_mean_over_images_whatever_the_last_batch_holds(plain, data, tmp_path):
    asked = plain.override({"training.batch_size": 4})
    go(asked, tmp_path / "run", data)
    (row,) = csv.DictReader((tmp_path / "run" / "curves.csv").read_text().splitlines())
    model, loss = models.empty_model(asked, len(data.classes)), build_loss("cross_entropy")
    load_best(tmp_path / "run", model)
    single = loader(data, "valid", asked.override({"training.batch_size": 1}), train=False)
    with torch.no_grad():
        losses = [float(loss(model.eval()(batch.image), batch.mask)) for batch in single]
    assert len(losses) == 5
    assert float(row["val_loss"]) == pytest.approx(sum(losses) / 5, rel=1e-5)


def test_every_epoch_has_a_stream_of_its_own(plain, data, tmp_path, monkeypatch):
    seeds, step = [], Task.training_step

    def noted(self, batch, batch_idx):
        seeds.append(torch.initial_seed())
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Task, "training_step", noted)
    go(plain.override({"training.epochs": 2}), tmp_path / "run", data)
    assert [seeds.count(seed) for seed in dict.fromkeys(seeds)] == [3, 3]  # steps of an epoch


def test_the_result_says_what_was_run_and_where(finished, recipe, data, plugin):
    result = Result.read(finished)
    assert (result.attention, result.seed, result.classes, result.selected_by) == (
        "noisy",
        0,
        data.classes,
        "macro_dice",
    )
    assert set(result.identity) == {"recipe", "data", "plugins", "precision", "threads", "processes"}
    assert result.identity["recipe"] == recipe.decides()
    assert result.identity["data"] == data.digest
    assert result.identity["threads"] == 1
    assert result.identity["plugins"] == {"noisy": f"noisy.py {hashlib.sha256(plugin.read_bytes()).hexdigest()}"}
    assert [(one["site"], one["block"]) for one in result.insertions] == [("skip1", "noisy")]
    assert result.environment["device"] == "cpu"
    assert result.environment["workers"] == 0
    assert result.environment["seconds_per_epoch"] > 0


def test_scores_and_counts_agree(finished, data):
    result = Result.read(finished)
    counts = np.load(finished / "confusion.npz")
    assert counts["classes"].tolist() == list(data.classes)
    for split, summary in (("valid", result.validation), ("test", result.test)):
        assert counts[f"{split}_names"].tolist() == [sample.name for sample in data.splits[split].samples]
        matrices = counts[f"{split}_matrices"]
        assert matrices.dtype == np.int64
        pixels = [int((mask(data, sample) != 255).sum()) for sample in data.splits[split].samples]
        assert matrices.sum(axis=(1, 2)).tolist() == pixels  # at the images' own size
        assert metrics.macro(matrices.sum(0)).dice == summary["global_macro"]["dice"]
    rows = list(csv.DictReader((finished / "scores.csv").read_text().splitlines()))
    expected = [
        (str(counts["test_names"][image]), name, metric, value)
        for image, name, metric, value in metrics.per_image(counts["test_matrices"], data.classes)
        if name != "background"
    ]
    overlap = [row for row in rows if row["metric"] in metrics.METRICS]
    assert [(row["image"], row["class"], row["metric"], float(row["value"])) for row in overlap] == expected
    groups = {sample.name: sample.group for sample in data.splits["test"].samples}
    assert all(row["group"] == groups[row["image"]] for row in rows)


def test_a_closer_look_is_in_the_same_tidy_table(finished, data):
    result = Result.read(finished)
    rows = list(csv.DictReader((finished / "scores.csv").read_text().splitlines()))
    assert list(rows[0]) == ["image", "group", "class", "metric", "value"]
    keys = [(row["image"], row["class"], row["metric"]) for row in rows]
    assert len(set(keys)) == len(keys)
    of = {key: float(row["value"]) for key, row in zip(keys, rows, strict=True)}
    # every pair that has a Dice has boundaries and a size, and every image its calibration
    pairs = [key[:2] for key in keys if key[2] == "dice"]
    for metric in ("hd95", "nsd", "true_pixels"):
        assert [key[:2] for key in keys if key[2] == metric] == pairs
    counts = np.load(finished / "confusion.npz")
    for image, matrix in zip(counts["test_names"].tolist(), counts["test_matrices"], strict=True):
        for name, pixels in zip(data.classes[1:], matrix.sum(1)[1:].tolist(), strict=True):
            assert of.get((image, name, "true_pixels"), 0) == pixels
            assert pixels or of.get((image, name, "nsd"), 0) == 0
        assert 0 <= of[image, "all", "ece"] <= 1
    for name, told in result.test["boundaries"]["per_class"].items():
        assert told["images"] == sum(one == name for _, one in pairs)
        for metric in ("hd95", "nsd"):
            own = [of[image, one, metric] for image, one in pairs if one == name]
            assert told[metric] == (pytest.approx(sum(own) / len(own)) if own else None)


def test_only_the_test_split_is_looked_at_closely(finished):
    result = Result.read(finished)
    closely = {"boundaries", "calibration", "strata", "empty"}
    assert closely == result.test.keys() - result.validation.keys()
    assert sum(one["pixels"] for one in result.test["calibration"]["bins"]) == 5 * 64 * 64
    pairs = (np.load(finished / "confusion.npz")["test_matrices"].sum(2)[:, 1:] > 0).sum()
    assert sum(one["pairs"] for one in result.test["strata"].values()) == pairs


def test_a_finished_run_is_not_run_again(finished, recipe, data, plugin, monkeypatch):
    monkeypatch.setattr(Task, "__init__", lambda *_: pytest.fail("it was trained again"))
    before = {path: path.stat().st_mtime_ns for path in finished.iterdir()}
    assert go(recipe, finished, data, plugins=[plugin], threads=1) == Result.read(finished)
    assert {path: path.stat().st_mtime_ns for path in finished.iterdir()} == before


def test_pretrained_weights_are_fetched_once_and_not_to_resume(plain, data, tmp_path, monkeypatch):
    fetched = []

    monkeypatch.setattr(models, "_check_encoder", lambda encoder, weights: weights and fetched.append(weights))
    asked = plain.override(
        {"model.host": "smp.Unet", "model.encoder_weights": "imagenet", "data.image_size": 64, "training.batch_size": 5}
    )
    go(asked, tmp_path / "run", data)
    assert fetched == ["imagenet", "imagenet"]  # to see whether it can be had, and to train
    (tmp_path / "run" / "result.json").unlink()
    go(asked, tmp_path / "run", data)
    assert fetched == ["imagenet", "imagenet"]


def test_balanced_weights_come_from_the_training_masks(plain, data, tmp_path):
    balanced = plain.override({"training.class_weights": "balanced"})
    counts = [
        sum(int((mask(data, sample) == label).sum()) for sample in data.splits["train"].samples) for label in range(6)
    ]
    said = plain.override({"training.class_weights": balanced_weights(counts)})
    for name, asked in (("balanced", balanced), ("said", said), ("even", plain)):
        go(asked, tmp_path / name, data)
    curves = {name: (tmp_path / name / "curves.csv").read_text() for name in ("balanced", "said", "even")}
    assert curves["balanced"] == curves["said"] != curves["even"]


def test_scores_at_the_networks_size(plain, data, tmp_path):
    result = go(plain.override({"scores.resolution": "network"}), tmp_path / "run", data)
    assert result.test["resolution"] == "network"
    assert np.load(tmp_path / "run" / "confusion.npz")["test_matrices"].sum(axis=(1, 2)).tolist() == [32 * 32] * 5


def test_a_reproduction_selects_by_the_batch_average(plain, data, tmp_path):
    result = go(plain.override({"training.select": "batch_dice", "training.epochs": 3}), tmp_path / "run", data)
    scores = [
        float(row["val_batch_dice"])
        for row in csv.DictReader((tmp_path / "run" / "curves.csv").read_text().splitlines())
    ]
    assert (result.selected_by, result.best_score) == ("batch_dice", max(scores))
    assert result.validation["batch_average"]["dice"] == pytest.approx(result.best_score)


def test_an_smp_host_is_trained_too(plain, data, tmp_path):
    changes = {
        "model.host": "smp.Unet",
        "model.encoder": "resnet18",
        "model.attention": "se@bottleneck",
        "data.image_size": 64,
    }
    result = go(plain.override(changes), tmp_path / "run", data)
    assert [one["site"] for one in result.insertions] == ["bottleneck"]
    assert math.isfinite(result.best_score)


def test_without_progress_a_run_is_silent(plain, data, tmp_path, capfd):
    go(plain, tmp_path / "run", data)
    assert capfd.readouterr() == ("", "")


def test_progress_is_talk_on_stderr(plain, data, tmp_path, capfd):
    go(plain, tmp_path / "run", data, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "none, seed 0: epoch 1 of 1, loss " in err
    assert ", val macro Dice 0.0" in err
    assert "Lightning" not in err


def test_on_a_terminal_progress_is_a_bar(plain, data, tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # how rich is told that there is a terminal
    go(plain.override({"training.epochs": 2}), tmp_path / "run", data, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "none, seed 0: begins" in err
    assert "6/6" in err


def test_a_scheduler_around_the_run_changes_nothing(plain, data, tmp_path, monkeypatch):
    for name, value in {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "job", "SLURM_NTASKS_PER_NODE": "4"}.items():
        monkeypatch.setenv(name, value)
    go(plain, tmp_path / "slurm", data)
    monkeypatch.undo()
    go(plain, tmp_path / "plain", data)
    assert (tmp_path / "slurm" / "curves.csv").read_text() == (tmp_path / "plain" / "curves.csv").read_text()


def test_threads_and_determinism_are_put_back(plain, data, tmp_path, monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = torch.get_num_threads()
    result = go(plain, tmp_path / "run", data, threads=before + 1, deterministic=True)
    assert result.identity["threads"] == before + 1
    assert result.environment["deterministic"] is True
    assert torch.get_num_threads() == before
    assert not torch.are_deterministic_algorithms_enabled()
    assert json.loads((tmp_path / "run" / "run.json").read_text())["identity"] == result.identity


def test_data_may_be_a_folder(finished, drawing, recipe, plugin):
    same = run(recipe, finished, data=drawing, device="cpu", progress=False, plugins=[plugin], threads=1)
    assert same == Result.read(finished)


def test_without_data_there_is_the_phantom(tmp_path, plain, monkeypatch):
    drawn = []
    module = sys.modules["attnzoo.training.run"]  # the package's `run` is the function
    monkeypatch.setattr(module, "default_phantom", lambda *, progress: drawn.append(progress) or tmp_path)
    with pytest.raises(AttnzooError, match="no data set"):
        run(plain, tmp_path / "run", progress=False)
    assert drawn == [False]
