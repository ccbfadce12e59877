"""The loss of one batch: a part for each dimension, labelled and soft targets alike.

Targets are probabilities, so a labelled row (zeros and ones) and a row of an ensemble's
probabilities (distillation, Hinton et al. 2015) go through the same code.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from model.network import ComplaintOutput
from training.config import LossSettings


def binary_loss(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Summed binary cross-entropy a row, ``[rows]``, for multi-label ``targets`` ``[rows, labels]``."""
    targets = targets * (1 - smoothing) + 0.5 * smoothing
    return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(-1)


def categorical_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy a row, ``[rows]``; a row of zeros (no such label) costs nothing."""
    return -(targets * torch.log_softmax(logits, dim=-1)).sum(-1)


def distance_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Squared earth mover's distance of ordered levels, ``[rows]`` (Hou, Yu & Samaras 2016)."""
    gap = torch.softmax(logits, dim=-1).cumsum(-1) - targets.cumsum(-1)
    return gap.square().sum(-1)


def total_loss(
    output: ComplaintOutput,
    targets: Mapping[str, Tensor],
    settings: LossSettings,
    *,
    smoothing: float,
    motive_weights: Tensor,
) -> Tensor:
    """Weighted mean over the rows of a batch.

    ``targets``: ``causes``, ``motives`` (multi-label), ``primary_cause``, ``primary_motive``,
    ``severity``, ``style`` (distributions), each ``[rows, labels]``, and ``weight`` ``[rows]``.
    ``motive_weights`` ``[motives]`` raises rows whose primary motive is rare.
    """
    assert output.causes is not None
    assert output.motives is not None
    assert output.severity is not None
    assert output.style is not None
    complaint = 1.0 - targets["severity"][:, 0]
    rarity = (targets["primary_motive"] * motive_weights).sum(-1)
    rows = (
        settings.causes * binary_loss(output.causes, targets["causes"], smoothing)
        + settings.primary_cause * categorical_loss(output.causes, targets["primary_cause"])
        + settings.motives * binary_loss(output.motives, targets["motives"], smoothing)
        + settings.primary_motive * rarity * categorical_loss(output.motives, targets["primary_motive"])
        + settings.severity * categorical_loss(output.severity, targets["severity"])
        + settings.severity_distance * distance_loss(output.severity, targets["severity"])
        + settings.style * complaint * categorical_loss(output.style, targets["style"])
    )
    weight = targets["weight"]
    return (rows * weight).sum() / weight.sum().clamp_min(1e-6)


def divergence(one: Tensor, other: Tensor, *, binary: bool) -> Tensor:
    """Jeffreys divergence (both directions of Kullback-Leibler, summed) a row, ``[rows]``.

    Between the answers that logits ``[rows, labels]`` stand for: a yes or no a label if ``binary``,
    else one distribution over the labels. The normalising terms of the two directions cancel out.
    """
    p, q = (torch.sigmoid(x) if binary else torch.softmax(x, dim=-1) for x in (one, other))
    return ((p - q) * (one - other)).sum(-1)


def consistency_loss(output: ComplaintOutput, pairs: Tensor, settings: LossSettings, weight: Tensor) -> Tensor:
    """What divides the answers to two wordings of a text, a row of the batch (R-Drop, Liang et al. 2021).

    ``pairs`` ``[pairs, 2]`` are the rows of both wordings; ``weight`` ``[rows]`` as in :func:`total_loss`.
    """

    def between(logits: Tensor | None, *, binary: bool) -> Tensor:
        assert logits is not None
        return divergence(logits[pairs[:, 0]], logits[pairs[:, 1]], binary=binary)

    rows = (
        settings.causes * between(output.causes, binary=True)
        + settings.primary_cause * between(output.causes, binary=False)
        + settings.motives * between(output.motives, binary=True)
        + settings.primary_motive * between(output.motives, binary=False)
        + settings.severity * between(output.severity, binary=False)
        + settings.style * between(output.style, binary=False)
    )
    return (rows * (weight[pairs[:, 0]] + weight[pairs[:, 1]])).sum() / weight.sum().clamp_min(1e-6)
