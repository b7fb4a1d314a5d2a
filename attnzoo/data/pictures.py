"""Image files: what their header says, and their pixels, with every conversion said here."""

import io
import re
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from attnzoo.data.content import Content, read_bytes
from attnzoo.data.records import Sample
from attnzoo.errors import AttnzooError

MAX_PIXELS = 2**26  # 8192 × 8192: above it a file of 10 kB can ask for gigabytes
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "PPM", "GIF")  # no decoder that nobody asked for
_ORIENTATION = 0x0112
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    OverflowError,
)  # what Pillow raises at damaged files


@dataclass(frozen=True)
class Header:
    """What a file says before its pixels are decoded: size as stored, EXIF orientation (1…8), content digest."""

    height: int
    width: int
    orientation: int
    digest: str
    deep_colour: bool


def header(path: Path, read: Content) -> Header:
    """The header of an image file, nothing decoded. AttnzooError for non-images and too many pixels."""
    with _opened(path) as picture:
        # Pillow decodes a PNG to look for EXIF behind the pixels, and turns a TIFF by itself
        quiet = picture.format == "TIFF" or (picture.format == "PNG" and not read.exif)
        try:
            orientation = 1 if quiet else picture.getexif().get(_ORIENTATION, 1)
        except _BROKEN as error:
            raise _damaged(path, error) from error
        deep = picture.mode in ("RGB", "RGBA", "LA") and any(
            "16" in str(tile.args) for tile in getattr(picture, "tile", ())
        )
        valid = orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
        return Header(picture.height, picture.width, valid, read.digest, deep)


def image(sample: Sample) -> np.ndarray:
    """The decoded pixels: uint8 or uint16, (H, W) for grey or (H, W, 3) for colour, turned as the sample says.

    Grey stays grey (1 bit becomes 0 and 255), 16-bit grey stays uint16; palettes, CMYK and YCbCr become RGB; what is
    transparent is laid over black. Raises AttnzooError for a file that is damaged, too large, or has no such form.
    """
    pixels = _pixels(sample.image)
    turned = turn(pixels, sample.orientation)
    if turned.shape[:2] != (sample.height, sample.width):
        raise AttnzooError(
            f"`{sample.image}` changed: it was {sample.width}×{sample.height} pixels when the data set was opened",
            "do not edit a data set while it is in use; run the command again",
        )
    return turned


def turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation (1…8) to (H, W) or (H, W, 3) pixels."""
    if orientation in (5, 6, 7, 8):  # the sides change places
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def indices(path: Path) -> np.ndarray:
    """An index mask's values, (H, W) uint8: greys, or palette numbers, as they are. AttnzooError for colour masks."""
    with _opened(path) as picture:
        if picture.mode not in ("1", "L", "P"):
            raise AttnzooError(
                f"`{path}` has mode {picture.mode}, so it holds no class indices",
                "save masks with one 8-bit channel: 0 background, 1, 2, … classes, 255 ignored",
            )
        return np.array(_load(picture, path), dtype=np.uint8)


def _pixels(path: Path) -> np.ndarray:
    with _opened(path) as picture:
        _load(picture, path)
        if picture.mode == "1":
            return np.array(picture, dtype=np.uint8) * 255
        clear = "transparency" in picture.info
        if picture.mode == "L" and not clear:
            return np.array(picture)
        if picture.mode.startswith("I"):
            return _sixteen(np.array(picture), path)
        if picture.mode in ("L", "LA"):
            return _flatten(np.array(picture.convert("RGBA")))[..., 0]
        if picture.mode in ("PA", "RGBA", "RGBa") or clear:
            return _flatten(np.array(picture.convert("RGBA")))
        if picture.mode in ("P", "RGB", "CMYK", "YCbCr", "HSV", "RGBX"):
            return np.array(picture.convert("RGB"))
        raise AttnzooError(
            f"`{path}` has mode {picture.mode}, which is neither grey nor colour of 8 or 16 bits",
            "save it with 8 or 16 bits a pixel",
        )


def _opened(path: Path) -> Image.Image:
    """A file with its header read, and its size within bounds."""
    # from memory: by name, Pillow maps an uncompressed TIFF, and scrambles one that is to be turned (seen in 13.0)
    data = io.BytesIO(read_bytes(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(data, formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        pixels = re.search(r"\d+", str(error))
        raise _too_large(path, int(pixels[0]) if pixels else 0) from error
    except UnidentifiedImageError as error:
        raise AttnzooError(f"`{path}` is no image that Pillow can read", "mend or remove it") from error
    except _BROKEN as error:
        raise _damaged(path, error) from error
    if picture.width * picture.height > MAX_PIXELS:
        picture.close()
        raise _too_large(path, picture.width * picture.height)
    if picture.format in ("TIFF", "GIF") and (frames := getattr(picture, "n_frames", 1)) > 1:
        picture.close()
        raise AttnzooError(f"`{path}` holds {frames} frames, not one image", "save each frame as a file of its own")
    return picture


def _load(picture: Image.Image, path: Path) -> Image.Image:
    """Decode. Other packages switch Pillow's grey filling of truncated files on for everyone; here it is off."""
    lenient, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        picture.load()
    except _BROKEN as error:
        raise _damaged(path, error) from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = lenient
    return picture


def _sixteen(values: np.ndarray, path: Path) -> np.ndarray:
    if values.min(initial=0) < 0 or values.max(initial=0) > 65535:
        raise AttnzooError(
            f"`{path}` has values from {values.min()} to {values.max()}, more than 16 bits hold",
            "shift them into 0…65535 and save 16 bits a pixel",
        )
    return values.astype(np.uint16)


def _flatten(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 4) with alpha → (H, W, 3) over black, rounded; opaque pixels keep their values."""
    colour, alpha = pixels[..., :3].astype(np.uint16), pixels[..., 3:].astype(np.uint16)
    return ((colour * alpha + 127) // 255).astype(np.uint8)


def _damaged(path: Path, error: Exception) -> AttnzooError:
    return AttnzooError(
        f"`{path}` cannot be decoded: {error}", "the file is truncated or damaged: fetch it again, or remove it"
    )


def _too_large(path: Path, pixels: int) -> AttnzooError:
    return AttnzooError(f"`{path}` has {pixels:,} pixels; at most {MAX_PIXELS:,} are decoded", "cut it into tiles")
