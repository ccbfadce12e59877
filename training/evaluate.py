"""``kesu evaluate``: a model (or a file of its answers) against gold labels, and the report about it.

Only typer is imported at the top: the other commands of this layer load this module too.
"""

from __future__ import annotations

import hashlib
import json
import platform
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from model.errors import InvalidInput

if TYPE_CHECKING:
    from model import Classifier
    from model.taxonomy import Taxonomy

_CHUNK = 256
_NO_SPLIT = "no split"


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    ``result`` is ready for JSON and holds no text: the figures under the names of
    :func:`training.metrics.evaluate`, then ``intervals``, ``not_measured`` (figures that are None,
    with the reason), ``notes``, ``labels``, ``calibration``, ``coverage_risk``,
    ``severity_confusion``, ``worst`` (ids), ``baseline``, ``facts``.
    """

    result: dict[str, Any]
    gold: dict[str, dict[str, Any]]
    predicted: dict[str, dict[str, Any]]


def _read_gold(path: Path, taxonomy: Taxonomy, split: str | None) -> dict[str, dict[str, Any]]:
    """Gold rows by id, those of ``split`` if it is named: of that very name, else of the names that mean the same."""
    from data.readers import load_labelled
    from data.splits import role_of

    rows: dict[str, dict[str, Any]] = {}
    for text in load_labelled([path], taxonomy):
        if text.id in rows:
            raise InvalidInput(f"{path}: id {text.id!r} appears more than once; a gold row must be scored once")
        rows[text.id] = text.as_row()
    if split is None:
        return rows
    chosen = {key: row for key, row in rows.items() if row.get("split") == split}
    chosen = chosen or {key: row for key, row in rows.items() if role_of(row.get("split")) == role_of(split)}
    if not chosen:
        known = ", ".join(sorted({row["split"] for row in rows.values() if "split" in row}))
        there = f"has {known}" if known else "names none; `kesu data split` adds them"
        raise InvalidInput(f"{path}: no row is of split {split!r}; the file {there}")
    return chosen


def _about_gold(path: Path, gold: Mapping[str, Mapping[str, Any]], split: str | None) -> dict[str, str]:
    """Facts about the gold rows; splits are named where several were scored together."""
    chosen = f", split {split} only" if split is not None else ""
    facts = {"gold": f"{path} (sha256 {_digest(path)}, {len(gold)} rows{chosen})"}
    counted = Counter(row.get("split", _NO_SPLIT) for row in gold.values())
    if len(counted) > 1:
        facts["splits scored together"] = ", ".join(f"{name} {counted[name]}" for name in sorted(counted))
    return facts


def _notes(gold: Mapping[str, Mapping[str, Any]], taxonomy: Taxonomy) -> list[str]:
    """What speaks against the gold rows: texts that stand there twice, complaints without a cause or a motive."""
    from data import gaps
    from data.schema import LabelledText

    rows = [LabelledText.parse(row, taxonomy) for row in gold.values()]
    copies = len(rows) - len({row.text.strip() for row in rows})
    twice = [f"{copies} gold rows have the text of another and are scored like any other"] if copies else []
    return twice + gaps.notes(rows, ", which no answer can match")


def read_predictions(path: Path) -> dict[str, dict[str, Any]]:
    """Predicted rows by id, from JSONL as ``kesu classify --output`` writes it.

    Raises InvalidInput, naming file and line, for what is no object, has no id or repeats one.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise InvalidInput(f"{path}: predictions cannot be read: {reason}") from error
    rows: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InvalidInput(f"{path}:{number}: not valid JSON: {error}") from error
        if not isinstance(row, dict) or row.get("id") in (None, ""):
            raise InvalidInput(f"{path}:{number}: expected an object with an id")
        # Readers of gold files know ids as strings only.
        key = str(row["id"])
        if key in rows:
            raise InvalidInput(f"{path}:{number}: id {key!r} appears more than once")
        rows[key] = row
    if not rows:
        raise InvalidInput(f"{path}: holds no predictions")
    return rows


