"""The loader: masks from the cache against a plain annToMask loop, and images against what the GPU consumes."""

import os
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from .session import Session


def feeding(session: Session, data: Path | None) -> None:
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
        root = data or draw(Path(folder) / "drawing", patients=drawn[0], slices=drawn[1], size=side)
        opened = open_dataset(root, recipe.data)
        prepare(opened)
        samples = opened.splits["train"].samples
        cached = _rate(session, lambda: [mask(opened, sample) for sample in samples], len(samples))
        some = samples[:: max(1, len(samples) // 100)]  # it takes seconds
        plain = _rate(session, _plain(root, {sample.name for sample in some}), len(some))
        at = f"{data.name if data else 'phantom'}, {len(samples)} images"
        session.row(
            "masks/s: cache / annToMask loop", at, cached / plain, "≥ 20", per_second={"cache": cached, "plain": plain}
        )
        batches = loader(opened, "train", recipe, train=True, workers=workers)
        epochs = count()

        def epoch() -> None:
            batches.sampler.set_epoch(next(epochs))
            for _ in batches:
                pass

        found = _rate(session, epoch, len(samples))
        for precision, eaten in session.about.get("images_per_second", {}).items():
            session.row(
                "images/s: loader / training step", f"{at}, {workers} workers, {precision}", found / eaten, "≥ 2",
                per_second={"loader": found, "model": eaten},
            )  # fmt: skip


def _rate(session: Session, call: Callable[[], object], things: int) -> float:
    """Things per second: the median of three calls after one, or as many as a few seconds hold."""
    start = time.perf_counter()
    call()
    once = time.perf_counter() - start
    taken = []
    for _ in range(1 if session.quick or once > 1 else 3):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return things / sorted(taken)[len(taken) // 2]


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
