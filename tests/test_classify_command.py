"""``kesu classify``: a text, standard input, the samples."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from serving import cli
from tests.shell import Kesu, read_rows, subprocess_arguments
from tests.toys import LOST_PARCEL, THANKS


def test_classify_a_text(kesu: Kesu) -> None:
    code, out, err = kesu.classify(LOST_PARCEL)
    assert (code, err) == (0, "")
    assert "service.delivery 物流配送" in out
    assert "evidence" not in out
    assert "「快递弄丢了」" in kesu.classify(LOST_PARCEL, "--explain")[1]


def test_classify_a_text_as_json(kesu: Kesu) -> None:
    code, out, _ = kesu.classify(LOST_PARCEL, "--json", "--explain")
    assert code == 0
    assert json.loads(out)["causes"][0]["evidence"][0]["text"] == "快递弄丢了"


def test_classify_shows_a_panel_on_a_terminal(kesu: Kesu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.display.on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    code, out, _ = kesu.classify(LOST_PARCEL)
    assert code == 0
    assert "╭" in out
    assert "物流配送" in out


def test_classify_samples_prints_one_table(kesu: Kesu) -> None:
    code, out, err = kesu.classify("--samples")
    assert (code, err) == (0, "")
    samples = read_rows(Path(cli.__file__).with_name("samples") / "complaints.jsonl")
    assert 10 <= len(samples) <= 20
    assert len(out.splitlines()) == len(samples) + 4
    assert samples[0]["text"][:15] in out
    assert len(kesu.classify("--samples", "--json")[1].splitlines()) == len(samples)


def test_classify_stdin(kesu: Kesu, stdin: Any) -> None:
    stdin(f'\ufeff{LOST_PARCEL}\r\n\n{{"id": 7, "text": "东西坏了"}}\n{{不是 JSON}} 丢了\n{THANKS}'.encode())
    code, out, err = kesu.classify("-")
    assert (code, err) == (0, "")
    lines = [line.split("\t") for line in out.splitlines()]
    assert [line[-6] for line in lines] == ["service.delivery", "quality.defect", "service.delivery", ""]
    assert lines[1][0] == "7"


def test_classify_stdin_stops_at_a_bad_line_or_leaves_it_out(kesu: Kesu, stdin: Any) -> None:
    content = f"{LOST_PARCEL}\n😂\n{THANKS}\n".encode()
    stdin(content)
    code, out, err = kesu.classify("-")
    assert code == 2
    assert len(out.splitlines()) == 1
    assert err.startswith("error: standard input, line 2: the text has no word")
    stdin(content)
    code, out, err = kesu.classify("-", "--skip-bad-rows")
    assert code == 0
    assert len(out.splitlines()) == 2
    assert "skipped: standard input, line 2" in err
    stdin(b"\n")
    assert "holds no text" in kesu.fails("-")
    stdin('{"id": "T-7", "text": "热水器漏电"'.encode())  # cut off: no text of its own
    assert "line 1: not valid JSON" in kesu.fails("-")
    stdin("快递".encode("gb18030"))
    assert "not UTF-8" in kesu.fails("-")


@pytest.mark.parametrize(
    ("text", "problem"),
    [("", "empty"), ("😂", "no word"), ("坏" * 100_001, "more than 100,000"), ("坏\x00", "NUL")],
)
def test_classify_refuses_a_text(kesu: Kesu, text: str, problem: str) -> None:
    assert problem in kesu.fails(text)


def test_classify_english_is_a_warning(kesu: Kesu) -> None:
    code, out, _ = kesu.classify("my parcel is lost")
    assert code == 0
    assert "not_chinese" in out


def test_classify_needs_one_source(kesu: Kesu, tmp_path: Path) -> None:
    assert "one thing to classify" in kesu.fails()
    assert "one thing to classify" in kesu.fails("text", "--samples")
    assert "go together" in kesu.fails("--input", tmp_path / "in")
    assert "go together" in kesu.fails("text", "--output", tmp_path / "out")
    paths = ("--input", tmp_path / "in", "--output", tmp_path / "out")
    assert "--explain needs --json" in kesu.fails(*paths, "--explain")


def test_classify_names_what_is_wrong_with_the_model(kesu: Kesu, model_folder: Path, tmp_path: Path) -> None:
    with (model_folder / "model.int8.onnx").open("ab") as handle:
        handle.write(b"x")
    assert "model.int8.onnx" in kesu.fails(LOST_PARCEL)
    kesu.model = tmp_path / "nowhere"
    assert "no such folder" in kesu.fails(LOST_PARCEL)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_standard_output_on_a_full_disk(model_folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            subprocess_arguments(model_folder, LOST_PARCEL), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (2, "error: No space left on device; free some space or write elsewhere\n")


def test_a_reader_that_goes_away_is_no_error(model_folder: Path) -> None:
    process = subprocess.Popen(
        subprocess_arguments(model_folder, "-"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    process.stdin.write((LOST_PARCEL + "\n").encode())
    process.stdin.close()
    assert process.stderr.read() == b""
    assert process.wait() == 1
    process.stderr.close()
