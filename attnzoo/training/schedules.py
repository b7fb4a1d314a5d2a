"""Optimisers and learning-rate schedules by name."""

import math
from collections.abc import Iterable

from torch import nn, optim

from attnzoo.recipe import Training

MOMENTUM = 0.9  # of sgd
POWER = 0.9  # of the polynomial schedule, as in DeepLab and nnU-Net


def build_optimizer(training: Training, parameters: Iterable[nn.Parameter]) -> optim.Optimizer:
    """Adam, AdamW, or SGD with momentum 0.9."""
    rate, decay = training.learning_rate, training.weight_decay
    if training.optimizer == "sgd":
        return optim.SGD(parameters, lr=rate, momentum=MOMENTUM, weight_decay=decay)
    kind = optim.AdamW if training.optimizer == "adamw" else optim.Adam
    return kind(parameters, lr=rate, weight_decay=decay)


def learning_rate(training: Training, epoch: int) -> float:
    """The rate of an epoch, from 0 on: a function without memory, so that there is nothing to restore.

    `cosine` falls along half a wave, `polynomial` as (1 − epoch/epochs) to the power 0.9; the last epoch's is above 0.
    """
    done = epoch / training.epochs
    factors = {"constant": 1.0, "cosine": (1 + math.cos(math.pi * done)) / 2, "polynomial": math.pow(1 - done, POWER)}
    return training.learning_rate * factors[training.schedule]
