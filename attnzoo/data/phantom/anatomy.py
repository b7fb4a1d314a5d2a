"""A drawn head: skull, brain, sulci, ventricles and what can be mistaken for blood. No patient looks like it.

Shapes are signed depths: fields over the slice, positive inside and measured in half image widths, so that one formula
gives soft edges to the image and hard ones to the mask. `u` runs across the head, `v` from the forehead backwards.
"""

from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float64]

# Hounsfield units
WHITE, GREY, FLUID, FALX, SINUS, BONE, SKIN = 26.0, 37.0, 7.0, 50.0, 56.0, 600.0, 35.0

# a lateral ventricle in the lowest, middle and highest slice: (|u|, v, radius) from the frontal to the occipital horn
VENTRICLE = np.array(
    [
        [(0.14, -0.30, 0.035), (0.07, -0.16, 0.022), (0.15, 0.16, 0.012), (0.19, 0.28, 0.030)],
        [(0.15, -0.34, 0.035), (0.06, -0.08, 0.040), (0.13, 0.18, 0.055), (0.17, 0.36, 0.025)],
        [(0.11, -0.24, 0.022), (0.09, -0.06, 0.034), (0.11, 0.14, 0.036), (0.13, 0.24, 0.020)],
    ]
)


def common(*shapes: Field) -> Field:
    """Signed depth of what all shapes share."""
    return reduce(np.minimum, shapes)


def united(*shapes: Field) -> Field:
    """Signed depth of all shapes together."""
    return reduce(np.maximum, shapes)


@dataclass(frozen=True)
class Patient:
    """What is the same in all slices of a patient. Lengths in half image widths, angles in radians."""

    angle: float
    shift: tuple[float, float]
    axes: tuple[float, float]  # of the inner skull, across and along
    bumps: Field  # (k, 2): how much, and where, the outline departs from an ellipse with k + 2 waves
    bone: float
    gap: float  # fluid between skull and brain
    ventricles: float  # 1 is usual
    sulci: Field  # (n, 5): angle, depth, half width, wobble, phase
    texture: Field  # (n, 5): waves across, along and up, phase, amplitude in HU
    spots: Field  # (n, 5): u, v, z, radius, HU of calcifications
    stroke: tuple[float, float, float, float]  # u, v, z and radius of an old dark infarct
    sinus: float  # half width of the sagittal sinus behind
    tilt: tuple[float, float]  # HU from one side of the image to the other
    noise: float  # deviation in HU


def patient(random: np.random.Generator, *, hydrocephalus: bool) -> Patient:
    """Draw a patient; blood in the ventricles goes with wide ones."""
    draw = random.uniform
    count = int(random.integers(16, 23))
    angles = (np.arange(count) + draw(-0.35, 0.35, count)) * 2 * np.pi / count
    sulci = np.stack(
        [angles, draw(0.07, 0.22, count), draw(0.006, 0.012, count), draw(-0.12, 0.12, count), draw(0, 6.3, count)], 1
    )
    sylvian = np.array([[-0.25, 0.32, 0.013, 0.1, draw(0, 6.3)], [np.pi + 0.25, 0.32, 0.013, 0.1, draw(0, 6.3)]])
    waves = np.stack([draw(-14, 14, 10), draw(-14, 14, 10), draw(-5, 5, 10), draw(0, 6.3, 10), draw(0.4, 1.3, 10)], 1)
    side = random.choice([-1.0, 1.0], 5)
    spots = np.array(
        [
            (
                0.13 * draw(0.8, 1.2),
                0.2,
                draw(-0.3, 0.3),
                draw(0.012, 0.028),
                draw(60, 140),
            ),  # choroid plexus, both sides
            (-0.13 * draw(0.8, 1.2), 0.2, draw(-0.3, 0.3), draw(0.012, 0.028), draw(60, 140)),
            (0.0, 0.12, draw(-0.5, 0.1), draw(0.0, 0.022), draw(60, 160)),  # pineal gland
            (side[0] * 0.17, -0.05, draw(-0.5, 0.2), draw(0.0, 0.03), draw(50, 80)),  # basal ganglia
            (side[1] * draw(0.2, 0.4), draw(-0.4, 0.4), draw(-0.6, 0.6), draw(0.0, 0.028), draw(50, 110)),
        ]
    )
    return Patient(
        angle=draw(-0.25, 0.25),
        shift=(draw(-0.05, 0.05), draw(-0.05, 0.05)),
        axes=(draw(0.62, 0.71), draw(0.75, 0.84)),
        bumps=np.stack([draw(-0.018, 0.018, 4), draw(0, 6.3, 4)], 1),
        bone=draw(0.05, 0.085),
        gap=draw(0.006, 0.03),
        ventricles=draw(1.05, 1.6) if hydrocephalus else draw(0.75, 1.35),
        sulci=np.concatenate([sulci, sylvian]),
        texture=waves,
        spots=spots,
        stroke=(side[2] * draw(0.2, 0.4), draw(-0.45, 0.45), draw(-0.7, 0.7), max(0.0, draw(-0.15, 0.16))),
        sinus=draw(0.02, 0.06),
        tilt=(draw(-2.5, 2.5), draw(-2.5, 2.5)),
        noise=draw(3.0, 5.5),
    )


