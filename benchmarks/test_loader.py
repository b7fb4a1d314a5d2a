"""The loader on a drawn phantom: images and masks per second stand in the JSON's `extra_info`."""

import pytest

from . import cases
from .conftest import Timed


@pytest.mark.parametrize("name", cases.names("loader"))
def test_loader(name: str, timed: Timed) -> None:
    timed(name)
