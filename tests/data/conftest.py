"""A small COCO export to be spoilt in one way at a time, and a cache folder of the test's own."""

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SQUARE = [2, 2, 6, 2, 6, 6, 2, 6]  # 16 pixels
CATEGORIES = [
    {"id": 0, "name": "things", "supercategory": "none"},
    {"id": 1, "name": "disc", "supercategory": "things"},
    {"id": 7, "name": "bar", "supercategory": "things"},
]

Export = Callable[..., Path]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, used by everything in the test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("ATTNZOO_CACHE", str(folder))
    return folder


def noise(key: str, height: int = 10, width: int = 12) -> np.ndarray:
    """A grey picture of its own for every key."""
    return np.random.default_rng(zlib.crc32(key.encode())).integers(0, 256, (height, width), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.fixture
def export(tmp_path: Path) -> Export:
    """Writes one split of a Roboflow export into `tmp_path / "set"` and returns that folder."""

    def write(
        annotations: Sequence[Mapping[str, Any]] = ({},),
        images: Sequence[str | Mapping[str, Any]] = ("a.png",),
        *,
        split: str = "train",
        categories: Sequence[Mapping[str, Any]] = CATEGORIES,
        file: Path | None = None,
        folder: Path | None = None,
    ) -> Path:
        root = tmp_path / "set"
        folder = folder or root / split
        listed = []
        for number, image in enumerate(images):
            entry = {
                "id": number,
                "height": 10,
                "width": 12,
                **({"file_name": image} if isinstance(image, str) else image),
            }
            listed.append({key: value for key, value in entry.items() if value is not None})
            path = folder / entry["file_name"]
            if ".." not in path.parts and "\0" not in str(path) and not path.exists() and path.is_relative_to(root):
                save(path, noise(f"{split}/{entry['file_name']}"))
        plain = {
            "image_id": 0,
            "category_id": 1,
            "segmentation": [SQUARE],
            "iscrowd": 0,
            "area": 1,
            "bbox": [0, 0, 1, 1],
        }
        table = {
            "images": listed,
            "categories": list(categories),
            "annotations": [{"id": number, **plain, **given} for number, given in enumerate(annotations)],
        }
        file = file or folder / "_annotations.coco.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(table))
        return root

    return write
