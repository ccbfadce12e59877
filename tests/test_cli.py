from __future__ import annotations

import io
import json
import os
import resource
import signal
import subprocess
import sys
import time
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from model.classifier import Classifier
from model.errors import KesuError
from serving import batch, cli, rows
from tests.toys import LOST_PARCEL, THANKS

SECRET = "绝密投诉内容"


class Kesu:
    """Runs ``kesu`` in this process, on the toy model."""

    def __init__(self, model: Path, capsys: pytest.CaptureFixture[str]):
        self.model, self.capsys = model, capsys

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            cli.main([str(word) for word in arguments])
        out, err = self.capsys.readouterr()
        assert "Traceback" not in err
        assert isinstance(stop.value.code, int)
        return stop.value.code, out, err

    def classify(self, *arguments: object) -> tuple[int, str, str]:
        return self("classify", *arguments, "--model", self.model)

    def fails(self, *arguments: object) -> str:
        code, out, err = self.classify(*arguments)
        assert code == 2
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        return err


@pytest.fixture
def kesu(model_folder: Path, capsys: pytest.CaptureFixture[str]) -> Kesu:
    return Kesu(model_folder, capsys)


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Any:
    def give(content: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))

    return give


def write_rows(path: Path, *found: object) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found), encoding="utf-8")
    return path


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


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


BAD_LINES = {
    b"{": "not valid JSON",
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
    for given, target, problem in (
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


def subprocess_arguments(model: Path, *arguments: object) -> list[str]:
    code = "from serving.cli import main; main()"
    return [sys.executable, "-c", code, "classify", *map(str, arguments), "--model", str(model)]


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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_standard_output_on_a_full_disk(model_folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            subprocess_arguments(model_folder, LOST_PARCEL), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (2, "error: No space left on device; free some space or write elsewhere\n")


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


def test_taxonomy_prints_the_labels(kesu: Kesu, model_folder: Path) -> None:
    code, out, _ = kesu("taxonomy")
    assert code == 0
    assert "causes\tservice.delivery\t物流配送" in out
    labels = json.loads(kesu("taxonomy", "--json", "--model", model_folder)[1])
    assert len(labels["causes"]) == 23
    assert labels["causes"][0]["group"] == "quality"
    assert kesu("taxonomy", "--model", model_folder / "no")[0] == 2


def test_help_lists_all_commands_without_loading_them(kesu: Kesu, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("training.cli", "data.cli"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    code, out, _ = kesu("--help")
    assert code == 0
    for name in ("classify", "taxonomy", "data", "train", "evaluate"):
        assert name in out
    assert "Label complaints" in out
    assert not {"training.cli", "data.cli"} & set(sys.modules)


def test_usage_errors_exit_with_2(kesu: Kesu) -> None:
    for arguments in (["nothing"], ["classify", "--colour"], ["classify", "x", "--threads", "0"]):
        code, _, err = kesu(*arguments)
        assert code == 2
        assert err


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Plug a module with the given source in as the only command."""

    def plug(source: str, value: str, name: str = "extra") -> None:
        (tmp_path / f"{value.split(':')[0]}.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        entry = EntryPoint(name, value, cli.ENTRY_POINTS)
        monkeypatch.setattr(cli, "entry_points", lambda group, name=None: [entry])

    return plug


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.EXTRAS, "plug_missing", "train")
    error = cli._missing("train", "plug_missing", ModuleNotFoundError("No module named 'torch'", name="torch.nn"))
    assert str(error) == '`kesu train` needs the package torch, which is not installed; run: pip install "kesu[train]"'
    own = cli._missing("train", "training", ModuleNotFoundError("No module named 'training.cli'", name="training.cli"))
    assert "install kesu again" in str(own)


@pytest.mark.parametrize("where", ["at import", "when called"])
def test_a_missing_package_of_a_command_is_named(kesu: Kesu, plugged: Any, where: str) -> None:
    inner = "    import absent_package\n"
    source = ("import absent_package\n" if where == "at import" else "") + f"def run():\n    '''Do it.'''\n{inner}"
    plugged(source, f"plug_{where.split()[-1]}:run")
    code, _, err = kesu("extra")
    assert code == 2
    assert err.startswith("error: `kesu extra` needs the package absent_package, which is not installed; run: pip ")


def test_an_app_with_one_command_stays_a_group(kesu: Kesu, plugged: Any) -> None:
    plugged(
        "import typer\napp = typer.Typer(help='Many things.')\n@app.command()\ndef one():\n    print('done')\n",
        "plug_app:app",
    )
    assert "Many things." in kesu("--help")[1]
    assert kesu("extra", "one") == (0, "done\n", "")


@pytest.mark.parametrize(
    ("raised", "code", "told"),
    [
        ("from model.errors import InvalidInput\n    raise InvalidInput('bad row')", 2, "error: bad row\n"),
        ("raise OSError(28, 'No space left on device', 'x.bin')", 2, "error: x.bin: No space left on device; free"),
        ("raise KeyboardInterrupt", 130, ""),
        ("raise MemoryError", 2, "error: not enough memory"),
        (f"raise ValueError('{SECRET}')", 1, "error: kesu failed (ValueError in plug_fails"),
        ("raise SystemExit('stopped')", 2, "error: stopped\n"),
        ("import sys; sys.exit(5)", 5, ""),
    ],
)
def test_errors_are_told_on_one_line(
    kesu: Kesu, plugged: Any, raised: str, code: int, told: str, request: pytest.FixtureRequest
) -> None:
    module = f"plug_fails_{abs(hash(request.node.name))}"
    plugged(f"def run():\n    '''Fail.'''\n    {raised}\n", f"{module}:run")
    found, out, err = kesu("extra")
    assert (found, out) == (code, "")
    assert err.startswith(told)
    assert SECRET not in err
    assert err.count("\n") <= 1


def test_a_fault_shows_its_traceback_when_asked(plugged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plugged("def run():\n    '''Fail.'''\n    raise ValueError('why')\n", "plug_traceback:run")
    monkeypatch.setenv("KESU_TRACEBACK", "1")
    with pytest.raises(ValueError, match="why"):
        cli.main(["extra"])


def test_a_command_that_does_not_exist_in_its_module(kesu: Kesu, plugged: Any) -> None:
    plugged("", "plug_empty:run")
    assert kesu("extra") == (2, "", "error: `kesu extra` cannot be loaded: plug_empty:run does not exist\n")
    assert isinstance(KesuError("x"), Exception)


def test_windows_are_bounded_by_rows_and_characters(
    toy_classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "WINDOW_ROWS", 4)
    monkeypatch.setattr(batch, "WINDOW_CHARACTERS", 20)
    found = [rows.Row(n, n, toy_classifier.read("坏" * length)) for n, length in enumerate([1] * 5 + [30, 1, 19, 1])]
    assert [[row.line for row in window] for window in batch.windows(found)] == [[0, 1, 2, 3], [4, 5], [6, 7], [8]]
