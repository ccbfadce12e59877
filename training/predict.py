"""Logits of many texts from the torch network, length-sorted in batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from model.engine import HEADS, Logits
from model.network import ComplaintModel
from model.tokeniser import Tokeniser
from training.precision import Precision
from training.reading import token_ids


def predict(
    network: ComplaintModel,
    tokeniser: Tokeniser,
    texts: Sequence[str],
    *,
    budget: int = 8192,
    precision: Precision = "fp32",
) -> Logits:
    """Logits of ``texts`` in their order; ``budget`` bounds the padded tokens of a batch.

    ``precision`` "bf16" is faster and exact enough to choose between checkpoints.
    """
    network.eval()
    device = next(network.parameters()).device
    ids = [token_ids(tokeniser, text) for text in texts]
    order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
    parts = {head: np.empty((len(ids), size), np.float32) for head, size in network.config.sizes.items()}
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop - start + 1) * len(ids[order[stop]]) <= budget:
            stop += 1
        rows = order[start:stop]
        longest = len(ids[rows[-1]])
        padded = torch.full((len(rows), longest), network.config.encoder.get("pad_token_id") or 0)
        mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for place, row in enumerate(rows):
            padded[place, : len(ids[row])] = torch.tensor(ids[row])
            mask[place, : len(ids[row])] = 1
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            output = network(padded.to(device), mask.to(device))
        for head in HEADS:
            parts[head][rows] = getattr(output, head).float().cpu().numpy()
        start = stop
    return Logits(**parts)
