"""What the adapters share: the layer within, the decorator that registers and documents, and the refusals."""

import inspect
import textwrap
from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, Literal, TypeVar

import torch
from torch import Tensor, nn

from attnzoo.errors import AttnzooError, divisors, first_line, listing
from attnzoo.registry import check_form, register

CODE, LICENCE = "https://github.com/huggingface/pytorch-image-models", "Apache-2.0"
MEANINGS = {
    "block_size": "Edge of the blocks that the map is cut into; both edges of the map must be multiples of it.",
    "dim_head": "Channels of queries and keys for each head.",
    "drop_rate": "Share of channels that training sets to zero in what is added.",
    "extent": "Edge of the neighbourhood that is gathered, an even number; 0 is the whole map.",
    "feat_size": "The map's height and width. timm has no default; attnzoo's is that of 256×256 images at stride 16.",
    "groups": "Groups of inner channels, each with a transform of its own.",
    "halo_size": "How far a block looks beyond its edges.",
    "has_skip": "Whether the skip is added to what comes out.",
    "keep_3x3": "Whether a 5×5 kernel is written as a dilated 3×3.",
    "kernel_size": "Edge of the convolution, odd.",
    "num_heads": "Heads, a divisor of `channels`.",
    "r": "Edge of the neighbourhood whose positions are told apart, odd.",
    "radix": "Branches among which attention chooses, a divisor of `channels`.",
    "rd_ratio": "Width of the bottleneck over `channels`, above 0 and up to 1; timm rounds what comes of it.",
    "spatial_kernel_size": "Edge of the convolution over positions, odd.",
    "split_input": "Whether each branch sees a part of the channels, and not all.",
    "use_attn": "Whether positions are weighted by attention, and not equally.",
    "use_mlp": "Whether a perceptron with a bottleneck follows the gathering.",
    "use_scale": "Whether similarities are divided by √channels.",
}


class TimmLayer(nn.Module):
    """A layer of timm's under a name of attnzoo's."""

    kind: ClassVar[Literal["mix"]] = "mix"
    only_2d: ClassVar[str] = "timm's layers are for images"
    layer: ClassVar[str]  # what timm calls it
    remedy: ClassVar[str] = "other values of its options may do"

    def __init__(self, channels: int, dims: int) -> None:
        super().__init__()
        check_form(f"timm_{self.layer}", dims, possible=(2,), why=self.only_2d, channels=channels)
        self.channels = channels

    def build(self, **options: object) -> None:
        """Have timm build its layer. What it cannot build is found out by trying, and not known beforehand."""
        import timm
        from timm.layers.create_attn import create_attn

        try:
            self.attn: nn.Module = create_attn(self.layer, self.channels, **options)
        except Exception as error:  # timm asserts, divides and calls itself wrongly
            said = f"{type(error).__name__}: {first_line(error)}" if str(error) else type(error).__name__
            self.refuse(f"be built: timm {timm.__version__} itself fails with `{said}`", self.remedy)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.attn(x)  # (B, C, H, W)
        return result

    def refuse(self, what: str, hint: str) -> None:
        raise AttnzooError(f"`timm_{self.layer}` cannot {what}", hint)

    def check_share(self, option: str, value: float) -> None:
        if not 0 < value <= 1:
            self.refuse(f"reduce {self.channels} channels by {option}={value}", "give a share above 0 and up to 1")

    def check_odd(self, option: str, value: int) -> None:
        if value < 1 or value % 2 == 0:
            self.refuse(f"centre {option}={value}", "a kernel is odd, such as 3 or 7")

    def check_divisor(self, option: str, value: int, channels: int | None = None) -> None:
        possible = divisors(channels or self.channels)
        if value not in possible:
            what = f"{channels} inner channels" if channels else f"{self.channels} channels"
            self.refuse(f"split {what} into {option}={value}", f"possible is {listing(possible)}")

    def check_positive(self, option: str, value: int) -> None:
        if value < 1:
            self.refuse(f"take {option}={value}", f"`{option}` is 1 or more")

    def check_multiple(self, size: tuple[int, ...], block: int) -> None:
        if any(edge % block for edge in size):
            edges = "×".join(map(str, size))
            self.refuse(
                f"cut a map of {edges} into blocks of block_size={block}",
                f"both edges must be multiples of {block}: choose another block_size or image size",
            )


class BoundLayer(TimmLayer):
    """A layer that takes some sizes of map alone."""

    @abstractmethod
    def check_size(self, size: tuple[int, ...]) -> None:
        """Refuse any other."""

    def forward(self, x: Tensor) -> Tensor:
        if not torch.compiler.is_compiling():  # a graph with open sizes is not to be bound by the question
            self.check_size(tuple(x.shape[2:]))  # timm asserts, without a word
        return super().forward(x)


Class = TypeVar("Class", bound=type[TimmLayer])


def timm_layer(
    layer: str, paper: str, year: int, reference: str, *, where: str = "any spatial size"
) -> Callable[[Class], Class]:
    """Register a class as timm's `layer`, and finish its docstring, which says what it does and costs.

    Args:
        layer: timm's name.
        paper: The paper, as in `register`.
        year: Its year.
        reference: Where it is found.
        where: The map sizes that it can take.
    """

    def put(cls: Class) -> Class:
        cls.layer = layer
        options = [option for option in inspect.signature(cls).parameters if option not in ("channels", "dims")]
        meanings = {"channels": "Width of the skip.", **{option: MEANINGS[option] for option in options}}
        meanings["dims"] = "Spatial dimensions: 2."
        cls.__doc__ = "\n\n".join(
            (
                inspect.cleandoc(cls.__doc__ or ""),
                _paragraph(
                    f'It is what `timm.layers.create_attn("{layer}", channels)` builds, with timm\'s defaults, and is '
                    "the child `attn`: below it, the keys of weights are timm's own."
                ),
                "Args:\n" + "\n".join(_item(f"{option}: {text}") for option, text in meanings.items()),
                f"Shape:\n    (B, C, H, W) → (B, C, H, W), for {where}.",
                "Reference:\n" + _item(f"{reference}; {CODE} ({LICENCE})."),
                "Deviations:\n" + _item("None from timm's layer: what that one cannot do, this one cannot."),
            )
        )
        about = {"paper": paper, "year": year, "reference": reference}
        return register(f"timm_{layer}", **about, code=CODE, licence=LICENCE, group="timm")(cls)  # type: ignore[arg-type]

    return put


def _paragraph(text: str) -> str:
    return textwrap.fill(text, 116, break_long_words=False, break_on_hyphens=False)


def _item(text: str) -> str:
    return textwrap.indent(
        textwrap.fill(text, 112, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False), "    "
    )
