"""CONTRIBUTING's own example is a block that can be registered, inserted and trained."""

import re
from pathlib import Path

import pytest
import torch

from attnzoo import UNet, insert, registry

PAGE = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("fresh")
def test_its_first_block_works_from_a_file(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    lines = [line.removeprefix("   ") for line in code.splitlines()]
    (tmp_path / "mine.py").write_text("\n".join(lines).replace('@register("se"', '@register("mine"'), encoding="utf-8")
    assert registry.load_plugin(tmp_path / "mine.py").names == ("mine",)
    model = insert(UNet(in_channels=1, classes=2, widths=(16, 32)), "mine:reduction=4")
    model(torch.randn(2, 1, 16, 16)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
