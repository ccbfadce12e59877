from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from data.schema import LabelledText
from model.errors import InvalidInput
from model.taxonomy import Taxonomy, parse_taxonomy
from tests.tiny import SMALL_TAXONOMY
from training.distil import write_soft
from training.targets import COLUMNS, LABELS, labelled_table, motive_weights, read_soft_table

SMALL = parse_taxonomy(SMALL_TAXONOMY, Path("toy.yaml"))


def row(number: int, **labels: object) -> LabelledText:
    return LabelledText.parse({"id": str(number), "text": f"第{number}件", "severity": 0, **labels}, SMALL)


def soft(rows: int, taxonomy: Taxonomy = SMALL) -> dict[str, np.ndarray]:
    sizes = (len(taxonomy.causes),) * 2 + (len(taxonomy.motives),) * 2 + (taxonomy.levels, len(taxonomy.styles))
    rng = np.random.default_rng(0)
    return {name: rng.random((rows, size)) for name, size in zip(COLUMNS, sizes, strict=True)}


ROWS = [
    row(1, causes=["people.rude", "thing.broken"], motives=["sorry"], severity=3, style="exact", origin="authored"),
    row(2),
    row(3, motives=["money", "talk"], severity=1),
]


def test_labelled_table_holds_the_targets_of_each_row() -> None:
    table = labelled_table(ROWS, SMALL, {"authored": 0.5})
    assert table["weight"][:] == [0.5, 1.0, 1.0]
    first, other, uncaused = table[0], table[1], table[2]
    assert first["causes"] == [1, 0, 1, 0]
    assert first["primary_cause"] == [0, 0, 1, 0]
    assert first["motives"] == first["primary_motive"] == [0, 1, 0]
    assert first["severity"] == [0, 0, 0, 1]
    assert first["style"] == [0, 0, 1]
    assert not any(other["causes"] + other["primary_cause"] + other["motives"] + other["primary_motive"])
    assert other["severity"] == [1, 0, 0, 0]
    assert other["style"] == [1, 0, 0]
    assert not any(uncaused["primary_cause"])
    assert uncaused["motives"] == [1, 0, 1]
    assert uncaused["primary_motive"] == [1, 0, 0]


def test_labelled_table_of_nothing_has_the_same_columns() -> None:
    assert labelled_table([], SMALL, {}).features == labelled_table(ROWS, SMALL, {}).features


def test_soft_table_comes_back_as_written(tmp_path: Path) -> None:
    path, targets = tmp_path / "deep" / "soft.parquet", soft(3)
    write_soft(path, ["甲", "乙", "丙"], targets, SMALL)
    assert [p.name for p in path.parent.iterdir()] == ["soft.parquet"]
    table = read_soft_table(path, SMALL, 0.25)
    assert table.features == labelled_table(ROWS, SMALL, {}).features
    assert table["text"][:] == ["甲", "乙", "丙"]
    assert table["weight"][:] == [0.25] * 3
    for name in COLUMNS:
        assert np.allclose(table.with_format("numpy")[name][:], targets[name])


def test_soft_table_refuses_other_labels_and_other_files(taxonomy: Taxonomy, tmp_path: Path) -> None:
    write_soft(tmp_path / "soft.parquet", ["甲"], soft(1), SMALL)
    with pytest.raises(InvalidInput, match=r"other labels .*number 1 of its causes is 'thing\.broken', of taxonomy"):
        read_soft_table(tmp_path / "soft.parquet", taxonomy, 1.0)
    labelled_table(ROWS, SMALL, {}).to_parquet(str(tmp_path / "hard.parquet"))
    with pytest.raises(InvalidInput, match="not those of a soft-target file"):
        read_soft_table(tmp_path / "hard.parquet", SMALL, 1.0)
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(InvalidInput, match="not a Parquet file"):
        read_soft_table(tmp_path / "text.parquet", SMALL, 1.0)
    with pytest.raises(InvalidInput, match="no such file"):
        read_soft_table(tmp_path / "none.parquet", SMALL, 1.0)


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        ("id: money", "id: cash", "number 1 of its motives is 'money', of taxonomy toy-1 'cash'"),
        ("id: thing.late", "id: thing.slow", "number 2 of its causes is 'thing.late', of taxonomy toy-1 'thing.slow'"),
        (
            "  - {id: witty, zh: 谐, en: Witty, definition: 谐}\n  - {id: exact, zh: 细, en: Exact, definition: 细}\n",
            "  - {id: exact, zh: 细, en: Exact, definition: 细}\n  - {id: witty, zh: 谐, en: Witty, definition: 谐}\n",
            "number 2 of its styles is 'witty', of taxonomy toy-1 'exact'",
        ),
        (
            "  - {id: talk, zh: 说说, en: Talk, definition: 说说而已}\n",
            "",
            "number 3 of its motives is 'talk', of taxonomy toy-1 none",
        ),
    ],
)
def test_soft_table_refuses_other_ids_and_another_order(tmp_path: Path, old: str, new: str, difference: str) -> None:
    path = tmp_path / "soft.parquet"
    write_soft(path, ["甲"], soft(1), SMALL)
    assert old in SMALL_TAXONOMY
    with pytest.raises(InvalidInput) as caught:
        read_soft_table(path, parse_taxonomy(SMALL_TAXONOMY.replace(old, new), Path("toy.yaml")), 1.0)
    assert str(path) in str(caught.value)
    assert difference in str(caught.value)


@pytest.mark.parametrize("note", [None, b"[]", b"{", b'{"causes": 4}'])
def test_soft_table_refuses_a_file_that_does_not_tell_its_labels(tmp_path: Path, note: bytes | None) -> None:
    path = tmp_path / "soft.parquet"
    write_soft(path, ["甲"], soft(1), SMALL)
    content = parquet.read_table(path)
    metadata = {key: value for key, value in content.schema.metadata.items() if key != LABELS}
    parquet.write_table(content.replace_schema_metadata(metadata | ({LABELS: note} if note else {})), path)
    with pytest.raises(InvalidInput, match=r"which labels it was made for; make it again with kesu distil"):
        read_soft_table(path, SMALL, 1.0)


def test_motive_weights_raise_rare_motives_within_bounds() -> None:
    rows = [row(i, motives=["money"], severity=1) for i in range(200)] + [
        row(i, motives=["talk"], severity=1) for i in range(20)
    ]
    weights = motive_weights(labelled_table(rows, SMALL, {}), 0.5).tolist()
    counts = np.array([201.0, 1.0, 21.0])
    assert weights == pytest.approx(np.clip((counts.mean() / counts) ** 0.5, 0.3, 4.0).tolist())
    assert motive_weights(labelled_table(rows, SMALL, {}), 0.0).tolist() == [1.0, 1.0, 1.0]
    assert motive_weights(labelled_table([row(1)], SMALL, {}), 0.5).tolist() == [1.0, 1.0, 1.0]
