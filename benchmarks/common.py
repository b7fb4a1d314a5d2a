"""The sizes that the suites share: one skip of a mid-sized network, so that all takes a minute on the CPU."""

from collections.abc import Callable

CHANNELS, SIDE, BATCH = 64, 64, 2
SIDES = range(SIDE, 0, -1)  # a block bound to other map sizes gets the largest of these that it takes

Timed = Callable[[Callable[[], object]], None]
