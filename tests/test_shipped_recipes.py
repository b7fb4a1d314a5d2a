"""Every recipe that travels can be trained: built, and rehearsed with the data's and with the paper's outputs."""

import pytest
import torch

from attnzoo import recipe
from attnzoo.workflows.rehearse import rehearse

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", recipe.shipped())
def test_every_shipped_recipe_is_rehearsed(name: str) -> None:
    shipped = recipe.load(name).override({"data.image_size": 64})
    assert rehearse(shipped, 6, (1, 2), CPU) > 0


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
