"""Which images belong together, what two splits share, and splits drawn so that they share nothing."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np

from attnzoo.data.findings import Findings
from attnzoo.data.records import SPLITS, Sample
from attnzoo.errors import AttnzooError

FRACTIONS = {"train": 0.7, "valid": 0.15, "test": 0.15}
_ROBOFLOW = re.compile(r"(.+)\.rf\.[^./]+$")  # Roboflow's exports of one photo differ in the hash behind .rf.


def group_of(name: str, pattern: str | None) -> str:
    """The group of an image: the pattern's first group (or whole match) in its name, else its photo, else its own stem.

    Raises:
        AttnzooError: Where the pattern does not match the name, or matches nothing of it.
    """
    if pattern is None:
        stem = str(PurePosixPath(name).with_suffix(""))
        photo = _ROBOFLOW.match(stem)
        return photo[1] if photo else stem
    match = re.search(pattern, name)
    group = match[1] if match and match.re.groups else match[0] if match else None
    if not group:
        raise AttnzooError(
            f"`data.group_pattern` `{pattern}` finds no group in the file name `{name}`",
            "its first group, or the whole match, must be the patient or photo in every file name",
        )
    return group


def grouped(samples: Iterable[Sample], pattern: str | None) -> tuple[Sample, ...]:
    """The samples with their groups filled in."""
    return tuple(replace(sample, group=group_of(sample.name, pattern)) for sample in samples)


def leakage(splits: Mapping[str, Sequence[Sample]], findings: Findings, *, pattern: str | None, allow: bool) -> None:
    """Look for groups and for image bytes that two splits share.

    Without a pattern a shared stem counts only where it names a Roboflow photo: `0001.png` in two splits is two images.

    Raises:
        AttnzooError: At anything shared, unless `allow` makes it a finding.
    """
    certain = {
        split: [sample for sample in samples if pattern is not None or ".rf." in sample.name]
        for split, samples in splits.items()
    }
    kinds = (
        (
            "group",
            _shared({split: {sample.group: sample.name for sample in samples} for split, samples in certain.items()}),
        ),
        (
            "image",
            _shared({split: {sample.digest: sample.name for sample in samples} for split, samples in splits.items()}),
        ),
    )
    for kind, shared in kinds:
        for key, places in shared.items():
            where = " and ".join(f"{split}/{name}" for split, name in places.items())
            what = f"group `{key}`" if kind == "group" else "the same image"
            if not allow:
                others = f" ({len(shared)} such {kind}s in all)" if len(shared) > 1 else ""
                raise AttnzooError(
                    f"{what} is in more than one split: {where}{others}",
                    "scores would be too good: split by group, or accept it by `--set data.allow_leakage=true`",
                )
            findings.add(f"leaked-{kind}", f"{what}: {where}")
    for split, samples in splits.items():
        _copies(split, samples, findings)


def draw(
    samples: Sequence[Sample], fractions: Mapping[str, float] = FRACTIONS, seed: int = 0
) -> dict[str, tuple[Sample, ...]]:
    """Deal samples into splits, whole groups at a time; the same samples and seed give the same splits.

    `open_dataset` uses it where a data set comes in one piece (one COCO file or pair of folders that names no split).
    The groups, sorted, get an order from PCG64(seed); each split gets one, and each further group goes where most
    images are still wanted.

    Raises:
        AttnzooError: For fewer groups than splits.
    """
    groups: dict[str, list[Sample]] = {}
    for sample in sorted(samples, key=lambda sample: sample.name):
        groups.setdefault(sample.group, []).append(sample)
    if len(groups) < len(fractions):
        raise AttnzooError(
            f"{len(groups)} groups of images cannot be dealt into {len(fractions)} splits",
            "add images, or split them by hand",
        )
    names = sorted(groups)
    # raw PCG64 numbers are fixed for good; numpy's shuffles may change between versions
    order = np.argsort(np.random.PCG64(seed).random_raw(len(names)), kind="stable")
    dealt: dict[str, list[Sample]] = {split: [] for split in fractions}
    waiting = list(fractions)
    for place in order:
        split = (
            waiting.pop(0)
            if waiting
            else max(fractions, key=lambda split: fractions[split] * len(samples) - len(dealt[split]))
        )
        dealt[split] += groups[names[place]]
    return {split: tuple(sorted(dealt[split], key=lambda sample: sample.name)) for split in fractions}


def _shared(keys: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Keys that more than one split has, with a file of each: key → split → name."""
    places: dict[str, dict[str, str]] = {}
    for split in (split for split in SPLITS if split in keys):
        for key, name in keys[split].items():
            places.setdefault(key, {})[split] = name
    return {key: found for key, found in places.items() if len(found) > 1}


def _copies(split: str, samples: Sequence[Sample], findings: Findings) -> None:
    first: dict[str, str] = {}
    for sample in samples:
        if sample.digest in first:
            findings.add("duplicate-image", f"{sample.name} is {first[sample.digest]}", split)
        first.setdefault(sample.digest, sample.name)
