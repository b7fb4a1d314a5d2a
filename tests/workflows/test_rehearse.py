"""Impossible models are told before training, by arm, site and block."""

from pathlib import Path

import pytest
import torch

from attnzoo import registry, spec
from attnzoo.data import Dataset, open_dataset
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Recipe
from attnzoo.workflows.execute import Failure, Setting, _Telling, batch_sizes, duration
from attnzoo.workflows.plan import plan
from attnzoo.workflows.rehearse import rehearse

CPU = torch.device("cpu")

PLUGIN = '''
from torch import Tensor, nn
from attnzoo.errors import AttnzooError
from attnzoo.registry import register


@register("fragile", paper="none", year=2026, reference="none")
class Fragile(nn.Module):
    """Fails in its forward."""
    kind = "mix"

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("the map is too fragile.\\nsecond line")


@register("evasive", paper="none", year=2026, reference="none")
class Evasive(nn.Module):
    """Fails outside training."""
    kind = "mix"

    def __init__(self, channels: int, *, groups: int = 1) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels, channels, 1, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(x) if self.training else x.nothing


@register("fixed_size", paper="none", year=2026, reference="none")
class FixedSize(nn.Module):
    """Bound to a map size."""
    kind = "mix"

    def __init__(self, channels: int) -> None:
        super().__init__()

    def check_size(self, size: tuple[int, ...]) -> None:
        raise AttnzooError(f"`fixed_size` was asked about {size}", "no")

    def forward(self, x: Tensor) -> Tensor:
        return x


@register("untrue", paper="none", year=2026, reference="none")
class Untrue(nn.Module):
    """Gives something else than the like of the skip."""
    kind = "mix"

    def __init__(self, channels: int, *, how: str = "nothing") -> None:
        super().__init__()
        self.how = how
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.mix(x)
        return {"nothing": None, "half": y[:, :, ::2, ::2], "double": y.double(), "two": (y, y), "right": y}[self.how]
'''


