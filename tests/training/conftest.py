"""A drawn data set of fifteen small images, and a recipe that takes a second."""

from pathlib import Path

import pytest

from attnzoo.data import Dataset, open_dataset
from attnzoo.data.phantom import draw
from attnzoo.recipe import Data, Model, Recipe, Training

# dropout draws from the model's stream, which is what a resumed run would get wrong; sleeping gives time to kill
PLUGIN = '''
import os, time
import torch
from torch import Tensor, nn
from attnzoo.registry import register

@register("noisy", paper="none", year=2026, reference="none")
class Noisy(nn.Module):
    """Dropout on the skip."""
    kind = "mix"

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            time.sleep(float(os.environ.get("NOISY_SLEEPS", 0)))
        return nn.functional.dropout(x * self.scale, 0.2, self.training)
'''

RECIPE = Recipe(
    data=Data(image_size=(32, 32), window=(0, 120), augmentation=("hflip", "affine", "noise")),
    model=Model(attention="noisy", widths=(4, 8), in_channels=1),
    training=Training(epochs=4, batch_size=2, learning_rate=3e-3),
)


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a block `noisy`, that has dropout."""
    path = tmp_path_factory.mktemp("plugin") / "noisy.py"
    path.write_text(PLUGIN, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def drawing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the data: five images a split, 64×64."""
    return draw(tmp_path_factory.mktemp("data") / "phantom", patients=3, slices=5, size=64)


@pytest.fixture(scope="session")
def data(drawing: Path) -> Dataset:
    return open_dataset(drawing, RECIPE.data)


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """Four epochs of three steps with augmentation and `noisy`; needs the plugin."""
    return RECIPE


@pytest.fixture(scope="session")
def plain() -> Recipe:
    """One epoch without attention."""
    return RECIPE.override({"model.attention": "none", "training.epochs": 1})


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe, data: Dataset, plugin: Path) -> Path:
    """The folder of an undisturbed run of `recipe`, on one thread. To be read only."""
    from attnzoo.training import run

    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    run(recipe, folder, data=data, device="cpu", progress=False, plugins=[plugin], threads=1)
    return folder
