"""The demonstration: one network of each library, furnished, trained, exported, compared."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "furnish_all.py"


def table(*arguments: str) -> list[list[str]]:
    """The rows that the script prints."""
    ran = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=True)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in ran.stdout.splitlines()[2:]]


@pytest.mark.slow
def test_every_library_is_furnished_or_says_why_not() -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    rows = table()
    assert {network for network, *_ in rows} == {
        "attnzoo.UNet",
        "smp.Unet",
        "smp.FPN",
        "monai.UNet",
        "torchvision.FCN",
        "torchvision.LRASPP",
        "nnunet.PlainConvUNet",
    }
    skipped = {(network, attention): verdict for network, attention, *_, verdict in rows if verdict != "the same"}
    assert skipped.pop(("torchvision.FCN", "gate@encoder")) == (
        "skipped: `gate` listens to the decoder, and the encoder level 1 of FCN has none"
    )
    for (network, attention), verdict in skipped.items():  # an optional library that is not there
        assert attention == "all"
        assert verdict.startswith("skipped: No module named"), network
    assert sum(verdict == "the same" for *_, verdict in rows) >= 17
