"""Scores: hand counts, scikit-learn as oracle, and the properties that hold for all counts."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score, precision_score, recall_score

from attnzoo import metrics
from attnzoo.errors import AttnzooError

# three images of twenty pixels, four classes: class 2 is never found, class 3 is nowhere
TRUTH = torch.tensor([[0] * 15 + [1] * 5, [0] * 16 + [2] * 4, [0] * 11 + [1] * 9]).reshape(3, 4, 5)
PREDICTION = torch.tensor([[0] * 15 + [1] * 5, [0] * 18 + [1] * 2, [0] * 11 + [1] * 7 + [0] * 2]).reshape(3, 4, 5)
NAMES = ("background", "lens", "blob", "absent")

maps = st.integers(2, 5).flatmap(
    lambda classes: st.tuples(
        st.just(classes),
        st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)), min_size=1, max_size=40),
    )
)


def counts(pairs: list[tuple[int, int]], classes: int) -> np.ndarray:
    matrix = np.zeros((classes, classes), np.int64)
    for true, predicted in pairs:
        matrix[true, predicted] += 1
    return matrix


def test_counts_by_hand() -> None:
    matrices = metrics.confusion_per_image(PREDICTION, TRUTH, 4)
    assert matrices.dtype == torch.int64
    assert matrices.tolist() == [
        [[15, 0, 0, 0], [0, 5, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
        [[16, 0, 0, 0], [0, 0, 0, 0], [2, 2, 0, 0], [0, 0, 0, 0]],
        [[11, 0, 0, 0], [2, 7, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
    ]


def test_ignored_pixels_are_not_counted_and_torchmetrics_module_agrees() -> None:
    from torchmetrics.classification import MulticlassConfusionMatrix

    truth = TRUTH.clone()
    truth[0, 0, :3] = truth[2, 3, :] = 255
    matrices = metrics.confusion_per_image(PREDICTION.byte(), truth.byte(), 4)
    assert int(matrices.sum()) == 60 - 8
    for matrix, prediction, true in zip(matrices, PREDICTION, truth, strict=True):
        oracle = MulticlassConfusionMatrix(4, ignore_index=255)
        assert torch.equal(matrix, oracle(prediction, true))


def test_deterministic_mode_counts_in_pieces_and_the_same() -> None:
    truth, prediction = (torch.randint(0, 60, (2, 50, 50), generator=torch.Generator().manual_seed(i)) for i in (0, 1))
    free = metrics.confusion_per_image(prediction, truth, 60)
    torch.use_deterministic_algorithms(True)
    try:
        assert torch.equal(metrics.confusion_per_image(prediction, truth, 60), free)
    finally:
        torch.use_deterministic_algorithms(False)


def test_no_images_and_three_dimensions_are_counted_too() -> None:
    assert metrics.confusion_per_image(PREDICTION[:0], TRUTH[:0], 4).shape == (0, 4, 4)
    volume = metrics.confusion_per_image(PREDICTION.reshape(3, 2, 2, 5), TRUTH.reshape(3, 2, 2, 5), 4)
    assert torch.equal(volume, metrics.confusion_per_image(PREDICTION, TRUTH, 4))


def test_per_class_by_hand() -> None:
    scores = metrics.per_class(metrics.confusion_per_image(PREDICTION, TRUTH, 4).sum(0))
    assert scores["iou"] == pytest.approx([42 / 46, 12 / 16, 0, math.nan], nan_ok=True)
    assert scores["dice"] == pytest.approx([84 / 88, 24 / 28, 0, math.nan], nan_ok=True)
    assert scores["precision"] == pytest.approx([42 / 46, 12 / 14, 0, math.nan], nan_ok=True)
    assert scores["recall"] == pytest.approx([1, 12 / 14, 0, math.nan], nan_ok=True)


# the counts behind "IoU [.9545, .8, 0, 0/0], Dice [.9767, .8889, 0, 0/0]": 42/44, 8/10, and a class never found
TOY = np.array([[42, 0, 0, 0], [1, 8, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize(
    ("absent", "iou", "averaged"),
    [("exclude", 0.5848, 3), ("zero", 0.4386, 4), ("one", 0.6886, 4)],
)
def test_an_absent_class_counts_what_the_policy_says(absent: metrics.Absent, iou: float, averaged: int) -> None:
    scores = metrics.per_class(TOY)
    assert scores["iou"] == pytest.approx([0.9545, 0.8, 0, math.nan], abs=1e-4, nan_ok=True)
    assert scores["dice"] == pytest.approx([0.9767, 0.8889, 0, math.nan], abs=1e-4, nan_ok=True)
    mean = metrics.macro(TOY, absent=absent, background=True)
    assert mean.iou == pytest.approx(iou, abs=1e-4)
    assert (mean.averaged, mean.of) == (averaged, 4)
    if absent == "exclude":
        assert mean.dice == pytest.approx(0.6219, abs=1e-4)


def test_an_absent_class_is_refused_by_name_on_request() -> None:
    with pytest.raises(AttnzooError) as caught:
        metrics.summary(TOY[None], NAMES, absent="error")
    assert str(caught.value) == (
        "the ground truth has no pixel of class `absent`\nhint: choose another policy: `exclude`"
    )
    with pytest.raises(AttnzooError, match="no pixel of class `3`"):
        metrics.macro(TOY, absent="error")
    assert metrics.macro(TOY[:3, :3], absent="error").of == 2


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(AttnzooError) as caught:
        metrics.macro(TOY, absent="exlude")  # type: ignore[arg-type]
    assert str(caught.value) == (
        "`exlude` is no policy for absent classes, which are `exclude`, `zero`, `one` or `error`\n"
        "hint: did you mean `exclude`?"
    )


def test_the_class_set_comes_from_the_truth_and_never_from_a_prediction() -> None:
    ghost = TOY.copy()
    ghost[0, 3] = 5  # class 3 is predicted, and nowhere in the truth
    quiet, loud = metrics.macro(TOY), metrics.macro(ghost)
    assert (loud.averaged, loud.of) == (quiet.averaged, quiet.of) == (2, 3)
    assert loud.dice == quiet.dice
    assert metrics.macro(ghost, absent="one").dice == pytest.approx(quiet.dice * 2 / 3)
    assert metrics.summary(ghost[None], NAMES)["false_positive_pixels_on_absent"] == {"absent": 5}


def test_foreground_is_the_headline_and_chosen_classes_can_be_averaged() -> None:
    dice = metrics.per_class(TOY)["dice"]
    assert metrics.macro(TOY).dice == pytest.approx(dice[1:3].mean())
    assert metrics.macro(TOY, background=True).dice == pytest.approx(dice[:3].mean())
    assert metrics.macro(TOY, classes=[1]).dice == pytest.approx(dice[1])
    assert metrics.macro(TOY, classes=[1, 3], absent="zero").dice == pytest.approx(dice[1] / 2)


def test_nothing_to_average_is_undefined() -> None:
    mean = metrics.macro(np.diag([9, 0, 0]))
    assert math.isnan(mean.dice)
    assert (mean.averaged, mean.of) == (0, 2)


@given(maps)
def test_scikit_learn_agrees(case: tuple[int, list[tuple[int, int]]]) -> None:
    classes, pairs = case
    true, predicted = zip(*pairs, strict=True)
    matrix = metrics.confusion_per_image(torch.tensor([predicted]), torch.tensor([true]), classes)[0]
    labels = list(range(classes))
    assert matrix.tolist() == confusion_matrix(true, predicted, labels=labels).tolist()
    oracles = {"dice": f1_score, "iou": jaccard_score, "precision": precision_score, "recall": recall_score}
    for name, oracle in oracles.items():
        expected = oracle(true, predicted, labels=labels, average=None, zero_division=0)
        ours = metrics.per_class(matrix)[name]
        assert np.nan_to_num(ours) == pytest.approx(expected)
        there = sorted({label for label in true if label})
        if there:
            mean = oracle(true, predicted, labels=there, average="macro", zero_division=0)
            assert getattr(metrics.macro(matrix), name) == pytest.approx(mean)


@given(maps)
def test_iou_is_a_function_of_dice(case: tuple[int, list[tuple[int, int]]]) -> None:
    scores = metrics.per_class(counts(case[1], case[0]))
    assert scores["iou"] == pytest.approx(scores["dice"] / (2 - scores["dice"]), nan_ok=True)


@given(maps)
def test_swapping_prediction_and_truth_swaps_precision_and_recall(case: tuple[int, list[tuple[int, int]]]) -> None:
    matrix = counts(case[1], case[0])
    straight, swapped = metrics.per_class(matrix), metrics.per_class(matrix.T)
    for ours, theirs in (("precision", "recall"), ("recall", "precision"), ("dice", "dice"), ("iou", "iou")):
        np.testing.assert_array_equal(straight[ours], swapped[theirs])


@given(maps, st.randoms(use_true_random=False))
def test_relabelling_permutes(case: tuple[int, list[tuple[int, int]]], random) -> None:
    classes, pairs = case
    new = random.sample(range(classes), classes)
    before = metrics.per_class(counts(pairs, classes))
    after = metrics.per_class(counts([(new[true], new[predicted]) for true, predicted in pairs], classes))
    for name in metrics.METRICS:
        np.testing.assert_array_equal(before[name], after[name][new])


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_splitting_batches_changes_no_global_number(cut: int, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    truth, prediction = (torch.randint(0, 3, (7, 4, 4), generator=draw) for _ in range(2))
    whole = metrics.confusion_per_image(prediction, truth, 3)
    parts = [
        metrics.confusion_per_image(part, true, 3)
        for part, true in zip(prediction.split(cut), truth.split(cut), strict=True)
    ]
    names = ("background", "a", "b")
    assert metrics.summary(whole, names) == metrics.summary(torch.cat(parts), names)


def test_counts_beyond_two_to_the_31_stay_exact() -> None:
    matrices = torch.tensor([[[2**31, 1], [0, 1]], [[2**31 + 1, 0], [1, 2**33]]])
    table = metrics.summary(matrices, ("background", "a"))["per_class"]["background"]
    assert (table["true_pixels"], table["predicted_pixels"]) == (2**32 + 2, 2**32 + 2)
    assert metrics.per_class(matrices[1])["recall"][1] == 2**33 / (2**33 + 1)


def test_batch_average_by_hand() -> None:
    scores = metrics.batch_average(PREDICTION, TRUTH, 4)
    assert scores["dice"] == pytest.approx((24 / 28 + 0) / 2)
    assert scores["dice_with_background"] == pytest.approx((84 / 88 + 24 / 28 + 0) / 3)
    assert scores["precision"] == pytest.approx((12 / 14 + 0) / 2)
    assert metrics.batch_average(PREDICTION, TRUTH, 4, absent="one")["dice"] == pytest.approx((24 / 28 + 0 + 1) / 3)
    assert metrics.batch_average(PREDICTION, TRUTH, 4, absent="zero")["dice"] == pytest.approx((24 / 28 + 0 + 0) / 3)


@pytest.mark.parametrize("absent", ["one", "zero"])
def test_batch_average_is_smp_s_own_macro_where_that_is_defined(absent: metrics.Absent) -> None:
    from segmentation_models_pytorch.metrics import f1_score, get_stats, iou_score

    truth = TRUTH.clone()
    truth[0, 0, 0] = 255
    stats = get_stats(PREDICTION, truth, mode="multiclass", num_classes=4, ignore_index=255)
    division = metrics.ZERO_DIVISION[absent]
    ours = metrics.batch_average(PREDICTION, truth.byte(), 4, absent=absent)
    for name, oracle in (("dice", f1_score), ("iou", iou_score)):
        summed = [stat.sum(0, keepdim=True) for stat in stats]
        theirs = oracle(*summed, reduction=None, zero_division=division)[0]
        assert ours[f"{name}_with_background"] == pytest.approx(float(theirs.mean()))
        assert ours[name] == pytest.approx(float(theirs[1:].mean()))


def test_an_undefined_batch_is_left_out_of_the_mean_over_batches() -> None:
    empty = torch.zeros_like(TRUTH)
    batches = [metrics.batch_average(PREDICTION, TRUTH, 4), metrics.batch_average(empty, empty, 4)]
    assert math.isnan(batches[1]["dice"])
    matrices = metrics.confusion_per_image(PREDICTION, TRUTH, 4)
    table = metrics.summary(matrices, NAMES, batch_averages=batches, batch_size=3)["batch_average"]
    assert table["dice"] == batches[0]["dice"]
    assert table["dice_with_background"] == pytest.approx((batches[0]["dice_with_background"] + 1) / 2)
    assert (table["batches"], table["batch_size"], table["zero_division"]) == (2, 3, None)


def test_summary_is_json_without_nan() -> None:
    table = metrics.summary(metrics.confusion_per_image(PREDICTION, TRUTH, 4), NAMES)
    assert json.loads(json.dumps(table, allow_nan=False)) == table
    assert table["images"] == 3
    assert table["absent"] == "exclude"
    assert table["global_macro"] == {
        "dice": pytest.approx(12 / 28),
        "iou": pytest.approx(12 / 32),
        "precision": pytest.approx(12 / 28),
        "recall": pytest.approx(12 / 28),
        "averaged": 2,
        "of": 3,
    }
    assert (table["global_macro_with_background"]["averaged"], table["global_macro_with_background"]["of"]) == (3, 4)
    assert table["per_class"]["absent"] == {
        "dice": None,
        "iou": None,
        "precision": None,
        "recall": None,
        "true_pixels": 0,
        "predicted_pixels": 0,
    }
    assert table["per_class"]["blob"]["precision"] == 0
    assert table["false_positive_pixels_on_absent"] == {"absent": 0}


def test_per_image_scores_leave_out_what_is_undefined() -> None:
    rows = list(metrics.per_image(metrics.confusion_per_image(PREDICTION, TRUTH, 4), NAMES))
    assert {(image, name) for image, name, _, _ in rows} == {
        (0, "background"),
        (0, "lens"),
        (1, "background"),
        (1, "lens"),  # not there, and yet predicted: a score of 0
        (1, "blob"),
        (2, "background"),
        (2, "lens"),
    }
    assert (0, "lens", "dice", 1.0) in rows
    assert (1, "lens", "precision", 0.0) in rows
    assert (2, "lens", "recall", 7 / 9) in rows


def test_maps_that_cannot_be_scored_are_refused() -> None:
    with pytest.raises(AttnzooError) as caught:
        metrics.confusion_per_image(PREDICTION, TRUTH[:, :2], 4)
    assert str(caught.value) == (
        "a prediction of shape (3, 4, 5) cannot be scored on a truth of (3, 2, 5)\n"
        "hint: resize the prediction to the truth: both are (B, *spatial) class indices"
    )
    with pytest.raises(AttnzooError) as caught:
        metrics.confusion_per_image(PREDICTION.float(), TRUTH, 4)
    assert str(caught.value) == (
        "a prediction of fractions cannot be scored; it must be class indices\nhint: take the argmax"
    )


@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        (4, 0, "a prediction has class 4; with 4 classes it can be 0 to 3"),
        (-1, 0, "a prediction has class -1; with 4 classes it can be 0 to 3"),
        (0, 7, "a truth has class 7; with 4 classes it can be 0 to 3"),
    ],
)
def test_a_class_that_does_not_exist_is_refused(prediction: int, truth: int, message: str) -> None:
    for function in (metrics.confusion_per_image, metrics.batch_average):
        with pytest.raises(AttnzooError) as caught:
            function(torch.tensor([[prediction]]), torch.tensor([[truth]]), 4)
        assert str(caught.value) == f"{message}\nhint: 255 in the truth marks pixels that are not scored"
