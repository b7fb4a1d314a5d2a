"""Images with index masks beside them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from attnzoo.data import mask, open_dataset
from attnzoo.data.folders import read
from attnzoo.data.records import Sample
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Data

MASK = np.array([[0, 1, 2], [255, 1, 0]], dtype=np.uint8)


def pair(
    root: Path, name: str = "a", mask: np.ndarray | None = MASK, split: str = "train", seed: int = 0, **picture: Any
) -> Path:
    for folder in ("images", "masks"):
        (root / split / folder).mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (2, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(root / split / f"images/{name}.jpg", **picture)
    if mask is not None:
        Image.fromarray(mask).save(root / split / f"masks/{name}.png")
    return root


def refused(root: Path, message: str, hint: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        open_dataset(root)
    assert caught.value.message == message
    assert caught.value.hint == hint


def test_masks_are_read_as_they_are(tmp_path: Path) -> None:
    dataset = open_dataset(pair(tmp_path))
    assert dataset.classes == ("background", "class 1", "class 2")
    assert dict(dataset.category_ids) == {1: 1, 2: 2}
    assert (mask(dataset, dataset.splits["train"].samples[0]) == MASK).all()


def test_classes_have_the_names_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("nothing\ndisc\nbar\nring\n")
    assert open_dataset(pair(tmp_path)).classes == ("background", "disc", "bar", "ring")


@pytest.mark.parametrize("text", ["", "background\n", "background\n\ndisc", "background\ndisc\ndisc\n"])
def test_impossible_class_names_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "classes.txt").write_text(text)
    message = f"`{tmp_path / 'classes.txt'}` must hold at least two names, a different one on each line"
    refused(pair(tmp_path), message, "line 1 names the background")


def test_a_class_named_as_all_classes_together_is_refused(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("background\nall\nbar\n")
    message = f"`{tmp_path}` has a class `all`, which is what `scores.csv` calls all classes together"
    refused(pair(tmp_path), message, "rename the class")


def test_too_many_class_names_are_refused(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("\n".join(str(number) for number in range(256)))
    message = f"`{tmp_path / 'classes.txt'}` holds 256 names; masks of 8 bits hold 255"
    refused(pair(tmp_path), message, "merge classes")


def test_class_names_in_another_encoding_are_refused(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_bytes(b"\xff\xfe")
    refused(pair(tmp_path), f"`{tmp_path / 'classes.txt'}` is not a text in UTF-8", "write one class name a line")


def test_an_index_without_a_class_is_refused(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("background\ndisc\n")
    message = f"`{tmp_path / 'train/masks/a.png'}` has the index 2; there are 2 classes, 0 to 1"
    refused(pair(tmp_path), message, "add the class to classes.txt, or mend the mask")


def test_masks_of_black_and_white_are_refused(tmp_path: Path) -> None:
    message = f"the masks in `{tmp_path}` hold no class: nothing but 0 (background) and 255 (ignored)"
    black_and_white = np.where(MASK == 1, 255, 0).astype(np.uint8)
    refused(pair(tmp_path, mask=black_and_white), message, "masks hold 1 for the first class, not 255")


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    message = f"`{tmp_path / 'train/masks/a.png'}` has 2×3 pixels; its image 3×2"
    hint = 'a mask has the size of its image (for a turned photo, try `data.exif = "ignore"`)'
    refused(pair(tmp_path, mask=MASK.T.copy()), message, hint)


def test_a_turned_photo_with_a_mask_as_stored_needs_exif_ignored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    root = pair(tmp_path, exif=exif)
    with pytest.raises(AttnzooError, match="its image 2×3"):
        open_dataset(root)
    assert open_dataset(root, Data(exif="ignore")).splits["train"].samples[0].width == 3


def test_an_image_without_a_mask_is_refused_or_dropped(tmp_path: Path) -> None:
    root = pair(pair(tmp_path), "b", None, seed=1)
    message = f"`{tmp_path / 'train/images/b.jpg'}` has no mask in `{tmp_path / 'train/masks'}`"
    refused(root, message, 'mend it, or drop such images by `data.unusable = "skip"`')
    assert len(open_dataset(root, Data(unusable="skip")).splits["train"].samples) == 1


def test_a_mask_without_an_image_is_noted(tmp_path: Path) -> None:
    root = pair(tmp_path)
    Image.fromarray(MASK).save(root / "train/masks/z.png")
    note = next(finding for finding in open_dataset(root).findings if finding.kind == "unlisted")
    assert note.examples == ("z.png",)


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    root = pair(tmp_path)
    Image.fromarray(MASK).save(root / "train/images/a.png")
    message = f"`{tmp_path / 'train/images'}` has both `a.jpg` and `a.png`"
    refused(root, message, "image and mask are paired by the name before the suffix")


def test_a_mask_that_changes_after_opening_is_noticed(tmp_path: Path) -> None:
    dataset = open_dataset(pair(tmp_path))
    pair(tmp_path, mask=MASK + 1 - (MASK == 255))
    with pytest.raises(AttnzooError, match="has the index 3; there are 3 classes, 0 to 2"):
        mask(dataset, dataset.splits["train"].samples[0])


def test_a_changed_mask_changes_the_digest(tmp_path: Path) -> None:
    first = open_dataset(pair(tmp_path)).digest
    changed = MASK.copy()
    changed[0, 0] = 1
    assert open_dataset(pair(tmp_path, mask=changed)).digest != first


def test_a_sample_without_a_mask_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(AttnzooError, match="`a` has no mask file") as caught:
        read(Sample("a", tmp_path, "a", 2, 3, ""), 2)
    assert caught.value.hint == "open the data set again"


def test_masks_of_another_name_are_not_said_to_be_empty(tmp_path: Path) -> None:
    for number in range(2):
        pair(tmp_path, f"train{number}", seed=number)
        path = tmp_path / f"train/masks/train{number}.png"
        path.rename(path.with_name(f"train{number}_mask.png"))
    with pytest.raises(AttnzooError) as caught:
        open_dataset(tmp_path, Data(unusable="skip"))
    assert caught.value.message == (
        f"`{tmp_path}` has no usable image in train: `{tmp_path / 'train/images/train0.jpg'}` has no mask in "
        f"`{tmp_path / 'train/masks'}`, and 1 more cannot be used"
    )
    assert caught.value.hint == "image and mask are paired by the name before the suffix"
