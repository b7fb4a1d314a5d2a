"""Options are of the constructor's types."""

from typing import ClassVar, Literal

import pytest
from torch import Tensor, nn

from attnzoo import registry, spec

from .examples import ABOUT, refused


class Rich(nn.Module):
    """Options of every type."""

    kind: ClassVar[str] = "mix"

    def __init__(
        self,
        channels: int,
        *,
        number: int = 1,
        rate: float = 0.5,
        bias: bool = True,
        pool: Literal["mean", "max"] = "mean",
        width: int | None = None,
        pair: tuple[int, int] = (1, 2),
        several: tuple[int, ...] = (),
        inside: spec.Chain | None = None,
        name: str = "x",
    ) -> None:
        super().__init__()
        self.said = {"number": number, "rate": rate, "bias": bias, "pool": pool, "width": width, "pair": pair}
        self.said |= {"several": several, "inside": inside, "name": name}

    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("option", "message", "hint"),
    [
        ("number=True", "cannot take number=True: possible is int", "the default is `number=1`"),
        ("number=1.0", "cannot take number=1.0: possible is int", "the default is `number=1`"),
        ("number=auto", "cannot take number=auto: possible is int", "the default is `number=1`"),
        ("rate=True", "cannot take rate=True: possible is float", "the default is `rate=0.5`"),
        ("bias=1", "cannot take bias=1: possible is True or False", "the default is `bias=True`"),
        ("bias=false", "cannot take bias=false: possible is True or False", "write `bias=False`"),
        ("width=none", "cannot take width=none: possible is int or None", "write `width=None`"),
        ("pool=maxx", "cannot take pool=maxx: possible is mean or max", "did you mean `max`?"),
        ("pool=8", "cannot take pool=8: possible is mean or max", "the default is `pool=mean`"),
        ("pair=(1,2,3)", "cannot take pair=(1,2,3): possible is (int, int)", "the default is `pair=(1,2)`"),
        ("pair=1", "cannot take pair=1: possible is (int, int)", "the default is `pair=(1,2)`"),
        ("several=(1,a)", "cannot take several=(1,a): possible is (int, …)", "the default is `several=()`"),
        ("inside=ema", "cannot take inside=ema: possible is [blocks] or None", "the default is `inside=None`"),
        ("name=8", "cannot take name=8: possible is str", "the default is `name=x`"),
    ],
)
def test_values_of_another_type_are_told(option: str, message: str, hint: str) -> None:
    registry.register("rich", **ABOUT)(Rich)
    block = spec.parse_block(f"rich:{option}")
    assert refused(lambda: registry.build_block(block, 8)) == (f"`rich` {message}", hint)


@pytest.mark.usefixtures("fresh")
def test_values_of_every_type_arrive() -> None:
    registry.register("rich", **ABOUT)(Rich)
    text = "rich:bias=False:inside=[ema]:name=y:number=2:pair=(3,4):pool=max:rate=1:several=(5,6,7):width=8"
    assert registry.build_block(spec.parse_block(text), 8).said == {
        "number": 2,
        "rate": 1,
        "bias": False,
        "pool": "max",
        "width": 8,
        "pair": (3, 4),
        "several": (5, 6, 7),
        "inside": spec.Chain((spec.Block("ema"),)),
        "name": "y",
    }
