"""Images as PNG, and label maps as a Roboflow export has them: outlines and run lengths. Bytes are equal everywhere."""

import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
CORNERS = 60  # longer outlines are written as run lengths


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """An 8-bit grey PNG without compression: what zlib and its successors compress differs between their builds."""
    height, width = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels], axis=1).tobytes()  # filter type 0 before every row
    blocks = [rows[start : start + 65535] for start in range(0, len(rows), 65535)]
    stored = b"".join(
        struct.pack("<BHH", block is blocks[-1], len(block), 65535 - len(block)) + block for block in blocks
    )
    stored = b"\x78\x01" + stored + struct.pack(">I", zlib.adler32(rows))

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", stored) + chunk(b"IEND", b"")


def annotations(labels: npt.NDArray[np.uint8], image: int, first: int) -> list[dict[str, Any]]:
    """One COCO annotation per 4-connected component of each category, numbered from `first`."""
    found: list[dict[str, Any]] = []
    for category in range(1, int(labels.max()) + 1):
        for component in components(labels == category):
            y, x = np.nonzero(component)
            found.append(
                {
                    "id": first + len(found),
                    "image_id": image,
                    "category_id": category,
                    "segmentation": segmentation(component),
                    "area": len(x),
                    "iscrowd": 0,
                    "bbox": [int(x.min()), int(y.min()), int(np.ptp(x)) + 1, int(np.ptp(y)) + 1],
                }
            )
    return found


def segmentation(component: Mask) -> list[list[int]] | dict[str, Any]:
    """A polygon where one short outline says it all; run lengths for long ones and for holes, which polygons lack."""
    loops = outlines(component)
    if len(loops) == 1 and len(loops[0]) <= CORNERS:
        return [[number for corner in loops[0] for number in corner]]
    pixels = component.T.ravel()  # column by column
    changes = np.flatnonzero(np.diff(pixels, prepend=False)).tolist()
    counts = np.diff([0, *changes, pixels.size]).tolist()  # begins with background, of length 0 if need be
    return {"size": list(component.shape), "counts": counts}


def components(mask: Mask) -> list[Mask]:
    """The 4-connected parts of a mask, in the order of their first pixels."""
    left = {(int(y), int(x)): None for y, x in np.argwhere(mask)}
    parts = []
    while left:
        start = next(iter(left))
        del left[start]
        part, front = np.zeros_like(mask), [start]
        while front:
            y, x = front.pop()
            part[y, x] = True
            for near in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if near in left:
                    del left[near]
                    front.append(near)
        parts.append(part)
    return parts


def outlines(component: Mask) -> list[list[tuple[int, int]]]:
    """The closed outlines (x, y) of a 4-connected component, along pixel borders: around it, and around its holes."""
    edges: dict[tuple[int, int], list[tuple[int, int]]] = {}
    padded = np.pad(component, 1)
    for y, x in np.argwhere(component).tolist():
        sides = (
            (padded[y, x + 1], (x, y), (x + 1, y)),
            (padded[y + 1, x + 2], (x + 1, y), (x + 1, y + 1)),
            (padded[y + 2, x + 1], (x + 1, y + 1), (x, y + 1)),
            (padded[y + 1, x], (x, y + 1), (x, y)),
        )
        for covered, start, end in sides:  # clockwise, the pixel on the right hand
            if not covered:
                edges.setdefault(start, []).append(end)
    loops = []
    while edges:
        here = next(iter(edges))
        loop, heading = [], (0, 0)
        while here in edges:
            ends = edges[here]
            # where two pixels meet by their corners the outline turns right: it stays with its pixel
            right = (here[0] - heading[1], here[1] + heading[0])
            end = right if right in ends else ends[0]
            ends.remove(end)
            if not ends:
                del edges[here]
            turned = (end[0] - here[0], end[1] - here[1])
            if turned != heading:
                loop.append(here)
            here, heading = end, turned
        loops.append(loop)
    return loops
