from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from model.network import ComplaintOutput
from training.config import LossSettings, load_config
from training.losses import (
    binary_loss,
    categorical_loss,
    consistency_loss,
    distance_loss,
    divergence,
    total_loss,
)

SIZES = {"causes": 4, "motives": 3, "severity": 4, "style": 2}


def distribution(rng: np.random.Generator, rows: int, size: int) -> torch.Tensor:
    return torch.tensor(rng.dirichlet(np.ones(size), rows), dtype=torch.float32)


@pytest.fixture
def batch() -> tuple[ComplaintOutput, dict[str, torch.Tensor]]:
    """Soft rows, a labelled complaint (row 3) and a labelled non-complaint (row 4)."""
    rng = np.random.default_rng(0)
    output = {name: torch.tensor(rng.normal(size=(5, size)), dtype=torch.float32) for name, size in SIZES.items()}
    targets = {
        "causes": torch.tensor(rng.random((5, 4)), dtype=torch.float32),
        "primary_cause": distribution(rng, 5, 4),
        "motives": torch.tensor(rng.random((5, 3)), dtype=torch.float32),
        "primary_motive": distribution(rng, 5, 3),
        "severity": distribution(rng, 5, 4),
        "style": distribution(rng, 5, 2),
        "weight": torch.tensor([1.0, 0.5, 2.0, 1.0, 1.0]),
    }
    targets["severity"][3] = torch.tensor([0.0, 0.0, 1.0, 0.0])
    targets["severity"][4] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    for name in ("causes", "primary_cause", "motives", "primary_motive"):
        targets[name][4] = 0.0
    return ComplaintOutput(**output), targets


def reference(
    output: ComplaintOutput, targets: dict[str, torch.Tensor], s: LossSettings, smoothing: float, rarity: list[float]
) -> float:
    """The loss written out, one row and one label at a time."""

    def binary(logits: list[float], wanted: list[float]) -> float:
        total = 0.0
        for z, t in zip(logits, wanted, strict=True):
            t, p = t * (1 - smoothing) + smoothing / 2, 1 / (1 + math.exp(-z))
            total -= t * math.log(p) + (1 - t) * math.log(1 - p)
        return total

    def softmax(logits: list[float]) -> list[float]:
        raised = [math.exp(z) for z in logits]
        return [r / sum(raised) for r in raised]

    def cross_entropy(logits: list[float], wanted: list[float]) -> float:
        return -sum(t * math.log(p) for t, p in zip(wanted, softmax(logits), strict=True))

    def distance(logits: list[float], wanted: list[float]) -> float:
        p = softmax(logits)
        return sum((sum(p[: i + 1]) - sum(wanted[: i + 1])) ** 2 for i in range(len(p)))

    total, weights = 0.0, targets["weight"].tolist()
    for row, weight in enumerate(weights):
        t = {name: values[row].tolist() for name, values in targets.items() if name != "weight"}
        z = {name: getattr(output, name)[row].tolist() for name in SIZES}
        rare = sum(share * r for share, r in zip(t["primary_motive"], rarity, strict=True))
        total += weight * (
            s.causes * binary(z["causes"], t["causes"])
            + s.primary_cause * cross_entropy(z["causes"], t["primary_cause"])
            + s.motives * binary(z["motives"], t["motives"])
            + s.primary_motive * rare * cross_entropy(z["motives"], t["primary_motive"])
            + s.severity * cross_entropy(z["severity"], t["severity"])
            + s.severity_distance * distance(z["severity"], t["severity"])
            + s.style * (1 - t["severity"][0]) * cross_entropy(z["style"], t["style"])
        )
    return total / sum(weights)


@pytest.mark.parametrize("smoothing", [0.0, 0.02])
def test_total_loss_equals_the_reference(
    batch: tuple[ComplaintOutput, dict[str, torch.Tensor]], smoothing: float
) -> None:
    output, targets = batch
    settings, rarity = load_config().loss, [0.5, 1.0, 3.0]
    found = total_loss(output, targets, settings, smoothing=smoothing, motive_weights=torch.tensor(rarity))
    assert float(found) == pytest.approx(reference(output, targets, settings, smoothing, rarity), rel=1e-5)


