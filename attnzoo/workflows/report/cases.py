"""The picked test images: read and predicted by every arm once, and kept for the next time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from attnzoo.data.dataset import Dataset, image, mask, open_dataset
from attnzoo.errors import AttnzooError, first_line
from attnzoo.training import Predictor
from attnzoo.training.folder import read_run
from attnzoo.workflows.finished import Finished
from attnzoo.workflows.report.drawing import image_score
from attnzoo.workflows.report.folder import Folder
from attnzoo.workflows.report.kept import Kept
from attnzoo.workflows.report.looking import outlines, photo, predict
from attnzoo.workflows.report.picks import Pick, Picks, changes, image_dice, pick

_ROUNDING = 0.02  # in the Dice of an image, by another device or number of threads

Say = Callable[[str], None]


@dataclass(frozen=True)
class Cases:
    """The picked images that can be shown, what is kept of them, and what cannot be shown, in words.

    `example` is the image that shows how annotations become a mask: that with most classes.
    """

    picks: tuple[Pick, ...]
    example: str | None
    kept: Kept
    runs: Mapping[str, Finished]
    gaps: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def shows(self, arm: str, image: str) -> bool:
        """Whether the prediction of this very run is there."""
        return self.kept.has_mask(image, arm, self.runs[arm].folder, maps=False)


def cases(
    folder: Folder, reference: str, *, data: Path | None = None, device: str = "auto", say: Say = lambda line: None
) -> Cases:
    """Pick by the arms' first seeds, predict what is not kept already, and keep it.

    Weights or data that are gone are a gap in words; what was kept of them before is shown.

    Raises:
        AttnzooError: `data` was named, and is not the data that the runs were tested on.
    """
    runs = {run.arm: run for arm in folder.arms if (run := folder.first(arm)) is not None}
    chosen = _picks(runs, reference)
    example = _example(runs[reference])
    wanted = tuple(dict.fromkeys([*(one.image for one in chosen.picks), *([example] if example else [])]))
    kept = Kept.open(folder.path / "report" / "cases", folder.record["data"]["digest"])
    gaps: list[str] = []
    lacking = [
        (run, one)
        for run in runs.values()
        for one in chosen.picks
        if not kept.has_mask(one.image, run.arm, run.folder, maps=_with_maps(run, one))
    ]
    if lacking or not all(map(kept.has_image, wanted)):
        opened = _open(folder, runs[reference], data, gaps, say)
        if opened is not None:
            window = runs[reference].result.identity["recipe"]["data"]["window"]
            _keep(kept, opened, window, wanted, lacking, device, gaps, say)
            kept.write()
    shown = tuple(one for one in chosen.picks if kept.has_image(one.image))
    there = example if example and kept.has_image(example) else None
    found = Cases(shown, there, kept, runs, (), chosen.left_out)
    return replace(found, gaps=(*gaps, *_unlike(found)))


def _picks(runs: Mapping[str, Finished], reference: str) -> Picks:
    dice = {arm: image_dice(run.matrices) for arm, run in runs.items()}
    changed = changes(dice[reference], dice.values())
    return pick(runs[reference].images, dice[reference], runs[reference].result.classes[1:], changed)


def _example(run: Finished) -> str | None:
    """The test image whose truth has most classes; of equals the first by name."""
    classes = (run.matrices.sum(2)[:, 1:] > 0).sum(1)
    order = sorted(range(len(run.images)), key=lambda index: (-classes[index], run.images[index]))
    return run.images[order[0]] if classes[order[0]] else None


def _unlike(cases: Cases) -> list[str]:
    """Masks that are not the ones that were scored: another device rounds otherwise, but not by so much."""
    kept, told = cases.kept, []
    for run in cases.runs.values():
        off = [
            abs(drawn - float(np.nanmean(image_dice(run.matrices[[run.images.index(one.image)]]))))
            for one in cases.picks
            if run.result.test["resolution"] == "image" and cases.shows(run.arm, one.image)
            if (drawn := image_score(kept.truth(one.image), kept.mask(one.image, run.arm), None)) is not None
        ]
        if count := sum(one > _ROUNDING for one in off):
            told.append(
                f"cases: what `{run.arm}` is shown to find is not what was scored in {count} of {len(off)} images: "
                f"their Dice differs by up to {max(off):.3f}"
            )
    return told


def _with_maps(run: Finished, one: Pick) -> bool:
    """Maps are drawn of the images that are the best, median and worst of all."""
    return one.overall and bool(run.result.insertions)


def _open(folder: Folder, run: Finished, data: Path | None, gaps: list[str], say: Say) -> Dataset | None:
    """The data set that the runs were tested on; a gap where it is gone or has changed."""
    root = data or Path(folder.record["data"]["root"])
    wanted = folder.record["data"]["digest"]
    hint = "say where they are: `--data DIR`"
    if data is None and not root.is_dir():
        gaps.append(f"cases: the data are not at `{root}` any more; {hint}")
        return None
    say(f"reading {root}")
    try:
        recipe, _ = read_run(run.folder)
        found = open_dataset(root, recipe.data)
    except AttnzooError as error:
        if data is not None:
            raise
        gaps.append(f"cases: {error.message}")
        return None
    if found.digest == wanted:
        return found
    if data is not None:
        raise AttnzooError(
            f"`{data}` is not the data that `{folder.path}` was tested on: digest {found.digest[:12]}… there, "
            f"{wanted[:12]}… here",
            "give the same data, unchanged",
        )
    gaps.append(f"cases: the data at `{root}` have changed since the runs; {hint}")
    return None


def _keep(
    kept: Kept,
    data: Dataset,
    window: tuple[float, float] | None,
    wanted: Sequence[str],
    lacking: Sequence[tuple[Finished, Pick]],
    device: str,
    gaps: list[str],
    say: Say,
) -> None:
    """Write photos, truths, and the predictions that are lacking."""
    samples = {sample.name: sample for sample in data.splits["test"].samples}
    for name in wanted:
        if not kept.has_image(name):
            sample = samples[name]
            kept.keep_image(name, photo(sample, window), mask(data, sample), outlines=outlines(sample))
    for run in {one.folder: one for one, _ in lacking}.values():
        say(f"cases: {run.arm}, seed {run.seed}")
        try:
            predictor = Predictor(run.folder, device)
            for one in (one for other, one in lacking if other is run):
                pixels = image(samples[one.image])
                kept.keep_mask(one.image, run.arm, run.folder, *predict(predictor, pixels, maps=_with_maps(run, one)))
        except (AttnzooError, OSError, RuntimeError) as error:
            # the page is worth having without this arm's pictures
            why = error.message if isinstance(error, AttnzooError) else first_line(error)
            gaps.append(f"cases: `{run.arm}` is not shown: {why}")
