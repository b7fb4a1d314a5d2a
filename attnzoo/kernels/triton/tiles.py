"""How a map is cut into the pieces that one program takes, and where a program finds its piece."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,import-untyped"

from typing import Any, NamedTuple

import triton
import triton.language as tl

from attnzoo.kernels.triton.launching import Form

ELEMENTS = 4096  # of a piece that is only read: 32 for each of 128 threads, eight 16-byte loads of float32 in flight
SPAN = 64  # rows that one program walks down: column sums leave it once for all of them
SHORTEST = 16  # rows, where long walks would leave multiprocessors idle
PROGRAMS = 512  # what keeps a large GPU busy: four for each of its 132 multiprocessors
WARPS = 4  # that a program has, at most
SIDE = 32  # channels next to each other in memory, and columns of those, that a piece takes of a channels_last map


class Tile(NamedTuple):
    """Channels × rows × columns that a program holds at a time, and the rows that it walks down."""

    channels: int
    rows: int
    columns: int
    span: int

    def programs(self, x: Form) -> int:
        batch, channels, height, width = x.shape
        return batch * pieces(channels, self.channels) * self.down(height) * self.along(width)

    def down(self, height: int) -> int:
        return pieces(height, self.span)

    def along(self, width: int) -> int:
        return pieces(width, self.columns)

    @property
    def options(self) -> dict[str, Any]:
        return options(self.channels * self.rows * self.columns)


def tile(x: Form, elements: int | None = None) -> Tile:
    """The piece for passes that treat channels apart: wide along what lies next to each other in memory."""
    elements = ELEMENTS if elements is None else elements
    batch, channels, height, width = x.shape
    beside, columns = 1, min(elements, power(width))
    if x.lies_in_channels:
        beside = min(SIDE, elements, power(channels))
        columns = min(SIDE, max(1, elements // beside), power(width))
    rows = min(max(1, elements // beside // columns), power(height))
    strips, span = batch * pieces(channels, beside) * pieces(width, columns), max(rows, SPAN)
    while span > max(rows, SHORTEST) and strips * pieces(height, span) < PROGRAMS:
        span //= 2
    return Tile(beside, rows, columns, span)


def power(number: int) -> int:
    """The power of two that holds a number."""
    return 1 << (number - 1).bit_length()


def pieces(length: int, each: int) -> int:
    """How many pieces make a length."""
    return -(-length // each)


def options(elements: int) -> dict[str, Any]:
    """How a kernel is built: up to `WARPS`, each thread with two elements or more; products and sums in one."""
    return {"num_warps": max(1, min(WARPS, elements // 64)), "enable_fp_fusion": True}


@triton.jit
def locate(channels, height, width, tile_c: tl.constexpr, span: tl.constexpr, tile_w: tl.constexpr):
    """This program's sample, first channel, row of pieces and column of pieces; channels lie next to each other."""
    here = tl.program_id(0)
    across, down, along = tl.cdiv(channels, tile_c), tl.cdiv(height, span), tl.cdiv(width, tile_w)
    channel = here % across * tile_c
    wide = here // across % along
    tall = here // across // along % down
    sample = here // across // along // down
    return sample, channel, tall, wide


@triton.jit
def box(tile_c: tl.constexpr, tile_h: tl.constexpr, tile_w: tl.constexpr, left_c, left_h, left_w):
    """Which places of a piece are on the map, given what is left of it from the piece's corner on."""
    return (
        (tl.arange(0, tile_c) < left_c)[:, None, None]
        & (tl.arange(0, tile_h) < left_h)[None, :, None]
        & (tl.arange(0, tile_w) < left_w)[None, None, :]
    )


@triton.jit
def spots(tile_c: tl.constexpr, tile_h: tl.constexpr, tile_w: tl.constexpr, step_c, step_h, step_w):
    """Where the places of a piece lie, from its corner on."""
    return (
        tl.arange(0, tile_c)[:, None, None] * step_c
        + tl.arange(0, tile_h)[None, :, None] * step_h
        + tl.arange(0, tile_w)[None, None, :] * step_w
    )


@triton.jit
def strip(pointer, tile_c: tl.constexpr, tile_s: tl.constexpr, left_c, left_s, step):
    """A (channels, positions) piece of float32 factors that lie one after the other, zero where there are none."""
    c, s = tl.arange(0, tile_c)[:, None], tl.arange(0, tile_s)[None, :]
    return tl.load(pointer + c * step + s, mask=(c < left_c) & (s < left_s), other=0.0)


@triton.jit
def joined(pointer, pieces, per_piece, seen):
    """The sum over pieces, always in the same order; four loads are under way at a time."""
    value = tl.load(pointer, mask=seen, other=0.0)
    for piece in range(1, pieces, 4):
        at = pointer + piece * per_piece
        first = tl.load(at, mask=seen, other=0.0)
        second = tl.load(at + per_piece, mask=seen & (piece + 1 < pieces), other=0.0)
        third = tl.load(at + 2 * per_piece, mask=seen & (piece + 2 < pieces), other=0.0)
        fourth = tl.load(at + 3 * per_piece, mask=seen & (piece + 3 < pieces), other=0.0)
        value += (first + second) + (third + fourth)
    return value
