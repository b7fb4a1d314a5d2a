"""What a block withstands: one row of cells for each, made by trying."""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from attnzoo import registry, spec
from attnzoo.data.progress import track
from attnzoo.errors import AttnzooError, first_line
from attnzoo.workflows.safety import deep, probes
from attnzoo.workflows.safety.cell import Cell, no
from attnzoo.workflows.safety.subject import Subject


@dataclass(frozen=True)
class Column:
    """A question: its heading, what a `yes` means, and the probe that answers it."""

    title: str
    meaning: str
    probe: Callable[[Subject], Cell]
    costly: bool = False


COLUMNS: Mapping[str, Column] = {
    "dims": Column("dims", "the spatial dimensions that it has a form for", probes.dims),
    "parameters": Column("parameters", "at 64 channels, with a gate of 64 where it hears one", probes.parameters),
    "macs": Column(
        "MACs", "multiply-adds of one 64×64 map, by fvcore (with norms and pooling) and by torch", probes.multiply_adds
    ),
    "identity": Column(
        "identity at start",
        "a fresh block gives the skip itself; else the size of what it gives, relative to the skip's",
        probes.identity_at_start,
    ),
    "odd": Column("odd sizes", "5×7, 1×9 and 33×2 give finite values", probes.odd_sizes),
    "one": Column("1×1", "a map of one position, in training and in evaluation", probes.one_position),
    "single": Column("batch 1", "a training step on a single image, its map of one position too", probes.single_image),
    "deterministic": Column(
        "deterministic",
        "the same bits twice, and no operator that CUDA has no deterministic form of",
        probes.deterministic,
    ),
    "channels_last": Column(
        "channels last", "the same values, in the memory format that came in", probes.channels_last
    ),
    "fp16": Column(
        "fp16", "finite under autocast up to this multiple of a standard normal 256×256 map", deep.half, costly=True
    ),
    "bf16": Column("bf16", "likewise", deep.bfloat16, costly=True),
    "traced": Column(
        "one graph", "`torch.compile(fullgraph=True)`, forward and backward, by `aot_eager`", probes.traced
    ),
    "inductor": Column("inductor", "likewise by `inductor`, on the CPU", deep.inductor, costly=True),
    "export": Column("export", "`torch.export` with open sizes, right at three sizes not seen", probes.exported),
    "onnx": Column("ONNX", "likewise through `torch.onnx.export` and onnxruntime", deep.onnx, costly=True),
}


@dataclass(frozen=True)
class Row:
    """A block's spelling, and its cells by column."""

    block: str
    cells: Mapping[str, Cell]


def matrix(
    blocks: Sequence[spec.Block],
    columns: Sequence[str] | None = None,
    *,
    progress: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[Row, ...]:
    """Ask every block every question, on the CPU.

    Args:
        blocks: As `spec.parse_blocks` gives them.
        columns: Names of `COLUMNS`; without them all, `onnx` as "not tried" where its packages are not installed.
        progress: Show a bar on stderr.
        say: Hears what is not tried, a line each.

    Raises:
        AttnzooError: For an unknown block, options that are impossible at 64 channels, and where `onnx` is asked for
            and its packages are not installed.
    """
    for block in blocks:
        registry.entry(block.name)
        if block.options:  # which somebody typed; that a block's own defaults do not work is a finding
            Subject(block).fresh()
    asked, left_out = (tuple(COLUMNS) if columns is None else columns), {}
    if "onnx" in asked and (package := deep.lacks_onnx()) is not None:
        why = f"the column `onnx` needs the package `{package}`"
        if columns is not None:
            raise AttnzooError(why, "install `attnzoo[onnx]`, or leave the column out")
        left_out["onnx"] = Cell("not tried", why)
        say(f"{why} and is not tried: install `attnzoo[onnx]`")
    questions = [(block, column) for block in blocks for column in asked if column not in left_out]
    told = track(questions, "trying", total=len(questions), show=progress)
    answers = {(str(block), column): _answer(Subject(block), column) for block, column in told}
    return tuple(
        Row(str(block), {column: left_out.get(column) or answers[str(block), column] for column in asked})
        for block in blocks
    )


def _answer(subject: Subject, column: str) -> Cell:
    """A probe's cell; whatever breaks is a `no`, and what broke its reason."""
    try:
        with _quiet():
            return COLUMNS[column].probe(subject)
    except AttnzooError as error:
        return no(error.message.removeprefix(f"`{subject.block.name}` "))
    except Exception as error:
        return no(first_line(error))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Compilers and exporters talk; here only their success counts."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
