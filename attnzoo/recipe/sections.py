"""A recipe's sections as frozen dataclasses, and their TOML."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal, Self

from attnzoo import spec, typed
from attnzoo.errors import AttnzooError
from attnzoo.recipe.checks import check

SCHEMA = 1


@dataclass(frozen=True)
class Data:
    """What the network sees, and which images belong together.

    `image_size` is (height, width) in pixels; TOML may give one number for a square. `window` is the interval of the
    file's own intensities that is mapped to 0…1 and clipped; without it the whole range of the file's type is, and
    `normalisation` comes after it. `group_pattern` finds a patient or photo in a file name; `unusable` says what
    becomes of annotations without a usable outline; `allow_leakage` lets one group be in two splits.
    """

    image_size: tuple[int, int] = (256, 256)
    window: tuple[float, float] | None = None
    normalisation: Literal["none", "imagenet", "image"] = "none"
    augmentation: tuple[str, ...] = ()
    group_pattern: str | None = None
    unusable: Literal["error", "skip"] = "error"
    exif: Literal["transpose", "ignore", "error"] = "transpose"
    allow_leakage: bool = False


@dataclass(frozen=True)
class Model:
    """The host and its attention. `widths` belong to `UNet`; `encoder` and `encoder_weights` to smp's.

    `residual` is `attnzoo.insert`'s: with `zero` the network begins as the host without attention.
    """

    # fmt: off
    host: Literal[
        "UNet", "smp.Unet", "smp.UnetPlusPlus", "smp.MAnet", "smp.Linknet", "smp.FPN", "smp.PAN", "smp.UPerNet",
        "smp.Segformer", "smp.DeepLabV3Plus", "smp.DeepLabV3", "smp.PSPNet", "smp.DPT",
    ] = "UNet"
    # fmt: on
    attention: str = "none"
    in_channels: int = 3
    widths: tuple[int, ...] = (64, 128, 256, 512)
    encoder: str = "resnet34"
    encoder_weights: str | None = None
    residual: Literal["none", "zero"] = "none"

    @property
    def foreign(self) -> tuple[str, ...]:
        """The fields that belong to other hosts, and decide nothing here."""
        return ("encoder", "encoder_weights") if self.host == "UNet" else ("widths",)


@dataclass(frozen=True)
class Training:
    """How the weights come about. `select` names the validation score that picks the best epoch."""

    seed: int = 0
    epochs: int = 50
    batch_size: int = 8
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine", "polynomial"] = "constant"
    loss: str = "cross_entropy"
    class_weights: tuple[float, ...] | Literal["balanced"] | None = None
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    select: Literal["macro_dice", "batch_dice"] = "macro_dice"


@dataclass(frozen=True)
class Scores:
    """What is scored: predictions at the images' own size or at the network's, and what an absent class counts."""

    resolution: Literal["image", "network"] = "image"
    absent: Literal["exclude", "zero", "one", "error"] = "exclude"


@dataclass(frozen=True)
class Claims:
    """What a paper says of this model: printed beside ours by `attnzoo reproduce`, never used to train."""

    paper: str
    model: str
    classes: int
    parameters: int
    image_size: int | None = None
    hardware: str | None = None
    best_validation_dice: float | None = None
    best_epoch: int | None = None
    test_dice_batch: float | None = None
    test_dice: float | None = None
    test_iou: float | None = None
    test_precision: float | None = None
    test_recall: float | None = None
    latency_ms: float | None = None
    fps: float | None = None


@dataclass(frozen=True)
class Recipe:
    """All that decides a run's numbers, but for the data themselves.

    `ours` names the fields that the paper leaves unsaid; `claims` and `name` decide nothing.
    """

    name: str = "default"
    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    training: Training = field(default_factory=Training)
    scores: Scores = field(default_factory=Scores)
    claims: Claims | None = None
    ours: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", replace(self.model, attention=str(spec.parse(self.model.attention))))
        check(self)

    def decides(self) -> dict[str, Any]:
        """The canonical form of what decides the numbers: JSON-ready, without name, claims and remarks."""
        sections = {name: asdict(getattr(self, name)) for name in ("data", "model", "training", "scores")}
        for option in self.model.foreign:
            del sections["model"][option]
        if self.model.residual == "none":
            del sections["model"]["residual"]  # it was not there in 0.1, whose runs stay what they are
        plain: dict[str, Any] = json.loads(json.dumps({"schema": SCHEMA, **sections}))
        return plain

    def digest(self) -> str:
        """SHA-256 of `decides()`."""
        return hashlib.sha256(json.dumps(self.decides(), sort_keys=True).encode()).hexdigest()

    def override(self, changes: Mapping[str, Any]) -> Self:
        """The same recipe with fields replaced, named as in TOML: `{"training.epochs": 2}`."""
        nested: dict[str, Any] = {}
        for path, value in changes.items():
            section, _, option = path.partition(".")
            nested.setdefault(section, {})[option] = value
        merged: dict[str, Any] = {}
        for section, values in nested.items():
            typed.known(
                section,
                (known.name for known in fields(self) if is_dataclass(getattr(self, known.name))),
                "a recipe",
                "section",
            )
            merged[section] = typed.build(
                type(getattr(self, section)), {**asdict(getattr(self, section)), **values}, section
            )
        return replace(self, **merged)

    def to_toml(self) -> str:
        """A TOML text that `from_toml` reads back as an equal recipe, without other hosts' fields that nobody set."""
        model, default = self.model, Model()
        unset = {f"model.{name}" for name in model.foreign if getattr(model, name) == getattr(default, name)}
        lines = [f"schema = {SCHEMA}", f"name = {_value(self.name)}"]
        if self.ours:
            lines.append(f"ours = {_value(self.ours)}")
        for section in ("data", "model", "training", "scores", "claims"):
            if (values := getattr(self, section)) is not None:
                lines += ["", f"[{section}]"]
                # TOML has no null: a field that is None is one that is not written
                lines += [
                    f"{key} = {_value(value)}"
                    for key, value in asdict(values).items()
                    if value is not None and f"{section}.{key}" not in unset
                ]
        return "\n".join(lines) + "\n"


def from_toml(text: str, *, name: str, source: str = "the recipe") -> Recipe:
    """Parse a recipe. `name` is its name where the text gives none; `source` is how messages call it."""
    try:
        table = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError is one, and so is Python's refusal of a number of 5000 digits
        raise AttnzooError(
            f"`{source}` is not TOML: {error}", "strings need quotes, and true and false small letters"
        ) from error
    if table.pop("schema", SCHEMA) != SCHEMA:
        raise AttnzooError(
            f"`{source}` is of another schema; this attnzoo reads schema {SCHEMA}", "update attnzoo or the recipe"
        )
    try:
        return typed.build(Recipe, {"name": name, **table}, "")
    except AttnzooError as error:
        raise AttnzooError(f"{error.message} (in `{source}`)", error.hint) from error


def _value(value: Any) -> str:
    """A value as TOML, which is JSON but for two things: it knows no surrogate pairs, and wants DEL escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
