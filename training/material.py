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

from data import gaps
from data.corpus import load_corpus
from data.detached import key_of
from data.neighbours import apart_from
from data.readers import load_labelled
from data.schema import LabelledText
from data.split import assign_splits, stratification_labels
from data.splits import DEV, KNOWN, TRAIN, is_known, role_of
from model.errors import InvalidInput
from model.taxonomy import DEFAULT_PATH, Taxonomy, load_taxonomy
from training.calibrate import check_rows
from training.config import TrainingConfig
from training.targets import labelled_table, read_soft_table

CORPUS = "corpus"
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
    notes: list[str]


def _left_out(name: str, rows: Sequence[LabelledText], reason: str = "") -> list[str]:
    """What people should know of ``rows`` of the file ``name`` that nothing is done with, by split."""
    counted = Counter((row.split or "").strip() for row in rows)
    return [
        f"{name}: {number} rows with split {split!r} are left out"
        + (reason if is_known(role_of(split)) else f": it is no split that kesu knows; these are {KNOWN}")
        for split, number in sorted(counted.items())
    ]


def _sorted(names: Sequence[str], taxonomy: Taxonomy) -> _Sorted:
    found = _Sorted([], [], [], [])
    for name in names:
        if name == CORPUS:
            found.learnt += _corpus(taxonomy, "train")
            # Never learnt by a model that ships, so they judge a warm start, too.
            found.held_out += _corpus(taxonomy, "heldout")
            continue
        rows = load_labelled([Path(name)], taxonomy)
        held_out = [row for row in rows if role_of(row.split) == DEV]
        learnt = [row for row in rows if role_of(row.split) in ("", TRAIN)]
        (found.learnt if held_out else found.open).extend(learnt)
        found.held_out += held_out
        found.notes += _left_out(name, [row for row in rows if role_of(row.split) not in ("", TRAIN, DEV)])
        found.notes += [f"{name}: {note}" for note in gaps.notes(learnt + held_out, ", and are learnt as having none")]
    return found


def _held_out_only(names: Sequence[str], taxonomy: Taxonomy) -> tuple[list[LabelledText], list[str]]:
    """Rows of ``data.validation``, all of a file without splits, else those that are for it; and notes on the rest."""
    rows: list[LabelledText] = []
    notes: list[str] = []
    for name in names:
        if name == CORPUS:
            rows += _corpus(taxonomy, "heldout")
            continue
        read = load_labelled([Path(name)], taxonomy)
        chosen = [row for row in read if role_of(row.split) in ("", DEV)]
        notes += _left_out(name, [row for row in read if role_of(row.split) not in ("", DEV)], " of data.validation")
        notes += [f"{name}: {note}" for note in gaps.notes(chosen)]
        rows += chosen
    return rows, notes


def gather(config: TrainingConfig) -> Material:
    """Rows of the configured files, sorted by their column ``split`` where they have one.

    Held out are the rows of ``data.validation``; without it, those that the files mark as such, the corpus's own, and
    of files that mark none a share, by near-duplicate group. Near-duplicates of held-out rows are not learnt.
    Raises InvalidInput for unreadable files, wrong rows, and too few of them to train on or to calibrate with.
    """
    taxonomy = load_taxonomy(taxonomy_path(config))
    found = _sorted(config.data.train, taxonomy)
    train, held_out, notes = found.learnt, found.held_out, found.notes
    if config.data.validation:
        train = train + found.open
        unused = len(held_out)
        held_out, more = _held_out_only(config.data.validation, taxonomy)
        notes += more
        if unused:
            notes.append(f"{unused} held-out rows of data.train are left out: data.validation names others")
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
    try:
        check_rows(held_out)
    except InvalidInput as error:
        raise InvalidInput(f"{error}{_because(notes)}") from error
    learnt = [train[place] for place in apart_from([row.text for row in held_out], [row.text for row in train])]
    if len(learnt) < len(train):
        notes.append(
            f"{len(train) - len(learnt)} rows are not learnt: they are (nearly) the same text as held-out rows"
        )
    if len(learnt) < 2:
        if found.held_out:
            marked = Counter(row.split or "" for row in found.held_out)
            names = " and ".join(repr(split) for split in sorted(marked))
            notes.append(f"{len(found.held_out)} of its rows are marked {names} and so are held out")
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
