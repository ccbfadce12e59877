"""Splits that keep near-duplicates together and labels in proportion."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from data.neighbours import near_duplicate_groups
from data.schema import LabelledText
from model.errors import InvalidInput


def check_fractions(fractions: Mapping[str, float]) -> None:
    """Raise InvalidInput unless the fractions are positive, finite and sum to 1."""
    if not fractions or any(not (math.isfinite(share) and share > 0) for share in fractions.values()):
        raise InvalidInput(f"fractions must be above 0, found {dict(fractions)}; give for instance train=0.8,dev=0.2")
    if not math.isclose(sum(fractions.values()), 1.0, abs_tol=1e-6):
        raise InvalidInput(f"fractions must sum to 1, found {sum(fractions.values()):g}; correct one of them")


def stratification_labels(row: LabelledText) -> list[str]:
    """What a split keeps in proportion: each cause and motive, the severity and the style."""
    return [*row.causes, *row.motives, f"severity={row.severity}", f"style={row.style}"]


def assign_splits(
    texts: Sequence[str], labels: Sequence[Sequence[str]], fractions: Mapping[str, float], seed: int
) -> list[str]:
    """Name of a split for each text; texts of one near-duplicate group share it.

    Iterative stratification (Sechidis, Tsoumakas & Vlahavas 2011) over groups: the rarest
    label that is left is dealt out first, each group to the split that lacks most of it.
    ``fractions`` maps split names to shares of the texts and must sum to 1. The same arguments
    give the same splits. Raises InvalidInput for wrong fractions.
    """
    check_fractions(fractions)
    members: defaultdict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(near_duplicate_groups(texts)):
        members[group].append(index)
    counts = {group: Counter(label for i in indices for label in labels[i]) for group, indices in members.items()}
    total = sum(counts.values(), Counter[str]())
    wanted = {name: {label: share * total[label] for label in total} for name, share in fractions.items()}
    room = {name: share * len(texts) for name, share in fractions.items()}

    generator = random.Random(seed)
    order = list(members)
    generator.shuffle(order)
    # Large groups first: the small ones then even out what they upset.
    order.sort(key=lambda group: -len(members[group]))
    groups_with: defaultdict[str, list[int]] = defaultdict(list)
    for group in order:
        for label in counts[group]:
            groups_with[label].append(group)

    chosen: dict[int, str] = {}
    left = Counter(total)

    def place(group: int, label: str | None) -> None:
        lacking = {name: (wanted[name][label] if label else 0.0, room[name]) for name in fractions}
        most = max(lacking.values())
        name = generator.choice([name for name in fractions if lacking[name] == most])
        chosen[group] = name
        room[name] -= len(members[group])
        for counted, number in counts[group].items():
            wanted[name][counted] -= number
            left[counted] -= number

    while remaining := {label: number for label, number in left.items() if number > 0}:
        rarest = min(remaining, key=lambda label: (remaining[label], label))
        for group in groups_with[rarest]:
            if group not in chosen:
                place(group, rarest)
    for group in order:
        if group not in chosen:
            place(group, None)
    split_of = {index: chosen[group] for group, indices in members.items() for index in indices}
    return [split_of[index] for index in range(len(texts))]
