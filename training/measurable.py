"""Which figures a set of gold rows cannot measure: theirs would be the value of a formula's empty case."""

from __future__ import annotations

from typing import Any

import numpy as np

from training.metrics import INDEX_PARTS, MIN_CAUSE_SUPPORT
from training.pairs import Pairs

_CAUSES = ("group_micro_f1", "group_macro_f1", "group_primary_accuracy", "cause_micro_f1", "cause_macro_f1")
_MOTIVES = ("motive_accuracy", "motive_macro_f1", "motive_any_micro_f1")


def not_measured(pairs: Pairs, figures: dict[str, Any]) -> dict[str, str]:
    """Of ``figures`` (names -> anything) those that the gold rows of ``pairs`` cannot measure, each with the reason."""
    gold, top = pairs.gold, pairs.taxonomy.levels - 1
    primary = tuple(name for name in figures if name.startswith("cause_primary_accuracy"))
    support = int(gold.causes.sum(axis=0).max(initial=0))
    # The first reason that holds is told, so the more general ones come first.
    reasons = (
        (
            not pairs.complaints.any(),
            "no gold row is a complaint",
            ("complaint_f1", "style_accuracy", "style_macro_f1", *_CAUSES, *primary, *_MOTIVES),
        ),
        (not gold.causes.any(), "no gold row has a cause", (*_CAUSES, *primary)),
        (support < MIN_CAUSE_SUPPORT, f"no cause has {MIN_CAUSE_SUPPORT} gold rows", ("cause_macro_f1",)),
        (not gold.motives.any(), "no gold row has a motive", _MOTIVES),
        (
            not (gold.severity == top).any(),
            f"no gold row has severity {top}",
            tuple(name for name in figures if name.startswith("critical_")),
        ),
        (len(np.unique(gold.severity)) < 2, "all gold rows have the same severity", ("severity_qwk",)),
    )
    found: dict[str, str] = {}
    for holds, reason, names in reasons:
        for name in names if holds else ():
            if name in figures:
                found.setdefault(name, reason)
    if lacking := [part for part in INDEX_PARTS if part in found]:
        found["index"] = f"incomplete without {', '.join(lacking)}"
    return {name: found[name] for name in figures if name in found}


def blanked(figures: dict[str, Any], missing: dict[str, str]) -> dict[str, Any]:
    """``figures`` with None for those that are ``missing``."""
    return {name: None if name in missing else value for name, value in figures.items()}


def told(missing: dict[str, str]) -> list[str]:
    """``not measured: no gold row has a motive: motive_accuracy, …``; one line a reason."""
    names: dict[str, list[str]] = {}
    for name, reason in missing.items():
        names.setdefault(reason, []).append(name)
    return [f"not measured ({reason}): {', '.join(of)}" for reason, of in names.items()]
