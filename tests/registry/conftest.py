"""A registry that forgets what a test did to it."""

import copy
import sys
from collections.abc import Iterator

import pytest

from attnzoo import registry
from attnzoo.registry import entries, plugins


@pytest.fixture
def fresh() -> Iterator[None]:
    """What a test registers is forgotten after it, and installed packages are asked anew."""
    registry.available()
    kept = [(store, copy.copy(store)) for store in (entries.ENTRIES, plugins._broken, plugins._plugins)]
    modules = dict(sys.modules)
    plugins._asked.clear()
    yield
    for store, before in kept:
        store.clear()
        store.update(before)
    for added in set(sys.modules) - set(modules):
        if added.startswith(("attnzoo_plugin_", "installed_")):
            del sys.modules[added]
    plugins._asked[:] = [plugins.GROUP]