def _classify(classifier: Classifier, gold: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Answers by id; a text the model refuses gets none and counts as missing."""
    ids = list(gold)
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        try:
            answers = classifier.classify([gold[key]["text"] for key in chunk])
            yield from ((key, answer.to_row()) for key, answer in zip(chunk, answers, strict=True))
        except InvalidInput:
            # One refused text must not cost the chunk: ask for each alone.
            for key in chunk:
                try:
                    yield key, classifier.classify([gold[key]["text"]])[0].to_row()
                except InvalidInput:
                    continue


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def _version() -> str:
    try:
        return metadata.version("kesu")
    except metadata.PackageNotFoundError:
        return "not installed"


def _run_baseline(
    gold: Mapping[str, Mapping[str, Any]], files: Sequence[Path], taxonomy: Taxonomy, seed: int
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Answers of a baseline by id, and facts about its training rows, none of them nearly the text of a gold row."""
    from data.corpus import load_corpus
    from data.neighbours import apart_from
    from data.readers import load_labelled
    from training.baseline import fit

    rows = load_labelled(files, taxonomy) if files else load_corpus("train")
    # By text, never by id: ids say nothing across files.
    kept = [
        rows[place].as_row() for place in apart_from([row["text"] for row in gold.values()], [row.text for row in rows])
    ]
    if not kept:
        raise InvalidInput(
            f"all {len(rows)} training rows of the baseline say nearly the same as a gold row; "
            "name other files with --baseline-train"
        )
    model = fit(kept, taxonomy, seed=seed)
    answers = model.predict([row["text"] for row in gold.values()])
    facts = {
        "baseline trained on": ", ".join(map(str, files)) if files else "the shipped corpus, train split",
        "baseline training rows": f"{len(kept)} ({len(rows) - len(kept)} left out: nearly the text of a gold row)",
    }
    return dict(zip(gold, answers, strict=True)), facts


def _check_output(path: Path) -> None:
    """Raise InvalidInput where no report can be written, before anything is measured for it."""
    if path.is_dir() or not path.parent.is_dir():
        raise InvalidInput(f"{path}: cannot be written: {'it is a' if path.is_dir() else 'there is no such'} folder")
    if path.exists() and not path.is_file():
        raise InvalidInput(f"{path}: is no ordinary file; give the name of a report to write")
    try:
        # Permissions do not tell of read-only and special file systems; a file does.
        with tempfile.TemporaryFile(dir=path.resolve().parent):
            pass
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> InvalidInput:
    return InvalidInput(f"{path}: the report cannot be written there: {error.strerror}; name it in another folder")


def run_evaluation(
    gold_path: Path,
    *,
    model_path: Path | None = None,
    predictions_path: Path | None = None,
    baseline: bool = False,
    baseline_train: Sequence[Path] = (),
    output: Path | None = None,
    taxonomy_path: Path | None = None,
    split: str | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Score a model folder (the shipped one if None), or predictions, against the gold file or one ``split`` of it.

    With ``output`` the HTML report is written there, whole or not at all. ``taxonomy_path`` is
    for predictions; a model brings its own. Raises InvalidInput for files that cannot be
    scored, InvalidArtefact for a model that cannot be loaded.
    """
    from model.taxonomy import load_taxonomy
    from training import measurable, metrics, provenance, reliability, resampling
    from training.pairs import pair_up

    if model_path is not None and predictions_path is not None:
        raise InvalidInput("name either a model or predictions, not both")
    if output is not None:
        _check_output(output)
    facts: dict[str, Any] = {}
    if predictions_path is None:
        from model import Classifier

        classifier = Classifier.load(model_path)
        taxonomy = classifier.taxonomy
        gold = _read_gold(gold_path, taxonomy, split)
        predicted = dict(_classify(classifier, gold))
        facts["model"] = f"{classifier.info.name} {classifier.info.version}"
        facts["model folder"] = str(model_path) if model_path else "the shipped one"
    else:
        predicted = read_predictions(predictions_path)
        taxonomy = load_taxonomy(taxonomy_path)
        gold = _read_gold(gold_path, taxonomy, split)
        facts["predictions"] = f"{predictions_path} (sha256 {_digest(predictions_path)})"
    facts["taxonomy"] = taxonomy.version
    facts |= _about_gold(gold_path, gold, split)

    pairs = pair_up(gold, predicted, taxonomy)
    intervals = resampling.bootstrap(pairs, resamples=resamples, seed=seed)
    missing = measurable.not_measured(pairs, intervals)
    result = measurable.blanked(metrics.evaluate_pairs(pairs), missing)
    result["intervals"] = measurable.blanked(intervals, missing)
    result["not_measured"] = missing
    result["notes"] = _notes(gold, taxonomy)
    result["labels"] = metrics.label_tables(pairs)
    result["calibration"] = reliability.calibration(pairs)
    result["coverage_risk"] = reliability.coverage_risk(pairs)
    result["severity_confusion"] = metrics.severity_confusion(pairs)
    result["worst"] = metrics.worst_cases(pairs)
    if baseline:
        answers, about = _run_baseline(gold, baseline_train, taxonomy, seed)
        other = pair_up(gold, answers, taxonomy)
        # Every gold row has an answer of the baseline, so it may measure what ``pairs`` cannot.
        drawn = resampling.bootstrap(other, resamples=resamples, seed=seed)
        lacking = measurable.not_measured(other, drawn)
        difference = resampling.paired_bootstrap(gold, predicted, answers, taxonomy, resamples=resamples, seed=seed)
        result["baseline"] = {
            "figures": measurable.blanked(metrics.evaluate_pairs(other), lacking),
            "intervals": measurable.blanked(drawn, lacking),
            "labels": metrics.label_tables(other),
            "calibration": reliability.calibration(other),
            "coverage_risk": reliability.coverage_risk(other),
            "difference": measurable.blanked(difference, missing | lacking),
        }
        facts |= about
    facts |= {
        "resamples, seed": f"{resamples}, {seed}",
        "kesu": f"{_version()}, commit {provenance.commit()}",
        "Python": platform.python_version(),
        "measured": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    result["facts"] = facts
    evaluation = Evaluation(result, gold, predicted)
    if output is not None:
        from training.report import write_report

        try:
            write_report(output, result, gold, predicted, taxonomy)
        except OSError as error:
            raise _unwritable(output, error) from error
    return evaluation


def _table(result: Mapping[str, Any]) -> Iterator[str]:
    other = result.get("baseline")
    header = f"{'':32s} {'value':>8s}  {'95 % interval':>17s}"
    yield header + ("   baseline" if other else "")
    for key, interval in result["intervals"].items():
        low, high = interval or (None, None)
        line = f"{key:32s} {_figure(result[key])}  {_figure(low)} {_figure(high)}"
        yield line + (f"   {_figure(other['figures'][key])}" if other and key in other["figures"] else "")


def _figure(value: float | None) -> str:
    return f"{'–' if value is None else format(value, '.4f'):>8s}"


def evaluate(
    gold: Annotated[Path, typer.Argument(help="Labelled file: CSV, TSV, XLSX, JSONL or Parquet.")],
    model: Annotated[Path | None, typer.Option(help="Model folder; the shipped model if left out.")] = None,
    predictions: Annotated[Path | None, typer.Option(help="JSONL written by `kesu classify --output`.")] = None,
    baseline: Annotated[bool, typer.Option("--baseline", help="Train the TF-IDF baseline and show it beside.")] = False,
    baseline_train: Annotated[
        list[Path] | None, typer.Option(help="Labelled file for the baseline, may be repeated; the corpus if left out.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="HTML report to write.")] = None,
    taxonomy: Annotated[Path | None, typer.Option(help="Taxonomy file of the predictions, unless shipped.")] = None,
    split: Annotated[str | None, typer.Option(help="Score only the gold rows of this split; all if left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
    resamples: Annotated[int, typer.Option(min=10, help="Bootstrap resamples behind each interval.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap and the baseline.")] = 0,
) -> None:
    """Score a model, or a file of predictions, against gold labels."""
    found = run_evaluation(
        gold,
        model_path=model,
        predictions_path=predictions,
        baseline=baseline or bool(baseline_train),
        baseline_train=baseline_train or (),
        output=report,
        taxonomy_path=taxonomy,
        split=split,
        resamples=resamples,
        seed=seed,
    ).result
    from training.measurable import told

    facts = found["facts"]
    if "splits scored together" in facts:
        together = facts["splits scored together"]
        typer.echo(f"{gold}: splits scored together: {together}; --split NAME scores one alone", err=True)
    if "baseline training rows" in facts:
        typer.echo(f"baseline training rows: {facts['baseline training rows']}", err=True)
    for note in found["notes"]:
        typer.echo(f"{gold}: {note}", err=True)
    if found["missing"]:
        typer.echo(f"warning: {found['missing']} gold rows have no answer; they are not in any figure", err=True)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    typer.echo(f"{found['rows']} rows, {found['complaints']} complaints, {found['missing']} missing")
    for line in _table(found):
        typer.echo(line)
    for line in told(found["not_measured"]):
        typer.echo(line)
    if report is not None:
        typer.echo(f"report written to {report}")