class Slice:
    """The geometry of a slice: fields (size, size) and the image without bleeds, in Hounsfield units.

    Args:
        z: Height, from -1 at the base to 1 at the vertex.
        size: Pixels per side.
    """

    def __init__(self, person: Patient, z: float, size: int) -> None:
        self.person, self.z, self.pixel = person, z, 2 / size
        y, x = (np.mgrid[:size, :size] + 0.5) * self.pixel - 1
        x, y = x - person.shift[0], y - person.shift[1]
        scale = 1 - 0.28 * max(z, 0.0) ** 2 - 0.1 * min(z, 0.0) ** 2
        self.u = (np.cos(person.angle) * x + np.sin(person.angle) * y) / scale
        self.v = (np.cos(person.angle) * y - np.sin(person.angle) * x) / scale
        across, along = person.axes
        self.theta = np.arctan2(self.v / along, self.u / across)
        outline = 1 + sum(size * np.cos((k + 2) * self.theta + at) for k, (size, at) in enumerate(person.bumps))
        self.radius = np.hypot(self.u / across, self.v / along) / outline
        self.mean = float(np.sqrt(across * along))
        self.depth = (1 - self.radius) * self.mean  # below the skull's inner side
        self.waves = np.cos(20 * self.depth), np.sin(20 * self.depth)
        self.ventricle = self._ventricle()
        self.sulcus = united(*(self.groove(row) for row in person.sulci))

    def soft(self, depth: Field) -> Field:
        """How much of each pixel a shape covers, 0…1."""
        cover: Field = np.clip(depth / self.pixel + 0.5, 0, 1)
        return cover

    def around(self, angle: float) -> Field:
        """The angle from a direction, -π…π."""
        turn: Field = self.theta - angle
        turn -= 2 * np.pi * np.rint(turn / (2 * np.pi))
        return turn

    def groove(self, sulcus: Field, widening: float = 1.0) -> Field:
        """Signed depth of one sulcus, from the skull inwards along a winding line."""
        angle, reach, width, wobble, phase = sulcus
        wave = np.sin(phase) * self.waves[0] + np.cos(phase) * self.waves[1]
        winding = self.around(angle + 0.4 * wobble * self.z) + wobble * wave
        beside = np.abs(winding) * np.maximum(self.radius, 0.2) * self.mean
        return common(widening * width - beside, reach - self.depth, self.depth)

    def capsule(self, start: Field, end: Field, across: Field) -> Field:
        """Signed depth of a tube between two points (|u|, v, radius)."""
        along, up = end[0] - start[0], end[1] - start[1]
        part = np.clip(((across - start[0]) * along + (self.v - start[1]) * up) / (along**2 + up**2), 0, 1)
        distance = np.hypot(across - start[0] - part * along, self.v - start[1] - part * up)
        depth: Field = start[2] + part * (end[2] - start[2]) - distance
        return depth

    def _ventricle(self) -> Field:
        low, middle, high = VENTRICLE
        points = middle + abs(self.z) * ((high if self.z > 0 else low) - middle)
        points = points * [1.0, 1.0, self.person.ventricles]
        tubes = [self.capsule(*pair, np.abs(self.u)) for pair in pairwise(points)]
        if self.z < 0.1:  # the third ventricle
            width = 0.016 * self.person.ventricles
            tubes.append(self.capsule(np.array([0, -0.1, width]), np.array([0, 0.1, width]), self.u))
        return united(*tubes)

    def tissue(self) -> Field:
        """The slice without bleeds, in Hounsfield units."""
        person = self.person
        brain = self.soft(self.depth - person.gap)
        cortex = self.soft(united(person.gap + 0.075 - self.depth, self.sulcus + 0.028))
        nuclei = np.hypot((np.abs(self.u) - 0.17) / 0.09, (self.v + 0.02) / 0.17)
        grey = united(cortex, self.soft((1 - nuclei) * 0.1) * (self.z < 0.45))
        image = WHITE + (GREY - WHITE) * grey
        for across, along, up, phase, size in person.texture:
            image = image + size * np.cos(across * self.u + along * self.v + up * self.z + phase)
        u, v, z, radius = person.stroke
        image -= 9 * self.soft(0.5 * (radius * (1 - 4 * (self.z - z) ** 2) - np.hypot(self.u - u, self.v - v)))
        image = self.paint(image, brain * self.soft(-self.sulcus), FLUID, invert=True)
        falx = common(0.009 - np.abs(self.u), np.abs(self.v) - 0.40)
        image = self.paint(image, self.soft(falx) * (self.depth > 0), FALX)
        sinus = person.sinus - np.hypot(self.u, self.depth)
        image = self.paint(image, self.soft(sinus) * (self.v > 0), SINUS)
        image = self.paint(image, self.soft(self.ventricle), FLUID)
        for u, v, z, radius, value in person.spots:
            if (left := 1 - ((self.z - z) / 0.25) ** 2) > 0:
                image = self.paint(image, self.soft(radius * left**0.5 - np.hypot(self.u - u, self.v - v)), value)
        return image

    def skull(self, image: Field) -> Field:
        """Put the skull and the skin around the inside of a head."""
        image = image + 9 * np.exp(-np.maximum(self.depth, 0) / 0.04)  # beam hardening below the bone
        outside = self.depth + self.person.bone * (1 + 0.25 * np.cos(3 * self.theta))
        image = np.where(self.depth + self.pixel > 0, image, 0.0)
        image = self.paint(image, self.soft(-self.depth), BONE)
        image = self.paint(image, self.soft(-outside), 0.0)
        skin = 0.012 - np.abs(outside + 0.05)
        return self.paint(image, self.soft(skin), SKIN)

    @staticmethod
    def paint(image: Field, cover: Field, value: Field | float, *, invert: bool = False) -> Field:
        """Lay a value over the image where (or, inverted, where not) something covers it."""
        cover = 1 - cover if invert else cover
        return image + cover * (value - image)
