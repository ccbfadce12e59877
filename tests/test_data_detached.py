"""Labels without texts, and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data.cli import app
from data.detached import attach, detach
from data.formats import write_table
from data.schema import LabelledText
from model.errors import InvalidInput
from model.taxonomy import Taxonomy

RUN = CliRunner()
TEXTS = ["快递丢了", "  房间太吵，要求退款 ", "谢谢"]


def rows(taxonomy: Taxonomy) -> list[LabelledText]:
    given = [
        {"causes": ["service.delivery", "quality.defect"], "motives": ["vent"], "severity": 2},
        {"causes": ["quality.facility"], "motives": ["compensation"], "severity": 2, "style": "lively"},
        {"severity": 0},
    ]
    return [
        LabelledText.parse({"id": str(i), "text": text, **labels}, taxonomy)
        for i, (text, labels) in enumerate(zip(TEXTS, given, strict=True))
    ]


def write_texts(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["labels.jsonl.gz", "labels.parquet", "labels.csv", "labels.xlsx"])
def test_labels_find_their_texts_again(tmp_path: Path, taxonomy: Taxonomy, name: str) -> None:
    before = rows(taxonomy)
    detach(before, tmp_path / name)
    texts = write_texts(tmp_path / "texts.jsonl", ["又一条", *reversed(TEXTS), TEXTS[0]])
    found = attach(tmp_path / name, [texts], taxonomy)
    assert (found.texts_without, found.labels_without) == (1, 0)
    plain = [row.model_copy(update={"id": "", "text": row.text.strip()}) for row in found.rows]
    assert plain == [row.model_copy(update={"id": "", "text": row.text.strip()}) for row in reversed(before)]


def test_no_character_of_a_text_is_kept(tmp_path: Path, taxonomy: Taxonomy) -> None:
    detach(rows(taxonomy), tmp_path / "labels.jsonl")
    written = (tmp_path / "labels.jsonl").read_text(encoding="utf-8")
    assert not any(character in written for character in "".join(TEXTS).replace(" ", ""))


def test_two_opinions_of_one_text_are_an_error(tmp_path: Path, taxonomy: Taxonomy) -> None:
    first = rows(taxonomy)[0]
    with pytest.raises(InvalidInput, match="twice, with another severity"):
        detach([first, first.model_copy(update={"severity": 3})], tmp_path / "labels.jsonl")


def test_foreign_files_are_told(tmp_path: Path, taxonomy: Taxonomy) -> None:
    texts = write_texts(tmp_path / "texts.jsonl", ["又一条"])
    detach(rows(taxonomy), tmp_path / "labels.jsonl")
    with pytest.raises(InvalidInput, match="knows none of the 1 texts"):
        attach(tmp_path / "labels.jsonl", [texts], taxonomy)
    with pytest.raises(InvalidInput, match="no field 'text_id'"):
        attach(texts, [texts], taxonomy)
    with pytest.raises(InvalidInput, match="the columns are 'text'; name it with --text-column"):
        attach(tmp_path / "labels.jsonl", [texts], taxonomy, "content")
    (tmp_path / "labels.jsonl").write_text(
        (tmp_path / "labels.jsonl").read_text(encoding="utf-8").replace("service.delivery", "service.flight"), "utf-8"
    )
    with pytest.raises(InvalidInput, match=r"labels\.jsonl.*\n.*service\.flight"):
        attach(tmp_path / "labels.jsonl", [write_texts(tmp_path / "texts.jsonl", TEXTS)], taxonomy)


def test_commands_there_and_back(tmp_path: Path, taxonomy: Taxonomy) -> None:
    file, labels, again = (tmp_path / name for name in ("in.jsonl", "labels.jsonl", "again.csv"))
    file.write_text("".join(json.dumps(row.as_row()) + "\n" for row in rows(taxonomy)), encoding="utf-8")
    assert RUN.invoke(app, ["detach", str(file), str(labels)]).exit_code == 0
    done = RUN.invoke(app, ["attach", str(labels), str(file), "--output", str(again)])
    assert done.exit_code == 0, done.output
    assert "3 labelled texts; 0 texts without labels, 0 labels without a text" in done.output
    assert again.read_text(encoding="utf-8-sig").count("service.delivery") == 1


def test_commands_read_another_encoding_and_sheet_when_told(tmp_path: Path, taxonomy: Taxonomy) -> None:
    file, labels, again = (tmp_path / name for name in ("in.csv", "labels.jsonl", "again.jsonl"))
    lines = ["text,causes,motives,severity,style", "包裹丟了,service.delivery,vent,2,unclear"]
    file.write_text("\n".join(lines), encoding="big5")
    assert RUN.invoke(app, ["detach", str(file), str(labels), "--encoding", "big5"]).exit_code == 0
    done = RUN.invoke(app, ["attach", str(labels), str(file), "--encoding", "big5", "--output", str(again)])
    assert done.exit_code == 0, done.output
    assert json.loads(again.read_text(encoding="utf-8"))["text"] == "包裹丟了"
    wrong = RUN.invoke(app, ["attach", str(labels), str(file), "--encoding", "utf-8", "--output", str(again)])
    assert isinstance(wrong.exception, InvalidInput)
    book = tmp_path / "in.xlsx"
    write_table(book, ["text"], [{"text": "包裹丟了"}])
    absent = RUN.invoke(app, ["attach", str(labels), str(book), "--sheet", "No", "--output", str(again)])
    assert isinstance(absent.exception, InvalidInput)


def test_commands_guess_the_column_of_the_texts(tmp_path: Path, taxonomy: Taxonomy) -> None:
    file, labels, again = (tmp_path / name for name in ("in.jsonl", "labels.jsonl", "again.jsonl"))
    file.write_text("".join(json.dumps(row.as_row()) + "\n" for row in rows(taxonomy)), encoding="utf-8")
    assert RUN.invoke(app, ["detach", str(file), str(labels)]).exit_code == 0
    # Columns between which nothing decides are none of attach's business.
    chinese = tmp_path / "texts.csv"
    write_table(
        chinese,
        ["投诉内容", "投诉原因（一级）", "投诉原因（二级）"],
        [{"投诉内容": row.text, "投诉原因（一级）": "x", "投诉原因（二级）": "y"} for row in rows(taxonomy)],
    )
    done = RUN.invoke(app, ["attach", str(labels), str(chinese), "--output", str(again)])
    assert done.exit_code == 0, (done.output, done.exception)
    write_table(chinese, ["说明"], [{"说明": row.text} for row in rows(taxonomy)])
    refused = RUN.invoke(app, ["attach", str(labels), str(chinese), "--output", str(again)])
    assert "has no column for text; the columns are '说明'; name it with --text-column" in str(refused.exception)
    named = RUN.invoke(app, ["attach", str(labels), str(chinese), "--output", str(again), "--text-column", "说明"])
    assert named.exit_code == 0
