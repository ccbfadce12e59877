"""The mean of the weights of trainings that started from the same model (model soups, Wortsman et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from model.errors import InvalidInput
from model.taxonomy import Taxonomy
from training.encoder import first_line
from training.export import load_trained


def average(folders: Sequence[Path], output: Path, taxonomy: Taxonomy) -> None:
    """Save in ``output`` the plain mean of the torch weights in ``folders``, with the tokenizer of the first.

    Raises InvalidInput for fewer than two folders or for networks of different shape.
    """
    if len(folders) < 2:
        raise InvalidInput("name at least two folders of torch weights")
    network, tokenizer = load_trained(folders[0], taxonomy)
    states = [network.state_dict(), *(load_trained(folder, taxonomy)[0].state_dict() for folder in folders[1:])]
    for folder, state in zip(folders, states, strict=True):
        if {name: t.shape for name, t in state.items()} != {name: t.shape for name, t in states[0].items()}:
            raise InvalidInput(f"{folder}: its network has another shape than that of {folders[0]}")
    mean = {
        # Counters of batch statistics are whole numbers: the first one's will do.
        name: torch.stack([state[name] for state in states]).mean(0) if value.is_floating_point() else value
        for name, value in states[0].items()
    }
    network.load_state_dict(mean)
    try:
        network.save_pretrained(output)
        tokenizer.save_pretrained(output)
    except OSError as error:
        raise InvalidInput(f"{output}: cannot be written: {first_line(error)}") from error