@pytest.fixture(scope="module", autouse=True)
def _plugin(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("plugin") / "rehearsed.py"
    path.write_text(PLUGIN, encoding="utf-8")
    registry.load_plugin(path)


@pytest.fixture(scope="module")
def data(drawn: Path, tiny: Recipe) -> Dataset:
    return open_dataset(drawn, tiny.data)


def refusal(recipe: Recipe, images: tuple[int, ...] = (2,)) -> AttnzooError:
    with pytest.raises(AttnzooError) as caught:
        rehearse(recipe, 6, images, CPU)
    return caught.value


def test_a_possible_model_is_counted(tiny: Recipe) -> None:
    assert rehearse(tiny, 6, (2, 1), CPU) == 1734


def test_the_last_arm_is_built_too(tiny: Recipe) -> None:
    error = refusal(tiny.override({"model.attention": "ema"}))
    assert error.message == "`ema` cannot split 4 channels into groups=32 (skip level 1 of UNet)"


def test_an_augmentation_that_nobody_knows_is_told_before_anything_is_built(tiny: Recipe) -> None:
    error = refusal(tiny.override({"data.augmentation": ["hflp"], "model.attention": "fragile"}))
    assert error.message == "`data.augmentation` knows no `hflp`"
    assert error.hint == "did you mean `hflip`?"


def test_a_failing_forward_names_site_and_block(tiny: Recipe) -> None:
    error = refusal(tiny.override({"model.attention": "se:reduction=2+fragile"}))
    assert error.message == (
        "`se:reduction=2+fragile` cannot take a training step on 2 × 32×32 pixels"
        " (`fragile` at skip level 1): the map is too fragile"
    )
    assert error.hint == "leave the arm out, or mend its block"


def test_a_block_that_fails_in_evaluation_only_is_told(tiny: Recipe) -> None:
    error = refusal(tiny.override({"model.attention": "evasive"}))
    assert error.message == (
        "`evasive` cannot be evaluated on 1 × 32×32 pixels (`evasive` at skip level 1):"
        " 'Tensor' object has no attribute 'nothing'"
    )


def test_a_constructor_that_fails_in_its_own_way_is_told(tiny: Recipe) -> None:
    error = refusal(tiny.override({"model.attention": "evasive:groups=3"}))
    assert error.message == (
        "`evasive:groups=3` cannot be built: in_channels must be divisible by groups (skip level 1 of UNet)"
    )
    assert error.hint == "take other options or another width, or mend the block"


def test_a_block_bound_to_a_map_size_is_asked(tiny: Recipe) -> None:
    odd = tiny.override({"data.image_size": (33, 48), "model.attention": "fixed_size@bottleneck"})
    assert refusal(odd).message == "`fixed_size` was asked about (17, 24)"


@pytest.mark.parametrize(
    ("how", "gives"),
    [
        ("nothing", "`None`"),
        ("half", "`2×4×16×16 of float32`"),
        ("double", "`2×4×32×32 of float64`"),
        ("two", "a `tuple`"),
    ],
)
def test_a_block_that_gives_no_like_of_its_input_is_named(how: str, gives: str, tiny: Recipe) -> None:
    error = refusal(tiny.override({"model.attention": f"untrue:how={how}"}))
    assert error.message == f"`untrue:how={how}` at skip level 1 gives {gives}, where `2×4×32×32 of float32` came in"
    assert error.hint == "mend its block: what leaves has the shape and the type of what came in; or leave the arm out"


def test_a_block_may_answer_in_half_precision_under_autocast(tiny: Recipe) -> None:
    mixed = {"model.attention": "untrue:how=right", "training.precision": "bf16-mixed"}
    rehearse(tiny.override(mixed), 6, (2,), CPU)


def test_a_batch_too_small_for_batch_norm_is_told(tiny: Recipe) -> None:
    deep = {"model.host": "smp.Unet", "model.encoder": "resnet18"}
    error = refusal(tiny.override(deep), images=(1,))
    assert error.hint == "leave the arm out, or change image_size or batch_size"
    assert error.message.startswith(
        "`none` cannot take a training step on 1 × 32×32 pixels: Expected more than 1 value"
    )


def test_weights_for_another_number_of_classes_are_told(tiny: Recipe) -> None:
    error = refusal(tiny.override({"training.class_weights": (1.0, 2.0)}))
    assert error.message == "2 class_weights do not fit 6 classes"


@pytest.mark.parametrize(
    ("batch_size", "device", "sizes"),
    [
        (8, "cpu", (2,)),
        (19, "cpu", (1,)),
        (20, "cpu", (2,)),
        (19, "cuda", (1, 19)),
        (64, "cuda", (2, 20)),
        (1, "cpu", (1,)),
    ],
)
def test_the_last_batch_and_on_a_gpu_a_full_one(
    batch_size: int, device: str, sizes: tuple[int, ...], tiny: Recipe, data: Dataset
) -> None:
    """Twenty images: a batch of 19 leaves one over."""
    (run,) = plan(tiny.override({"training.batch_size": batch_size}), [spec.Attention()], (0,))
    assert batch_sizes(run, data, torch.device(device)) == sizes


def test_processes_share_a_batch(tiny: Recipe, data: Dataset) -> None:
    (run,) = plan(tiny.override({"training.batch_size": 6}), [spec.Attention()], (0,))
    assert batch_sizes(run, data, CPU, devices=2) == (1,)  # ten images each, three at a time


@pytest.mark.parametrize(("seconds", "words"), [(40.4, "40 s"), (720, "12 min"), (12600, "3.5 h")])
def test_durations_are_said_as_people_do(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_what_runs_now_is_half_behind(tiny: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six runs of ten seconds, two at a time: at twelve seconds the fourth begins, and two rounds are ahead."""
    now, said = [0.0], list[str]()
    monkeypatch.setattr("attnzoo.workflows.execute.time.monotonic", lambda: now[0])
    runs = plan(tiny, [spec.Attention()], range(6))
    told = _Telling(runs, runs, Setting("cpu", say=said.append, jobs=2))
    ends = Failure("")
    told.begin(runs[0])
    now[0] = 2
    told.begin(runs[1])
    now[0] = 10
    told.end(runs[0], ends)
    told.begin(runs[2])  # 2 s of one, and 40 s of four
    now[0] = 12
    told.end(runs[1], ends)
    told.begin(runs[3])  # 8 s of one, and 30 s of three
    begun = [line for line in said if "failed" not in line]
    assert [line.partition(" (")[2] for line in begun] == ["", "", "about 21 s left)", "about 19 s left)"]
