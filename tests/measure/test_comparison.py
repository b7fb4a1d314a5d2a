"""Whole rows: structure, relations, and that the measured modules stay as they were."""

import copy
import json

import pytest
import torch
from torch import Tensor, nn

from attnzoo import measure
from attnzoo.errors import AttnzooError
from attnzoo.measure import machine
from attnzoo.measure.steps import training_step

SMALL = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
LARGE = nn.Sequential(*SMALL, nn.Conv2d(4, 4, 3, padding=1))
QUICK = {"device": "cpu", "iterations": 2, "seconds": 0.05}


def subjects() -> dict[str, measure.Subject]:
    return {name: measure.Subject(module, ((3, 8, 8),)) for name, module in (("small", SMALL), ("large", LARGE))}


def test_a_row_says_everything_in_json() -> None:
    rows = measure.compare(subjects(), **QUICK)
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert [row["name"] for row in rows] == ["small", "large"]
    for row in rows:
        assert row["flops"] == 2 * row["macs"]
        assert row["latency_ms"]["p10"] <= row["latency_ms"]["median"] <= row["latency_ms"]["p90"]
        assert row["fps"] == pytest.approx(1000 / row["latency_ms"]["median"])
        assert row["throughput"]["batch"] == row["training"]["batch"] == 2
        assert row["training"]["peak_memory_bytes"] > row["peak_memory_bytes"]
        assert row["uncounted"] == {"relu": 1}
        assert row["device"] == "cpu"
        assert row["method"]["inputs"] == [[1, 3, 8, 8]]
        assert row["method"]["iterations"] == 2
        assert row["machine"]["threads"] == torch.get_num_threads()
        assert torch.__version__.startswith(row["machine"]["versions"]["torch"])
    small, large = rows
    assert large["relative"]["to"] == "small"
    assert large["relative"]["params"] == large["params"] / small["params"] == (120 + 148) / 120
    assert large["relative"]["macs"] == large["macs"] / small["macs"]
    assert small["relative"]["latency"] == {"p10": 1, "median": 1, "p90": 1}


def test_peak_memory_by_hand() -> None:
    (row,) = measure.compare({"relu": measure.Subject(nn.ReLU(), ((16, 4, 4),))}, training=False, **QUICK)
    assert row["peak_memory_bytes"] == 2 * 1024  # what goes in and what comes out
    assert row["training"] is None
    assert row["relative"]["params"] is None  # nothing over nothing


def test_nothing_of_the_modules_changes() -> None:
    module = copy.deepcopy(LARGE).train()
    before = copy.deepcopy(module.state_dict())
    measure.compare({"large": measure.Subject(module, ((3, 8, 8),))}, **QUICK)
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())


def test_arms_are_keyed_by_name_and_told_as_they_come() -> None:
    lines: list[str] = []
    table = measure.arms({"none": SMALL, "ema": LARGE}, (3, 8, 8), say=lines.append, **QUICK)
    assert table["reference"] == "none"
    assert list(table["arms"]) == ["none", "ema"]
    assert lines == [
        "counting none",
        "counting ema",
        "timing single images",
        "timing batches of 2",
        "timing training steps at batch 2",
    ]


def test_several_inputs_and_no_parameters() -> None:
    class Times(nn.Module):
        def forward(self, x: Tensor, gate: Tensor) -> Tensor:
            return x * gate

    (row,) = measure.compare({"times": measure.Subject(Times(), ((2, 4, 4), (1, 4, 4)))}, **QUICK)
    assert row["params"] == row["macs"] == 0
    assert row["training"]["step_ms"]["median"] > 0


def test_a_training_step_trains_a_copy() -> None:
    module = copy.deepcopy(SMALL)
    step = training_step(module, [torch.ones(2, 3, 4, 4)])
    before = copy.deepcopy(module.state_dict())
    step()
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def refusal(**options: object) -> str:
    with pytest.raises(AttnzooError) as caught:
        measure.compare(subjects(), **{**QUICK, **options})
    return str(caught.value)


def test_a_device_that_cannot_be_is_refused() -> None:
    assert refusal(device="cude") == (
        "`cude` cannot be timed; devices are `auto`, `cpu`, `cuda` or `cuda:1`\nhint: did you mean `cuda`?"
    )
    assert refusal(device="cpu:1").startswith("`cpu:1` cannot be timed")
    assert refusal(device="cuda:77") == (
        f"`cuda:77` is not there: torch sees {torch.cuda.device_count()} CUDA devices\nhint: take `--device cpu`"
    )


def test_auto_is_a_device_that_is_there() -> None:
    assert machine.resolve("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_batch_norm_without_variance_is_told() -> None:
    one = {"norm": measure.Subject(nn.BatchNorm2d(3), ((3, 1, 1),))}
    with pytest.raises(AttnzooError) as caught:
        measure.compare(one, batch=1, **QUICK)
    assert str(caught.value) == (
        "`norm` cannot run at batch 1: Expected more than 1 value per channel when training, "
        "got input size torch.Size([1, 3, 1, 1])\nhint: take a larger --batch or --image-size, or --no-training"
    )


def test_a_module_that_cannot_run_is_told() -> None:
    class Raises(nn.Module):
        def __init__(self, error: Exception) -> None:
            super().__init__()
            self.error = error

        def forward(self, x: Tensor) -> Tensor:
            raise self.error

    with pytest.raises(AttnzooError) as caught:
        measure.compare({"big": measure.Subject(Raises(torch.OutOfMemoryError("x")), ((3, 8, 8),))}, **QUICK)
    assert str(caught.value) == (
        "`big` at batch 1 does not fit into the GPU's memory\nhint: take a smaller --batch or --image-size"
    )
    with pytest.raises(AttnzooError) as caught:
        measure.compare({"x": measure.Subject(Raises(ValueError("another matter")), ((3, 8, 8),))}, **QUICK)
    assert str(caught.value) == (
        "`x` cannot run at batch 1: another matter\nhint: call it on a tensor of this shape to see the whole of it"
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_is_described() -> None:
    (row,) = measure.compare({"small": subjects()["small"]}, **{**QUICK, "device": "cuda"})
    assert row["device"].startswith("cuda")
    assert row["machine"]["gpu"] == torch.cuda.get_device_name()
    assert {"driver", "cuda", "cudnn", "tf32_matmul", "tf32_convolution"} <= row["machine"].keys()
