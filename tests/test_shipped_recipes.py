"""Every recipe that travels can be trained: built, and rehearsed with the data's and with the paper's outputs."""

from pathlib import Path

import pytest
import torch

from attnzoo import recipe
from attnzoo.workflows.rehearse import rehearse

CPU = torch.device("cpu")
ANSWERS = sorted((Path(__file__).parents[1] / "benchmarks" / "answer").rglob("*.toml"))


@pytest.mark.parametrize("name", recipe.shipped())
def test_every_shipped_recipe_is_rehearsed(name: str) -> None:
    shipped = recipe.load(name).override({"data.image_size": 64})
    assert rehearse(shipped, 6, (1, 2), CPU) > 0


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: "-".join(path.parts[-2:]))
def test_every_recipe_of_our_own_answer_is_rehearsed(path: Path) -> None:
    asked = recipe.load(path).override({"data.image_size": 32, "training.precision": "32-true"})
    assert rehearse(asked, 6, (2,), CPU) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", recipe.shipped())
def test_every_shipped_recipe_is_rehearsed_at_its_own_size(name: str) -> None:
    shipped = recipe.load(name)
    assert rehearse(shipped, 6, (shipped.training.batch_size,), CPU) > 0


def test_rehearsing_counts_what_the_paper_claims() -> None:
    for shipped in recipe.load_folder("ema-attention-unet"):
        assert shipped.claims is not None
        small = shipped.override({"data.image_size": 32})
        assert rehearse(small, shipped.claims.classes, (2,), CPU) == shipped.claims.parameters
