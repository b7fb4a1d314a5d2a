"""Commands from outside, on a drawn data set: what is on stdout, what on stderr, what on disk."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from attnzoo import recipe as recipes
from attnzoo.models import build_model

from .conftest import Attnzoo


@pytest.fixture(scope="module")
def run(drawn: Path, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from attnzoo import training
    from attnzoo.data import open_dataset

    recipe = recipes.load(tiny)
    folder = tmp_path_factory.mktemp("run") / "run"
    training.run(recipe, folder, data=open_dataset(drawn, recipe.data), device="cpu", progress=False)
    return folder


def test_ablate_prints_the_table_and_talks_on_stderr(attnzoo: Attnzoo, drawn: Path, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = (
        "ablate",
        "--attention",
        "se:reduction=2",
        "--recipe",
        tiny,
        "--data",
        drawn,
        "--out",
        out,
        "--device",
        "cpu",
    )
    done = attnzoo(*words)
    assert done.code == 0
    title, _, header, _, none, se, *notes = done.out.splitlines()
    assert title == "Test set, global macro over the foreground classes"
    assert header.startswith("attention  ")
    assert none.startswith("none ")
    assert se.startswith("se:reduction=2 ")
    assert notes[0] == "macro over 5 of 5 classes"
    for line in (
        "rehearsing 1/2: none",
        "[1/2] none, seed 0",
        "[2/2] se:reduction=2, seed 0 (about",
        f"written to {out}: table.md",
    ):
        assert line in done.err
    assert {path.name for path in out.iterdir()} == {
        "none", "se%3Areduction=2", "ablation.json", "cost.json", "cost.pdf", "cost.svg", "results.csv", "scores.csv",
        "table.md", "table.tex", "verdicts.json", "verdicts.md", ".ablation.lock",
    }  # fmt: skip
    verdict, *cautions = notes[notes.index("") + 1 :]
    assert verdict.startswith("No difference between `se:reduction=2` and `none` is shown at this one seed")
    assert [line.split(":")[1] for line in cautions[:2]] == [" 1 seed", " 1 group"]
    assert done.err.endswith(f"a page of all this: attnzoo report {out}\n")

    weights = sorted(out.rglob("best.safetensors"))
    before = [path.stat().st_mtime_ns for path in weights]
    again = attnzoo(*words)
    assert again.out == done.out
    assert [path.stat().st_mtime_ns for path in weights] == before

    assert "`training.epochs`: 1 there, 3 here" in attnzoo(*words, "--epochs", 3).err


def test_ablate_goes_on_after_a_failed_arm_and_ends_with_an_error(
    attnzoo: Attnzoo, fresh: None, drawn: Path, tiny: Path, tmp_path: Path
) -> None:
    plugin = tmp_path / "brittle.py"
    plugin.write_text(
        "from torch import nn\n"
        "from attnzoo.registry import register\n"
        '@register("brittle", paper="none", year=2026, reference="none")\n'
        "class Brittle(nn.Module):\n"
        '    """Breaks in the second training step."""\n'
        '    kind = "mix"\n'
        "    steps = 0\n"
        "    def __init__(self, channels: int) -> None:\n"
        "        super().__init__()\n"
        "    def forward(self, x):\n"
        "        self.steps += self.training\n"
        "        return x / 0 if self.steps == 2 else x\n",
        encoding="utf-8",
    )
    words = ("--recipe", tiny, "--data", drawn, "--out", tmp_path / "out", "--device", "cpu", "--no-time")
    done = attnzoo("ablate", "--attention", "brittle,gate", "--plugin", plugin, *words)
    assert done.code == 2
    failed, why = done.err.splitlines()[-2].removeprefix("error: ").split(" failed: ")
    assert failed == "brittle, seed 0"
    assert why.startswith("`train_loss` is `nan` in ")
    assert f"brittle, seed 0 failed: {why}" in done.out.splitlines()
    assert [line.split()[0] for line in done.out.splitlines()[4:6]] == ["none", "gate"]
    assert f"[2/3] brittle, seed 0 failed: {why}\n" in done.err
    told = attnzoo("status", tmp_path / "out").out.splitlines()
    assert "brittle    failed" in told
    assert f"brittle, seed 0 failed: {why}" in told


def test_ablate_tells_of_controls_at_every_site(attnzoo: Attnzoo, drawn: Path, tiny: Path, tmp_path: Path) -> None:
    matched, frozen = "matched:block=[gate]", "frozen:block=[gate]"
    words = ("--recipe", tiny, "--data", drawn, "--out", tmp_path / "out", "--device", "cpu", "--no-none")
    changes = ("--no-time", "--set", "model.widths=[4, 8, 16]", "--epochs", 2)
    done = attnzoo("ablate", "--attention", f"{matched},{frozen}", *words, *changes)
    assert done.code == 0
    for line in (
        f"`{matched}` at skip level 1: 38 parameters, 5 more than `gate`'s 33 (kernel 3, 2 channels a group)\n",
        f"`{matched}` at skip level 2: 102 parameters, 7 more than `gate`'s 95 (kernel 5, 2 channels a group)\n",
        f"`{frozen}` at skip level 1: 33 parameters, none of which learns\n",
        f"`{frozen}` at skip level 2: 95 parameters, none of which learns\n",
    ):
        assert done.err.count(line) == 1
        assert line not in done.out

    after = load_file(tmp_path / "out" / "frozen%3Ablock=[gate]" / "seed-0" / "best.safetensors")
    recipe = recipes.load(tiny).override({"model.attention": frozen, "model.widths": [4, 8, 16]})
    before = build_model(recipe, 6).state_dict()
    kept = [key for key in before if ".block." in key]
    assert any("running_mean" in key for key in kept)
    assert all(torch.equal(after[key], before[key]) for key in kept)
    assert not torch.equal(after["head.weight"], before["head.weight"])


def test_ablate_without_data_draws_and_says_so(
    attnzoo: Attnzoo, drawn: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The phantom in the place of the small one, and an arm that ends the command before it trains."""
    monkeypatch.setattr("attnzoo.data.phantom.default_phantom", lambda progress: drawn)
    done = attnzoo("ablate", "--attention", "ema:groups=3", "--recipe", tiny, "--out", tmp_path / "out")
    assert done.code == 2
    assert "no --data: drawing a phantom head CT. What follows shows the shape of the table, not a result." in done.err
    assert "error: `ema` cannot split 4 channels into groups=3 (skip level 1 of UNet)\n" in done.err


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ("--attention ema,ema@skip", "`ema` is among the arms twice", "every arm is another attention"),
        (
            "--attention none --no-none",
            "`none` was named as an arm and refused by `--no-none`",
            "leave one of the two out",
        ),
        ("--attention emma", "`emma` is no block", "did you mean `ema`?"),
        (
            "--attention ema --recipe smok",
            "`smok` is neither a recipe file nor the name of a shipped recipe",
            "did you mean `smoke`?",
        ),
        ("--attention ema --set training.epoch=2", "`[training]` has no field `epoch`", "did you mean `epochs`?"),
        ("--attention ema --epochs 0", "`training.epochs` must be positive, not `0`", "give a number greater than 0"),
        (
            "--attention ema --absent no",
            "`scores.absent` cannot be `no`",
            "possible: `exclude`, `zero`, `one` or `error`",
        ),
    ],
)
def test_ablate_refuses_before_reading_data(words: str, message: str, hint: str, attnzoo: Attnzoo) -> None:
    assert attnzoo("ablate", *words.split()) == (2, "", f"error: {message}\nhint: {hint}\n")


