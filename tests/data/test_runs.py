"""A mask comes back from its bytes as it was, and from no other bytes."""

import zlib

import numpy as np
import pytest
from hypothesis import given, strategies
from hypothesis.extra import numpy as arrays

from attnzoo.data.runs import decode, encode

NOTE = {"labelled": 3, "overlapping": 0, "empty": [7], "hidden": []}


def checked(content: bytes) -> bytes:
    """Compressed, with a check sum that fits: what only another program would write."""
    packed = zlib.compress(content)
    return zlib.crc32(packed).to_bytes(4, "little") + packed


@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2), elements=strategies.integers(0, 2)))
def test_any_mask_comes_back(mask: np.ndarray) -> None:
    again, note = decode(encode(mask, NOTE), mask.shape)
    assert (again == mask).all()
    assert (again.dtype, again.shape, note) == (np.uint8, mask.shape, NOTE)


@pytest.mark.parametrize("turn", [np.transpose, np.asfortranarray, lambda mask: mask[::2, ::-1]])
def test_memory_may_lie_in_any_order(turn: object) -> None:
    mask = turn(np.arange(24, dtype=np.uint8).reshape(4, 6) // 5)  # type: ignore[operator]
    assert (decode(encode(mask, NOTE), mask.shape)[0] == mask).all()


def test_what_comes_back_can_be_written_to() -> None:
    again, _ = decode(encode(np.zeros((3, 4), np.uint8), NOTE), (3, 4))
    again[0, 0] = 1


def test_a_mask_of_few_regions_takes_few_bytes() -> None:
    mask = np.zeros((1024, 1024), np.uint8)
    mask[100:900, 300:600] = 255
    assert len(encode(mask, NOTE)) < 500


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        checked(b"")[:4] + b"hello",
        checked(b""),
        checked(b"no JSON\n"),
        checked(b"[" * 100_000 + b"\n"),
        checked(b"{}\n12345678"),  # no whole number of runs
        zlib.compress(b"{}\n" + (12).to_bytes(4, "little") + b"\0"),  # no check sum
        encode(np.zeros((3, 5), np.uint8), NOTE),  # another size
        encode(np.zeros((3, 4), np.uint8), NOTE)[:-1],
        encode(np.zeros((3, 4), np.uint8), NOTE)[:-1] + b"?",
        encode(np.zeros((3, 4), np.uint8), NOTE) + b"?",  # zlib's own check sum ends where its stream does
        encode(np.zeros((3, 4), np.uint8), NOTE) * 2,
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises((ValueError, zlib.error)):
        decode(data, (3, 4))


def test_every_flipped_bit_is_noticed() -> None:
    mask = np.random.default_rng(0).integers(0, 3, (24, 32), dtype=np.uint8)
    whole = encode(mask, NOTE)
    for place in range(8 * len(whole)):
        spoilt = bytearray(whole)
        spoilt[place // 8] ^= 1 << place % 8
        with pytest.raises(ValueError, match="the check sum is of other bytes"):
            decode(bytes(spoilt), mask.shape)


def test_a_giant_is_refused_before_it_is_made() -> None:
    run = (2**32 - 1).to_bytes(4, "little")
    with pytest.raises(ValueError, match="the runs do not fill 4×3 pixels"):
        decode(checked(b"{}\n" + run + b"\0"), (3, 4))
