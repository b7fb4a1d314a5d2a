"""What a report keeps of its cases, so that it can be drawn again where weights and data are gone."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from attnzoo import palette
from attnzoo.results import FILE as RESULT
from attnzoo.results import replace, write_json

FILE = "cases.json"
SCHEMA = 1
PHOTO = "photo.webp"
TRUTH = "truth.png"
_FORMATS: dict[str, dict[str, Any]] = {
    ".png": {"format": "PNG", "optimize": True},
    ".webp": {"format": "WEBP", "method": 4},
}

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Map:
    """What a block did to an image: its picture, relative to the folder of the image, and what the numbers are."""

    site: str
    block: str
    what: str
    low: float
    high: float
    sides: tuple[int, ...]
    file: str


@dataclass
class Kept:
    """The folder `report/cases` and its table: images by name, and per image what every arm's run said of it.

    A prediction belongs to a run by the digest of its `result.json`: that of another run is not taken for it.
    """

    folder: Path
    data: str
    images: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path, data: str) -> "Kept":
        """What an earlier report kept of the same data; nothing where there is none."""
        try:
            table = json.loads((folder / FILE).read_text(encoding="utf-8"))
            if table["schema"] == SCHEMA and table["data"] == data:
                return cls(folder, data, dict(table["images"]))
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return cls(folder, data)

    def write(self) -> None:
        """Write the table."""
        write_json(self.folder / FILE, {"schema": SCHEMA, "data": self.data, "images": self.images})

    def has_image(self, image: str) -> bool:
        """Whether photo and truth of an image are there."""
        return image in self.images and all((self._place(image) / name).is_file() for name in (PHOTO, TRUTH))

    def keep_image(self, image: str, photo: Image.Image, truth: Pixels, **about: Any) -> None:
        """Keep the photo as it is shown, and the truth at its own size."""
        place = self._place(image)
        place.mkdir(parents=True, exist_ok=True)
        save(photo, place / PHOTO)
        save(indexed(truth), place / TRUTH)
        entry = self.images.setdefault(image, {"folder": place.name, "arms": {}})
        entry |= {"size": list(truth.shape), **about}

    def photo(self, image: str) -> Pixels:
        """(h, w, 3)."""
        with Image.open(self._place(image) / PHOTO) as picture:
            return np.asarray(picture.convert("RGB"))

    def truth(self, image: str) -> Pixels:
        """Class indices (H, W)."""
        return _indices(self._place(image) / TRUTH)

    def has_mask(self, image: str, arm: str, run: Path, *, maps: bool) -> bool:
        """Whether this very run's prediction of an image is there, with its maps if they are asked for."""
        entry = self.images.get(image, {}).get("arms", {}).get(arm)
        if entry is None or entry["run"] != digest(run) or (maps and entry["maps"] is None):
            return False
        place = self._place(image)
        return all((place / name).is_file() for name in (entry["mask"], *(one["file"] for one in entry["maps"] or ())))

    def keep_mask(self, image: str, arm: str, run: Path, mask: Pixels, maps: Mapping[Map, Image.Image] | None) -> None:
        """Keep a prediction at the image's own size, and the maps' pictures; None where maps were not asked for."""
        place, name = self._place(image), f"{run.parent.name}.png"
        save(indexed(mask), place / name)
        told = None if maps is None else [asdict(one) | {"file": f"{run.parent.name}.{one.file}"} for one in maps]
        for picture, one in zip((maps or {}).values(), told or (), strict=True):
            save(picture, place / one["file"])
        self.images[image]["arms"][arm] = {"run": digest(run), "mask": name, "maps": told}

    def mask(self, image: str, arm: str) -> Pixels:
        """Class indices (H, W)."""
        return _indices(self._place(image) / self.images[image]["arms"][arm]["mask"])

    def maps(self, image: str, arm: str) -> tuple[tuple[Map, Path], ...]:
        """The maps of an arm on an image, with the files of their pictures."""
        told = self.images[image]["arms"][arm]["maps"] or ()
        return tuple((Map(**{**one, "sides": tuple(one["sides"])}), self._place(image) / one["file"]) for one in told)

    def _place(self, image: str) -> Path:
        return self.folder / hashlib.sha256(image.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def digest(run: Path) -> str:
    """Of a finished run."""
    return hashlib.sha256((run / RESULT).read_bytes()).hexdigest()


def encoded(picture: Image.Image, ending: str, **options: Any) -> bytes:
    """The bytes of a picture: PNG for indices, WebP for what is looked at."""
    file = io.BytesIO()
    picture.save(file, **{**_FORMATS[ending], **options})
    return file.getvalue()


def save(picture: Image.Image, path: Path) -> None:
    """Write a picture in one step."""
    data = encoded(picture, path.suffix)
    replace(path, lambda file: file.write(data))


def indexed(mask: Pixels) -> Image.Image:
    """Class indices as a palette image: numbers for programs, colours for people."""
    image = Image.fromarray(mask)
    image.putpalette(palette.flat())
    return image


def _indices(path: Path) -> Pixels:
    with Image.open(path) as picture:
        return np.asarray(picture)
