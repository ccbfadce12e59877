"""From labelled files to a model folder that answers, with the shipped labels and with others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from data.corpus import load_corpus
from data.schema import LabelledText
from model.classifier import Classifier
from model.errors import InvalidArtefact, InvalidInput
from model.network import load
from model.taxonomy import Taxonomy, parse_taxonomy
from tests.tiny import SMALL_TAXONOMY, keyword_rows
from training.config import TrainingConfig, load_config
from training.encoder import check_base, load_tokenizer
from training.material import gather
from training.recalibrate import recalibrate
from training.targets import read_soft_table
from training.teachers import write_opinions
from training.train import settings_of, start_from, train

SMALL = parse_taxonomy(SMALL_TAXONOMY, Path("toy.yaml"))
SETTINGS = (
    "model.max_tokens=64",
    "optimisation.batch_tokens=1024",
    "optimisation.learning_rate=2e-3",
    "optimisation.head_learning_rate=2e-2",
    "optimisation.precision=fp32",
    "optimisation.patience=0",
    "augmentation.rate=0",
)


def write(path: Path, rows: list[LabelledText]) -> Path:
    path.write_text("\n".join(row.model_dump_json(exclude_none=True) for row in rows), encoding="utf-8")
    return path


def settings(base: Path, train: Path | str, validation: Path | str, *overrides: str) -> TrainingConfig:
    files = [f"model.base={base}", f"data.train={train}", f"data.validation={validation}"]
    return load_config(overrides=[*SETTINGS, *files, *overrides])


@pytest.fixture(scope="module", autouse=True)
def lenient_gate() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        # Among 60 rows a single one that flips weighs more than the gate allows; the gate has its own tests.
        patch.setattr("training.export.MAXIMUM_DROP", 0.1)
        patch.setattr("training.calibrate.RESAMPLES", 3)
        yield


@dataclass
class Small:
    """A model of the small taxonomy, trained once, and what it was trained on."""

    output: Path
    taxonomy: Path
    rows: Path
    held_out: Path


@pytest.fixture(scope="module")
def small(lenient_gate: None, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Small:
    folder = tmp_path_factory.mktemp("small")
    (folder / "toy.yaml").write_text(SMALL_TAXONOMY, encoding="utf-8")
    rows, held_out = write(folder / "rows.jsonl", keyword_rows(SMALL, 240)), folder / "held_out.jsonl"
    write(held_out, keyword_rows(SMALL, 100, seed=1))
    config = settings(
        tiny_base,
        rows,
        held_out,
        f"data.taxonomy={folder / 'toy.yaml'}",
        "optimisation.epochs=14",
        "optimisation.precision=bf16",
    )
    done = train(config, folder / "out", name="toy", version="3")
    assert done is not None
    return Small(folder / "out", folder / "toy.yaml", rows, held_out)


@pytest.mark.slow
def test_train_with_other_labels_learns_them_and_answers(small: Small) -> None:
    classifier = Classifier.load(small.output / "model", threads=1)
    assert (classifier.info.name, classifier.info.version) == ("toy", "3")
    rows = keyword_rows(SMALL, 60, seed=2)
    answers = [answer.to_row() for answer in classifier.classify([row.text for row in rows])]

    def share(name: str) -> float:
        return float(np.mean([answer[name] == row.as_row()[name] for answer, row in zip(answers, rows, strict=True)]))

    assert share("severity") > 0.9
    assert share("causes") > 0.9
    assert share("motives") > 0.9
    assert {path.name for path in small.output.iterdir()} >= {
        "model",
        "best",
        "checkpoints",
        "log.jsonl",
        "config.json",
        "material.json",
        "held_out.jsonl",
    }
    told = [json.loads(line) for line in (small.output / "held_out.jsonl").read_text().splitlines()]
    assert [row["id"] for row in told] == [row.id for row in keyword_rows(SMALL, 100, seed=1)]
    assert all(set(row) == {"id", "text_id"} for row in told)


def test_settings_of_a_training_begun_before_a_setting_was_new(tmp_path: Path) -> None:
    settings = load_config().model_dump()
    del settings["augmentation"]["consistency"]
    (tmp_path / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    assert settings_of(tmp_path) == load_config()


@pytest.mark.slow
def test_resume_goes_on_only_as_the_training_began(small: Small) -> None:
    begun = settings_of(small.output)
    assert begun.optimisation.epochs == 14

    def resume(config: TrainingConfig) -> None:
        (small.output / "model").rename(small.output / "kept")
        try:
            train(config, small.output, name="toy", version="3", resume=True)
        finally:
            shutil.rmtree(small.output / "model", ignore_errors=True)
            (small.output / "kept").rename(small.output / "model")

    resume(begun)  # it had ended: exported again, not trained
    other = begun.model_copy(update={"optimisation": begun.optimisation.model_copy(update={"seed": 9})})
    with pytest.raises(InvalidInput, match=r"begun with optimisation\.seed = 0, not 9"):
        resume(other)
    rows = small.rows.read_text(encoding="utf-8")
    small.rows.write_text(rows.replace(rows.splitlines()[0] + "\n", "", 1), encoding="utf-8")
    try:
        with pytest.raises(InvalidInput, match="train rows are no longer those"):
            resume(begun)
    finally:
        small.rows.write_text(rows, encoding="utf-8")


@pytest.mark.slow
def test_train_goes_on_from_an_exported_model(small: Small, tmp_path: Path) -> None:
    base, files = small.output / "model", (small.rows, small.held_out, f"data.taxonomy={small.taxonomy}")
    network, _ = start_from(settings(base, *files), SMALL)
    wanted = load(small.output / "model" / "torch").state_dict()
    assert all(np.array_equal(value.numpy(), wanted[name].numpy()) for name, value in network.state_dict().items())
    changed = tmp_path / "changed.yaml"
    changed.write_text(SMALL_TAXONOMY.replace("people.absent", "people.gone"), encoding="utf-8")
    labels = parse_taxonomy(changed.read_text(encoding="utf-8"), changed)
    new = write(tmp_path / "new.jsonl", keyword_rows(labels, 120, seed=3))
    done = train(
        settings(base, new, write(tmp_path / "held.jsonl", keyword_rows(labels, 60, seed=4)),
                 f"data.taxonomy={changed}", "optimisation.epochs=2"),
        tmp_path / "warm", name="toy", version="4",
    )  # fmt: skip
    assert done is not None
    # Two epochs would not do from scratch.
    assert done[1].fp32["cause_micro_f1"] > 0.85


@pytest.mark.slow
def test_distil_and_recalibrate_with_a_trained_model(small: Small, tmp_path: Path) -> None:
    teacher, soft = small.output / "model", tmp_path / "soft.parquet"
    assert write_opinions([small.rows], [teacher, teacher], soft, shares=[1.0, 2.0]) == len(
        {row.text for row in keyword_rows(SMALL, 240)}
    )
    table = read_soft_table(soft, SMALL, 1.0)
    assert np.isfinite(table.with_format("numpy")["causes"][:]).all()
    before = Classifier.load(teacher, threads=1).decoding
    decoding = recalibrate(teacher, [write(tmp_path / "own.jsonl", keyword_rows(SMALL, 80, seed=6))])
    assert decoding != before
    assert Classifier.load(teacher, threads=1).decoding == decoding
    with pytest.raises(InvalidInput, match="held-out rows"):
        recalibrate(teacher, [write(tmp_path / "few.jsonl", keyword_rows(SMALL, 10))])
    assert Classifier.load(teacher, threads=1).decoding == decoding


@pytest.mark.slow
def test_train_on_the_corpus_learns_its_training_rows(
    tiny_base: Path, taxonomy: Taxonomy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Asked is whether it learns what it is shown, so the same rows are held out here.
    monkeypatch.setattr("training.material.apart_from", lambda _, texts: list(range(len(texts))))
    corpus = [row for row in load_corpus("train") if len(row.text) < 60]
    none = [row for row in corpus if row.severity == 0][:50]
    chosen = [row for row in corpus if row.severity > 0][:130] + none
    rows = write(tmp_path / "rows.jsonl", [row.model_copy(update={"split": None}) for row in chosen])
    config = settings(tiny_base, rows, rows, "optimisation.epochs=20")
    done = train(config, tmp_path / "out", name="toy", version="1")
    assert done is not None
    figures = done[1].int8
    assert figures["complaint_f1"] > 0.95
    assert figures["cause_micro_f1"] > 0.8
    answer = Classifier.load(tmp_path / "out" / "model", threads=1).classify(["快递弄丢了，客服不理人，要求赔偿。"])[0]
    assert answer.to_dict()["model"]["taxonomy_version"] == taxonomy.version


def test_gather_holds_out_a_share_without_near_duplicates(tiny_base: Path, taxonomy: Taxonomy, tmp_path: Path) -> None:
    unsplit = [row.model_copy(update={"split": None}) for row in load_corpus("train")[:400]]
    config = load_config(
        overrides=[f"data.train={write(tmp_path / 'rows.jsonl', unsplit)}", "data.validation_share=0.25"]
    )
    material = gather(config)
    assert len(material.train) + len(material.held_out) == 400
    assert 80 <= len(material.held_out) <= 120
    assert gather(config) == material


def test_gather_heeds_splits(taxonomy: Taxonomy, tmp_path: Path) -> None:
    rows = load_corpus("train")[:300]
    splits = ["train"] * 200 + ["dev"] * 60 + ["test"] * 30 + [None] * 10
    marked = [row.model_copy(update={"split": split}) for row, split in zip(rows, splits, strict=True)]
    file = write(tmp_path / "rows.jsonl", marked)
    material = gather(load_config(overrides=[f"data.train={file}"]))
    assert {row.id for row in material.train} == {row.id for row in (*rows[:200], *rows[290:])}
    assert {row.id for row in material.held_out} == {row.id for row in rows[200:260]}
    assert f"{file}: 30 rows with split 'test' are left out" in material.notes
    # As a file to validate with, it gives the same held-out rows, and its training rows are not among them.
    other = write(tmp_path / "other.jsonl", load_corpus("train")[400:500])
    assert gather(load_config(overrides=[f"data.train={other}", f"data.validation={file}"])).held_out == [
        row for row in marked if row.split in ("dev", None)
    ]


def test_gather_reads_chinese_splits_and_counts_what_it_leaves_out(taxonomy: Taxonomy, tmp_path: Path) -> None:
    def marked(name: str, rows: list[LabelledText], *splits: tuple[str, int]) -> Path:
        names = [split for split, number in splits for _ in range(number)]
        return write(
            tmp_path / name, [row.model_copy(update={"split": split}) for row, split in zip(rows, names, strict=True)]
        )

    rows = load_corpus("train")
    own = marked("own.jsonl", rows[:300], ("训练集", 200), ("验证集", 60), ("测试集", 30), ("甲组", 10))
    material = gather(load_config(overrides=[f"data.train={own}"]))
    assert (len(material.train), len(material.held_out)) == (200, 60)
    assert f"{own}: 30 rows with split '测试集' are left out" in material.notes
    assert any("10 rows with split '甲组' are left out: it is no split that kesu knows" in x for x in material.notes)
    none = [row for row in rows[360:] if row.severity == 0][:40]
    other = marked("other.jsonl", [*none, *rows[300:360]], ("heldout", 80), ("train", 15), ("test", 5))
    notes = gather(load_config(overrides=[f"data.train={own}", f"data.validation={other}"])).notes
    assert f"{other}: 15 rows with split 'train' are left out of data.validation" in notes
    assert f"{other}: 5 rows with split 'test' are left out of data.validation" in notes
    assert "60 held-out rows of data.train are left out: data.validation names others" in notes


def test_gather_tells_why_there_are_too_few_rows(taxonomy: Taxonomy, tmp_path: Path) -> None:
    rows = load_corpus("train")[:90]
    for split, why in (
        ("heldout", "90 of its rows are marked 'heldout' and so are held out"),
        ("丙", "90 rows .* '丙'"),
    ):
        file = write(tmp_path / "rows.jsonl", [row.model_copy(update={"split": split}) for row in rows])
        with pytest.raises(InvalidInput, match=why):
            gather(load_config(overrides=[f"data.train={file}"]))


def test_gather_counts_complaints_without_labels(taxonomy: Taxonomy, tmp_path: Path) -> None:
    rows = [row.model_copy(update={"split": None}) for row in load_corpus("train")[:700]]
    bare = [row.model_copy(update={"causes": ()}) if row.motives and i < 9 else row for i, row in enumerate(rows)]
    number = sum(row.severity > 0 and not row.causes for row in bare)
    file = write(tmp_path / "rows.jsonl", bare)
    notes = gather(load_config(overrides=[f"data.train={file}"])).notes
    assert number > 1
    assert any(f"{file}: {number} of " in note and "complaints have no cause" in note for note in notes)


def test_gather_learns_no_copy_of_what_is_held_out(taxonomy: Taxonomy, tmp_path: Path) -> None:
    rows = [row.model_copy(update={"split": None}) for row in load_corpus("train")[:200]]
    copied = rows[150].model_copy(update={"id": "copy", "text": rows[150].text + "！"})
    train, held_out = write(tmp_path / "t.jsonl", [*rows[:100], copied]), write(tmp_path / "h.jsonl", rows[100:])
    material = gather(load_config(overrides=[f"data.train={train}", f"data.validation={held_out}"]))
    assert [row.id for row in material.train] == [row.id for row in rows[:100]]
    assert "1 rows are not learnt: they are (nearly) the same text as held-out rows" in material.notes


def test_gather_holds_out_of_the_corpus_what_no_shipped_model_learnt(taxonomy: Taxonomy) -> None:
    for seed in (0, 3):
        material = gather(load_config(overrides=[f"optimisation.seed={seed}"]))
        assert {row.split for row in material.held_out} == {"heldout"}
        assert {row.split for row in material.train} == {"train"}


def test_gather_refuses_too_few_rows_before_anything_is_trained(taxonomy: Taxonomy, tmp_path: Path) -> None:
    rows = write(tmp_path / "rows.jsonl", keyword_rows(taxonomy, 100))
    with pytest.raises(InvalidInput, match="at least 50 held-out rows"):
        gather(load_config(overrides=[f"data.train={rows}"]))
    one = write(tmp_path / "one.jsonl", keyword_rows(taxonomy, 1))
    with pytest.raises(InvalidInput, match=r"[01] rows are too few"):
        gather(load_config(overrides=[f"data.train={one}", f"data.validation={rows}"]))


def test_gather_refuses_the_corpus_for_other_labels(tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(SMALL_TAXONOMY, encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"other labels than taxonomy toy-1 .*data\.train"):
        gather(load_config(overrides=[f"data.taxonomy={tmp_path / 'toy.yaml'}"]))


def test_start_from_refuses_bases_it_cannot_train(
    tiny_base: Path, model_folder: Path, taxonomy: Taxonomy, tmp_path: Path
) -> None:
    def start(base: Path, *overrides: str) -> None:
        start_from(load_config(overrides=[f"model.base={base}", "model.max_tokens=64", *overrides]), taxonomy)

    for place in (tmp_path / "nothing" / "here", tmp_path.relative_to(tmp_path.anchor) / "nothing"):
        with pytest.raises(InvalidInput, match=r"nothing.*: there is no such folder; check the path"):
            start(place)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match=r"holds no encoder: expected a folder with config\.json"):
        start(tmp_path / "empty")
    with pytest.raises(InvalidArtefact, match="came without torch/"):
        start(model_folder)
    with pytest.raises(InvalidInput, match="reads at most 96 tokens"):
        start(tiny_base, "model.max_tokens=128")
    with pytest.raises(InvalidInput, match="has 2 layers"):
        start(tiny_base, "model.layers=5")
    (tmp_path / "part").mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "part" / name).write_bytes((tiny_base / name).read_bytes())
    with pytest.raises(InvalidInput, match=r"model\.base .* cannot be loaded"):
        start(tmp_path / "part")


def test_check_base_asks_the_hub_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(_: object, name: str, timeout: float) -> None:
        asked.append(name)
        if name == "nope/nope":
            raise ConnectionError("no route")

    monkeypatch.setattr("training.encoder.HfApi.model_info", answer)
    with pytest.raises(InvalidInput, match="nope/nope: is no folder here, and the hub cannot be asked for it: no rou"):
        load_tokenizer("nope/nope")
    check_base("owner/encoder")
    check_base("encoder-base")
    assert asked == ["nope/nope", "owner/encoder", "encoder-base"]
    # The owner's name is a folder here: a path is meant.
    with pytest.raises(InvalidInput, match="there is no such folder"):
        check_base("training/encoder-base")
    assert len(asked) == 3


def test_train_refuses_to_overwrite_before_it_trains(tiny_base: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "notes.txt").write_text("mine")
    with pytest.raises(InvalidArtefact, match="no model folder"):
        train(settings(tiny_base, "corpus", "corpus"), tmp_path, name="toy", version="1")
