"""The whole way from labelled files to a sealed model folder."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import PartialState
from datasets import Dataset, concatenate_datasets
from pydantic import ValidationError
from transformers import PreTrainedTokenizerFast

from data.corpus import load_corpus
from data.readers import load_labelled
from data.schema import LabelledText
from data.split import assign_splits, stratification_labels
from model.artifact import DEFAULT_FOLDER, Artefact, ModelFolder
from model.decoding import Decoding
from model.errors import InvalidInput
from model.network import ComplaintModel, build
from model.taxonomy import DEFAULT_PATH, Taxonomy, load_taxonomy
from model.tokeniser import Tokeniser
from training.calibrate import check_rows
from training.config import TrainingConfig
from training.encoder import check_length, first_line, load_tokenizer
from training.export import GateReport, check_replaceable, export, figures
from training.fit import fit
from training.predict import predict
from training.targets import labelled_table, read_soft_table

CORPUS, SHIPPED = "corpus", "shipped"


@dataclass(frozen=True)
class Material:
    """What a training reads: rows to learn from and rows held out to choose and calibrate with."""

    train: list[LabelledText]
    held_out: list[LabelledText]


def resolve_base(base: str) -> str:
    """Folder or hub name behind ``model.base``; raises InvalidArtefact for a model that cannot be trained further."""
    folder = DEFAULT_FOLDER if base == SHIPPED else Path(base)
    if base == SHIPPED or ModelFolder(folder).manifest.exists():
        ModelFolder(folder).validate(warm_start=True)
        return str(ModelFolder(folder).warm_start)
    return base


def start_from(config: TrainingConfig, taxonomy: Taxonomy) -> tuple[ComplaintModel, PreTrainedTokenizerFast]:
    """Network and tokenizer of ``model.base``, with heads for ``taxonomy``; raises InvalidInput or InvalidArtefact."""
    base = resolve_base(config.model.base)
    tokenizer = load_tokenizer(base)
    try:
        network = build(base, taxonomy, head_dropout=config.model.head_dropout, layers=config.model.layers)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"model.base {base!r} cannot be loaded: {first_line(error)}") from error
    check_length(base, network.encoder.config.max_position_embeddings, config.model.max_tokens)
    return network, tokenizer


def taxonomy_path(config: TrainingConfig) -> Path:
    """The taxonomy file of a training."""
    return Path(config.data.taxonomy) if config.data.taxonomy else DEFAULT_PATH


def _corpus(taxonomy: Taxonomy) -> list[LabelledText]:
    """Training rows of the shipped corpus; raises InvalidInput where ``taxonomy`` lacks one of their labels."""
    try:
        return [LabelledText.parse(row.as_row(), taxonomy) for row in load_corpus("train")]
    except ValidationError as error:
        raise InvalidInput(
            f"the corpus is labelled with other labels than taxonomy {taxonomy.version} "
            f"({error.errors(include_url=False)[0]['msg']}); name your own files in data.train"
        ) from error


def _rows(names: Sequence[str], taxonomy: Taxonomy) -> list[LabelledText]:
    rows: list[LabelledText] = []
    for name in names:
        rows += _corpus(taxonomy) if name == CORPUS else load_labelled([Path(name)], taxonomy)
    return rows


def gather(config: TrainingConfig) -> Material:
    """Rows of the configured files; a seeded, stratified share by near-duplicate group is held out if none is named.

    Raises InvalidInput for unreadable files, wrong rows, and too few of them to train on or to calibrate with.
    """
    taxonomy = load_taxonomy(taxonomy_path(config))
    rows = _rows(config.data.train, taxonomy)
    if config.data.validation:
        material = Material(rows, _rows(config.data.validation, taxonomy))
    else:
        share = config.data.validation_share
        splits = assign_splits(
            [row.text for row in rows],
            [stratification_labels(row) for row in rows],
            {"train": 1 - share, "held_out": share},
            config.optimisation.seed,
        )
        kept: dict[str, list[LabelledText]] = {"train": [], "held_out": []}
        for row, split in zip(rows, splits, strict=True):
            kept[split].append(row)
        material = Material(kept["train"], kept["held_out"])
    if len(material.train) < 2:
        raise InvalidInput(f"{len(material.train)} rows are too few to train on; name more in data.train")
    check_rows(material.held_out)
    return material


def training_table(config: TrainingConfig, rows: Sequence[LabelledText], taxonomy: Taxonomy) -> Dataset:
    """Labelled rows and soft rows in one table."""
    tables = [labelled_table(rows, taxonomy, config.data.weights)]
    tables += [read_soft_table(Path(path), taxonomy, config.data.soft_weight) for path in config.data.soft]
    return concatenate_datasets(tables)


def _commit() -> str:
    """Commit of the code that trains, "unknown" outside a checkout."""
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"


def train(
    config: TrainingConfig, output: Path, *, name: str, version: str, resume: bool = False
) -> tuple[Artefact, GateReport] | None:
    """Fine-tune as configured and export to ``output/model``; logs, checkpoints and torch weights lie beside it.

    Under ``torchrun`` every process calls this; the first one exports, for the others it returns None.
    Raises InvalidInput, InvalidTaxonomy, InvalidArtefact or QualityGateError.
    """
    path = taxonomy_path(config)
    taxonomy = load_taxonomy(path)
    check_replaceable(output / "model")
    network, tokenizer = start_from(config, taxonomy)
    material = gather(config)
    table = training_table(config, material.train, taxonomy)
    start = Decoding.uncalibrated(taxonomy, config.model.max_tokens)

    def validate(network: ComplaintModel, tokeniser: Tokeniser) -> dict[str, float]:
        texts = [row.text for row in material.held_out]
        logits = predict(network, tokeniser, texts, precision=config.optimisation.precision)
        return figures(logits, start, material.held_out, taxonomy)

    fit(config, network, tokenizer, table, validate, output, resume=resume)
    if not PartialState().is_main_process:
        return None
    (output / "config.json").write_text(json.dumps(config.model_dump(), ensure_ascii=False, indent=1), encoding="utf-8")
    facts: dict[str, Any] = {
        "rows": len(material.train),
        "soft_rows": len(table) - len(material.train),
        "held_out_rows": len(material.held_out),
        "seed": config.optimisation.seed,
        "epochs": config.optimisation.epochs,
        "commit": _commit(),
    }
    return export(
        network,
        tokenizer,
        path,
        taxonomy,
        material.held_out,
        output / "model",
        name=name,
        version=version,
        max_tokens=config.model.max_tokens,
        facts=facts,
        seed=config.optimisation.seed,
    )
