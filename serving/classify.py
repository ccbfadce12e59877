"""``kesu classify`` and ``kesu taxonomy``: parse, call, print."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from model.errors import InvalidInput
from model.taxonomy import DEFAULT_PATH, Label, load_taxonomy

if TYPE_CHECKING:
    from serving.bundle import Bundle

SAMPLES = Path(__file__).with_name("samples") / "complaints.jsonl"


def classify(
    text: Annotated[
        str | None, typer.Argument(help="The complaint; '-' reads standard input, one text (or JSON row) a line.")
    ] = None,
    input: Annotated[Path | None, typer.Option(help="JSONL file with id and text in every row.")] = None,
    output: Annotated[Path | None, typer.Option(help="JSONL file to write, one row for each row of --input.")] = None,
    samples: Annotated[bool, typer.Option("--samples", help="Classify the sample complaints that ship.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Add the words that speak for each label.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The whole answer as JSON, one line a text.")] = False,
    model: Annotated[Path | None, typer.Option(help="Model folder; by default the one that ships.")] = None,
    playbook: Annotated[Path | None, typer.Option(help="Playbook; by default the one that ships.")] = None,
    severity_rules: Annotated[Path | None, typer.Option(help="Severity rules; by default those that ship.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; by default all available processors.")] = None,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Write rows that cannot be read to OUTPUT.errors.jsonl and go on.")
    ] = False,
) -> None:
    """Label complaints, and say what to do: causes, motives, severity, style, confidence, handling plan."""
    if sum((text is not None, input is not None, samples)) != 1:
        raise InvalidInput('name one thing to classify: "TEXT", - for standard input, --input FILE, or --samples')
    if (input is None) != (output is None):
        raise InvalidInput("--input and --output go together: one JSONL file in, one out")
    if input and explain and not as_json:
        raise InvalidInput("--explain needs --json here: rows of labels only have no place for evidence")
    # After the checks above, which should not wait for it.
    from serving import display
    from serving.batch import check_paths, classify_file, errors_path
    from serving.bundle import Bundle
    from serving.rows import json_line

    if input is not None and output is not None:
        check_paths(input, output)
        bundle = Bundle.load(model, playbook, severity_rules, threads)
        with _progress(input) as progress:
            counts = classify_file(
                bundle,
                input,
                output,
                full=as_json,
                explain=explain,
                skip_bad_rows=skip_bad_rows,
                progress=progress,
            )
        aside = f"; {counts.bad} rows set aside in {errors_path(output)}" if counts.bad else ""
        print(f"{counts.rows} rows written to {output}{aside}", file=sys.stderr)
        return

    if text is not None and text != "-":
        # Before the model is loaded: a text that cannot be accepted needs no model to say so.
        from model.intake import accept

        accept(text)
    bundle = Bundle.load(model, playbook, severity_rules, threads)
    if text == "-":
        _from_stdin(bundle, as_json, explain, skip_bad_rows)
        return
    rows = [{"text": text}] if text is not None else _sample_rows()
    texts = [str(row["text"]) for row in rows]
    answers = bundle.classify([bundle.classifier.read(text) for text in texts], explain=explain)
    if as_json:
        for answer in answers:
            sys.stdout.write(json_line(bundle.whole(answer)))
    elif samples:
        display.console().print(display.overview(texts, answers))
    else:
        display.show(bundle.whole(answers[0]))


def _sample_rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in SAMPLES.read_text(encoding="utf-8").splitlines() if line.strip()]


def _chunks() -> Iterator[list[tuple[int, bytes | None]]]:
    """Numbered lines of standard input, as many at a time as have come: a slow writer gets its answers at once."""
    from serving.rows import MAX_LINE_BYTES

    number, rest = 0, b""
    stream = cast(io.BufferedReader, sys.stdin.buffer)
    while data := stream.read1(1 << 16):
        *whole, rest = (rest + data).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise InvalidInput(f"standard input, line {number + len(whole) + 1}: longer than {MAX_LINE_BYTES:,} bytes")
        if whole:
            yield list(enumerate(whole, number + 1))
            number += len(whole)
    if rest:
        yield [(number + 1, rest)]


def _from_stdin(bundle: Bundle, as_json: bool, explain: bool, skip_bad_rows: bool) -> None:
    from serving import display
    from serving.batch import answers, windows
    from serving.rows import Row, json_line, parse_line

    written = 0
    for chunk in _chunks():
        rows: list[Row] = []
        problem = ""
        for number, raw in chunk:
            line = (raw or b"").removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
            if line is not None and not line.strip():
                continue
            row = parse_line(number, line, bundle.classifier.read)
            if isinstance(row, Row):
                rows.append(row)
                continue
            problem = f"standard input, line {row.line}: {row.reason}"
            if not skip_bad_rows:
                break
            print(f"skipped: {problem}", file=sys.stderr)
        for window in windows(rows):
            for row, answer in zip(window, answers(bundle, window, explain), strict=True):
                if as_json:
                    sys.stdout.write(json_line(bundle.whole(answer, row.context)))
                elif display.on_terminal():
                    display.show(bundle.whole(answer, row.context))
                else:
                    print(display.tab_line(answer))
            written += len(window)
        sys.stdout.flush()
        if problem and not skip_bad_rows:
            raise InvalidInput(f"{problem} (--skip-bad-rows leaves such lines out and goes on)")
    if not written:
        raise InvalidInput("standard input holds no text to classify")


@contextlib.contextmanager
def _progress(source: Path) -> Iterator[Callable[[int], object]]:
    """A bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda position: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("classifying", total=source.stat().st_size or None)
        yield lambda position: bar.update(task, completed=position)


def taxonomy(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    model: Annotated[Path | None, typer.Option(help="Model folder; by default the labels that ship.")] = None,
) -> None:
    """Print the labels with their names and definitions."""
    labels = load_taxonomy(model / "taxonomy.yaml" if model else DEFAULT_PATH)
    sections: dict[str, tuple[Label, ...]] = {
        "groups": labels.groups,
        "causes": labels.causes,
        "motives": labels.motives,
        "severities": labels.severities,
        "styles": labels.styles,
    }
    if as_json:
        listed = {
            name: [
                {"id": label.id, "zh": label.zh, "en": label.en, "definition": label.definition}
                | ({"group": label.group} if label.group else {})
                for label in section
            ]
            for name, section in sections.items()
        }
        print(json.dumps({"version": labels.version, **listed}, ensure_ascii=False, indent=2))
        return
    from serving.display import console, on_terminal

    if not on_terminal():
        for name, section in sections.items():
            for label in section:
                print(name, label.id, label.zh, label.en, label.definition, sep="\t")
        return
    from rich.table import Table

    for name, section in sections.items():
        table = Table("id", "zh", "en", "definition", title=f"{name} (version {labels.version})", title_justify="left")
        for label in section:
            table.add_row(label.id, label.zh, label.en, label.definition)
        console().print(table)