def test_train_prints_scores(attnzoo: Attnzoo, drawn: Path, tiny: Path, tmp_path: Path) -> None:
    words = ("--data", drawn, "--attention", "gate", "--seed", 3, "--device", "cpu", "--out", tmp_path / "out")
    done = attnzoo("train", tiny, *words)
    assert done.code == 0
    assert "macro, foreground" in done.out
    assert f"best epoch 1 by macro_dice; written to {tmp_path / 'out'}" in done.err
    result = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    assert (result["attention"], result["seed"]) == ("gate", 3)


def test_evaluate_gives_the_results_numbers(attnzoo: Attnzoo, run: Path, drawn: Path) -> None:
    done = attnzoo("evaluate", run, "--data", drawn, "--json", "--device", "cpu")
    assert done.code == 0
    assert json.loads(done.out) == json.loads((run / "result.json").read_text(encoding="utf-8"))["test"]
    table = attnzoo("evaluate", run, "--data", drawn, "--split", "valid", "--device", "cpu").out
    assert table.startswith("Split valid\n\nclass ")


def test_evaluate_takes_the_runs_own_data_and_other_rules(
    attnzoo: Attnzoo, run: Path, drawn: Path, tmp_path: Path
) -> None:
    assert attnzoo("evaluate", run, "--json").out == attnzoo("evaluate", run, "--data", drawn, "--json").out
    told = json.loads(attnzoo("evaluate", run, "--absent", "zero", "--resolution", "network", "--json").out)
    assert (told["absent"], told["resolution"]) == ("zero", "network")
    moved = shutil.copytree(run, tmp_path / "run")
    about = json.loads((moved / "run.json").read_text(encoding="utf-8"))
    about["identity"]["data"] = "f" * 64
    (moved / "run.json").write_text(json.dumps(about), encoding="utf-8")
    assert f"warning: `{drawn}` has changed since `{moved}` was trained on it" in attnzoo("evaluate", moved).err
    (moved / "run.json").write_text(json.dumps(about | {"data": "/nowhere"}), encoding="utf-8")
    assert attnzoo("evaluate", moved).err == (
        f"error: the data of `{moved}` are not at `/nowhere` any more\nhint: say where they are: `--data DIR`\n"
    )


