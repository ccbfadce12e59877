"""The mean of several trainings."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from model.errors import InvalidInput
from model.network import build
from model.taxonomy import Taxonomy
from training.average import average
from training.export import load_trained


@pytest.fixture
def trained(tiny_base: Path, taxonomy: Taxonomy, tmp_path: Path) -> list[Path]:
    folders = []
    for number in range(3):
        network = build(str(tiny_base), taxonomy)
        with torch.no_grad():
            network.biases.fill_(float(number))
        folder = tmp_path / str(number)
        network.save_pretrained(folder)
        AutoTokenizer.from_pretrained(tiny_base).save_pretrained(folder)
        folders.append(folder)
    return folders


def test_average_is_the_mean_and_can_be_exported(trained: list[Path], taxonomy: Taxonomy, tmp_path: Path) -> None:
    average(trained, tmp_path / "mean", taxonomy)
    mean, _ = load_trained(tmp_path / "mean", taxonomy)
    first, _ = load_trained(trained[0], taxonomy)
    assert torch.allclose(mean.biases, torch.ones_like(mean.biases))
    assert torch.equal(mean.queries, first.queries)


def test_average_refuses_what_does_not_belong_together(
    trained: list[Path], tiny_base: Path, taxonomy: Taxonomy, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match="at least two"):
        average(trained[:1], tmp_path / "mean", taxonomy)
    smaller = build(str(tiny_base), taxonomy, layers=1)
    smaller.save_pretrained(trained[2])
    with pytest.raises(InvalidInput, match="another shape"):
        average(trained, tmp_path / "mean", taxonomy)
    assert not (tmp_path / "mean").exists()
