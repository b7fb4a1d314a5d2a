"""Training and what comes of it: `run`; `load`, `evaluate`, `Predictor`. The only room of Lightning."""

from attnzoo.training.devices import resolve_device
from attnzoo.training.loading import Evaluation, Predictor, evaluate, load
from attnzoo.training.run import run

__all__ = ["Evaluation", "Predictor", "evaluate", "load", "resolve_device", "run"]
