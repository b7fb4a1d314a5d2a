"""Devices by name, on machines that have them and on those that do not."""

import pytest
import torch

from attnzoo.errors import AttnzooError
from attnzoo.recipe import Recipe, Training
from attnzoo.training import resolve_device
from attnzoo.training.devices import check_devices, describe


@pytest.fixture
def gpus(monkeypatch):
    def have(cuda: int, mps: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return have


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(0, False, "cpu"), (2, False, "cuda"), (0, True, "mps"), (1, True, "cuda")]
)
def test_auto_takes_a_gpu_if_there_is_one(cuda, mps, expected, gpus):
    gpus(cuda, mps)
    assert resolve_device("auto") == torch.device(expected)


def test_names_are_torchs(gpus):
    gpus(2)
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
    assert describe(resolve_device("cpu")) == "cpu"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpu", "`gpu` is no device"),
        ("meta", "`meta` is no device"),
        ("cuda:2", "this machine has no device `cuda:2`"),
        ("mps", "this machine has no device `mps`"),
    ],
)
def test_devices_that_are_not_there(name, message, gpus):
    gpus(2)
    with pytest.raises(AttnzooError) as error:
        resolve_device(name)
    assert (error.value.message, error.value.hint) == (message, "here it can be `auto`, `cpu` or `cuda`")


@pytest.mark.parametrize(
    ("device", "devices", "precision", "message"),
    [
        ("cpu", 1, "16-mixed", "`training.precision = 16-mixed` needs a GPU, and this run is on the CPU"),
        ("cpu", 0, "32-true", "`devices` must be at least 1, not `0`"),
        ("mps", 2, "32-true", "there is one `mps` device, not `2`"),
        ("cuda", 3, "32-true", "`cuda` cannot be `3` devices; this machine has 2"),
        ("cuda:1", 2, "32-true", "`cuda:1` cannot be `2` devices; this machine has 2"),
    ],
)
def test_impossible_combinations(device, devices, precision, message, gpus):
    gpus(2, mps=True)
    with pytest.raises(AttnzooError) as error:
        check_devices(Recipe(training=Training(precision=precision)), torch.device(device), devices)
    assert error.value.message == message
    assert error.value.hint is not None
