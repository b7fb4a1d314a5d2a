"""Recipes as files: what they say, what they refuse, and what makes two of them equal."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, strategies

from attnzoo import recipe
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Claims, Data, Model, Recipe, Scores, Training

FULL = Recipe(
    name="full",
    data=Data((64, 96), (0, 80), "imagenet", ("hflip", "rotate"), r"^(p\d+)", "skip", "ignore", True),
    model=Model("smp.Unet", "ema:groups=8+gate@skip/ema@bottleneck", 1, (8, 16), "resnet18", "imagenet"),
    training=Training(3, 2, 4, "sgd", 1e-2, 1e-5, "cosine", "dice", (1.0, 2.0), "bf16-mixed", "batch_dice"),
    scores=Scores("network", "zero"),
    claims=Claims("A paper", 'A "model"', 12, 7, fps=1.5),
    ours=("data.window", "training.seed"),
)


@pytest.mark.parametrize("whole", [Recipe(), FULL, Recipe(model=Model(encoder="resnet18"))])
def test_a_recipe_survives_its_own_toml(whole: Recipe) -> None:
    assert recipe.from_toml(whole.to_toml(), name="other") == whole


@pytest.mark.parametrize(
    ("host", "ours", "others"), [("UNet", "widths = ", "encoder = "), ("smp.Unet", "encoder = ", "widths = ")]
)
def test_a_recipe_does_not_tell_of_another_host(host: str, ours: str, others: str) -> None:
    """A reader of `encoder = "resnet34"` would think that it was used."""
    text = Recipe().override({"model.host": host}).to_toml()
    assert f"\n{ours}" in text
    assert others not in text


@given(strategies.text())
@example("brain 🧠")
@example("".join(map(chr, range(0x21))) + "\x7f\x80\x9f\u2028\ufeff")
@example('"quoted", \'\'\'""", C:\\new, \\u007f')
def test_any_text_survives_the_toml(text: str) -> None:
    whole = replace(FULL, name=text, claims=Claims(text, text, 12, 7), data=Data(augmentation=(text,)))
    assert recipe.from_toml(whole.to_toml(), name="other") == whole


@pytest.mark.parametrize("name", recipe.shipped())
def test_every_shipped_recipe_reads_and_survives(name: str) -> None:
    shipped = recipe.load(name)
    assert shipped.name == name.rpartition("/")[2]
    assert recipe.from_toml(shipped.to_toml(), name="other") == shipped


def test_the_papers_claims_are_as_printed() -> None:
    baseline = recipe.load("ema-attention-unet/attention-unet").claims
    proposed = recipe.load("recipes/ema-attention-unet/ema-attention-unet.toml").claims
    assert baseline is not None
    assert proposed is not None
    assert (baseline.parameters, baseline.classes, baseline.test_dice, baseline.fps) == (7_791_285, 12, 0.1420, 133.12)
    assert (proposed.parameters, proposed.classes, proposed.test_dice, proposed.fps) == (7_794_805, 12, 0.2898, 91.15)


def test_the_papers_models_differ_in_their_attention_alone() -> None:
    models = recipe.load_folder("ema-attention-unet")
    assert {model.name: model.model.attention for model in models} == {
        "attention-unet": "gate",
        "ema-attention-unet": "ema+gate@skip/ema@bottleneck",
        "ema-unet": "ema",
    }
    same = {
        replace(model, name="", claims=None, ours=(), model=replace(model.model, attention="none")) for model in models
    }
    assert len(same) == 1


def test_spelling_of_the_attention_is_canonical_in_a_recipe() -> None:
    told = recipe.from_toml('[model]\nattention = "ema@bottleneck / gate @ skip"', name="x")
    assert told.model.attention == "gate@skip/ema@bottleneck"


def test_name_claims_and_remarks_decide_nothing() -> None:
    assert replace(FULL, name="x", claims=None, ours=()).digest() == FULL.digest()
    assert FULL.override({"training.epochs": 9}).digest() != FULL.digest()


def test_options_of_another_host_decide_nothing() -> None:
    assert Recipe().override({"model.encoder": "resnet50"}).digest() == Recipe().digest()
    assert FULL.override({"model.widths": [1, 2]}).digest() == FULL.digest()
    fpn = FULL.override({"model.host": "smp.FPN"})
    assert fpn.override({"model.widths": [1, 2]}).digest() == fpn.digest() != FULL.digest()


def test_residual_decides_where_it_is_said_and_older_recipes_stay_what_they_were() -> None:
    assert "residual" not in Recipe().decides()["model"]
    assert Recipe().digest() == "dd5426f7fd50717cf40ec8fa6b1b57d571a244f2374170ef2c046aaa4668519c"  # as of 0.1
    zero = Recipe().override({"model.residual": "zero"})
    assert zero.digest() != Recipe().digest()
    assert zero.decides()["model"]["residual"] == "zero"
    assert recipe.from_toml('[model]\nattention = "ema"', name="old").model.residual == "none"
    assert recipe.from_toml(zero.to_toml(), name="x").model == zero.model


