"""The ``kesu`` command as a user runs it, in this process or in one of its own, and the files it reads and writes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from serving import cli


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


def write_rows(path: Path, *found: object) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found), encoding="utf-8")
    return path


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def subprocess_arguments(model: Path, *arguments: object) -> list[str]:
    code = "from serving.cli import main; main()"
    return [sys.executable, "-c", code, "classify", *map(str, arguments), "--model", str(model)]
