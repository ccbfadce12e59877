"""The whole way from labelled files to a sealed model folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from accelerate import PartialState
from pydantic import ValidationError
from transformers import PreTrainedTokenizerFast

from model.artifact import DEFAULT_FOLDER, Artefact, ModelFolder
from model.atomic import atomic_writer
from model.decoding import Decoding
from model.errors import InvalidInput
from model.network import ComplaintModel, build
from model.taxonomy import Taxonomy, load_taxonomy
from model.tokeniser import Tokeniser
from training.config import TrainingConfig
from training.encoder import check_length, first_line, load_tokenizer
from training.export import GateReport, check_replaceable, export, figures
from training.fit import fit
from training.material import Material, gather, taxonomy_path, training_table
from training.precision import resolve
from training.predict import predict
from training.provenance import commit

SHIPPED = "shipped"
# What lies in the output folder beside the model: settings, digests of the rows, and which rows were held out.
SETTINGS, MATERIAL, HELD_OUT_ROWS = "config.json", "material.json", "held_out.jsonl"


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


def settings_of(output: Path) -> TrainingConfig:
    """The settings that the training in ``output`` was begun with. Raises InvalidInput where they are not told."""
    path = output / SETTINGS
    try:
        return TrainingConfig.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(
            f"{path}: cannot be read: {error.strerror}; pass --config and --set as at the start"
        ) from error
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise InvalidInput(f"{path}: {where}: {error.errors()[0]['msg']}; begin anew in another --output") from error


def _begin(config: TrainingConfig, material: Material, output: Path, resume: bool) -> None:
    """Write down what this training is, or compare it with what was begun. Raises InvalidInput where they differ."""
    record = material.record()
    if resume and (output / SETTINGS).exists():
        begun, now = settings_of(output).model_dump(), config.model_dump()
        for section, fields in now.items():
            for field, value in fields.items():
                if begun[section][field] != value:
                    raise InvalidInput(
                        f"--resume: the training in {output} was begun with {section}.{field} = "
                        f"{begun[section][field]!r}, not {value!r}; leave out --config and --set to go on as it began, "
                        "or begin anew in another --output"
                    )
        before = json.loads((output / MATERIAL).read_text(encoding="utf-8"))
        for name, told in record.items():
            if before[name] != told:
                raise InvalidInput(
                    f"--resume: the {name.replace('_', '-')} rows are no longer those that the training in {output} "
                    f"began with ({before[name]['rows']} then, {told['rows']} now); restore the files, or begin anew "
                    "in another --output"
                )
        return
    output.mkdir(parents=True, exist_ok=True)
    for name, content in (
        (SETTINGS, config.model_dump_json(indent=1)),
        (MATERIAL, json.dumps(record, indent=1)),
        (HELD_OUT_ROWS, material.held_out_lines()),
    ):
        with atomic_writer(output / name) as handle:
            handle.write(content)


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
    if PartialState().is_main_process:
        print(*material.notes, sep="\n", file=sys.stderr)
        _begin(config, material, output, resume)
    table = training_table(config, material, taxonomy)
    start = Decoding.uncalibrated(taxonomy, config.model.max_tokens)

    precision = resolve(config.optimisation.precision)

    def validate(network: ComplaintModel, tokeniser: Tokeniser) -> dict[str, float]:
        texts = [row.text for row in material.held_out]
        logits = predict(network, tokeniser, texts, precision=precision)
        return figures(logits, start, material.held_out, taxonomy)

    fit(config, network, tokenizer, table, validate, output, resume=resume)
    if not PartialState().is_main_process:
        return None
    facts: dict[str, Any] = {
        "rows": len(material.train),
        "soft_rows": len(table) - len(material.train),
        "held_out_rows": len(material.held_out),
        "seed": config.optimisation.seed,
        "precision": precision,
        "epochs": config.optimisation.epochs,
        "commit": commit(),
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