def test_override_replaces_fields_as_toml_would() -> None:
    changed = Recipe().override({"training.epochs": 2, "data.image_size": 64, "data.window": [0, 80]})
    assert (changed.training.epochs, changed.data.image_size, changed.data.window) == (2, (64, 64), (0.0, 80.0))
    assert changed.training.learning_rate == Recipe().training.learning_rate
    assert FULL.override({"data.window": None}).data.window is None


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[data", "`the recipe` is not TOML", "strings need quotes"),
        ("schema = 99", "`the recipe` is of another schema; this attnzoo reads", "update attnzoo or"),
        ("[traning]", "a recipe has no field `traning` (in `the recipe`)", "did you mean `training`?"),
        ("[data]\nwindw = 3", "`[data]` has no field `windw` (in `the recipe`)", "did you mean `window`?"),
        ("data = 3", "`data` must be a table, not `3`", "write a section [data]"),
        ("[training]\nepochs = 2.5", "`training.epochs` cannot be `2.5`", "possible: a whole number"),
        ("[training]\nepochs = true", "`training.epochs` cannot be `True`", "possible: a whole number"),
        ("[training]\nlearning_rate = nan", "`training.learning_rate` cannot be `nan`", "possible: a number"),
        ("[model]\nhost = 'FPN'", "`model.host` cannot be `FPN`", "`smp.FPN`"),
        ("[training]\noptimizer = 'lion'", "`training.optimizer` cannot be `lion`", "`adam`, `adamw` or `sgd`"),
        ("[data]\nimage_size = [1, 2, 3]", "`data.image_size` cannot be `[1, 2, 3]`", "a whole number, or a list of 2"),
        ("[data]\nallow_leakage = 1", "`data.allow_leakage` cannot be `1`", "possible: true or false"),
        ("[model]\nwidths = 'x'", "`model.widths` cannot be `x`", "possible: a list of a whole numbers"),
        ("[claims]\npaper = 'A'", "`[claims]` lacks `model`, `classes` and `parameters`", "add what is missing"),
        ("[training]\nepochs = 0", "`training.epochs` must be positive, not `0`", "greater than 0"),
        ("[model]\nwidths = [8, 0]", "`model.widths` must be positive, not `0`", "greater than 0"),
        ("[data]\nwindow = [80, 0]", "`data.window` must rise, not go from `80.0` to `0.0`", "write [low, high]"),
        ("[data]\ngroup_pattern = '('", "`data.group_pattern` is not a regular expression", "Python's `re`"),
        ("[training]\nseed = -1", "`training.seed` must be from 0 to 4294967295, not `-1`", "seeds are 0, 1, 2, …"),
        ("[training]\nseed = 4294967296", "must be from 0 to 4294967295, not `4294967296`", "seeds are 0, 1, 2, …"),
        ("[training]\nweight_decay = -1", "`training.weight_decay` must not be negative, it is `-1.0`", "0 is no"),
        (f"[training]\nlearning_rate = {10**400}", f"`training.learning_rate` cannot be `{10**400}`", "a number"),
        (f"[training]\nlearning_rate = {'9' * 5000}", "`the recipe` is not TOML: Exceeds the limit", "need quotes"),
        ("ours = ['data.windw']", "`ours` has no field `data.windw`", "did you mean `data.window`?"),
    ],
)  # fmt: skip
def test_what_a_recipe_refuses(text: str, message: str, hint: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        recipe.from_toml(text, name="x")
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_an_unknown_recipe_is_met_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(
        AttnzooError, match="`smok` is neither a recipe file nor the name of a shipped recipe"
    ) as caught:
        recipe.load("smok")
    assert caught.value.hint == "did you mean `smoke`?"
    with pytest.raises(AttnzooError, match="neither a folder of recipes nor the name of a shipped one") as caught:
        recipe.load_folder(tmp_path)
    assert caught.value.hint == "shipped folders: `ema-attention-unet`"


def test_a_recipe_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AttnzooError, match="is not a text in UTF-8"):
        recipe.load(tmp_path / "x.toml")


def test_a_folder_of_the_same_name_does_not_hide_a_shipped_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "smoke").mkdir()
    monkeypatch.chdir(tmp_path)
    assert recipe.load("smoke").name == "smoke"


@pytest.mark.parametrize("path", ["data.windw", "dta.window", "name", "claims.fps"])
def test_override_refuses_what_is_no_field(path: str) -> None:
    with pytest.raises(AttnzooError):
        Recipe().override({path: 1})
