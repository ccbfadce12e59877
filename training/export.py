"""From a trained network to a sealed model folder, refused where int8 costs accuracy.

The gate (Jacob et al. 2018 call it quantisation-aware checking): every headline figure of the
int8 model on held-out rows within ``MAXIMUM_DROP`` of fp32's, torch and ONNX fp32 equal within
``FP32_TOLERANCE``, and each text answered the same alone and in a crowd.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerFast

from data.schema import LabelledText
from model.artifact import Artefact, ModelFolder, write_manifest
from model.decode import Decoded, decode
from model.decoding import Decoding
from model.engine import Logits, OnnxEngine
from model.errors import InvalidArtefact, InvalidInput, KesuError
from model.network import ComplaintConfig, ComplaintModel, load
from model.taxonomy import Taxonomy
from model.tokeniser import Tokeniser
from training.calibrate import check_rows, fit_decoding
from training.encoder import first_line, load_tokenizer
from training.metrics import evaluate
from training.onnx_export import write_fp32, write_int8
from training.predict import predict
from training.reading import token_ids

HEADLINES = ("index", "complaint_f1", "group_macro_f1", "cause_micro_f1", "motive_macro_f1", "severity_qwk")
MAXIMUM_DROP = 0.005
# Held-out rows at which that much is more than chance; with fewer, what chance moves grows by the root of their number.
GATE_ROWS = 1000
# Largest difference of a logit between torch and ONNX in fp32.
FP32_TOLERANCE = 2e-3
_PARITY_ROWS = 64
_SMOOTHING_ROWS = 200
_HEAD_LABELS = ("cause", "motive", "severity", "style")


class QualityGateError(KesuError):
    """The exported model answers differently from, or worse than, the one that was trained."""


@dataclass(frozen=True)
class GateReport:
    """Figures of both models on the held-out rows, and the largest differences of logits."""

    fp32: Mapping[str, float]
    int8: Mapping[str, float]
    fp32_difference: float
    int8_difference: float

    def as_dict(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "fp32": {k: round(v, 4) for k, v in self.fp32.items()},
            "int8": {k: round(v, 4) for k, v in self.int8.items()},
            "largest_logit_difference": {"torch_onnx_fp32": self.fp32_difference, "fp32_int8": self.int8_difference},
        }


def to_rows(decoded: Decoded, taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """Predicted rows in the form the metrics take."""
    return [
        {
            "causes": [taxonomy.cause_ids[c] for c in decoded.chosen_causes[i]],
            "motives": [taxonomy.motive_ids[m] for m in decoded.chosen_motives[i]],
            "severity": int(decoded.level[i]),
            "style": taxonomy.style_ids[int(decoded.chosen_style[i])],
            "confidence": float(decoded.confidence[i]),
        }
        for i in range(len(decoded))
    ]


def figures(logits: Logits, decoding: Decoding, rows: Sequence[LabelledText], taxonomy: Taxonomy) -> dict[str, float]:
    """Headline figures of logits, decoded, on labelled rows."""
    predicted = to_rows(decode(logits, decoding, taxonomy), taxonomy)
    gold = {str(i): row.model_dump() for i, row in enumerate(rows)}
    result = evaluate(gold, {str(i): {"id": str(i), **row} for i, row in enumerate(predicted)}, taxonomy)
    return {name: float(result[name]) for name in HEADLINES}


def largest_difference(one: Logits, other: Logits) -> float:
    """Largest absolute difference between two models' logits of the same texts."""
    return max(float(np.abs(getattr(one, f.name) - getattr(other, f.name)).max()) for f in fields(Logits))


def check_parity(torch_logits: Logits, onnx_fp32: Logits, alone: Logits, crowd: Logits) -> float:
    """Largest fp32 difference; raises QualityGateError beyond the tolerance or when neighbours change an answer."""
    difference = largest_difference(torch_logits, onnx_fp32)
    if difference > FP32_TOLERANCE:
        raise QualityGateError(
            f"torch and ONNX fp32 differ by {difference:.2g} in a logit (allowed {FP32_TOLERANCE:g}): "
            "the export is not faithful; do not ship it"
        )
    if largest_difference(alone, crowd) > 0.0:
        raise QualityGateError("a text's int8 logits change with its neighbours; do not ship this export")
    return difference


def check_drop(fp32: Mapping[str, float], int8: Mapping[str, float], rows: int) -> None:
    """Raise QualityGateError naming every headline figure on ``rows`` rows that int8 lowers by more than allowed.

    Allowed is ``MAXIMUM_DROP``, and more with fewer than ``GATE_ROWS`` rows: among 50, one row that
    flips would already be two points.
    """
    allowed = MAXIMUM_DROP * max(1.0, GATE_ROWS / rows) ** 0.5
    lost = [f"{k} {fp32[k]:.4f} -> {int8[k]:.4f}" for k in HEADLINES if fp32[k] - int8[k] > allowed]
    if lost:
        raise QualityGateError(
            f"int8 loses more than {allowed * 100:.1f} points against fp32: {'; '.join(lost)}. "
            "Train longer, or calibrate on more rows"
        )


