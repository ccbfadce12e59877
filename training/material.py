"""What a training reads: rows to learn from and rows held out, kept apart."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset, concatenate_datasets
from pydantic import ValidationError

from data.corpus import load_corpus
from data.detached import key_of
from data.neighbours import apart_from
from data.readers import load_labelled
from data.schema import LabelledText
from data.split import assign_splits, stratification_labels
from model.errors import InvalidInput
from model.taxonomy import DEFAULT_PATH, Taxonomy, load_taxonomy
from training.calibrate import check_rows
from training.config import TrainingConfig
from training.targets import labelled_table, read_soft_table

CORPUS = "corpus"
# What the column `split` may say; rows of any other split (`test`, say) are left out of a training.
LEARNT = frozenset({"", "train", "training"})
HELD_OUT = frozenset({"heldout", "held_out", "validation", "valid", "val", "dev"})
# Not the training's own seed: trainings that differ in it (or go on from one another) must hold out the same rows.
SPLIT_SEED = 13


@dataclass(frozen=True)
class Material:
    """Rows to learn from, rows held out to choose and calibrate with, and what people should know of the choice."""

    train: list[LabelledText]
    held_out: list[LabelledText]
    notes: tuple[str, ...] = ()

    def record(self) -> dict[str, dict[str, Any]]:
        """Number and digest of both, by which a resumed training knows them again."""
        return {
            name: {
                "rows": len(rows),
                "sha256": hashlib.sha256("\n".join(row.model_dump_json() for row in rows).encode()).hexdigest(),
            }
            for name, rows in (("train", self.train), ("held_out", self.held_out))
        }

    def held_out_lines(self) -> str:
        """JSON lines that name the held-out rows, by id and by hash of the text, without the text."""
        return "".join(
            json.dumps({"id": row.id, "text_id": key_of(row.text)}, ensure_ascii=False) + "\n" for row in self.held_out
        )


def taxonomy_path(config: TrainingConfig) -> Path:
    """The taxonomy file of a training."""
    return Path(config.data.taxonomy) if config.data.taxonomy else DEFAULT_PATH


def _corpus(taxonomy: Taxonomy, split: str) -> list[LabelledText]:
    """A split of the shipped corpus; raises InvalidInput where ``taxonomy`` lacks one of its labels."""
    try:
        return [LabelledText.parse(row.as_row(), taxonomy) for row in load_corpus(split)]
    except ValidationError as error:
        raise InvalidInput(
            f"the corpus is labelled with other labels than taxonomy {taxonomy.version} "
            f"({error.errors(include_url=False)[0]['msg']}); name your own files in data.train"
        ) from error


@dataclass
class _Sorted:
    """Rows of the named files by what their splits say; ``open`` ones belong to files that hold out none."""

    learnt: list[LabelledText]
    open: list[LabelledText]
    held_out: list[LabelledText]
    left_out: Counter[str]


def _split_of(row: LabelledText) -> str:
    return (row.split or "").strip().lower()


def _sorted(names: Sequence[str], taxonomy: Taxonomy) -> _Sorted:
    found = _Sorted([], [], [], Counter())
    for name in names:
        if name == CORPUS:
            found.learnt += _corpus(taxonomy, "train")
            # Never learnt by a model that ships, so they judge a warm start, too.
            found.held_out += _corpus(taxonomy, "heldout")
            continue
        rows = load_labelled([Path(name)], taxonomy)
        held_out = [row for row in rows if _split_of(row) in HELD_OUT]
        (found.learnt if held_out else found.open).extend(row for row in rows if _split_of(row) in LEARNT)
        found.held_out += held_out
        found.left_out.update(split for split in map(_split_of, rows) if split not in LEARNT | HELD_OUT)
    return found


def _held_out_only(names: Sequence[str], taxonomy: Taxonomy) -> list[LabelledText]:
    """Rows of ``data.validation``: all of a file without splits, else those that are for it."""
    rows: list[LabelledText] = []
    for name in names:
        if name == CORPUS:
            rows += _corpus(taxonomy, "heldout")
            continue
        rows += [row for row in load_labelled([Path(name)], taxonomy) if _split_of(row) in HELD_OUT | {""}]
    return rows


def gather(config: TrainingConfig) -> Material:
    """Rows of the configured files, sorted by their column ``split`` where they have one.

    Held out are the rows of ``data.validation``; without it, those that the files mark as such, the corpus's own, and
    of files that mark none a share, by near-duplicate group. Near-duplicates of held-out rows are not learnt.
    Raises InvalidInput for unreadable files, wrong rows, and too few of them to train on or to calibrate with.
    """
    taxonomy = load_taxonomy(taxonomy_path(config))
    found = _sorted(config.data.train, taxonomy)
    train, held_out = found.learnt, found.held_out
    if config.data.validation:
        train = train + found.open
        held_out = _held_out_only(config.data.validation, taxonomy)
    elif found.open:
        share = config.data.validation_share
        splits = assign_splits(
            [row.text for row in found.open],
            [stratification_labels(row) for row in found.open],
            {"train": 1 - share, "held_out": share},
            SPLIT_SEED,
        )
        for row, split in zip(found.open, splits, strict=True):
            (train if split == "train" else held_out).append(row)
    check_rows(held_out)
    notes = [f"{number} rows with split {split!r} are left out" for split, number in sorted(found.left_out.items())]
    learnt = [train[place] for place in apart_from([row.text for row in held_out], [row.text for row in train])]
    if len(learnt) < len(train):
        notes.append(
            f"{len(train) - len(learnt)} rows are not learnt: they are (nearly) the same text as held-out rows"
        )
    if len(learnt) < 2:
        raise InvalidInput(f"{len(learnt)} rows are too few to train on; name more in data.train" + _because(notes))
    notes.append(f"{len(learnt)} rows to learn from, {len(held_out)} held out")
    return Material(learnt, held_out, tuple(notes))


def _because(notes: Sequence[str]) -> str:
    return f" ({'; '.join(notes)})" if notes else ""


def training_table(config: TrainingConfig, material: Material, taxonomy: Taxonomy) -> Dataset:
    """Labelled rows and soft rows in one table; soft rows that are near-duplicates of held-out ones are left out."""
    tables = [labelled_table(material.train, taxonomy, config.data.weights)]
    for path in config.data.soft:
        soft = read_soft_table(Path(path), taxonomy, config.data.soft_weight)
        tables.append(soft.select(apart_from([row.text for row in material.held_out], soft["text"])))
    return concatenate_datasets(tables)
