from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model.errors import InvalidArtefact, InvalidInput
from model.taxonomy import Taxonomy
from serving import cli
from training.evaluate import read_predictions, run_evaluation
from training.metrics import evaluate

TEXTS = {
    "丢": ("快递弄丢了{}天，客服不理我，要求赔钱", ["service.delivery"], ["compensation"], 2),
    "坏": ("水壶才用{}次就坏了，请给我换一个", ["quality.defect"], ["resolution"], 2),
    "谢": ("谢谢，第{}次来都很满意", [], [], 0),
}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def gold_rows() -> list[dict[str, Any]]:
    return [
        {"id": f"{sign}{i}", "text": text.format(i), "causes": c, "motives": m, "severity": s, "style": "unclear"}
        for i in range(1, 21)
        for sign, (text, c, m, s) in TEXTS.items()
    ]


@pytest.fixture
def gold(tmp_path: Path, gold_rows: list[dict[str, Any]]) -> Path:
    return write(tmp_path / "gold.jsonl", gold_rows)


@pytest.fixture
def predictions(tmp_path: Path, gold_rows: list[dict[str, Any]]) -> Path:
    answers = [
        {key: row[key] for key in ("id", "causes", "motives", "severity", "style")} | {"confidence": 0.7}
        for row in gold_rows
    ]
    answers[0] |= {"severity": 4, "causes": ["price.extra_fee"]}
    return write(tmp_path / "answers.jsonl", answers[:-1])


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        cli.main(["evaluate", *map(str, arguments)])
    shown = capsys.readouterr()
    assert isinstance(stop.value.code, int)
    return stop.value.code, shown.out, shown.err


def test_run_evaluation_of_predictions(gold: Path, predictions: Path, taxonomy: Taxonomy) -> None:
    found = run_evaluation(gold, predictions_path=predictions, resamples=20)
    figures = evaluate(found.gold, found.predicted, taxonomy)
    measured = {key: value for key, value in figures.items() if key not in found.result["not_measured"]}
    assert {key: found.result[key] for key in measured} == measured
    assert all(found.result[key] is found.result["intervals"][key] is None for key in found.result["not_measured"])
    assert found.result["missing"] == 1
    assert found.result["worst"]["severity"] == ["丢1"]
    assert "快递" not in json.dumps(found.result, ensure_ascii=False)
    again = run_evaluation(gold, predictions_path=predictions, resamples=20)
    assert again.result["intervals"] == found.result["intervals"]


def test_run_evaluation_of_a_model(gold: Path, model_folder: Path, tmp_path: Path) -> None:
    found = run_evaluation(gold, model_path=model_folder, output=tmp_path / "out.html", resamples=20).result
    assert found["rows"] == 60
    assert found["facts"]["model"] == "toy 1"
    assert found["cause_micro_f1"] > 0.9
    assert "toy 1" in (tmp_path / "out.html").read_text(encoding="utf-8")


def test_run_evaluation_counts_refused_texts_as_missing(tmp_path: Path, model_folder: Path, gold: Path) -> None:
    odd = {"id": "odd", "text": "😀😀", "causes": [], "motives": [], "severity": 0, "style": "unclear"}
    with gold.open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(odd) + "\n")
    found = run_evaluation(gold, model_path=model_folder, resamples=20).result
    assert (found["rows"], found["missing"]) == (60, 1)


