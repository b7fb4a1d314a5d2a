"""What a module costs. Takes any `nn.Module` and shapes, and has never heard of attention."""

from attnzoo.measure.comparison import arms, compare
from attnzoo.measure.latency import Latency, Spread, clock_of, latency
from attnzoo.measure.macs import Macs, count
from attnzoo.measure.memory import peak_bytes
from attnzoo.measure.parameters import parameters
from attnzoo.measure.subject import Subject

__all__ = [
    "Latency",
    "Macs",
    "Spread",
    "Subject",
    "arms",
    "clock_of",
    "compare",
    "count",
    "latency",
    "parameters",
    "peak_bytes",
]