def load_trained(folder: Path, taxonomy: Taxonomy) -> tuple[ComplaintModel, PreTrainedTokenizerFast]:
    """Network and tokenizer saved by a training; raises InvalidInput unless they are whole and of ``taxonomy``."""
    try:
        network = load(folder)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{folder}: no trained model can be loaded from it: {first_line(error)}") from error
    tokenizer = load_tokenizer(folder)
    expected = ComplaintConfig.for_taxonomy(network.encoder.config, taxonomy)
    if any(getattr(expected, f"{head}_labels") != getattr(network.config, f"{head}_labels") for head in _HEAD_LABELS):
        raise InvalidInput(
            f"{folder}: was trained on other labels than taxonomy {taxonomy.version}; name its --taxonomy"
        )
    return network, tokenizer


def save_warm_start(network: ComplaintModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Weights in half precision, for training further from this model."""
    kept = {name: value.half() if value.is_floating_point() else value for name, value in network.state_dict().items()}
    network.save_pretrained(folder, state_dict=kept)
    tokenizer.save_pretrained(folder)


def export(
    network: ComplaintModel,
    tokenizer: PreTrainedTokenizerFast,
    taxonomy_path: Path,
    taxonomy: Taxonomy,
    calibration: Sequence[LabelledText],
    output: Path,
    *,
    name: str,
    version: str,
    max_tokens: int,
    facts: Mapping[str, Any],
    warm_start: bool = True,
    seed: int = 0,
) -> tuple[Artefact, GateReport]:
    """Write the model folder ``output``, whole or not at all.

    ``calibration`` are held-out rows: thresholds are fitted on them with the int8 model, and the
    gate is measured on them. ``network`` is left rounded to fp16. Raises QualityGateError when the
    gate is missed, InvalidInput for too few rows, InvalidArtefact when ``output`` exists and is no
    model folder.
    """
    check_rows(calibration)
    check_replaceable(output)
    output = output.resolve()  # behind a symbolic link the folder is replaced, not the link
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as scratch:
        folder = ModelFolder(Path(scratch) / "model")
        folder.path.mkdir()
        fp32 = Path(scratch) / "fp32.onnx"
        # What ships is fp16: weights are rounded first, so that every later figure is of the shipped numbers.
        network.load_state_dict(
            {k: v.half().float() if v.is_floating_point() else v for k, v in network.state_dict().items()}
        )
        write_fp32(network, fp32)
        tokenizer.backend_tokenizer.save(str(folder.tokenizer))
        shutil.copyfile(taxonomy_path, folder.taxonomy)
        tokeniser = Tokeniser.load(folder.tokenizer, max_tokens)
        texts = [row.text for row in calibration]
        ids = [token_ids(tokeniser, text) for text in texts]
        # From all of the rows: files that were joined lie one behind the other.
        write_int8(fp32, folder.network, ids[:: -(-len(ids) // _SMOOTHING_ROWS)])
        engine = OnnxEngine(folder.network, taxonomy)
        int8_logits = engine.logits(ids)
        fp32_logits = OnnxEngine(fp32, taxonomy).logits(ids)
        some = slice(0, _PARITY_ROWS)
        alone = [engine.logits([row]) for row in ids[some]]
        joined = Logits(*(np.concatenate([getattr(one, f.name) for one in alone]) for f in fields(Logits)))
        difference = check_parity(
            predict(network, tokeniser, texts[some]),
            fp32_logits.rows(0, _PARITY_ROWS),
            joined,
            int8_logits.rows(0, _PARITY_ROWS),
        )
        decodings = [
            fit_decoding(logits, calibration, taxonomy, max_tokens=max_tokens, seed=seed)
            for logits in (fp32_logits, int8_logits)
        ]
        report = GateReport(
            fp32=figures(fp32_logits, decodings[0], calibration, taxonomy),
            int8=figures(int8_logits, decodings[1], calibration, taxonomy),
            fp32_difference=difference,
            int8_difference=largest_difference(fp32_logits, int8_logits),
        )
        check_drop(report.fp32, report.int8, len(calibration))
        folder.decoding.write_text(json.dumps(decodings[1].to_dict(), indent=1) + "\n", encoding="utf-8")
        if warm_start:
            save_warm_start(network, tokenizer, folder.warm_start)
        write_manifest(folder.path, name=name, version=version, training={**facts, "gate": report.as_dict()})
        replace_folder(folder.path, output)
    return ModelFolder(output).validate(), report


def check_replaceable(folder: Path) -> None:
    """Raise InvalidArtefact when something that is neither empty nor a model would be overwritten at ``folder``."""
    if folder.exists() and not (
        folder.is_dir() and (ModelFolder(folder).manifest.exists() or not any(folder.iterdir()))
    ):
        raise InvalidArtefact(f"{folder}: exists and is no model folder; give --output a new or empty folder")


def replace_folder(new: Path, old: Path) -> None:
    """Put a finished model folder in the place of ``old``; a folder that is no model is never removed.

    Hand-written files (``*.md``) of the old folder are kept. Raises InvalidArtefact as
    :func:`check_replaceable` does.
    """
    check_replaceable(old)
    if old.exists():
        for card in old.glob("*.md"):
            shutil.copyfile(card, new / card.name)
        # Renamed, not removed: until the new folder is in its place, nothing is lost.
        aside = new.with_name("replaced")
        try:
            old.replace(aside)
            new.replace(old)
        except BaseException:  # Ctrl-C and SIGTERM too: the caller then clears away what lies beside
            if aside.exists() and not old.exists():
                aside.replace(old)
            raise
        shutil.rmtree(aside)
    else:
        new.replace(old)
