"""The README says what is true: its code runs, its commands exist, its counts are counted."""

import re
from pathlib import Path

import pytest
import typer

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
    assert len(lines) <= 150
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


def test_its_library_code_runs(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        blocks("python")[1].replace('"DIR"', repr(str(drawn))).replace('"training.epochs": 20', '"training.epochs": 1')
    )
    assert '"training.epochs": 1}' in code
    monkeypatch.chdir(tmp_path)
    exec(compile("import attnzoo\n" + code, "README.md", "exec"), {})
    assert (tmp_path / "runs" / "cbam" / "result.json").is_file()


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_exists(page: str) -> None:
    command = typer.main.get_command(app)
    for line in re.findall(
        r"attnzoo ((?:ablate|train|evaluate|predict|bench|reproduce|list|show|data)\b[^`\n#]*)", PAGES[page]
    ):
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


@pytest.mark.parametrize(
    ("spelling", "gate", "count"),
    [("gate", 64, "4,323"), ("grid_gate", 128, "16,641"), ("ema", None, "48"), ("ema:groups=8", None, "672"),
     ("se", None, "580"), ("cbam", None, "680")],
)  # fmt: skip
def test_its_counts_are_counted(spelling: str, gate: int | None, count: str) -> None:
    block = registry.build_block(spec.parse_block(spelling), 64, gate)
    assert f"{sum(parameter.numel() for parameter in block.parameters()):,}" == count
    row = next(line for line in README.splitlines() if line.startswith(f"| `{spelling.partition(':')[0]}` | "))
    assert count in row


def test_every_block_has_its_row() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* 20\d\d", README, re.MULTILINE)
    assert sorted(rows) == [
        name for name in registry.available() if registry.entry(name).cls.__module__.startswith("attnzoo.")
    ]