def test_train_rehearses(attnzoo: Attnzoo, drawn: Path, tiny: Path, tmp_path: Path) -> None:
    done = attnzoo("train", tiny, "--data", drawn, "--image-size", 1, "--batch-size", 19, "--out", tmp_path / "out")
    assert done.code == 2
    assert done.err.startswith("rehearsing 1/1: none\nerror: `UNet` cannot train on a single image of size `1×1`")
    assert not (tmp_path / "out").exists()


def test_evaluate_asks_other_data_for_no_groups(attnzoo: Attnzoo, run: Path, drawn: Path, tmp_path: Path) -> None:
    """Files that the recipe's `group_pattern` does not know, as another hospital calls them."""
    other = tmp_path / "other"
    shutil.copytree(drawn, other)
    for path in sorted(other.rglob("p*.png")):
        path.rename(path.with_name(f"x{path.name[1:]}"))
    for path in other.rglob("*.json"):
        path.write_text(path.read_text(encoding="utf-8").replace('"p0', '"x0'), encoding="utf-8")
    here, there = (attnzoo("evaluate", run, "--data", place, "--json", "--device", "cpu") for place in (drawn, other))
    assert (there.code, json.loads(there.out)) == (0, json.loads(here.out))


def test_evaluate_refuses(attnzoo: Attnzoo, run: Path, tmp_path: Path) -> None:
    assert attnzoo("evaluate", run, "--split", "tset") == (
        2, "", "error: there is no split `tset`\nhint: did you mean `test`?\n",
    )  # fmt: skip
    assert attnzoo("evaluate", tmp_path) == (
        2, "", f"error: `{tmp_path}` holds no finished run\nhint: finish it: run the same command again\n",
    )  # fmt: skip


def test_predict_prints_what_it_wrote(attnzoo: Attnzoo, run: Path, drawn: Path, tmp_path: Path) -> None:
    images = sorted((drawn / "test").glob("*.png"))[:2]
    done = attnzoo("predict", run, *images, "--out", tmp_path / "out", "--device", "cpu")
    assert done.code == 0
    written = [Path(line) for line in done.out.splitlines()]
    assert [path.name for path in written[:2]] == [f"{images[0].stem}_mask.png", f"{images[0].stem}_overlay.png"]
    assert all(path.is_file() for path in written)
    assert f"[2/2] {images[1]}" in done.err


