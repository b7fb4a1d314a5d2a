"""What an import costs: asked in processes of their own, since here everything is loaded already."""

import subprocess
import sys

import pytest

import attnzoo

HEAVY = ("torch", "lightning", "segmentation_models_pytorch", "pycocotools", "matplotlib", "scipy", "timm", "numpy")


def run(script: str) -> str:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    "statement", ["import attnzoo", "from attnzoo import register, AttnzooError", "import attnzoo; dir(attnzoo)"]
)
def test_importing_attnzoo_loads_nothing_heavy(statement: str) -> None:
    assert run(f"{statement}; import sys; print([name for name in {HEAVY} if name in sys.modules])") == "[]"


def test_the_public_names_are_all_there() -> None:
    for name in attnzoo.__all__:
        assert getattr(attnzoo, name) is not None
    assert set(attnzoo.__all__) <= set(dir(attnzoo))
    assert attnzoo.__version__.count(".") == 2


def test_a_star_import_gives_the_public_names() -> None:
    assert run("from attnzoo import *; print(UNet.__name__, insert.__name__, available.__name__)") == (
        "UNet insert available"
    )


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'attnzoo' has no attribute 'inset'"):
        attnzoo.inset  # noqa: B018
