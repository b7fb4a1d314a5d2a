"""HD95 and NSD: distances worked out by hand, a loop over all pairs of pixels, and MONAI's own two functions."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from attnzoo import metrics
from attnzoo.data import open_dataset
from attnzoo.data.dataset import mask
from attnzoo.errors import AttnzooError
from attnzoo.metrics import Boundary, boundaries
from attnzoo.recipe import Data

# MONAI 1.6.1's own functions pass each other an argument that it is going to remove
about_to_be_removed = pytest.mark.filterwarnings("ignore:.*always_return_as_numpy.*:FutureWarning")
HEAD_CT = Path(__file__).parents[2] / "shared" / "data" / "head-ct"


def square(top: int, left: int, side: int = 4, *, label: int = 1, size: tuple[int, int] = (24, 30)) -> Tensor:
    labels = torch.zeros(size, dtype=torch.int64)
    labels[top : top + side, left : left + side] = label
    return labels


def one(prediction: Tensor, truth: Tensor, *, tolerance: float = 2.0) -> Boundary | None:
    (found,) = boundaries(prediction, truth, 2, tolerance=tolerance)
    return found


def naive(prediction: Tensor, truth: Tensor, label: int, tolerance: float) -> Boundary:
    """Every edge pixel of one mask against every one of the other; ignored pixels are in neither."""

    def edge(labels: Tensor) -> list[tuple[int, int]]:
        inside = {(y, x) for y, x in (labels == label).nonzero().tolist() if truth[y, x] != 255}
        return [(y, x) for y, x in inside if not {(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)} <= inside]

    def percentile(values: list[float]) -> float:
        values, rank = sorted(values), 0.95 * (len(values) - 1)
        low, high = values[int(rank)], values[math.ceil(rank)]
        return low + (high - low) * (rank - int(rank))

    edges = edge(prediction), edge(truth)
    both = [[min(math.dist(p, q) for q in edges[1 - side]) for p in edges[side]] for side in (0, 1)]
    near = sum(distance <= tolerance for side in both for distance in side)
    return Boundary(max(map(percentile, both)), near / sum(map(len, both)))


def blobs(seed: int, size: tuple[int, int] = (17, 23), classes: int = 4) -> Tensor:
    """A coarse random map: regions that touch each other and the border."""
    draw = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, classes, (1, 1, 5, 6), generator=draw).float()
    return torch.nn.functional.interpolate(coarse, size, mode="nearest")[0, 0].long()


def test_two_squares_a_shift_apart() -> None:
    # 12 edge pixels each, in columns of 4, 2, 2 and 4, that are 0, 1, 2 and 3 away from the other's nearest column
    assert one(square(8, 5), square(8, 8)) == Boundary(3.0, 2 * (4 + 2 + 2) / 24)
    assert one(square(8, 5), square(8, 8), tolerance=1) == Boundary(3.0, 2 * (4 + 2) / 24)
    # wide apart, the nearest columns are 6 − 3 pixels from each other, the farthest ones 6
    assert one(square(8, 5), square(8, 11)) == Boundary(6.0, 0.0)


def test_a_dot_is_its_own_boundary() -> None:
    assert one(square(3, 4, 1), square(3, 4, 1)) == Boundary(0.0, 1.0)
    assert one(square(6, 8, 1), square(3, 4, 1)) == Boundary(5.0, 0.0)
    assert one(square(6, 8, 1), square(3, 4, 1), tolerance=5) == Boundary(5.0, 1.0)


def test_a_dot_within_a_square() -> None:
    # the middle of a 5×5 square: 16 edge pixels, 4 at 2, 8 at √5, 4 at √8; the dot is 2 away
    found = one(square(9, 9, 1), square(7, 7, 5))
    assert found is not None
    assert found.hd95 == pytest.approx(math.sqrt(8))
    assert found.nsd == (1 + 4) / 17


@pytest.mark.parametrize(("tolerance", "nsd"), [(2.999, 0.0), (3.0, 1.0), (3.001, 1.0)])
def test_the_tolerance_is_still_right(tolerance: float, nsd: float) -> None:
    assert one(square(3, 7, 1), square(3, 4, 1), tolerance=tolerance) == Boundary(3.0, nsd)


def test_the_images_border_ends_a_mask() -> None:
    whole = torch.ones(24, 30, dtype=torch.int64)
    assert one(whole, whole) == Boundary(0.0, 1.0)
    inner = whole.clone()
    inner[0], inner[-1], inner[:, 0], inner[:, -1] = 0, 0, 0, 0
    found = one(inner, whole)
    assert found is not None
    assert found == Boundary(1.0, 1.0)  # corners are √2 away, four of a hundred and four: below the last five per cent
    corner = one(square(0, 0), square(0, 1))
    assert corner is not None
    assert corner.hd95 == 1


def test_empty_masks_are_the_worst_and_not_the_best() -> None:
    something, nothing = square(2, 2), torch.zeros(24, 30, dtype=torch.int64)
    worst = Boundary(math.hypot(24, 30), 0.0)
    assert one(nothing, nothing) is None
    assert one(nothing, something) == worst  # missed
    assert one(something, nothing) == worst  # made up
    assert one(something, something) == Boundary(0.0, 1.0)
    farthest = one(square(0, 0, 1), square(23, 29, 1))
    assert farthest is not None
    assert farthest.hd95 < worst.hd95


def test_ignored_pixels_belong_to_no_mask() -> None:
    truth = square(5, 5)
    truth[:, 15:] = 255
    prediction = square(5, 5) + square(5, 20)  # the second is where nobody knows
    assert one(prediction, truth) == Boundary(0.0, 1.0)
    assert one(square(5, 20), truth) == Boundary(math.hypot(24, 30), 0.0)
    truth[truth == 1] = 0
    assert one(square(5, 20), truth) is None


def test_classes_are_measured_apart() -> None:
    truth = square(2, 2) + square(10, 10, label=2) + square(2, 20, label=4)
    prediction = square(2, 2) + square(10, 13, label=2) + square(18, 2, label=3)
    first, second, third, fourth, fifth = boundaries(prediction, truth, 6)
    assert first == Boundary(0.0, 1.0)
    assert second == Boundary(3.0, 16 / 24)
    assert third == fourth == Boundary(math.hypot(24, 30), 0.0)
    assert fifth is None


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("ignored", [False, True])
def test_a_loop_over_all_pairs_agrees(seed: int, ignored: bool) -> None:
    prediction, truth = blobs(seed), blobs(seed + 100)
    if ignored:
        truth[blobs(seed + 200) == 0] = 255
    tolerance = (0.0, 1.0, math.sqrt(2), 2.0, 3.5, 5.0)[seed]
    found = boundaries(prediction, truth, 4, tolerance=tolerance)
    assert any(one is not None and one.nsd > 0 for one in found)
    for label, ours in enumerate(found, 1):
        if (truth == label).any() and ((prediction == label) & (truth != 255)).any():
            theirs = naive(prediction, truth, label, tolerance)
            assert ours is not None
            assert ours.hd95 == pytest.approx(theirs.hd95, abs=1e-5)
            assert ours.nsd == pytest.approx(theirs.nsd)


def monai(prediction: Tensor, truth: Tensor, label: int, tolerance: float) -> tuple[float, float]:
    from monai.metrics import compute_hausdorff_distance, compute_surface_dice

    masks = [(labels == label)[None, None] for labels in (prediction, truth)]
    farthest = compute_hausdorff_distance(*masks, include_background=True, percentile=95)
    return float(farthest), float(compute_surface_dice(*masks, [tolerance], include_background=True))


@about_to_be_removed
@pytest.mark.parametrize("seed", range(4))
def test_monais_own_functions_agree_to_the_bit(seed: int) -> None:
    prediction, truth = blobs(seed, (61, 83)), blobs(seed + 50, (61, 83))
    for label, ours in enumerate(boundaries(prediction, truth, 4), 1):
        assert ours is not None
        farthest, near = monai(prediction, truth, label, 2.0)
        assert ours.hd95 == farthest
        assert ours.nsd == pytest.approx(near, abs=1e-6)


@pytest.mark.skipif(not HEAD_CT.is_dir(), reason="needs the shared data")
@about_to_be_removed
def test_of_real_lesions_too() -> None:
    data = open_dataset(HEAD_CT, Data())
    compared = 0
    for sample in data.splits["test"].samples[:8]:
        truth = torch.from_numpy(mask(data, sample)).long()
        prediction = truth.roll((3, -2), (0, 1))
        prediction[truth == 255] = 0
        for label, ours in enumerate(boundaries(prediction, truth, len(data.classes)), 1):
            if ours is not None and ours.nsd:
                assert (ours.hd95, pytest.approx(ours.nsd, abs=1e-6)) == monai(prediction, truth, label, 2.0)
                assert ours.hd95 <= math.hypot(3, 2) + 1e-5
                compared += 1
    assert compared


def test_maps_that_cannot_be_measured_are_refused() -> None:
    with pytest.raises(AttnzooError, match=r"a prediction of shape \(1, 24, 30\) cannot be scored"):
        one(square(1, 1), square(1, 1, size=(24, 31)))


def test_a_summary_says_what_was_measured_and_how() -> None:
    images = [
        (Boundary(1.0, 0.9), None, Boundary(50.0, 0.0)),
        (Boundary(3.0, 0.5), Boundary(50.0, 0.0), None),
        (None, Boundary(2.0, 1.0), None),
    ]
    told = metrics.boundary_summary(images, ("background", "a", "b", "ghost"), (True, True, True, False))
    assert told["per_class"] == {
        "a": {"hd95": 2.0, "nsd": 0.7, "images": 2},
        "b": {"hd95": 26.0, "nsd": 0.5, "images": 2},
        "ghost": {"hd95": 50.0, "nsd": 0.0, "images": 1},  # not in the truth of the split: in no mean over classes
    }
    assert (told["hd95"], told["nsd"], told["averaged"], told["of"]) == (14.0, 0.6, 2, 3)
    assert (told["tolerance"], told["unit"]) == (2.0, "pixels")
    assert told["empty"] == "neither has the class: left out; only one has it: nsd 0, hd95 the image's diagonal"
    assert told["implementation"] == "monai.metrics.get_surface_distance"
    assert told["version"]


def test_a_summary_of_nothing_is_undefined() -> None:
    told = metrics.boundary_summary([(None,)], ("background", "a"), (True, False))
    assert (told["hd95"], told["nsd"], told["averaged"]) == (None, None, 0)
    assert told["per_class"]["a"] == {"hd95": None, "nsd": None, "images": 0}
