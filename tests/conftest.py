"""Shared fixtures: a tokenizer and a network small enough to be built in the test, so that no weights are needed."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from tokenizers import Tokenizer, models, pre_tokenizers

from model.artifact import write_manifest
from model.classification import ModelInfo
from model.classifier import Classifier
from model.decoding import Decoding
from model.engine import DummyEngine, head_sizes
from model.taxonomy import DEFAULT_PATH, Taxonomy, load_taxonomy
from model.tokeniser import Tokeniser
from tests.shell import Kesu
from tests.toys import bag_of_tokens

# The machine that runs the tests may be busy; a slow example is no failure.
settings.register_profile("kesu", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kesu")

MAX_TOKENS = 64


def _common_characters() -> list[str]:
    """The 3,755 Chinese characters of GB 2312 level 1."""
    codes = [bytes([high, low]) for high in range(0xB0, 0xD8) for low in range(0xA1, 0xFF)]
    return [code.decode("gb2312") for code in codes if not (code[0] == 0xD7 and code[1] > 0xF9)]


@pytest.fixture(scope="session")
def taxonomy() -> Taxonomy:
    return load_taxonomy()


@pytest.fixture(scope="session")
def small_tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Unigram tokenizer of single characters, in the form of the real one."""
    pieces = [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        "▁",
        *map(chr, range(33, 127)),
        *"。，、！？；：（）",
        *_common_characters(),
    ]
    tokenizer = Tokenizer(models.Unigram([(piece, -8.0) for piece in pieces], unk_id=3, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(str(path))
    return path


@pytest.fixture
def tokeniser(small_tokenizer_file: Path) -> Tokeniser:
    return Tokeniser.load(small_tokenizer_file, MAX_TOKENS)


@pytest.fixture(scope="session")
def small_table(taxonomy: Taxonomy, small_tokenizer_file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Token scores and bias of a toy model; what it knows is told in toys.py."""
    tokenizer = Tokenizer.from_file(str(small_tokenizer_file))
    sizes = head_sizes(taxonomy)
    table = np.random.default_rng(0).normal(scale=0.02, size=(tokenizer.get_vocab_size(), sum(sizes.values())))
    bias = np.zeros(sum(sizes.values()))
    first_motive = sizes["causes"]
    first_severity = first_motive + sizes["motives"]
    bias[:first_severity] = -3
    bias[first_severity : first_severity + 3] = (0.0, 3.0, 2.0)
    for character, column, value in (
        ("丢", taxonomy.cause_ids.index("service.delivery"), 6.0),
        ("坏", taxonomy.cause_ids.index("quality.defect"), 6.0),
        ("赔", first_motive + taxonomy.motive_ids.index("compensation"), 6.0),
        ("谢", first_severity, 9.0),
    ):
        table[tokenizer.token_to_id(character), column] += value
    return table, bias


@pytest.fixture(scope="session")
def _sealed_folder(
    tmp_path_factory: pytest.TempPathFactory,
    taxonomy: Taxonomy,
    small_tokenizer_file: Path,
    small_table: tuple[np.ndarray, np.ndarray],
) -> Path:
    folder = tmp_path_factory.mktemp("models") / "toy"
    folder.mkdir()
    shutil.copy(DEFAULT_PATH, folder / "taxonomy.yaml")
    shutil.copy(small_tokenizer_file, folder / "tokenizer.json")
    bag_of_tokens(folder / "model.int8.onnx", taxonomy, *small_table)
    (folder / "decoding.json").write_text(json.dumps(Decoding.uncalibrated(taxonomy, MAX_TOKENS).to_dict()))
    write_manifest(folder, name="toy", version="1", training={"rows": 0})
    return folder


@pytest.fixture
def model_folder(_sealed_folder: Path, tmp_path: Path) -> Path:
    """A complete model folder that the test may damage."""
    return Path(shutil.copytree(_sealed_folder, tmp_path / "toy"))


@pytest.fixture(scope="session")
def toy_classifier(_sealed_folder: Path) -> Classifier:
    return Classifier.load(_sealed_folder, threads=2)


@pytest.fixture
def dummy_classifier(taxonomy: Taxonomy, tokeniser: Tokeniser) -> Classifier:
    """Any text, no weights: the labels come from a hash of the tokens."""
    info = ModelInfo("dummy", "0", taxonomy.version)
    return Classifier(
        taxonomy, tokeniser, DummyEngine(taxonomy), Decoding.uncalibrated(taxonomy, tokeniser.max_tokens), info
    )


@pytest.fixture(scope="session")
def one_thread() -> Iterator[None]:
    """torch on one core, for whatever trains: the machine that runs the tests may be busy."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_base(one_thread: None, taxonomy: Taxonomy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an untrained two-layer encoder whose vocabulary covers the shipped corpus and ``tests.tiny``'s rows."""
    from data.corpus import load_corpus
    from tests.tiny import keyword_rows, write_base

    texts = [row.text for row in (*load_corpus("train"), *keyword_rows(taxonomy, 200))]
    return write_base(tmp_path_factory.mktemp("base") / "tiny", texts)


@pytest.fixture
def kesu(model_folder: Path, capsys: pytest.CaptureFixture[str]) -> Kesu:
    return Kesu(model_folder, capsys)


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    def give(content: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))

    return give
