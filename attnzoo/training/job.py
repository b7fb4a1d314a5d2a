"""What `run` was asked, in one piece."""

from dataclasses import dataclass
from pathlib import Path

import torch

from attnzoo.data import Dataset
from attnzoo.recipe import Recipe
from attnzoo.registry import Plugin


@dataclass(frozen=True)
class Job:
    """A run's arguments, checked and resolved; `attnzoo.training.run` says what each means."""

    recipe: Recipe
    folder: Path
    data: Dataset
    device: torch.device
    devices: int
    workers: int
    progress: bool
    plugins: tuple[Plugin, ...]
    deterministic: bool

    @property
    def title(self) -> str:
        """How bars and messages call it: `ema, seed 0`."""
        return f"{self.recipe.model.attention}, seed {self.recipe.training.seed}"