def test_predict_draws_maps_where_there_is_attention(
    attnzoo: Attnzoo, run: Path, drawn: Path, tiny: Path, tmp_path: Path
) -> None:
    from attnzoo import training
    from attnzoo.data import open_dataset

    image = min((drawn / "test").glob("*.png"))
    assert attnzoo("predict", run, image, "--maps").err == (
        f"error: `{run}` has no attention whose maps could be drawn\nhint: leave `--maps` out\n"
    )
    gated = recipes.load(tiny).override({"model.attention": "gate", "training.epochs": 1})
    training.run(gated, tmp_path / "run", data=open_dataset(drawn, gated.data), device="cpu", progress=False)
    done = attnzoo("predict", tmp_path / "run", image, "--maps", "--out", tmp_path / "out", "--device", "cpu")
    assert done.code == 0
    assert [Path(line).name for line in done.out.splitlines()] == [
        f"{image.stem}_{what}.png" for what in ("mask", "overlay", "map_skip1_gate")
    ]
    assert all(Path(line).is_file() for line in done.out.splitlines())


def test_ablate_takes_position_as_a_factor_and_residual_slots(
    attnzoo: Attnzoo, drawn: Path, tiny: Path, tmp_path: Path
) -> None:
    arms = ("se:reduction=2@bottleneck", "se:reduction=2@skip.bottleneck", "se:reduction=2@encoder1.decoder1")
    words = ("--recipe", tiny, "--data", drawn, "--out", tmp_path / "out", "--device", "cpu", "--epochs", 1)
    done = attnzoo("ablate", "--attention", ",".join(arms), *words, "--no-time", "--set", "model.residual=zero")
    assert done.code == 0
    assert all(arm in done.out for arm in arms)
    folder = next((tmp_path / "out").glob("*encoder1*")) / "seed-0"
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert [(record["site"], record["residual"]) for record in result["insertions"]] == [
        ("encoder1", "zero"),
        ("decoder1", "zero"),
    ]
    wrong = attnzoo("ablate", "--attention", "se", *words, "--set", "model.residual=one")
    assert wrong.err == "error: `model.residual` cannot be `one`\nhint: possible: `none` or `zero`\n"


def test_predict_refuses_what_is_no_file(attnzoo: Attnzoo, run: Path, tmp_path: Path) -> None:
    missing = tmp_path / "x.png"
    assert attnzoo("predict", run, missing).err == f"error: there is no image `{missing}`\nhint: check the path\n"
    said = f"error: `{tmp_path}` is a folder, not an image\n"
    assert attnzoo("predict", run, tmp_path).err == f"{said}hint: name the files; it holds no image\n"
    for name in ("a.JPG", "b.JPG", "c.png", "d.txt", "e.txt", "f.txt"):
        (tmp_path / name).touch()
    assert attnzoo("predict", run, tmp_path).err == f"{said}hint: name the files: `{tmp_path}/*.JPG`\n"


def test_reproduce_refuses(attnzoo: Attnzoo, tmp_path: Path) -> None:
    assert attnzoo("reproduce", "ema-attention-unet", "--set", "model.attention=ema") == (
        2, "", "error: a paper's attention cannot be overridden\nhint: compare others with `attnzoo ablate`\n",
    )  # fmt: skip
    claim = '[claims]\npaper = "p"\nmodel = "m"\nclasses = 2\nparameters = 3\n'
    (tmp_path / "wrong.toml").write_text(f"schema = 1\n[model]\nwidths = [4, 8]\n{claim}", encoding="utf-8")
    done = attnzoo("reproduce", tmp_path)
    assert done.code == 2
    assert "parameters, where 3 are claimed\nhint: the recipe's model, or its claim, is not the paper's\n" in done.err


def test_data_draw_check_and_masks(attnzoo: Attnzoo, tmp_path: Path) -> None:
    folder, masks = tmp_path / "drawn", tmp_path / "masks"
    drawn = attnzoo("data", "draw", folder, "--patients", 3, "--slices", 5, "--size", 64)
    assert (drawn.code, drawn.out) == (0, f"{folder}\n")
    assert "a drawing, not data" in drawn.err
    assert "roboflow, 5 classes" in attnzoo("data", "check", folder).out
    assert list(json.loads(attnzoo("data", "check", folder, "--json").out)["splits"]) == ["train", "valid", "test"]
    assert attnzoo("data", "masks", folder, "--out", masks).out == f"{masks}\n"
    assert len(list(masks.rglob("*.png"))) == len(list(folder.rglob("*.png")))
