"""Category ids → class indices: by id, never by name or `id - 1`; index 0 is the background."""

from collections.abc import Mapping, Sequence

from attnzoo.data.coco.read import Category, File
from attnzoo.data.findings import Findings
from attnzoo.data.records import BACKGROUND, IGNORE
from attnzoo.errors import AttnzooError


def classes_of(files: Sequence[File], findings: Findings) -> tuple[tuple[str, ...], Mapping[int, int]]:
    """Class names (background first) and category id → index, the same for all splits.

    Raises:
        AttnzooError: For categories that differ between splits, a name that two ids share, or more than 254 classes.
    """
    _same(files)
    used = {
        annotation["category_id"] for file in files for entries in file.annotations.values() for annotation in entries
    }
    kept = []
    for category in sorted(files[0].categories, key=lambda category: category.id):
        if category.id == 0 and category.id not in used and _dummy(category):
            findings.add("dummy-category", f"category 0 `{category.name}`")
        else:
            kept.append(category)
    _distinct(files[0], kept)
    if not kept:
        raise AttnzooError(
            f"`{files[0].path}` lists no category to segment", "annotate at least one class, and export again"
        )
    if len(kept) >= IGNORE:
        raise AttnzooError(
            f"`{files[0].path}` lists {len(kept)} categories; masks of 8 bits hold {IGNORE - 1}", "merge categories"
        )
    names = ("background", *(category.name for category in kept))
    return names, {category.id: index for index, category in enumerate(kept, start=BACKGROUND + 1)}


def _dummy(category: Category) -> bool:
    """Roboflow writes a category 0 that stands for the project; other tools write the background."""
    return category.group == "none" or category.name.casefold() == "background"


def _same(files: Sequence[File]) -> None:
    first = {category.id: category.name for category in files[0].categories}
    for file in files[1:]:
        other = {category.id: category.name for category in file.categories}
        if first != other:
            key = min(key for key in first.keys() | other.keys() if first.get(key) != other.get(key))
            here, there = first.get(key, "absent"), other.get(key, "absent")
            raise AttnzooError(
                f"category `{key}` is `{here}` in `{files[0].path}` and `{there}` in `{file.path}`",
                "export all splits from the same version of the project",
            )


def _distinct(file: File, kept: Sequence[Category]) -> None:
    ids: dict[str, int] = {}
    for category in kept:
        if category.name.casefold() == "background":
            raise AttnzooError(
                f"`{file.path}` has a category `{category.name}`; background is what no annotation covers",
                "rename the category, or remove it with its annotations",
            )
        if category.name in ids:
            raise AttnzooError(
                f"`{file.path}` names both category {ids[category.name]} and {category.id} `{category.name}`",
                "give every category a name of its own",
            )
        ids[category.name] = category.id
