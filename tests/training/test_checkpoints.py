"""The files of weights: never torn, never executed, brought into step after a crash."""

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from attnzoo.errors import AttnzooError
from attnzoo.results import replace
from attnzoo.training.checkpoints import load_best, read_last, resume, write_best
from attnzoo.training.history import COLUMNS, History


def history(*scores: float) -> History:
    numbered = enumerate(scores, 1)
    rows = [dict.fromkeys(COLUMNS, 0.5) | {"epoch": epoch, "val_macro_dice": score} for epoch, score in numbered]
    return History(rows, [1.0] * len(scores))


def save(folder, kept: History, weight: float) -> None:
    state = {
        "network.weight": torch.full((1, 1), weight),
        "network.bias": torch.zeros(1),
        "loss.weights": torch.ones(3),
    }
    torch.save({"state_dict": state, "attnzoo": kept.state()}, folder / "last.ckpt")


def test_a_crash_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def crash(file) -> None:
        file.write(b"ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace(path, crash)
    assert path.read_bytes() == b"old"
    replace(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"new"


def test_a_file_is_synced_beside_its_target_before_it_replaces_it(tmp_path, monkeypatch):
    calls = []
    fsync, rename = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (calls.append("fsync"), fsync(descriptor)))
    monkeypatch.setattr(Path, "replace", lambda one, two: (calls.append((one.parent, two)), rename(one, two)))
    replace(tmp_path / "file", lambda file: file.write(b"x"))
    assert calls == ["fsync", (tmp_path, tmp_path / "file")]


class Malice:
    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_no_pickle_is_executed(zipped, tmp_path):
    if zipped:
        torch.save({"attnzoo": Malice(tmp_path / "executed")}, tmp_path / "last.ckpt")
    else:
        (tmp_path / "last.ckpt").write_bytes(pickle.dumps(Malice(tmp_path / "executed"), protocol=2))
    with pytest.raises(AttnzooError) as error:
        resume(tmp_path, "macro_dice")
    assert error.value.message == f"`{tmp_path / 'last.ckpt'}` is damaged, or no resume file of attnzoo"
    assert error.value.hint == "delete it, and the run starts anew"
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"x" * 99,
        lambda content: content.replace(b"train_loss", b"\xffrain_loss"),
    ],
)
def test_a_damaged_resume_file_is_told(damage, tmp_path):
    save(tmp_path, history(0.1), 1.0)
    path = tmp_path / "last.ckpt"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(AttnzooError, match="is damaged"):
        read_last(tmp_path)


def test_without_a_resume_file_a_run_begins_at_the_beginning(tmp_path):
    assert resume(tmp_path, "macro_dice") == History()
    assert list(tmp_path.iterdir()) == []


def test_files_behind_the_resume_file_are_brought_up_to_it(tmp_path):
    history(0.1).write(tmp_path)
    write_best(tmp_path, {"weight": torch.zeros(1, 1), "bias": torch.zeros(1)}, 1)
    save(tmp_path, history(0.1, 0.2), 7.0)  # killed here: neither the second row nor the better weights were written
    assert resume(tmp_path, "macro_dice") == history(0.1, 0.2)
    assert len((tmp_path / "curves.csv").read_text().splitlines()) == 3
    model = nn.Linear(1, 1)
    load_best(tmp_path, model)
    assert model.weight.item() == 7.0


def test_better_weights_of_an_earlier_epoch_stay(tmp_path):
    write_best(tmp_path, {"weight": torch.full((1, 1), 3.0), "bias": torch.zeros(1)}, 1)
    save(tmp_path, history(0.3, 0.2), 7.0)
    resume(tmp_path, "macro_dice")
    with safe_open(tmp_path / "best.safetensors", "pt") as file:
        assert file.metadata() == {"epoch": "1"}
        assert file.get_tensor("weight").item() == 3.0


def test_weights_that_are_gone_or_do_not_fit_are_told(tmp_path):
    with pytest.raises(AttnzooError) as error:
        load_best(tmp_path, nn.Linear(1, 1))
    assert error.value.message == f"`{tmp_path / 'best.safetensors'}` is missing"
    for content in (None, b"no safetensors"):
        write_best(tmp_path, nn.Linear(2, 2).state_dict(), 1)
        if content is not None:
            (tmp_path / "best.safetensors").write_bytes(content)
        with pytest.raises(AttnzooError) as error:
            load_best(tmp_path, nn.Linear(1, 1))
        assert error.value.message == f"`{tmp_path / 'best.safetensors'}` does not fit the run's own recipe"
