"""Every registered block, forward and forward with backward."""

import pytest

from . import cases
from .conftest import Timed


@pytest.mark.parametrize("name", cases.names("block"))
def test_block(name: str, timed: Timed) -> None:
    timed(name)
