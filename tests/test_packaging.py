"""What travels: recipes and the type marker, in a wheel and in an editable install."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from attnzoo import recipe

ROOT = Path(__file__).parents[1]
# -S hides the environment's own attnzoo; recipes need nothing but the standard library
ASK = """
import site, sys
site.addsitedir(sys.argv[1])
from attnzoo import recipe
print(recipe.__file__, *recipe.shipped())
"""


@pytest.fixture(params=["build_wheel", "build_editable"])
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder that holds what an installer would unpack, built by the backend's own hooks."""
    pytest.importorskip("hatchling", reason="needs the build backend (`pip install attnzoo[test]`)")
    build = f"from hatchling import build; build.{request.param}({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    return tmp_path / "site"


def test_recipes_are_found_by_name_wherever_attnzoo_is_installed(installed: Path, tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-I", "-S", "-c", ASK, str(installed)],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    origin, *names = answer.stdout.split()
    assert tuple(names) == recipe.shipped()
    assert "smoke" in names
    assert "ema-attention-unet/ema-attention-unet" in names
    assert Path(origin).is_relative_to(installed) or Path(origin).is_relative_to(ROOT / "attnzoo")


def test_a_wheel_carries_types_licence_and_command(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="needs the build backend (`pip install attnzoo[test]`)")
    build = f"from hatchling import build; build.build_wheel({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (scripts,) = (name for name in names if name.endswith("entry_points.txt"))
        assert "attnzoo = attnzoo.cli:main" in archive.read(scripts).decode()
    assert {"attnzoo/py.typed", "attnzoo/report/page/page.html", "attnzoo/report/page/style.css"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith("tests/") for name in names)
