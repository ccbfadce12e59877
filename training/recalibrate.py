"""Thresholds of a model that is already in use, fitted anew on rows from its own traffic."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from data import gaps
from data.readers import load_labelled
from model.artifact import Artefact, ModelFolder, write_manifest
from model.atomic import atomic_writer
from model.decoding import Decoding
from model.engine import OnnxEngine
from model.errors import InvalidArtefact
from model.tokeniser import Tokeniser
from training.calibrate import check_rows, fit_decoding
from training.export import replace_folder
from training.reading import token_ids

# `kesu` shows it on stderr, as it does what the reading of the files tells.
_log = logging.getLogger("kesu.data")
# The part of the gate's report that is about logits, and so outlives the decoding.
_LOGITS = "largest_logit_difference"


def recalibrate(
    folder: Path, files: Sequence[Path], *, auto_precision: float = 0.95, suggest_precision: float = 0.75
) -> Decoding:
    """Fit ``decoding.json`` of the model at ``folder`` on held-out rows and seal the folder again.

    Raises InvalidArtefact for a damaged folder (warm-start weights included) or one that is a
    mount point, InvalidInput for too few or wrong rows, OSError where the folder beside cannot be
    written; the folder is only exchanged, as a whole, once the fit has succeeded.
    """
    artefact = _whole(folder)
    rows = load_labelled(files, artefact.taxonomy)
    check_rows(rows)
    for note in gaps.notes(rows):
        _log.warning("%s", note)
    tokeniser = Tokeniser.load(artefact.folder.tokenizer, artefact.decoding.max_tokens)
    engine = OnnxEngine(artefact.folder.network, artefact.taxonomy)
    logits = engine.logits([token_ids(tokeniser, row.text) for row in rows])
    fitted = fit_decoding(
        logits,
        rows,
        artefact.taxonomy,
        max_tokens=artefact.decoding.max_tokens,
        auto_precision=auto_precision,
        suggest_precision=suggest_precision,
    )
    decoding = replace(fitted, max_causes=artefact.decoding.max_causes, max_motives=artefact.decoding.max_motives)
    _exchange(artefact, decoding, len(rows))
    return decoding


def _whole(folder: Path) -> Artefact:
    """The model at ``folder``, every file of it checked that sealing would vouch for."""
    # Behind a symbolic link the folder is exchanged, not the link.
    layout = ModelFolder(folder.resolve())
    artefact = layout.validate()
    if any(name.startswith(f"{layout.warm_start.name}/") for name in artefact.manifest.files):
        artefact = layout.validate(warm_start=True)
    if layout.path.is_mount():
        raise InvalidArtefact(
            f"{folder}: is a mount point, which cannot be exchanged; mount the folder above it, or calibrate a copy"
        )
    return artefact


def _facts(training: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """What the manifest may still tell of the training: nothing that was measured with the former thresholds."""
    facts = {name: fact for name, fact in training.items() if name not in ("gate", "calibration_rows")}
    gate = training.get("gate")
    if isinstance(gate, dict) and _LOGITS in gate:
        facts["gate"] = {_LOGITS: gate[_LOGITS]}
    return {**facts, "recalibrated_rows": rows}


def _link(source: str, target: str) -> None:
    """A second name for a file that will not be written to, a copy where that cannot be."""
    try:
        os.link(os.path.realpath(source), target)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)


def _exchange(artefact: Artefact, decoding: Decoding, rows: int) -> None:
    """Seal a changed copy beside the model, then let it take the model's place."""
    folder, manifest = artefact.folder.path, artefact.manifest
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
        changed = ModelFolder(Path(scratch) / "model")
        # replace_folder brings the hand-written cards, as copies.
        cards = {card.name for card in folder.glob("*.md")}
        shutil.copytree(
            folder, changed.path, copy_function=_link, ignore=lambda at, _: cards if Path(at) == folder else set()
        )
        # Both files are written anew and renamed, so that those of the model in use stay as they are.
        with atomic_writer(changed.decoding) as handle:
            json.dump(decoding.to_dict(), handle, indent=1)
            handle.write("\n")
        facts = _facts(manifest.training, rows)
        write_manifest(changed.path, name=manifest.name, version=manifest.version, training=facts)
        replace_folder(changed.path, folder)
