"""Is the gain real? Paired tests, intervals and verdicts over the runs of an ablation. Knows numpy and scipy alone."""

from attnzoo.statistics.comparison import by_class, compare
from attnzoo.statistics.evidence import Evidence
from attnzoo.statistics.records import Arm, Comparison, Difference, Interval, Verdict

__all__ = ["Arm", "Comparison", "Difference", "Evidence", "Interval", "Verdict", "by_class", "compare"]
