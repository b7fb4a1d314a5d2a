"""EMA's forward pass, made for the form of a map: one launch, or five on large maps."""

from functools import lru_cache

import torch
from torch import Tensor

from attnzoo.kernels.ema import Weights
from attnzoo.kernels.triton import kept, one_launch
from attnzoo.kernels.triton.applying import Apply
from attnzoo.kernels.triton.between import Finish, Gates
from attnzoo.kernels.triton.launching import KEPT, Form
from attnzoo.kernels.triton.reading import Moments, Strips


class Forward:
    """x and the weights → EMA of x, as x lies in memory, and what the backward pass wants of it: `kept` names it."""

    def __init__(self, x: Form, groups: int, eps: float, weights: tuple[Form, ...]) -> None:
        conv1, conv3 = weights[0].strides, weights[4].strides
        self._sizes = kept.sizes(x.shape, groups)
        self._numbers = sum(self._sizes)
        self._single = None
        if one_launch.serves(x, groups):
            self._single = one_launch.Single(x, groups, conv1, conv3, eps)
            return
        self._strips, self._moments, self._apply = Strips(x), Moments(x), Apply(x, groups)
        self._gates = Gates(x, groups, conv1, conv3, self._strips.pieces)
        self._finish = Finish(x, groups, eps, self._moments.pieces)

    def __call__(self, x: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
        buffer = x.new_empty(self._numbers, dtype=torch.float32)
        found = kept.parts(buffer, self._sizes)
        if self._single is not None:
            return self._single(x, weights, found), buffer
        self._gates(x, *self._strips(x), weights, found)
        self._finish(self._moments(x, found.h, found.w), weights, found)
        return self._apply(x, found), buffer


prepared = lru_cache(KEPT)(Forward)
