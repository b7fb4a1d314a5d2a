"""Words of the command line → values, and their refusals verbatim."""

from pathlib import Path

import pytest

from attnzoo.cli import _options as options
from attnzoo.errors import AttnzooError
from attnzoo.recipe import load


def refusal(call: object, *arguments: object) -> tuple[str, str | None]:
    assert callable(call)
    with pytest.raises(AttnzooError) as caught:
        call(*arguments)
    return caught.value.message, caught.value.hint


def test_overrides_are_named_as_in_toml() -> None:
    asked = options.overrides(2, "96x128", 4, "zero", ["training.learning_rate=1e-3", "data.augmentation=['hflip']"])
    assert asked == {
        "training.epochs": 2,
        "data.image_size": (96, 128),
        "training.batch_size": 4,
        "scores.absent": "zero",
        "training.learning_rate": 1e-3,
        "data.augmentation": ["hflip"],
    }
    assert options.overrides(None, None, None, None, None) == {}


def test_a_value_that_is_no_toml_is_a_text() -> None:
    assert options.parse_settings(["training.schedule=cosine", "data.window=[0, 80]"]) == {
        "training.schedule": "cosine",
        "data.window": [0, 80],
    }


def test_none_empties_a_field_that_may_be_left_out() -> None:
    asked = options.parse_settings(
        [
            "data.group_pattern=none",
            "data.window=None",
            "data.normalisation=none",
            "model.attention=none",
            "no.such=none",
        ]
    )
    assert asked == {
        "data.group_pattern": None,
        "data.window": None,
        "data.normalisation": "none",
        "model.attention": "none",
        "no.such": "none",
    }
    smoke = load("smoke")
    assert smoke.data.group_pattern is not None
    assert smoke.override(options.parse_settings(["data.group_pattern=none"])).data.group_pattern is None


@pytest.mark.parametrize("setting", ["epochs=2", "training.epochs", "=2", "training.=2", "a.b.c=2"])
def test_a_setting_names_section_and_field(setting: str) -> None:
    assert refusal(options.parse_settings, [setting]) == (
        f"`--set {setting}` is not of the form section.field=value",
        "for example `--set training.learning_rate=1e-3`",
    )


def test_a_field_is_set_once() -> None:
    assert refusal(options.parse_settings, ["training.epochs=2", "training.epochs=3"]) == (
        "`--set` names `training.epochs` twice",
        "name every field once",
    )


def test_a_field_is_not_set_by_its_own_option_as_well() -> None:
    assert refusal(options.overrides, 2, None, None, None, ["training.epochs=3"]) == (
        "`--epochs` and `--set` both set `training.epochs`",
        "name every field once",
    )


@pytest.mark.parametrize(("word", "size"), [("96", (96, 96)), ("96x128", (96, 128)), ("96×128", (96, 128))])
def test_sizes(word: str, size: tuple[int, int]) -> None:
    assert options.parse_size(word) == size


@pytest.mark.parametrize("word", ["", "96x", "x96", "1.5", "-3", "0", "96x0", "96x96x96"])
def test_no_sizes(word: str) -> None:
    assert refusal(options.parse_size, word) == (
        f"`--image-size {word}` is no size",
        "write one number for a square, or height x width: `96x128`",
    )


def test_seeds() -> None:
    assert options.parse_seeds("0, 2,1") == (0, 2, 1)
    assert refusal(options.parse_seeds, "0,x") == (
        "`--seeds 0,x` has `x`, which is no seed",
        "write whole numbers with commas: `--seeds 0,1,2`",
    )
    assert refusal(options.parse_seeds, "0,-1")[0] == "`--seeds 0,-1` has `-1`, which is no seed"
    assert options.parse_seeds("0000000000004294967295") == (4294967295,)
    for large in ("4294967296", "9" * 5000):
        assert refusal(options.parse_seeds, f"0,{large}") == (
            f"`--seeds 0,{large}` has `{large}`, which is too large for a seed",
            "seeds are 0 to 4294967295",
        )
    assert refusal(options.parse_seeds, "1,2,1") == ("`--seeds 1,2,1` has `1` twice", "a seed is one run: name it once")


def test_paths(tmp_path: Path) -> None:
    assert options.data_folder(None) is None
    assert options.data_folder(tmp_path) == tmp_path
    missing, file = tmp_path / "missing", tmp_path / "file"
    file.touch()
    assert refusal(options.data_folder, missing) == (f"there is no data folder `{missing}`", "check the path")
    assert refusal(options.data_folder, file) == (
        f"`{file}` is a file, not a data folder",
        "give the folder that holds `train`, `valid` and `test`",
    )
    assert refusal(options.load_plugins, [missing]) == (f"there is no plugin file `{missing}`", "check the path")
