"""Every host that a recipe can name, and the paper's second model."""

import pytest

from . import cases
from .conftest import Timed


@pytest.mark.parametrize("name", cases.names("host"))
def test_host(name: str, timed: Timed) -> None:
    timed(name)