def training_rows(gold_rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows under the ids and labels of the gold rows, with texts of their own."""
    texts = {"丢": "快递丢了，没人理我，要求赔钱", "坏": "水壶坏了，请给我换新的", "谢": "谢谢，服务很满意"}
    return [row | {"text": texts[row["id"][0]]} for row in gold_rows]


def test_run_evaluation_with_baseline_leaves_gold_rows_out(
    gold: Path, predictions: Path, gold_rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    near = [row | {"id": f"near{row['id']}", "text": row["text"] + "！"} for row in gold_rows[:3]]
    train = write(tmp_path / "train.jsonl", training_rows(gold_rows) + near + [gold_rows[3] | {"id": "same"}])
    output = tmp_path / "report.html"
    found = run_evaluation(
        gold, predictions_path=predictions, baseline=True, baseline_train=[train], output=output, resamples=20
    ).result
    assert found["baseline"]["figures"]["cause_micro_f1"] > 0.9
    assert found["baseline"]["difference"].keys() == found["intervals"].keys()
    assert found["facts"]["baseline training rows"].startswith("60 (4 left out")
    assert "baseline" in output.read_text(encoding="utf-8")


def test_evaluate_command_says_how_many_baseline_rows_are_left_out(
    gold: Path,
    predictions: Path,
    gold_rows: list[dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = (gold, "--predictions", predictions, "--resamples", 20, "--baseline-train")
    train = write(tmp_path / "train.jsonl", [*training_rows(gold_rows), gold_rows[0] | {"id": "x"}])
    code, _, err = run(capsys, *options, train)
    assert code == 0
    assert "baseline training rows: 60 (1 left out: nearly the text of a gold row)\n" in err
    code, _, err = run(capsys, *options, gold)
    assert code == 2
    assert "all 60 training rows of the baseline say nearly the same as a gold row; name other files" in err


@pytest.fixture
def split_gold(tmp_path: Path, gold_rows: list[dict[str, Any]]) -> Path:
    splits = ["train", "dev", "train"] * 20
    rows = [row | {"split": split} for row, split in zip(gold_rows, splits, strict=True)]
    return write(tmp_path / "split.jsonl", rows)


def test_evaluate_command_scores_one_split(
    split_gold: Path, predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = (split_gold, "--predictions", predictions, "--resamples", 20, "--json")
    code, out, err = run(capsys, *options, "--split", "dev")
    found = json.loads(out)
    assert (code, found["rows"], err) == (0, 20, "")
    assert found["facts"]["gold"].endswith("20 rows, split dev only)")
    code, out, err = run(capsys, *options, "--split", "test")
    assert (code, out) == (2, "")
    assert "no row is of split 'test'; the file has dev, train" in err


@pytest.mark.parametrize("name", ["DEV", "validation", "验证集"])
def test_evaluate_command_knows_other_names_of_a_split(
    name: str, split_gold: Path, predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, split_gold, "--predictions", predictions, "--resamples", 20, "--json", "--split", name)
    assert (code, json.loads(out)["rows"]) == (0, 20)


def test_evaluate_command_names_the_splits_it_scored_together(
    split_gold: Path, gold: Path, predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--predictions", predictions, "--resamples", 20)
    code, _, err = run(capsys, split_gold, *options)
    assert code == 0
    assert "splits scored together: dev 20, train 40; --split NAME scores one alone\n" in err
    assert "splits" not in run(capsys, gold, *options)[2]
    assert "the file names none; `kesu data split` adds them" in run(capsys, gold, *options, "--split", "dev")[2]


def test_evaluate_command_prints_a_table_or_json(
    gold: Path, predictions: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = (gold, "--predictions", predictions, "--resamples", 20)
    code, out, err = run(capsys, *options, "--report", tmp_path / "r.html")
    assert code == 0
    assert "severity_qwk" in out
    assert "report written to" in out
    assert "1 gold rows have no answer" in err
    code, out, _ = run(capsys, *options, "--json")
    assert code == 0
    assert json.loads(out)["rows"] == 59


def test_evaluate_command_refuses_bad_input(
    gold: Path, predictions: Path, model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "none.jsonl"
    (tmp_path / "empty.jsonl").touch()
    for arguments, message in (
        ((missing, "--predictions", predictions), "none.jsonl"),
        ((gold, "--predictions", missing), "predictions cannot be read"),
        ((gold, "--predictions", tmp_path / "empty.jsonl"), "holds no predictions"),
        ((gold, "--predictions", predictions, "--model", model_folder), "not both"),
        ((gold, "--model", tmp_path / "nowhere"), "nowhere"),
        ((gold, "--predictions", predictions, "--report", tmp_path / "no" / "r.html"), "no such folder"),
        ((gold, "--predictions", predictions, "--report", tmp_path), "it is a folder"),
    ):
        code, out, err = run(capsys, *arguments)
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert message in err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"id": "a"}\nnot json\n', ":2: not valid JSON"),
        ('["a"]\n', ":1: expected an object with an id"),
        ('{"severity": 1}\n', ":1: expected an object with an id"),
        ('{"id": "a"}\n\n{"id": "a"}\n', ":3: id 'a' appears more than once"),
    ],
)
def test_read_predictions_names_the_line(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidInput, match=message):
        read_predictions(path)


def test_read_predictions_takes_numbers_as_ids(tmp_path: Path) -> None:
    assert list(read_predictions(write(tmp_path / "a.jsonl", [{"id": 7}, {"id": 0}]))) == ["7", "0"]


def test_read_predictions_needs_utf8(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes('{"id": "快递"}'.encode("gb18030"))
    with pytest.raises(InvalidInput, match="not UTF-8"):
        read_predictions(tmp_path / "a.jsonl")


def test_run_evaluation_refuses_a_doubled_gold_id(gold: Path, predictions: Path) -> None:
    with gold.open("a", encoding="utf-8") as handle:
        handle.write(gold.read_text(encoding="utf-8").split("\n")[0] + "\n")
    with pytest.raises(InvalidInput, match="appears more than once"):
        run_evaluation(gold, predictions_path=predictions)


def test_run_evaluation_refuses_an_incomplete_model(gold: Path, model_folder: Path) -> None:
    (model_folder / "model.int8.onnx").unlink()
    with pytest.raises(InvalidArtefact):
        run_evaluation(gold, model_path=model_folder)


def test_evaluate_is_light_to_import() -> None:
    code = (
        "import sys, training.evaluate; print([m for m in ('numpy', 'sklearn', 'torch', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_evaluate_command_marks_what_the_gold_rows_cannot_measure(
    gold_rows: list[dict[str, Any]], predictions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "r.html"
    options = ("--predictions", predictions, "--resamples", 20)
    some = write(tmp_path / "some.jsonl", gold_rows[:24])
    code, out, err = run(capsys, some, *options, "--report", report)
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line}
    assert (code, err) == (0, "")
    assert lines["cause_macro_f1"] == lines["critical_f1"] == ["–", "–", "–"]
    assert "not measured (no gold row has severity 4): critical_recall_at_3_or_more, critical_f1" in out
    assert "not measured (no cause has 10 gold rows): cause_macro_f1" in out
    assert float(lines["index"][0]) > 0.5
    assert "Not measured (no cause has 10 gold rows)" in report.read_text(encoding="utf-8")
    none = write(tmp_path / "none.jsonl", [row for row in gold_rows if row["severity"] == 0])
    code, out, _ = run(capsys, none, *options, "--json", "--report", report, "--baseline-train", some)
    found = json.loads(out)
    assert code == 0
    assert found["index"] is found["severity_qwk"] is found["complaint_f1"] is found["intervals"]["index"] is None
    assert found["baseline"]["figures"]["index"] is found["baseline"]["difference"]["index"] is None
    assert found["not_measured"]["index"].startswith("incomplete without group_macro_f1, cause_micro_f1, motive_macro")
    assert found["severity_accuracy"] == 1


def test_evaluate_command_counts_complaints_without_labels_and_texts_scored_twice(
    gold_rows: list[dict[str, Any]], predictions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gold_rows[0]["causes"] = gold_rows[3]["causes"] = []
    gold_rows[1]["motives"] = []
    gold_rows[4]["text"] = gold_rows[1]["text"] + " "
    gold = write(tmp_path / "gold.jsonl", gold_rows)
    code, out, err = run(capsys, gold, "--predictions", predictions, "--resamples", 20, "--json")
    assert code == 0
    assert "2 of 40 complaints have no cause, which no answer can match; leave it empty only where" in err
    assert "1 of 40 complaints has no motive" in err
    assert f"{gold}: 1 gold rows have the text of another and are scored like any other" in err
    assert len(json.loads(out)["notes"]) == 3


def test_evaluate_command_tries_the_place_of_the_report_first(
    gold: Path, predictions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    monkeypatch.setattr("training.evaluate._read_gold", lambda *_: pytest.fail("read before the report was tried"))
    report = tmp_path / "r.html"
    code, out, err = run(capsys, gold, "--predictions", predictions, "--report", report)
    assert (code, out) == (2, "")
    assert f"{report}: the report cannot be written there: Permission denied" in err
