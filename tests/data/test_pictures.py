"""Image files of every kind become what `image` promises, or an error."""

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from attnzoo.data import Sample, image
from attnzoo.data.content import content
from attnzoo.data.pictures import MAX_PIXELS, Header, header, indices
from attnzoo.errors import AttnzooError

GREY = np.random.default_rng(0).integers(0, 256, (10, 12), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (10, 12, 3), dtype=np.uint8)


def look(path: Path) -> Header:
    return header(path, content(path))


def sample(path: Path, orientation: int = 1, size: tuple[int, int] = (10, 12)) -> Sample:
    return Sample("a", path, "a", *size, "", orientation)


def saved(path: Path, picture: Image.Image, **options: object) -> Sample:
    picture.save(path, **options)
    return sample(path)


def refused(path: Path, message: str, hint: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        image(sample(path))
    assert caught.value.message == message.replace("FILE", f"`{path}`")
    assert caught.value.hint == hint


def test_grey_and_colour_keep_their_values(tmp_path: Path) -> None:
    assert (image(saved(tmp_path / "a.png", Image.fromarray(GREY))) == GREY).all()
    assert (image(saved(tmp_path / "b.png", Image.fromarray(COLOUR))) == COLOUR).all()


def test_one_bit_becomes_black_and_white(tmp_path: Path) -> None:
    seen = image(saved(tmp_path / "a.png", Image.fromarray(GREY > 127)))
    assert seen.dtype == np.uint8
    assert (seen == np.where(GREY > 127, 255, 0)).all()


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_stay_sixteen_bits(tmp_path: Path, suffix: str) -> None:
    deep = np.random.default_rng(2).integers(0, 65536, (10, 12)).astype(np.uint16)
    seen = image(saved(tmp_path / f"a.{suffix}", Image.fromarray(deep)))
    assert seen.dtype == np.uint16
    assert (seen == deep).all()


def test_a_palette_becomes_its_colours(tmp_path: Path) -> None:
    flat = Image.fromarray(GREY % 4)
    flat.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 9, 8, 7])
    seen = image(saved(tmp_path / "a.png", flat))
    assert (seen == np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [9, 8, 7]])[GREY % 4]).all()


def test_transparency_is_laid_over_black(tmp_path: Path) -> None:
    alpha = np.full((10, 12, 1), 255, dtype=np.uint8)
    alpha[0] = 0
    alpha[1] = 128
    seen = image(saved(tmp_path / "a.png", Image.fromarray(np.concatenate([COLOUR, alpha], axis=2))))
    assert (seen[0] == 0).all()
    assert np.abs(seen[1] - COLOUR[1] * (128 / 255)).max() <= 0.5
    assert (seen[2:] == COLOUR[2:]).all()
    grey = image(saved(tmp_path / "b.png", Image.fromarray(np.concatenate([GREY[..., None], alpha], axis=2), "LA")))
    assert grey.shape == (10, 12)
    assert (grey[2:] == GREY[2:]).all()
    assert (grey[0] == 0).all()


def test_a_transparent_palette_entry_or_grey_is_laid_over_black(tmp_path: Path) -> None:
    flat = Image.fromarray(GREY % 2)
    flat.putpalette([255, 255, 255, 9, 8, 7])
    seen = image(saved(tmp_path / "a.png", flat, transparency=0))
    assert (seen == np.array([[0, 0, 0], [9, 8, 7]])[GREY % 2]).all()
    seen = image(saved(tmp_path / "b.png", Image.fromarray(GREY), transparency=int(GREY[0, 0])))
    assert (seen == np.where(GREY[0, 0] == GREY, 0, GREY)).all()


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    ink = Image.new("CMYK", (12, 10), (0, 255, 255, 0))  # magenta and yellow make red
    assert (image(saved(tmp_path / "a.tif", ink)) == (255, 0, 0)).all()


def test_ranges_without_a_scale_are_refused(tmp_path: Path) -> None:
    Image.fromarray(GREY.astype(np.float32)).save(tmp_path / "a.tif")
    refused(
        tmp_path / "a.tif",
        "FILE has mode F, which is neither grey nor colour of 8 or 16 bits",
        "save it with 8 or 16 bits a pixel",
    )
    Image.fromarray(np.full((10, 12), 70_000, dtype=np.int32)).save(tmp_path / "b.tif")
    hint = "shift them into 0…65535 and save 16 bits a pixel"
    refused(tmp_path / "b.tif", "FILE has values from 70000 to 70000, more than 16 bits hold", hint)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("lenient", [False, True])
def test_a_truncated_file_is_an_error(
    tmp_path: Path, suffix: str, lenient: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-2000])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)  # as other packages set it for everyone
    with pytest.raises(AttnzooError, match="cannot be decoded: ") as caught:
        image(sample(path, size=(200, 200)))
    assert caught.value.hint == "the file is truncated or damaged: fetch it again, or remove it"
    assert ImageFile.LOAD_TRUNCATED_IMAGES is lenient


def bomb(path: Path, width: int, height: int) -> Path:
    """A PNG of a few bytes that claims to be huge."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize("side", [8193, 10_000, 20_000])
def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path, side: int) -> None:
    path = bomb(tmp_path / "a.png", side, side)
    message = f"`{path}` has {side * side:,} pixels; at most {MAX_PIXELS:,} are decoded"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for attempt in (lambda: image(sample(path)), lambda: look(path), lambda: indices(path)):
            with pytest.raises(AttnzooError) as caught:
                attempt()
            assert caught.value.message == message
            assert caught.value.hint == "cut it into tiles"


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("hello")
    refused(tmp_path / "a.png", "FILE is no image that Pillow can read", "mend or remove it")


def test_an_image_that_changed_is_refused(tmp_path: Path) -> None:
    Image.fromarray(GREY[:5]).save(tmp_path / "a.png")
    hint = "do not edit a data set while it is in use; run the command again"
    refused(tmp_path / "a.png", "FILE changed: it was 12×10 pixels when the data set was opened", hint)


def test_a_stack_of_frames_is_refused(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.tif", save_all=True, append_images=[Image.fromarray(GREY)] * 2)
    refused(tmp_path / "a.tif", "FILE holds 3 frames, not one image", "save each frame as a file of its own")


def test_an_lfs_pointer_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
    for attempt in (lambda: look(path), lambda: image(sample(path)), lambda: indices(path)):
        with pytest.raises(AttnzooError) as caught:
            attempt()
        assert caught.value.message == f"`{path}` is a Git LFS pointer, not the file itself"
        assert caught.value.hint == "fetch the files: git lfs pull"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    refused(tmp_path, "FILE cannot be read: Is a directory", "see to the file and its permissions")


def test_formats_that_nobody_trains_on_are_not_decoded(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "a.png", format="PCX")
    refused(tmp_path / "a.png", "FILE is no image that Pillow can read", "mend or remove it")
