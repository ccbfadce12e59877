"""``kesu data``: check, split and convert labelled texts."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from data.audit import check as audit
from data.columns import map_columns
from data.formats import WRITABLE, format_of, read_table, write_table
from data.problems import Problem
from data.raw import as_text
from data.readers import LabelledFile, read_labelled
from data.report import print_report
from data.schema import LabelledText
from data.split import assign_splits, check_fractions, stratification_labels
from model.errors import InvalidInput
from model.taxonomy import load_taxonomy

app = typer.Typer(help="Check, split and convert labelled texts.", no_args_is_help=True)

_READ = "CSV, TSV, JSONL (also .gz), XLSX or Parquet"
Input = Annotated[Path, typer.Argument(help=f"Labelled texts: {_READ}.", show_default=False)]
Output = Annotated[Path, typer.Argument(help=f"File to write: {_READ}.", show_default=False)]
TaxonomyFile = Annotated[Path | None, typer.Option("--taxonomy", help="Another taxonomy than the one kesu ships.")]
Encoding = Annotated[str | None, typer.Option(help="utf-8, utf-16, gb18030, big5, …; found out unless told.")]
Sheet = Annotated[str | None, typer.Option(help="Sheet of a workbook; the first with content unless told.")]
IdColumn = Annotated[str | None, typer.Option(help="Column of the ids; guessed unless told, as are all columns.")]
TextColumn = Annotated[str | None, typer.Option(help="Column of the texts.")]
CausesColumn = Annotated[str | None, typer.Option(help="Column of the causes, joined by ; , 、 or |.")]
MotivesColumn = Annotated[str | None, typer.Option(help="Column of the motives.")]
SeverityColumn = Annotated[str | None, typer.Option(help="Column of the severity.")]
StyleColumn = Annotated[str | None, typer.Option(help="Column of the style.")]
SplitColumn = Annotated[str | None, typer.Option(help="Column of the split.")]

DATA_ERROR = 2


def _told(**columns: str | None) -> dict[str, str]:
    return {field: column for field, column in columns.items() if column is not None}


def _complain(problems: tuple[Problem, ...]) -> None:
    """Print the problems to stderr; end with exit code 2 if there are errors among them."""
    for problem in problems:
        typer.echo(str(problem), err=True)
    if any(problem.level == "error" for problem in problems):
        typer.echo("nothing was written", err=True)
        raise typer.Exit(DATA_ERROR)


def _write(path: Path, rows: list[LabelledText]) -> None:
    """The rows with the columns that any of them fills, in the order of the schema."""
    cells = [row.as_row() for row in rows]
    used = {field for row in cells for field in row}
    write_table(path, [field for field in LabelledText.model_fields if field in used], cells)


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help=f"Labelled texts: {_READ}.", show_default=False)],
    taxonomy: TaxonomyFile = None,
    encoding: Encoding = None,
    sheet: Sheet = None,
    id_column: IdColumn = None,
    text_column: TextColumn = None,
    causes_column: CausesColumn = None,
    motives_column: MotivesColumn = None,
    severity_column: SeverityColumn = None,
    style_column: StyleColumn = None,
    split_column: SplitColumn = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole report as JSON.")] = False,
) -> None:
    """Say what is wrong with labelled texts and what to do about it.

    Exit code 0: nothing or warnings only; 2: errors in the data, or a file or option that cannot be used.
    """
    labels = load_taxonomy(taxonomy)
    columns = _told(
        id=id_column,
        text=text_column,
        causes=causes_column,
        motives=motives_column,
        severity=severity_column,
        style=style_column,
        split=split_column,
    )
    read = [read_labelled(path, labels, encoding=encoding, columns=columns, sheet=sheet) for path in files]
    report = audit(read, labels)
    if as_json:
        typer.echo(json.dumps(report.as_dict(), ensure_ascii=False, indent=2))
    else:
        print_report(report, Console(highlight=False))
    if report.number("error"):
        raise typer.Exit(DATA_ERROR)


def _fractions(value: str) -> dict[str, float]:
    fractions: dict[str, float] = {}
    for part in value.split(","):
        name, equals, share = part.partition("=")
        try:
            number = float(share)
        except ValueError:
            equals = ""
            number = 0.0
        if not equals or not name.strip() or name.strip() in fractions:
            raise InvalidInput(f"--fractions: cannot read {part!r}; give for instance train=0.8,dev=0.1,test=0.1")
        fractions[name.strip()] = number
    check_fractions(fractions)
    return fractions


@app.command()
def split(
    file: Input,
    output: Annotated[Path, typer.Option(help=f"File to write: {_READ}.", show_default=False)],
    fractions: Annotated[str, typer.Option(help="Names and shares of the splits.")] = "train=0.8,dev=0.1,test=0.1",
    seed: Annotated[int, typer.Option(help="The same seed and texts give the same splits.")] = 13,
    taxonomy: TaxonomyFile = None,
    encoding: Encoding = None,
    sheet: Sheet = None,
    id_column: IdColumn = None,
    text_column: TextColumn = None,
    causes_column: CausesColumn = None,
    motives_column: MotivesColumn = None,
    severity_column: SeverityColumn = None,
    style_column: StyleColumn = None,
) -> None:
    """Write the texts with a split each: near-duplicates together, labels in proportion."""
    shares = _fractions(fractions)
    format_of(output, WRITABLE)
    columns = _told(
        id=id_column,
        text=text_column,
        causes=causes_column,
        motives=motives_column,
        severity=severity_column,
        style=style_column,
    )
    read = read_labelled(file, load_taxonomy(taxonomy), encoding=encoding, columns=columns, sheet=sheet)
    _complain(read.problems)
    names = assign_splits(
        [row.text for row in read.rows], [stratification_labels(row) for row in read.rows], shares, seed
    )
    _write(output, [row.model_copy(update={"split": name}) for row, name in zip(read.rows, names, strict=True)])
    counted = Counter(names)
    typer.echo(f"{output}: " + ", ".join(f"{name} {counted[name]}" for name in shares), err=True)
    if any(row.split for row in read.rows):
        typer.echo(f"{output}: the splits that {file} named were replaced", err=True)


def _labelled(read: LabelledFile, output: Path) -> int:
    typer.echo(f"{read.path}: {read.mapping}", err=True)
    _complain(read.problems)
    _write(output, list(read.rows))
    return len(read.rows)


def _as_is(file: Path, output: Path, encoding: str | None, sheet: str | None, told: dict[str, str]) -> int:
    table = read_table(file, encoding, sheet)
    map_columns(table.columns, file, told, required=(), wanted=())  # raises for a column that is not there
    _complain((*table.problems, *table.numeric_ids(file, told.get("id", "id"))))
    names = {column: field for field, column in told.items()}
    for column in table.columns:
        if column in told and column not in names:
            raise InvalidInput(
                f"{file}: has a column {column!r} besides {told[column]!r}; rename or remove one of them"
            )
    rows = [{names.get(column, column): cell for column, cell in row.cells.items()} for row in table.rows]
    for row in rows:
        # A complaint of nothing but a number is a text all the same: what reads the file next expects one.
        if isinstance(row.get("text"), int | float):
            row["text"] = as_text(row["text"])
    write_table(output, [names.get(column, column) for column in table.columns], rows)
    return len(rows)


@app.command()
def convert(
    file: Input,
    output: Output,
    as_is: Annotated[
        bool, typer.Option(help="Keep all cells, labelled or not; only columns that are told get kesu's names.")
    ] = False,
    taxonomy: TaxonomyFile = None,
    encoding: Encoding = None,
    sheet: Sheet = None,
    id_column: IdColumn = None,
    text_column: TextColumn = None,
    causes_column: CausesColumn = None,
    motives_column: MotivesColumn = None,
    severity_column: SeverityColumn = None,
    style_column: StyleColumn = None,
    split_column: SplitColumn = None,
) -> None:
    """Write labelled texts as another kind of file, in kesu's own column names and label ids.

    The kind is that of the ending of OUTPUT. Spreadsheets show cells that begin like a formula as text.
    """
    format_of(output, WRITABLE)
    columns = _told(
        id=id_column,
        text=text_column,
        causes=causes_column,
        motives=motives_column,
        severity=severity_column,
        style=style_column,
        split=split_column,
    )
    if as_is:
        number = _as_is(file, output, encoding, sheet, columns)
    else:
        read = read_labelled(file, load_taxonomy(taxonomy), encoding=encoding, columns=columns, sheet=sheet)
        number = _labelled(read, output)
    typer.echo(f"{output}: {number} rows", err=True)


@app.command()
def detach(
    file: Input, output: Output, taxonomy: TaxonomyFile = None, encoding: Encoding = None, sheet: Sheet = None
) -> None:
    """Write labels without their texts, each under a hash of its text: for where texts may not go."""
    from data.detached import detach as run

    read = read_labelled(file, load_taxonomy(taxonomy), encoding=encoding, sheet=sheet)
    _complain(read.problems)
    typer.echo(f"{output}: labels of {run(read.rows, output)} texts", err=True)


@app.command()
def attach(
    labels: Annotated[Path, typer.Argument(help="File of `kesu data detach`.", show_default=False)],
    texts: Annotated[list[Path], typer.Argument(help=f"The texts: {_READ}.", show_default=False)],
    output: Annotated[Path, typer.Option(help=f"File to write: {_READ}.", show_default=False)],
    text_column: TextColumn = None,
    taxonomy: TaxonomyFile = None,
    encoding: Annotated[str | None, typer.Option(help="Of the texts; found out unless told.")] = None,
    sheet: Annotated[str | None, typer.Option(help="Of a workbook of texts; the first with content.")] = None,
) -> None:
    """Bring labels and their texts together again."""
    from data.detached import attach as run

    format_of(output, WRITABLE)
    found = run(labels, texts, load_taxonomy(taxonomy), text_column, encoding, sheet)
    _write(output, list(found.rows))
    typer.echo(
        f"{output}: {len(found.rows)} labelled texts; {found.texts_without} texts without labels, "
        f"{found.labels_without} labels without a text",
        err=True,
    )


@app.command()
def card(
    check_only: Annotated[bool, typer.Option("--check", help="Change nothing; exit code 2 if out of date.")] = False,
) -> None:
    """Bring the figures of the corpus's data card up to date."""
    # Imported here: it reads the whole corpus, which no other command does.
    from data.card import CARD, update_card, with_figures

    if check_only:
        text = CARD.read_text(encoding="utf-8")
        stale = with_figures(text) != text
        typer.echo(f"{CARD}: " + ("out of date; run `kesu data card`" if stale else "up to date"), err=True)
        raise typer.Exit(DATA_ERROR if stale else 0)
    typer.echo(f"{CARD}: " + ("updated" if update_card() else "up to date"), err=True)
