"""Headers, EXIF orientations, and index masks."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from attnzoo.data import Sample, image
from attnzoo.data.content import content
from attnzoo.data.pictures import Header, header, indices, turn
from attnzoo.errors import AttnzooError

GREY = np.random.default_rng(0).integers(0, 256, (10, 12), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (10, 12, 3), dtype=np.uint8)


def look(path: Path) -> Header:
    return header(path, content(path))


def sample(path: Path, orientation: int = 1, size: tuple[int, int] = (10, 12)) -> Sample:
    return Sample("a", path, "a", *size, "", orientation)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_orientations_turn_as_pillow_turns(pixels: np.ndarray, orientation: int) -> None:
    picture = Image.fromarray(pixels)
    picture.getexif()[0x0112] = orientation
    assert (turn(pixels, orientation) == np.array(ImageOps.exif_transpose(picture))).all()


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_the_header_knows_size_and_orientation(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(COLOUR).save(tmp_path / f"a.{suffix}", exif=exif)
    seen = look(tmp_path / f"a.{suffix}")
    assert (seen.height, seen.width, seen.orientation, seen.deep_colour) == (10, 12, 6, False)


def test_impossible_orientations_are_none(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 9
    Image.fromarray(COLOUR).save(tmp_path / "a.jpg", exif=exif)
    assert look(tmp_path / "a.jpg").orientation == 1


@pytest.mark.parametrize("packed", [{}, {"compression": "tiff_deflate"}], ids=["plain", "deflated"])
def test_a_tiff_is_turned_once(tmp_path: Path, packed: dict[str, str]) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.tif", tiffinfo={0x0112: 6}, **packed)
    seen = look(tmp_path / "a.tif")
    turned = image(sample(tmp_path / "a.tif", seen.orientation, (seen.height, seen.width)))
    assert (turned == turn(GREY, 6)).all()


def test_sixteen_bits_a_colour_are_noticed(tmp_path: Path) -> None:
    rows = b"".join(b"\0" + b"\x12\x34" * 36 for _ in range(10))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 12, 10, 16, 2, 0, 0, 0)
    path = tmp_path / "a.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    assert look(path).deep_colour
    assert (image(sample(path)) == 0x12).all()


def test_index_masks_keep_their_numbers(tmp_path: Path) -> None:
    flat = Image.fromarray(GREY % 4)
    flat.save(tmp_path / "a.png")
    flat.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 9, 8, 7])
    flat.save(tmp_path / "b.png")
    Image.fromarray(GREY % 2 > 0).save(tmp_path / "c.png")
    assert (indices(tmp_path / "a.png") == GREY % 4).all()
    assert (indices(tmp_path / "b.png") == GREY % 4).all()
    assert (indices(tmp_path / "c.png") == GREY % 2).all()


def test_colour_masks_are_refused(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    with pytest.raises(AttnzooError) as caught:
        indices(tmp_path / "a.png")
    assert caught.value.message == f"`{tmp_path / 'a.png'}` has mode RGB, so it holds no class indices"
    assert caught.value.hint == "save masks with one 8-bit channel: 0 background, 1, 2, … classes, 255 ignored"
