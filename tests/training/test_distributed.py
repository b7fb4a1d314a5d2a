"""Two processes share the batches and the images of a split, none of them twice."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from attnzoo.errors import AttnzooError
from attnzoo.models import build_model
from attnzoo.results import Result
from attnzoo.training import run

SCRIPT = """
import sys
from pathlib import Path
from attnzoo.data import open_dataset
from attnzoo.errors import AttnzooError
from attnzoo.recipe import load
from attnzoo.training import run

if __name__ == "__main__":
    recipe = load(sys.argv[1])
    data = open_dataset(Path(sys.argv[2]), recipe.data)
    try:
        about = {"device": "cpu", "devices": 2, "progress": False, "plugins": [sys.argv[4]], "threads": 1}
        run(recipe, Path(sys.argv[3]), data=data, **about)
    except AttnzooError as error:
        print(error)
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def start(drawing, plugin) -> Start:
    """Run on two processes from a script, as users do: the processes import it anew."""

    def begin(recipe, folder: Path, sleeps: str = "0"):
        script, toml = folder.with_suffix(".py"), folder.with_suffix(".toml")
        script.write_text(SCRIPT)
        toml.write_text(recipe.to_toml())
        command = [sys.executable, str(script), str(toml), str(drawing), str(folder), str(plugin)]
        env = {**os.environ, "NOISY_SLEEPS": sleeps}
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)

    return begin


@pytest.fixture(scope="module")
def two(start, recipe, tmp_path_factory) -> Path:
    """The folder of an undisturbed run on two processes."""
    folder = tmp_path_factory.mktemp("runs") / "two"
    process = start(recipe, folder)
    assert process.communicate(timeout=300) == ("", "")
    assert process.returncode == 0
    return folder


def wait_for_two_epochs(process, folder: Path) -> None:
    curves = folder / "curves.csv"
    while not curves.exists() or len(curves.read_text().splitlines()) < 3:
        if process.poll() is not None:
            pytest.fail(process.stderr.read())
        time.sleep(0.01)


@pytest.mark.slow
def test_two_processes_train_one_model_and_count_each_image_once(two):
    result = Result.read(two)
    assert result.identity["processes"] == 2
    curves = list(csv.DictReader((two / "curves.csv").read_text().splitlines()))
    # five images on two processes: with the usual padding there were six, and another Dice
    assert float(curves[result.best_epoch - 1]["val_macro_dice"]) == result.best_score
    assert result.validation["global_macro"]["dice"] == pytest.approx(result.best_score, rel=1e-12)


@pytest.mark.slow
def test_what_is_frozen_stays_so_in_two_processes(start, recipe, tmp_path):
    frozen = recipe.override({"model.attention": "frozen:block=[gate]", "training.epochs": 2})
    assert start(frozen, tmp_path / "run").communicate(timeout=300) == ("", "")
    after, before = load_file(tmp_path / "run" / "best.safetensors"), build_model(frozen, 6).state_dict()
    kept = [key for key in before if ".block." in key]
    assert kept
    assert all(torch.equal(after[key], before[key]) for key in kept)
    assert not torch.equal(after["head.weight"], before["head.weight"])


@pytest.mark.slow
def test_two_killed_processes_are_resumed_to_the_same_bits(start, two, recipe, tmp_path):
    folder = tmp_path / "run"
    process = start(recipe, folder, sleeps="0.2")
    wait_for_two_epochs(process, folder)
    process.kill()
    process.communicate()
    again = start(recipe, folder)
    assert again.communicate(timeout=300) == ("", "")
    for name in ("curves.csv", "scores.csv", "best.safetensors"):
        assert (folder / name).read_bytes() == (two / name).read_bytes()
    one, other = (torch.load(each / "last.ckpt", weights_only=True) for each in (folder, two))
    torch.testing.assert_close(one["state_dict"], other["state_dict"], rtol=0, atol=0)


@pytest.mark.slow
def test_sigterm_ends_both_processes(start, recipe, tmp_path):
    folder = tmp_path / "run"
    process = start(recipe, folder, sleeps="0.2")
    wait_for_two_epochs(process, folder)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)  # ends only when nobody has its stderr open any more
    assert process.returncode == 143
    assert not (folder / "result.json").exists()


@pytest.mark.slow
def test_a_mistake_in_one_process_is_told_as_in_one_process(start, recipe, tmp_path):
    diverging = recipe.override({"training.optimizer": "sgd", "training.learning_rate": 1e30})
    told, _ = start(diverging, tmp_path / "run").communicate(timeout=300)
    assert "nothing was kept of it\nhint: take a smaller `training.learning_rate`" in told
    assert not (tmp_path / "run" / "result.json").exists()


def test_a_batch_that_cannot_be_shared_is_refused(plain, data, tmp_path):
    odd = plain.override({"training.batch_size": 3})
    with pytest.raises(AttnzooError, match="batch_size = 3` cannot be shared by `2` processes"):
        run(odd, tmp_path / "run", data=data, device="cpu", devices=2, progress=False)
    assert not (tmp_path / "run").exists()
