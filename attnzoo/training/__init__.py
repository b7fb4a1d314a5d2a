"""Training and what comes of it: `run`; `load`, `evaluate`, `Predictor`. The only room of Lightning."""

from attnzoo.training.checks import check_splits
from attnzoo.training.devices import resolve_device
from attnzoo.training.loading import Evaluation, Predictor, evaluate, load
from attnzoo.training.run import run

__all__ = ["Evaluation", "Predictor", "check_splits", "evaluate", "load", "resolve_device", "run"]
