"""``kesu classify --input … --output …``: whole files, or nothing."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

from model.classifier import Classifier
from serving import batch, rows
from tests.shell import Kesu, read_rows, subprocess_arguments, write_rows
from tests.toys import LOST_PARCEL, THANKS


def test_classify_a_file(kesu: Kesu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "WINDOW_ROWS", 3)
    texts = [LOST_PARCEL, THANKS, "东西坏了" * 40, "丢" * 5, "坏了"] * 2
    source = write_rows(
        tmp_path / "in.jsonl", *({"id": number or "零", "text": text} for number, text in enumerate(texts))
    )
    target = tmp_path / "out.jsonl"
    code, out, err = kesu.classify("--input", source, "--output", target, "--threads", 2)
    assert (code, out) == (0, "")
    assert err == f"10 rows written to {target}\n"
    found = read_rows(target)
    assert [row["id"] for row in found] == ["零", *range(1, 10)]
    assert list(found[0]) == ["id", "causes", "motives", "severity", "style", "confidence", "decision"]
    assert found[0]["causes"] == found[5]["causes"] == ["service.delivery"]
    assert found[1] == {**found[6], "id": 1}
    assert found[1]["severity"] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl", "toy"]


def test_classify_a_file_in_full(kesu: Kesu, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "in.jsonl", {"id": "a", "text": LOST_PARCEL, "colour": "red"})
    target = tmp_path / "out.jsonl"
    assert kesu.classify("--input", source, "--output", target, "--json", "--explain")[0] == 0
    (row,) = read_rows(target)
    assert row["id"] == "a"
    assert row["causes"][0]["evidence"]


def test_a_row_tells_what_a_request_may_tell(kesu: Kesu, tmp_path: Path) -> None:
    told = {"history": {"affected_customers": 12, "prior_complaints": 3}, "received_at": "2026-05-01T09:30:00+08:00"}
    rows = [{"id": 1, "text": LOST_PARCEL}, {"id": 2, "text": LOST_PARCEL, "channel": "", "history": None, **told}]
    source, target = write_rows(tmp_path / "in.jsonl", *rows), tmp_path / "out.jsonl"
    assert kesu.classify("--input", source, "--output", target, "--json")[0] == 0
    plain, whole = read_rows(target)
    assert not plain["severity"]["raised_by"]
    assert whole["severity"]["level"] > plain["severity"]["level"]
    assert "received_at_missing" in {warning["code"] for warning in plain["warnings"]}
    assert "received_at_missing" not in {warning["code"] for warning in whole["warnings"]}
    assert whole["first_reply"]["at"].startswith("2026-05-0")
    assert kesu.classify("--input", source, "--output", target)[0] == 0
    assert [row["severity"] for row in read_rows(target)] == [row["severity"]["level"] for row in (plain, whole)]


BAD_LINES = {
    b'{"id": 2, "text": "xy", "history": {"prior": 3}}': "history.prior: Extra inputs are not permitted; mend",
    b'{"id": 2, "text": "xy", "channel": 3}': "channel: Input should be a valid string",
    b'{"id": 2, "text": "xy", "received_at": "soon"}': "received_at: ",
    b"{": "not valid JSON",
    b'{"id": 2, "text": "x\0"}': "Invalid control character at column 21",
    b"[1]": "expected a JSON object",
    b"[" * 5000: "not valid JSON",
    b'{"text": "x"}': 'no field "id"',
    b'{"id": "", "text": "x"}': '"id" must be',
    b'{"id": 1.5, "text": "x"}': '"id" must be',
    b'{"id": 2}': 'no field "text"',
    b'{"id": 2, "text": null}': "expected a text, found NoneType",
    b'{"id": 2, "text": ""}': "empty",
    b'{"id": "a", "text": "xy"}': "id 'a' appeared before",
    b'{"id": 2, "text": "\\u0000xy"}': "NUL bytes",
    '{"id": 2, "text": "快递"}'.encode("gb18030"): "not UTF-8",
    '{"id": 2, "text": "快递"}'.encode("utf-16"): "UTF-16",
    b'{"id": 2, "text": "' + b"x" * rows.MAX_LINE_BYTES + b'"}': "longer than 4,000,000 bytes",
    b'{"id": 2, "n": ' + b"9" * 5000 + b"}": "a number is too long",
}


@pytest.mark.parametrize("bad", BAD_LINES, ids=[*BAD_LINES.values()])
def test_classify_a_file_with_a_bad_row(kesu: Kesu, tmp_path: Path, bad: bytes) -> None:
    good = json.dumps({"id": "a", "text": LOST_PARCEL}).encode()
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(good + b"\n\n" + bad + b"\n" + good.replace(b'"a"', b'"b"') + b"\n")
    target.write_text("old")
    err = kesu.fails("--input", source, "--output", target)
    assert f"{source}:3: " in err
    assert BAD_LINES[bad] in err
    assert "--skip-bad-rows" in err
    assert target.read_text() == "old"

    code, _, err = kesu.classify("--input", source, "--output", target, "--skip-bad-rows")
    assert code == 0
    assert "2 rows written" in err
    assert [row["id"] for row in read_rows(target)] == ["a", "b"]
    (aside,) = read_rows(tmp_path / "out.jsonl.errors.jsonl")
    assert aside["line"] == 3
    assert BAD_LINES[bad] in aside["error"]

    write_rows(source, {"id": "a", "text": LOST_PARCEL})
    assert kesu.classify("--input", source, "--output", target, "--skip-bad-rows")[0] == 0
    assert not (tmp_path / "out.jsonl.errors.jsonl").exists()


def test_classify_a_file_with_nothing_to_classify(kesu: Kesu, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    for content in ("", "\n\n", "\ufeff"):
        source.write_text(content, encoding="utf-8")
        assert "holds no row" in kesu.fails("--input", source, "--output", target)
    source.write_text("{")
    assert "first bad row is line 1" in kesu.fails("--input", source, "--output", target, "--skip-bad-rows")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "toy"]


def test_classify_a_file_checks_the_paths(kesu: Kesu, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "in.jsonl", {"id": 1, "text": LOST_PARCEL})
    (tmp_path / "old.XLSX").write_bytes(b"PK")
    for given, target, problem in (
        (tmp_path / "old.XLSX", tmp_path / "out", "is a table, not JSON Lines; convert it: kesu data convert"),
        (tmp_path / "absent.jsonl", tmp_path / "out", "no such file"),
        (tmp_path, tmp_path / "out", "is a folder; name a JSONL file"),
        (source, source, "is the input itself"),
        (source, tmp_path / "." / "in.jsonl", "is the input itself"),
        (source, tmp_path / "toy", "is a folder; name a file"),
        (source, tmp_path / "no" / "out", "does not exist; create it"),
        (source, Path("/dev/null"), "is a device or pipe"),
    ):
        assert problem in kesu.fails("--input", given, "--output", target)
    (tmp_path / "link").symlink_to(source)
    assert "is the input itself" in kesu.fails("--input", source, "--output", tmp_path / "link")
    assert source.read_text().startswith("{")


def test_classify_a_file_keeps_an_id_that_utf8_cannot_write(kesu: Kesu, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"id": "\\ud800", "text": "坏了"}\n', encoding="utf-8")
    assert kesu.classify("--input", source, "--output", target)[0] == 0
    assert read_rows(target)[0]["id"] == "\ud800"


def test_classify_a_file_on_a_full_disk_leaves_nothing(model_folder: Path, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "in.jsonl", *({"id": n, "text": LOST_PARCEL} for n in range(3000)))
    target = tmp_path / "out.jsonl"
    target.write_text("old")
    done = subprocess.run(
        subprocess_arguments(model_folder, "--input", source, "--output", target),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {target}: cannot be written: File too large")
    assert done.stderr.count("\n") == 1
    assert target.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl", "toy"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_quietly_and_leaves_nothing(
    model_folder: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    pipe = tmp_path / "in.jsonl"
    os.mkfifo(pipe)
    process = subprocess.Popen(
        subprocess_arguments(model_folder, "--input", pipe, "--output", tmp_path / "out.jsonl"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job ignores Ctrl-C, and what it starts would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with pipe.open("w", encoding="utf-8") as feed:  # opens once the process reads
        feed.write(json.dumps({"id": 1, "text": LOST_PARCEL}) + "\n")
        feed.flush()
        while not list(tmp_path.glob(".out.jsonl.*.partial")):
            time.sleep(0.02)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (code, "", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "toy"]


def test_windows_are_bounded_by_rows_and_characters(
    toy_classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "WINDOW_ROWS", 4)
    monkeypatch.setattr(batch, "WINDOW_CHARACTERS", 20)
    found = [rows.Row(n, n, toy_classifier.read("坏" * length)) for n, length in enumerate([1] * 5 + [30, 1, 19, 1])]
    assert [[row.line for row in window] for window in batch.windows(found)] == [[0, 1, 2, 3], [4, 5], [6, 7], [8]]
