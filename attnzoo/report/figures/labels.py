"""Labels beside points, none of which covers a point or another label: a plain search, the same each time."""

import math
from collections.abc import Sequence

Box = tuple[float, float, float, float]  # left, bottom, right, top; any unit

_ANGLES = (0, 45, -45, 180, 135, -135, 90, -90, 22, -22, 158, -158, 67, -67, 113, -113)
_REACHES = (1.0, 2.2, 4.0, 6.0, 9.0, 13.0, 18.0)


def place(
    points: Sequence[tuple[float, float]],
    radii: Sequence[float],
    sizes: Sequence[tuple[float, float]],
    within: Box,
    avoid: Sequence[Box] = (),
) -> list[Box | None]:
    """A box for the label of each point, near it; None where all that is in reach is taken.

    Args:
        points: Centres; earlier ones choose first.
        radii: Of the points, which no label covers.
        sizes: Width and height of each label.
        within: What no label leaves.
        avoid: What no label covers, unless there is no other place.
    """
    marks = [(x - r, y - r, x + r, y + r) for (x, y), r in zip(points, radii, strict=True)]
    kept = list(marks)
    placed: list[Box | None] = []
    for (x, y), radius, (width, height) in zip(points, radii, sizes, strict=True):
        around = [box for box in _around(x, y, radius, width, height) if _inside(box, within)]
        free = [box for box in around if not any(_overlap(box, other) for other in kept)]
        clear = (box for box in free if not any(_overlap(box, line) for line in avoid))
        placed.append(next(clear, next(iter(free), None)))
        if (chosen := placed[-1]) is not None:
            kept.append(chosen)
    return placed


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Which points (cost, gain) no other one beats in both, by rising cost."""
    best, found = -math.inf, []
    for index in sorted(range(len(points)), key=lambda index: (points[index][0], -points[index][1])):
        if points[index][1] > best:
            best = points[index][1]
            found.append(index)
    return found


def _around(x: float, y: float, radius: float, width: float, height: float) -> list[Box]:
    """Boxes on circles around a point, the nearest first, each touching its circle."""
    boxes = []
    for reach in _REACHES:
        distance = radius + reach * height / 3
        for angle in _ANGLES:
            cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            left = x + distance * cosine - width * (1 - cosine) / 2
            bottom = y + distance * sine - height * (1 - sine) / 2
            boxes.append((left, bottom, left + width, bottom + height))
    return boxes


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _inside(box: Box, outer: Box) -> bool:
    return outer[0] <= box[0] and outer[1] <= box[1] and box[2] <= outer[2] and box[3] <= outer[3]