def test_total_loss_teaches_a_non_complaint_nothing_about_style_and_primary_labels(
    batch: tuple[ComplaintOutput, dict[str, torch.Tensor]],
) -> None:
    output, targets = batch
    targets["weight"] = torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0])
    settings = load_config(overrides=["loss.causes=0", "loss.motives=0"]).loss
    for name in SIZES:
        getattr(output, name).requires_grad_()
    total_loss(output, targets, settings, smoothing=0.0, motive_weights=torch.ones(3)).backward()
    assert not output.style.grad.any()
    assert not output.causes.grad.any()
    assert not output.motives.grad.any()
    assert output.severity.grad[4].any()


def test_losses_fall_when_logits_move_to_the_target() -> None:
    wanted = torch.tensor([[0.0, 1.0, 0.0]])
    for loss in (lambda z: binary_loss(z, wanted, 0.02), lambda z: categorical_loss(z, wanted)):
        values = [float(loss(torch.tensor([[-s, s, -s]]))) for s in (-1.0, 0.0, 1.0, 3.0)]
        assert values == sorted(values, reverse=True)
        assert min(values) > 0


def test_binary_loss_is_least_at_the_smoothed_target() -> None:
    logits = torch.linspace(-8, 8, 1601)[:, None]
    best = float(torch.sigmoid(logits[binary_loss(logits, torch.ones(1601, 1), 0.1).argmin()]))
    assert best == pytest.approx(0.95, abs=0.002)


def test_distance_loss_grows_with_the_distance() -> None:
    wanted = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    values = [float(distance_loss(20 * torch.eye(4)[[level]], wanted)) for level in range(4)]
    assert values == pytest.approx([0, 1, 2, 3], abs=1e-4)


def test_total_loss_bears_rows_that_all_weigh_nothing(
    batch: tuple[ComplaintOutput, dict[str, torch.Tensor]],
) -> None:
    output, targets = batch
    targets["weight"] = torch.zeros(5)
    loss = total_loss(output, targets, load_config().loss, smoothing=0.0, motive_weights=torch.ones(3))
    assert float(loss) == 0.0


@pytest.mark.parametrize("binary", [True, False])
def test_divergence_is_both_directions_of_kullback_leibler(binary: bool) -> None:
    rng = np.random.default_rng(3)
    one, other = (torch.tensor(rng.normal(size=(5, 4)), dtype=torch.float64) for _ in range(2))
    kind = torch.distributions.Bernoulli if binary else torch.distributions.Categorical
    p, q = kind(logits=one), kind(logits=other)
    wanted = torch.distributions.kl_divergence(p, q) + torch.distributions.kl_divergence(q, p)
    torch.testing.assert_close(divergence(one, other, binary=binary), wanted.sum(-1) if binary else wanted)


def test_consistency_loss_counts_pairs_by_weight_over_the_whole_batch(
    batch: tuple[ComplaintOutput, dict[str, torch.Tensor]],
) -> None:
    output, targets = batch
    settings, weight = load_config().loss, targets["weight"]
    apart = consistency_loss(output, torch.tensor([[0, 1]]), settings, weight)
    assert apart > 0
    # The same pair named the other way round, and a text beside itself, which nothing divides.
    torch.testing.assert_close(consistency_loss(output, torch.tensor([[1, 0], [2, 2]]), settings, weight), apart)
    assert consistency_loss(output, torch.zeros((0, 2), dtype=torch.long), settings, weight) == 0
    heavier = weight * torch.tensor([2.0, 2.0, 1.0, 1.0, 1.0])
    wanted = apart * 2 * weight.sum() / heavier.sum()
    torch.testing.assert_close(consistency_loss(output, torch.tensor([[0, 1]]), settings, heavier), wanted)
