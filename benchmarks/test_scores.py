"""Losses and scores."""

import pytest

from . import cases
from .conftest import Timed


@pytest.mark.parametrize("name", cases.names("loss"))
def test_loss(name: str, timed: Timed) -> None:
    timed(name)


@pytest.mark.parametrize("name", cases.names("metric"))
def test_metric(name: str, timed: Timed) -> None:
    timed(name)
