"""The loader: masks from the cache against a plain annToMask loop, and images against what a model consumes."""

import os
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from statistics import median

from .on_gpu.session import Session, spreads

SOME = 32  # images that the plain loop paints: it takes milliseconds for each


def feeding(session: Session) -> None:
    """On the machine's own cores. Needs pycocotools, torchvision, Pillow and platformdirs, which may not be there."""
    try:
        from attnzoo.data import mask, open_dataset, prepare
        from attnzoo.data.loading import loader
        from attnzoo.data.phantom import draw
        from attnzoo.recipe import Recipe
    except ImportError as error:
        session.leave_out("loader rows", f"{error.name} is not installed on this machine: carry it along as a wheel")
        return
    side, workers = (64, 0) if session.quick else (256, os.cpu_count() or 1)
    recipe = Recipe().override({"data.image_size": (side, side), "training.batch_size": 2 if session.quick else 8})
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATTNZOO_CACHE"] = folder
        drawn = (3, 5) if session.quick else (24, 24)
        root = session.data or draw(Path(folder) / "drawing", patients=drawn[0], slices=drawn[1], size=side)
        opened = open_dataset(root, recipe.data)
        prepare(opened)
        samples = opened.splits["train"].samples
        some = samples[:: max(1, len(samples) // SOME)]
        calls = {
            "cache": lambda: [mask(opened, sample) for sample in some],
            "plain": _plain(root, {sample.name for sample in some}),
        }
        found = session.timed(calls, inference=False)
        at = f"{session.data.name if session.data else 'phantom'}, {len(samples)} images"
        session.row(
            "masks/s: cache / annToMask loop", f"{at}, {len(some)} of them", found["plain"].ratio.median, "≥ 20",
            ms=spreads(found, len(some)),
        )  # fmt: skip
        batches = loader(opened, "train", recipe, train=True, workers=workers)
        epochs = count()

        def epoch() -> None:
            batches.sampler.set_epoch(next(epochs))
            for _ in batches:
                pass

        loaded = len(samples) / _seconds(session, epoch)
        at = f"{at}, {side}×{side}, {workers} workers"
        session.row("images/s: loader", at, loaded)
        for precision, eaten in session.about.get("images_per_second", {}).items():
            session.row(
                "images/s: loader / training step", f"{at}, {precision}", loaded / eaten, "≥ 2",
                per_second={"loader": loaded, "model": eaten},
            )  # fmt: skip


def _seconds(session: Session, call: Callable[[], object]) -> float:
    """The median of three calls after one, which starts the workers' page cache."""
    call()
    taken = []
    for _ in range(1 if session.quick else 3):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return median(taken)


def _plain(root: Path, names: set[str]) -> Callable[[], None]:
    """What a tutorial does: every annotation's mask, painted over one another in the file's order."""
    import contextlib
    import io

    import numpy as np
    from pycocotools.coco import COCO

    (file,) = (root / "train").glob("*.json")
    with contextlib.redirect_stdout(io.StringIO()):  # it prints
        coco = COCO(file)
    images = [one["id"] for one in coco.loadImgs(coco.getImgIds()) if one["file_name"] in names]

    def paint() -> None:
        for image in images:
            painted = None
            for annotation in coco.loadAnns(coco.getAnnIds(image)):
                one = coco.annToMask(annotation)
                painted = np.zeros_like(one) if painted is None else painted
                painted[one > 0] = annotation["category_id"]

    return paint
