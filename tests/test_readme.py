"""The README says what is true: its code runs, its commands exist, its counts are counted."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image

import attnzoo
from attnzoo import registry, spec
from attnzoo.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {page: (ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "CONTRIBUTING.md")} | {
    "recipe": (ROOT / "recipes/ema-attention-unet/README.md").read_text(encoding="utf-8")
}


def blocks(language: str) -> list[str]:
    """The code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_it_is_short_and_code_comes_at_once() -> None:
    lines = README.splitlines()
    assert len(lines) <= 175
    assert any(line.startswith("```sh") for line in lines[:15])


def test_its_first_python_runs() -> None:
    # without the pretrained weights, which a test does not download
    code = blocks("python")[0].replace('smp.Unet("resnet34")', 'smp.Unet("resnet34", encoder_weights=None)')
    assert "encoder_weights=None" in code
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    paper = names["paper"]
    assert sum(parameter.numel() for parameter in paper.parameters()) == 7_794_805  # type: ignore[attr-defined]
    assert "7,794,805 parameters" in code


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Coloured photos with masks of three classes, in names that tell no patient: nothing like the phantom."""
    random = np.random.default_rng(0)
    for split, count in {"train": 4, "valid": 2, "test": 2}.items():
        for folder, shape, top in (("images", (40, 48, 3), 256), ("masks", (40, 48), 3)):
            (tmp_path / "photos" / split / folder).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, top, shape, dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "photos" / split / folder / f"photo{number}.png")
    return tmp_path / "photos"


def test_its_library_code_runs(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = next(code for code in blocks("python") if "open_dataset" in code)
    fewer = '"training.epochs": 1, "data.image_size": 32, "model.widths": [16, 32]}'  # a second, and not an hour
    code = library.replace('"DIR"', repr(str(photos))).replace('"training.epochs": 20}', fewer)
    assert fewer in code
    monkeypatch.chdir(tmp_path)
    exec(compile("import attnzoo\n" + code, "README.md", "exec"), {})
    assert (tmp_path / "runs" / "cbam" / "result.json").is_file()


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_exists(page: str) -> None:
    command = typer.main.get_command(app)
    commands = "ablate|status|compare|report|train|evaluate|predict|bench|reproduce|list|show|safety|data"
    for line in re.findall(rf"attnzoo ((?:{commands})\b[^`\n#]*)", PAGES[page]):
        words = line.split()
        found = command.commands[words[0]]  # type: ignore[attr-defined]
        if words[0] == "data" and len(words) > 1:
            found = found.commands[words[1]]
        known = {option for parameter in found.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


def test_its_spellings_are_canonical() -> None:
    (table,) = re.findall(r"\| spelling \| meaning \|\n\|---\|---\|\n(.*?)\n\n", README, re.DOTALL)
    for row in table.splitlines():
        for spelling in re.findall(r"`([^`]+)`", row.split("|")[1]):
            assert str(spec.parse(spelling)) == spelling


def test_its_table_of_blocks_is_the_registry_s() -> None:
    (table,) = re.findall(r"\| what it looks at \| blocks \|\n\|---\|---\|\n(.*?)\n\n", README, re.DOTALL)
    spellings = re.findall(r"`([^`]+)`", table)
    assert [str(spec.parse(spelling)) for spelling in spellings] == spellings
    assert sorted(spelling.partition(":")[0] for spelling in spellings) == [
        name for name in registry.available() if registry.entry(name).group in ("attnzoo", "controls")
    ]


def test_its_other_networks_are_furnished() -> None:
    code = next(code for code in blocks("python") if "anything" in code)
    import segmentation_models_pytorch as smp
    import torchvision

    names: dict[str, object] = {
        "smp": smp,
        "attnzoo": attnzoo,
        "anything": torchvision.models.resnet18(),
        "image": torch.zeros(1, 3, 64, 64),
        "pretrained": smp.Unet("resnet18", encoder_weights=None),
        "model": attnzoo.insert(smp.Unet("resnet18", encoder_weights=None), "cbam"),
    }
    exec(compile(code, "README.md", "exec"), names)
    maps = names["maps"]
    assert {key[1] for key in maps} == {"cbam"}  # type: ignore[attr-defined]
    assert len(attnzoo.insertions(names["anything"])) == 4  # type: ignore[arg-type]


@pytest.mark.parametrize("data", ["facades", "head-ct"])
def test_its_answer_is_the_committed_one(data: str) -> None:
    answer = next(paragraph for paragraph in README.split("\n\n") if paragraph.startswith("**Our own answer**"))
    found = json.loads((ROOT / "benchmarks/results/answer-cpu" / data / "verdicts.json").read_text(encoding="utf-8"))
    arms = {arm["name"]: arm for arm in found["arms"]}
    assert f"{arms['none']['score']['estimate']:.3f}" in answer
    differences = {
        name: arm["difference"]["interval"]["estimate"] for name, arm in arms.items() if arm["difference"] is not None
    }
    extremes = min(differences.values()), max(differences.values())
    for number in (*extremes, differences["ema"], differences["frozen:block=[ema]"]):
        assert f"{number:+.3f}".replace("-", "−") in answer
