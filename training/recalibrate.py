"""Thresholds of a model that is already in use, fitted anew on rows from its own traffic."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from data.readers import load_labelled
from model.artifact import ModelFolder, write_manifest
from model.atomic import atomic_writer
from model.decoding import Decoding
from model.engine import OnnxEngine
from model.text import normalise
from model.tokeniser import Tokeniser
from training.calibrate import fit_decoding


def recalibrate(
    folder: Path, files: Sequence[Path], *, auto_precision: float = 0.95, suggest_precision: float = 0.75
) -> Decoding:
    """Fit ``decoding.json`` of the model at ``folder`` on held-out rows and seal the folder again.

    Raises InvalidArtefact for a damaged folder, InvalidInput for too few or wrong rows; the
    folder is only changed once the fit has succeeded.
    """
    artefact = ModelFolder(folder).validate()
    rows = load_labelled(files, artefact.taxonomy)
    tokeniser = Tokeniser.load(artefact.folder.tokenizer, artefact.decoding.max_tokens)
    engine = OnnxEngine(artefact.folder.network, artefact.taxonomy)
    logits = engine.logits([tokeniser.encode(normalise(row.text).text).ids for row in rows])
    fitted = fit_decoding(
        logits,
        rows,
        artefact.taxonomy,
        max_tokens=artefact.decoding.max_tokens,
        auto_precision=auto_precision,
        suggest_precision=suggest_precision,
    )
    decoding = replace(fitted, max_causes=artefact.decoding.max_causes, max_motives=artefact.decoding.max_motives)
    with atomic_writer(artefact.folder.decoding) as handle:
        json.dump(decoding.to_dict(), handle, indent=1)
        handle.write("\n")
    manifest = artefact.manifest
    facts = {**manifest.training, "recalibrated_rows": len(rows)}
    write_manifest(folder, name=manifest.name, version=manifest.version, training=facts)
    return decoding
