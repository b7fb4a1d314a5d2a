"""A/A through the whole pipeline: one block under two names, trained, scored and compared as any two arms."""

from pathlib import Path

import pytest

from attnzoo import registry, spec
from attnzoo.data import open_dataset
from attnzoo.data.phantom import draw
from attnzoo.recipe import Data, Model, Recipe, Training
from attnzoo.workflows.ablate import ablate
from attnzoo.workflows.execute import Setting

TWIN = '''
import torch
from attnzoo.blocks.ema import EMA
from attnzoo.registry import register

@register("twin", paper="none", year=2026, reference="none")
class Twin(EMA):
    """EMA by another name: only the numbers that its weights start from are others."""

    def __init__(self, channels: int, *, groups: int = 2) -> None:
        torch.rand(1)
        super().__init__(channels, groups=groups)
'''


@pytest.mark.slow
def test_one_block_under_two_names_shows_no_difference(fresh: None, tmp_path: Path) -> None:
    """Ten patients and three seeds, so that a difference could have been shown; about a minute."""
    (tmp_path / "twin.py").write_text(TWIN, encoding="utf-8")
    plugin = registry.load_plugin(tmp_path / "twin.py")
    recipe = Recipe(
        name="aa",
        data=Data(image_size=(32, 32), window=(0, 80), group_pattern=r"^(p\d+)"),
        model=Model(in_channels=1, widths=(4, 8)),
        training=Training(epochs=3, batch_size=8, learning_rate=1e-2, class_weights=(1, 25, 25, 25, 25, 25)),
    )
    data = open_dataset(draw(tmp_path / "data", patients=54, slices=5, size=64), recipe.data)
    arms = spec.parse_arms("ema:groups=2,twin")
    done = ablate(recipe, arms, (0, 1, 2), data, tmp_path / "out", Setting("cpu", plugins=(plugin,)), timed=False)
    assert done.compared is not None
    comparison = done.compared.comparison
    assert (comparison.reference, comparison.groups, comparison.seeds) == ("ema:groups=2", 10, 3)
    difference = comparison.arms[1].difference
    assert difference is not None
    assert difference.verdict == "no difference shown"
    assert difference.interval.low < 0 < difference.interval.high
    assert any(difference.per_seed)  # two trainings, and not the same one twice
    assert difference.smallest < 0.5  # and a difference could have been shown
