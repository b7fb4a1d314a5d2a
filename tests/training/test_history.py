"""Epochs: the best is a finite number, the table is the same again."""

import math

import pytest

from attnzoo.errors import AttnzooError
from attnzoo.training.history import COLUMNS, History


def row(epoch: int, **values: float) -> dict[str, float]:
    return dict.fromkeys(COLUMNS, 0.5) | {"epoch": epoch} | values


def test_the_best_is_the_earliest_of_equals():
    history = History()
    for epoch, score in enumerate((0.1, 0.4, 0.4, 0.2), 1):
        history.add(row(epoch, val_macro_dice=score), 1.0, "macro_dice")
    assert history.best("macro_dice") == (2, 0.4)
    assert history.epochs == 4


@pytest.mark.parametrize("score", [math.inf, math.nan])
@pytest.mark.parametrize("select", ["macro_dice", "batch_dice"])
def test_a_score_that_is_no_finite_number_selects_nothing(score, select):
    history = History()
    with pytest.raises(AttnzooError) as error:
        history.add(row(3, **{f"val_{select}": score}), 1.0, select)
    assert error.value.message == f"the validation `{select}` is `{score}` after epoch 3, so it cannot select a model"
    assert error.value.hint == "no foreground class can be scored there: see what `attnzoo data check` says of `valid`"
    assert history.rows == []


@pytest.mark.parametrize("name", ["train_loss", "val_loss"])
def test_a_loss_that_is_no_finite_number_is_refused(name):
    with pytest.raises(AttnzooError) as error:
        History().add(row(2, **{name: math.inf}), 1.0, "macro_dice")
    assert error.value.message == f"`{name}` is `inf` in epoch 2; nothing was kept of it"


def test_a_score_that_does_not_select_may_be_undefined(tmp_path):
    history = History()
    history.add(row(1, val_batch_dice=math.nan, train_loss=1 / 3), 1.0, "macro_dice")
    history.write(tmp_path)
    assert (tmp_path / "curves.csv").read_text() == (
        "epoch,learning_rate,train_loss,val_loss,val_macro_dice,val_batch_dice\n1,0.5,0.3333333333333333,0.5,0.5,\n"
    )


def test_state_is_plain_and_comes_back():
    history = History([row(1)], [2.5])
    assert History.of(history.state()) == history
    assert history.state()["rows"][0] is not history.rows[0]
