"""The digest knows the content, and nothing else."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from attnzoo.data import open_dataset


def test_the_digest_does_not_know_where_or_when(export: Any, tmp_path: Path) -> None:
    root = export(images=["a.png", "b.png"])
    first = open_dataset(root).digest
    os.utime(root / "train/a.png", (0, 0))
    moved = Path(shutil.move(root, tmp_path / "elsewhere"))
    assert open_dataset(moved).digest == first
    assert len(first) == 64


@pytest.mark.parametrize("change", ["pixels", "annotation", "name", "split"])
def test_the_digest_changes_with_the_content(export: Any, change: str) -> None:
    root = export(images=["a.png", "b.png"])
    first = open_dataset(root).digest
    path = root / "train/_annotations.coco.json"
    if change == "pixels":
        Image.fromarray(np.zeros((10, 12), dtype=np.uint8)).save(root / "train/a.png")
    elif change == "annotation":
        path.write_text(path.read_text().replace('"category_id": 1', '"category_id": 7'))
    elif change == "name":
        path.write_text(path.read_text().replace("b.png", "c.png"))
        (root / "train/b.png").rename(root / "train/c.png")
    else:
        (root / "train").rename(root / "test")
    assert open_dataset(root).digest != first
