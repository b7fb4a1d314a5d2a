"""Rates by hand, optimisers by name."""

import pytest
from torch import nn, optim

from attnzoo.recipe import Training
from attnzoo.training.schedules import build_optimizer, learning_rate


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [1.0, 1.0, 1.0, 1.0]),
        ("cosine", [1.0, 0.8535533905932737, 0.5, 0.14644660940672627]),
        ("polynomial", [1.0, 0.75**0.9, 0.5**0.9, 0.25**0.9]),
    ],
)
def test_rates(schedule, expected):
    training = Training(epochs=4, learning_rate=1.0, schedule=schedule)
    assert [learning_rate(training, epoch) for epoch in range(4)] == pytest.approx(expected)


@pytest.mark.parametrize(("name", "kind"), [("adam", optim.Adam), ("adamw", optim.AdamW), ("sgd", optim.SGD)])
def test_optimisers(name, kind):
    optimizer = build_optimizer(
        Training(optimizer=name, learning_rate=0.25, weight_decay=0.5), nn.Linear(1, 1).parameters()
    )
    assert type(optimizer) is kind
    assert (optimizer.defaults["lr"], optimizer.defaults["weight_decay"]) == (0.25, 0.5)
    assert optimizer.defaults.get("momentum", 0.9) == 0.9
