"""Losses by name: `cross_entropy`, `dice`, `focal` and plain sums of them such as `cross_entropy+dice`.

All take logits (B, K, *S) and class indices (B, *S), in two or three dimensions; pixels marked 255 count for nothing,
and a batch of nothing else has loss 0 with gradients 0.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnzoo.errors import AttnzooError, did_you_mean, listing

IGNORED = 255


def build_loss(name: str, *, class_weights: Sequence[float] | None = None) -> nn.Module:
    """Build a loss.

    Args:
        name: Terms joined by `+`, each at most once.
        class_weights: A weight for every class, background first, for the term `cross_entropy`; none is negative.

    Raises:
        AttnzooError: For an unknown name, and for weights that no term takes or that are impossible.
    """
    terms = name.split("+")
    if any(term not in TERMS for term in terms) or len(set(terms)) < len(terms):
        known = ["+".join(sum_) for length in range(1, len(TERMS) + 1) for sum_ in combinations(TERMS, length)]
        raise AttnzooError(
            f"`{name}` is no loss; it can be {listing(TERMS)}, or a sum of different ones",
            did_you_mean(name, known) or "write a sum as `cross_entropy+dice`",
        )
    if class_weights is not None and "cross_entropy" not in terms:
        raise AttnzooError(
            f"`{name}` takes no class_weights; only `cross_entropy` does",
            f"write `cross_entropy+{name}`, or no weights",
        )
    return Sum({term: CrossEntropy(class_weights) if term == "cross_entropy" else TERMS[term]() for term in terms})


def balanced_weights(counts: Sequence[int]) -> tuple[float, ...]:
    """Weights that give every class the same share: pixels / (classes there · pixels of the class), 0 for absent ones.

    Args:
        counts: Pixels of each class in the training split, background first.
    """
    there = sum(count > 0 for count in counts)
    if not there:
        raise AttnzooError(
            "`balanced` class weights need at least one labelled pixel", "check the training split's masks"
        )
    return tuple(sum(counts) / (there * count) if count > 0 else 0.0 for count in counts)


class Sum(nn.Module):
    """The plain sum of its terms."""

    def __init__(self, terms: dict[str, nn.Module]) -> None:
        super().__init__()
        self.terms = nn.ModuleDict(terms)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return torch.stack([term(logits, target) for term in self.terms.values()]).sum()


class CrossEntropy(nn.Module):
    """Multi-class cross-entropy: the mean over pixels, weighted by their classes' weights."""

    weights: Tensor | None

    def __init__(self, class_weights: Sequence[float] | None = None) -> None:
        super().__init__()
        if isinstance(class_weights, str):
            raise AttnzooError(
                f"class_weights `{class_weights}` must be numbers by now", "pass `balanced_weights(pixel counts)`"
            )
        if class_weights is not None and not (min(class_weights, default=-1) >= 0 and max(class_weights) > 0):
            raise AttnzooError(
                f"class_weights {list(class_weights)} cannot weigh classes: none may be negative, nor all zero",
                "give one weight for each class, background first",
            )
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        classes = logits.shape[1]
        if self.weights is not None and len(self.weights) != classes:
            raise AttnzooError(
                f"{len(self.weights)} class_weights do not fit {classes} classes",
                "give one weight for each class, background first",
            )
        # as (pixels, K): CUDA's deterministic mode refuses the two-dimensional NLLLoss
        flat, labels = logits.movedim(1, -1).reshape(-1, classes), target.reshape(-1).long()
        total = F.cross_entropy(flat, labels, weight=self.weights, ignore_index=IGNORED, reduction="sum")
        kept = labels != IGNORED
        shares = kept if self.weights is None else self.weights[labels.where(kept, 0)] * kept
        # not torch's own mean: that is 0/0 where everything is ignored
        return total / shares.sum().clamp_min(torch.finfo(torch.float32).tiny)


class Dice(nn.Module):
    """smp's soft Dice over all classes, background included; one that the batch lacks counts 0 in the mean over K."""

    def __init__(self) -> None:
        super().__init__()
        from segmentation_models_pytorch.losses import DiceLoss

        self.loss = DiceLoss(mode="multiclass", ignore_index=IGNORED)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return cast("Tensor", self.loss(logits, target.long()))


class Focal(nn.Module):
    """smp's focal loss, gamma 2: a sigmoid for each class against the others, averaged over pixels and classes."""

    def __init__(self) -> None:
        super().__init__()
        from segmentation_models_pytorch.losses import FocalLoss

        self.loss = FocalLoss(mode="multiclass", ignore_index=IGNORED)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        # smp's is the mean of nothing, NaN, where everything is ignored
        return cast("Tensor", self.loss(logits, target)) if (target != IGNORED).any() else logits.sum() * 0


TERMS: dict[str, type[nn.Module]] = {"cross_entropy": CrossEntropy, "dice": Dice, "focal": Focal}
