"""Commands of the training layer: they parse and print, the work lies in the modules they call."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from model.errors import InvalidInput
from training.evaluate import evaluate

__all__ = ["adapt", "average", "calibrate", "distil", "evaluate", "export", "train"]

Output = Annotated[Path, typer.Option(help="Folder to write; checkpoints, logs and the model go there.")]


def _check_folder(output: Path) -> None:
    """Raise InvalidInput where no folder can be: told before the rows are read, not once they have been learnt."""
    there = next((place for place in (output, *output.parents) if place.exists()), None)
    if there is not None and not there.is_dir():
        raise InvalidInput(f"{there}: is a file, not a folder; name a new or empty folder with --output")


def train(
    output: Output,
    config: Annotated[Path | None, typer.Option(help="TOML file with fields of training/config.toml.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="section.field=value, may be repeated.")] = None,
    name: Annotated[str, typer.Option(help="Name of the model.")] = "kesu-custom",
    version: Annotated[str, typer.Option(help="Version of the model.")] = "1",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in --output, with its settings.")
    ] = False,
) -> None:
    """Fine-tune on labelled files and export a model folder, OUTPUT/model."""
    _check_folder(output)
    from training.config import load_config
    from training.train import SETTINGS, settings_of
    from training.train import train as run

    as_begun = resume and config is None and not set_ and (output / SETTINGS).exists()
    settings = settings_of(output) if as_begun else load_config(config, set_)
    if not resume and (output / "checkpoints").exists():
        raise InvalidInput(f"{output}: holds checkpoints of an earlier training; add --resume or name another --output")
    done = run(settings, output, name=name, version=version, resume=resume)
    if done is None:  # a helper process of torchrun: the first one reports
        return
    artefact, report = done
    typer.echo(f"model written to {artefact.folder.path}")
    for figure, value in report.int8.items():
        typer.echo(f"  {figure:18s} {value:.4f} (fp32 {report.fp32[figure]:.4f}), held-out rows")


def adapt(
    base: Annotated[str, typer.Argument(help="Encoder to adapt: folder or hub name.")],
    texts: Annotated[list[Path], typer.Argument(help="JSONL files with a field text, plain or .gz.")],
    output: Output,
    epochs: Annotated[float, typer.Option(min=0.01)] = 2.0,
    learning_rate: Annotated[float, typer.Option(min=0.0)] = 4e-4,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Masked-language-model training on unlabelled texts, whole words masked, before fine-tuning."""
    _check_folder(output)
    from training.adapt import AdaptSettings, read_texts
    from training.adapt import adapt as run

    run(base, read_texts(texts), output, AdaptSettings(epochs=epochs, learning_rate=learning_rate, seed=seed))
    typer.echo(f"adapted encoder written to {output}")


def distil(
    texts: Annotated[list[Path], typer.Argument(help="JSONL files with a field text, plain or .gz.")],
    teacher: Annotated[list[Path], typer.Option(help="Model folder with torch weights; several make an ensemble.")],
    output: Annotated[Path, typer.Option(help="Parquet file of soft targets, for data.soft of a training.")],
    share: Annotated[list[float] | None, typer.Option(help="Weight of each teacher; equal if left out.")] = None,
    baseline: Annotated[float, typer.Option(min=0.0, help="Weight of the TF-IDF baseline as a further teacher.")] = 0.0,
    baseline_train: Annotated[list[Path] | None, typer.Option(help="Labelled files for it, else the corpus.")] = None,
) -> None:
    """Soft targets for a student: what teachers think of unlabelled texts."""
    from training.teachers import write_opinions

    rows = write_opinions(texts, teacher, output, shares=share, baseline_share=baseline, baseline_train=baseline_train)
    typer.echo(f"{rows} texts with soft targets written to {output}")


def average(
    trained: Annotated[list[Path], typer.Argument(help="Folders of torch weights (OUTPUT/best of trainings).")],
    output: Annotated[Path, typer.Option(help="Folder to write, for kesu export.")],
    taxonomy: Annotated[Path | None, typer.Option(help="Taxonomy file the models were trained on.")] = None,
) -> None:
    """Mean of the weights of trainings that went on from the same model."""
    from model.taxonomy import load_taxonomy
    from training.average import average as run

    run(trained, output, load_taxonomy(taxonomy))
    typer.echo(f"mean of {len(trained)} models written to {output}")


def calibrate(
    model: Annotated[Path, typer.Argument(help="Model folder.")],
    rows: Annotated[list[Path], typer.Argument(help="Held-out labelled files.")],
    auto_precision: Annotated[float, typer.Option(min=0.5, max=1.0, help="Precision at which to decide alone.")] = 0.95,
    suggest_precision: Annotated[float, typer.Option(min=0.3, max=1.0, help="Precision at which to suggest.")] = 0.75,
) -> None:
    """Fit temperatures, thresholds and confidence of a model folder anew on held-out rows."""
    from training.recalibrate import recalibrate

    decoding = recalibrate(model, rows, auto_precision=auto_precision, suggest_precision=suggest_precision)
    typer.echo(f"{model}: auto from {decoding.auto_confidence:.3f}, suggest from {decoding.suggest_confidence:.3f}")


def export(
    trained: Annotated[Path, typer.Argument(help="Folder of torch weights (OUTPUT/best of a training).")],
    calibration: Annotated[list[Path], typer.Option(help="Held-out labelled files for thresholds and the gate.")],
    output: Annotated[Path, typer.Option(help="Model folder to write.")],
    name: Annotated[str, typer.Option(help="Name of the model.")] = "kesu-custom",
    version: Annotated[str, typer.Option(help="Version of the model.")] = "1",
    taxonomy: Annotated[Path | None, typer.Option(help="Taxonomy file the model was trained on.")] = None,
    max_tokens: Annotated[int, typer.Option(min=16, max=512)] = 192,
    warm_start: Annotated[bool, typer.Option(help="Keep torch weights, so that others can train further.")] = True,
) -> None:
    """Quantise to int8, calibrate, check the quality gate and write a model folder."""
    from data import gaps
    from data.readers import load_labelled
    from model.taxonomy import DEFAULT_PATH, load_taxonomy
    from training.export import export as run
    from training.export import load_trained

    path = taxonomy or DEFAULT_PATH
    labels = load_taxonomy(path)
    network, tokenizer = load_trained(trained, labels)
    rows = load_labelled(calibration, labels)
    for note in gaps.notes(rows):
        typer.echo(note, err=True)
    facts = {"calibration_rows": len(rows)}
    _, report = run(
        network, tokenizer, path, labels, rows, output,
        name=name, version=version, max_tokens=max_tokens, facts=facts, warm_start=warm_start,
    )  # fmt: skip
    for figure, value in report.int8.items():
        typer.echo(f"{figure:18s} int8 {value:.4f}  fp32 {report.fp32[figure]:.4f}")
