"""What makes runs comparable: the same test images of the same data, groups, classes and rules of scoring."""

from collections.abc import Sequence

import numpy as np

from attnzoo.data.splits import group_of
from attnzoo.errors import AttnzooError, listing
from attnzoo.workflows.finished import Finished


def check_alike(runs: Sequence[Finished]) -> None:
    """Compare every run with the first.

    Raises:
        AttnzooError: Two runs have other classes, test images, data, groups or scoring, or are one arm at one seed.
    """
    first = runs[0]
    seen: dict[tuple[str, int], Finished] = {}
    for run in runs:
        _check_classes(first, run)
        _check_images(first, run)
        _check_data(first, run)
        _check_groups(first, run)
        _check_scoring(first, run)
        _check_truth(first, run)
        if (twin := seen.setdefault((run.arm, run.seed), run)) is not run:
            raise AttnzooError(
                f"`{twin.folder}` and `{run.folder}` are both `{run.arm}` at seed {run.seed}",
                "leave one of them out, or tell them apart: `attnzoo compare --name A --name B`",
            )


def _check_classes(first: Finished, run: Finished) -> None:
    if run.result.classes != first.result.classes:
        raise AttnzooError(
            f"`{run.folder}` has the classes {listing(run.result.classes, last='and')}, "
            f"and `{first.folder}` {listing(first.result.classes, last='and')}",
            "compare runs of one data set",
        )


def _check_images(first: Finished, run: Finished) -> None:
    if set(run.images) == set(first.images):
        return
    odd = min(set(run.images) ^ set(first.images))
    owner = run if odd in run.images else first
    raise AttnzooError(
        f"`{run.folder}` was tested on {len(run.images)} images and `{first.folder}` on {len(first.images)}, which are "
        f"not the same: `{odd}` is in `{owner.folder}` alone",
        "scores are paired by image: compare runs with the same test images",
    )


def _check_data(first: Finished, run: Finished) -> None:
    there, here = (str(one.result.identity.get("data")) for one in (first, run))
    if there != here:
        raise AttnzooError(
            f"`{first.folder}` and `{run.folder}` have test images of the same names, but other data: "
            f"digest {there[:12]}… there, {here[:12]}… here",
            "compare runs on the same data: run one of them again",
        )


def _check_groups(first: Finished, run: Finished) -> None:
    """Images that belong together are drawn together: which do must not depend on the run that is named first."""
    there, here = (one.result.identity["recipe"]["data"]["group_pattern"] for one in (first, run))
    if there == here:
        return
    with_there, with_here = _together(first.images, there), _together(first.images, here)
    for image in with_there:
        if with_there[image] != with_here[image]:
            fellow = min({with_there[image], with_here[image]} - {image})
            raise AttnzooError(
                f"`{first.folder}` and `{run.folder}` group images differently, by `data.group_pattern` "
                f"`{there or 'none'}` there and `{here or 'none'}` here: `{fellow}` and `{image}` are one group in one "
                "of them alone",
                "compare runs with the same groups: run one of them again with the other's pattern",
            )


def _together(images: Sequence[str], pattern: str | None) -> dict[str, str]:
    """The first image of each image's group: the same for patterns that call the same groups by other names."""
    first: dict[str, str] = {}
    return {image: first.setdefault(group_of(image, pattern), image) for image in sorted(images)}


def _check_scoring(first: Finished, run: Finished) -> None:
    for field in ("resolution", "absent"):
        there, here = (one.result.test.get(field) for one in (first, run))
        if there != here:
            raise AttnzooError(
                f"`{first.folder}` was scored by `scores.{field} = {there}` and `{run.folder}` by `{here}`",
                "compare runs with equal `[scores]`: run one of them again by the other's",
            )


def _check_truth(first: Finished, run: Finished) -> None:
    """True pixels by image and class; they depend on the size at which pixels were counted."""
    there, here = (one.matrices.sum(axis=2)[np.argsort(one.images)] for one in (first, run))
    if not np.array_equal(there, here):
        index = int(np.flatnonzero((there != here).any(axis=1))[0])
        raise AttnzooError(
            f"the ground truth of `{sorted(run.images)[index]}` has other pixels in `{run.folder}` "
            f"than in `{first.folder}`",
            "compare runs of one image size, or with `scores.resolution = image`",
        )
