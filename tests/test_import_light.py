"""What answers requests must not need the training packages, nor load what it does not use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "transformers", "pandas", "sklearn", "datasets", "polars", "jieba"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", BLOCKER + code, *arguments], capture_output=True, text=True, check=False
    )


def test_import_model_and_answer_without_training_packages(model_folder: Path) -> None:
    code = """
from model import Classifier, load_taxonomy
from model.classification import ModelInfo
from model.decoding import Decoding
from model.engine import DummyEngine
from model.tokeniser import Tokeniser
taxonomy = load_taxonomy()
dummy = Classifier(taxonomy, Tokeniser.load(sys.argv[1] + "/tokenizer.json", 64), DummyEngine(taxonomy),
                   Decoding.uncalibrated(taxonomy), ModelInfo("dummy", "0", "0"))
assert len(dummy.classify(["快递丢了", "东西坏了，要求赔钱"], explain=True)) == 2
assert "onnxruntime" not in sys.modules
print(Classifier.load(sys.argv[1]).classify(["快递丢了"])[0].causes[0].label)
"""
    done = run(code, str(model_folder))
    assert (done.returncode, done.stdout.strip()) == (0, "service.delivery"), done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="the home folder is found otherwise there")
def test_answering_leaves_nothing_in_the_home_folder(model_folder: Path, tmp_path: Path) -> None:
    code = """
import os
os.environ.pop("ORT_DISABLE_TELEMETRY", None)
os.environ["HOME"] = os.environ["XDG_CACHE_HOME"] = sys.argv[2]
from model import Classifier
assert Classifier.load(sys.argv[1]).classify(["快递丢了"])
"""
    home = tmp_path / "home"
    home.mkdir()
    done = run(code, str(model_folder), str(home))
    assert done.returncode == 0, done.stderr
    assert list(home.iterdir()) == []


def test_import_model_does_not_load_what_it_may_not_use() -> None:
    code = """
import model
heavy = {"numpy", "onnxruntime", "tokenizers", "opencc", "rich", "typer"} & set(sys.modules)
assert not heavy, heavy
import serving.cli, serving.classify
heavy = {"numpy", "onnxruntime", "tokenizers", "opencc", "rich.table"} & set(sys.modules)
assert not heavy, heavy
try:
    model.nothing
except AttributeError as error:
    print(error)
"""
    done = run(code)
    assert done.returncode == 0, done.stderr
    assert "no attribute 'nothing'" in done.stdout


@pytest.mark.parametrize("command", [["--help"], ["taxonomy"], ["classify", "--help"]])
def test_commands_that_need_no_model_run_without_training_packages(command: list[str]) -> None:
    done = run("from serving.cli import main\nmain(sys.argv[1:])", *command)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
