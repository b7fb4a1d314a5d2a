"""Five bleeds of one intensity that differ in place and shape alone."""

from dataclasses import dataclass

import numpy as np

from attnzoo.data.phantom.anatomy import Field, Slice, common, united

NAMES = ("EDH", "IPH", "IVH", "SAH", "SDH")  # in the order of their category ids, from 1


@dataclass(frozen=True)
class Bleed:
    """A bleed of a patient: largest at height `z`, gone `reach` above and below; shaped by 8 `traits` in 0…1."""

    name: str
    z: float
    reach: float
    value: float  # HU
    traits: Field


def bleed(random: np.random.Generator, name: str, z: float) -> Bleed:
    """Draw a bleed; its intensity does not depend on its name."""
    return Bleed(name, z, random.uniform(0.3, 0.65), random.uniform(50, 72), random.uniform(0, 1, 8))


def depth(what: Bleed, where: Slice) -> Field | None:
    """The signed depth of a bleed in a slice, None where it does not reach."""
    extent = 1 - ((where.z - what.z) / what.reach) ** 2
    if extent <= 0:
        return None
    shape = {"EDH": _lens, "IPH": _blob, "IVH": _filled, "SAH": _grooves, "SDH": _crescent}[what.name]
    return common(shape(what.traits, where, float(np.sqrt(extent))), where.depth)


def _lens(traits: Field, where: Slice, extent: float) -> Field:
    """Epidural: biconvex, short and thick, between bone and dura."""
    half, thick = (0.3 + 0.22 * traits[1]) * extent, (0.12 + 0.12 * traits[2]) * extent
    lens: Field = thick * (1 - (where.around(_side(traits[0])) / half) ** 2) - where.depth
    return lens


def _crescent(traits: Field, where: Slice, extent: float) -> Field:
    """Subdural: long and thin, along the inside of the skull, never across the midline."""
    angle = _side(traits[0])
    half, thick = (0.65 + 0.5 * traits[1]) * extent, (0.06 + 0.06 * traits[2]) * extent
    crescent = thick * (1 - (where.around(angle) / half) ** 4) - where.depth
    return common(crescent, np.sign(np.cos(angle)) * where.u - 0.012)


def _blob(traits: Field, where: Slice, extent: float) -> Field:
    """Intraparenchymal: an irregular lump in the brain."""
    u = (0.18 + 0.2 * traits[0]) * (1 if traits[1] < 0.5 else -1)
    across, along = where.u - u, where.v - (0.8 * traits[2] - 0.4)
    angle = np.arctan2(along, across)
    radius = (0.09 + 0.12 * traits[3]) * extent
    outline = 1 + 0.22 * np.cos(2 * angle + 6.3 * traits[4]) + 0.13 * np.cos(3 * angle + 6.3 * traits[5] + where.z)
    lump = radius * outline - np.hypot(across, along)
    return common(lump, -where.ventricle, where.depth - where.person.gap - 0.02)


def _filled(traits: Field, where: Slice, extent: float) -> Field:
    """Intraventricular: one side, or what has settled at the back of both."""
    if traits[0] < 0.45:
        return common(where.ventricle, where.u * (1 if traits[1] < 0.5 else -1))
    return common(where.ventricle, where.v - (0.14 - 0.3 * traits[2] * extent))


def _grooves(traits: Field, where: Slice, extent: float) -> Field:
    """Subarachnoid: in neighbouring sulci, and a film over the brain between them."""
    angle, half = _side(traits[0]), (0.45 + 0.5 * traits[1]) * extent
    sulci = united(*(where.groove(row, 2.0 + traits[2]) for row in where.person.sulci))
    film = common(where.person.gap + 0.004 - where.depth, 0.02 * np.cos(9 * where.theta + 6.3 * traits[3]))
    return common(united(sulci, film), half - np.abs(where.around(angle)))


def _side(trait: float) -> float:
    """A direction away from the midline: right for the lower half of 0…1, left for the upper."""
    return float((4 * trait - 1) * 1.05 if trait < 0.5 else np.pi + (4 * trait - 3) * 1.05)
