"""What several rooms' tests share."""

import copy
import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from PIL import Image

from attnzoo.recipe import Data, Model, Recipe, Training

ROOT = Path(__file__).parents[1]
MOST_WORKERS = 8  # each has a torch of its own in memory
SEED = int(os.environ.get("ATTNZOO_TEST_SEED", "0"))  # other numbers show whether a tolerance holds by chance

# Before torch is imported: tests are small, and a second thread costs them more than it brings.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# a loaded machine is slow at drawing examples too, which says nothing of the code; CI draws the same ones each time
hypothesis.settings.register_profile(
    "attnzoo",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("attnzoo")


@pytest.hookimpl(optionalhook=True)  # xdist's, which may be left out
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """For all of the fast tests as many as there are cores; for a few named ones, and those that time things, none."""
    everything = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if not everything or config.option.markexpr != "not slow" or config.option.keyword:
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_WORKERS)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """A test draws the same numbers each time, whichever ran before it."""
    import numpy as np
    import torch

    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests, and the processes that they start, leave the user's cache alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTNZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def benchmarks_package() -> Iterator[None]:
    """The package `benchmarks` of the checkout, which no wheel contains, can be imported."""
    with pytest.MonkeyPatch.context() as patch:
        # last, so that an installed attnzoo stays the one under test
        patch.setattr(sys, "path", [*sys.path, str(ROOT)])
        yield


@pytest.fixture
def quick(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Runs a script of `benchmarks` at tiny sizes, and gives the JSON that it writes."""

    def run(script: str, *options: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{script}", "--quick", "--out", str(tmp_path), *options],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        (file,) = tmp_path.iterdir()
        assert "-quick" in file.stem  # beside committed results it would replace none
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found

    return run


@pytest.fixture
def fresh() -> Iterator[None]:
    """What a test registers is forgotten after it, and installed packages are asked anew."""
    from attnzoo import registry
    from attnzoo.registry import entries, plugins

    registry.available()
    kept = [(store, copy.copy(store)) for store in (entries.ENTRIES, plugins._broken, plugins._plugins)]
    modules = dict(sys.modules)
    plugins._asked.clear()
    yield
    for store, before in kept:
        store.clear()
        store.update(before)
    for added in set(sys.modules) - set(modules):
        if added.startswith(("attnzoo_plugin_", "installed_")):
            del sys.modules[added]
    plugins._asked[:] = [plugins.GROUP]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The developers' reference material; users have none, so tests that need it skip."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("needs ../shared, which only the developers' machines have")
    return folder


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn data set of 20, 5 and 5 images."""
    from attnzoo.data.phantom import draw

    return draw(tmp_path_factory.mktemp("data") / "phantom", patients=6, slices=5, size=64)


@pytest.fixture(scope="session")
def tiny() -> Recipe:
    """A recipe whose run takes a second."""
    return Recipe(
        name="tiny",
        data=Data(image_size=(32, 32), group_pattern=r"^(p\d+)"),
        model=Model(in_channels=1, widths=(4, 8)),
        training=Training(epochs=1, batch_size=8, learning_rate=3e-3),
    )


@pytest.fixture(scope="session")
def undrawing() -> Callable[[pytest.MonkeyPatch], None]:
    """Asks that no figure be drawn, which takes seconds and is tested elsewhere."""
    png = io.BytesIO()
    Image.new("L", (4, 4)).save(png, "PNG")
    files = {"svg": b"<svg/>", "png": png.getvalue()}
    return lambda patch: patch.setattr("attnzoo.report.figures.Drawn.write", lambda self, folder: files)


@pytest.fixture
def undrawn(undrawing: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """No figure is drawn in this test."""
    undrawing(monkeypatch)
