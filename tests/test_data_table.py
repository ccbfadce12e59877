from __future__ import annotations

import pytest

from data.schema import LabelledText
from data.table import to_dataset
from model.taxonomy import load_taxonomy

TAXONOMY = load_taxonomy()
ROWS = [
    LabelledText(
        id="1",
        text="灯坏了",
        causes=("service.response", "quality.defect"),
        motives=("respect",),
        severity=2,
        style="lively",
    ),
    LabelledText(id="2", text="几点关门", severity=0),
]


def test_table_columns() -> None:
    dataset = to_dataset(ROWS, TAXONOMY)
    assert dataset["text"][:] == ["灯坏了", "几点关门"]
    complaint, other = dataset[0], dataset[1]
    assert [i for i, hot in enumerate(complaint["causes"]) if hot] == sorted(
        TAXONOMY.cause_ids.index(cause) for cause in ROWS[0].causes
    )
    assert complaint["primary_cause"] == TAXONOMY.cause_ids.index("service.response")
    assert complaint["primary_motive"] == TAXONOMY.motive_ids.index("respect")
    assert (complaint["severity"], complaint["style"]) == (2, TAXONOMY.style_ids.index("lively"))
    assert (other["primary_cause"], other["primary_motive"], other["severity"]) == (-1, -1, 0)
    assert len(other["causes"]) == len(TAXONOMY.causes)
    assert not any(other["causes"])
    assert other["weight"] == 1.0


def test_table_of_nothing_has_the_same_features() -> None:
    assert to_dataset([], TAXONOMY).features == to_dataset(ROWS, TAXONOMY).features


def test_table_refuses_labels_of_another_taxonomy() -> None:
    foreign = ROWS[0].model_copy(update={"causes": ("service.response", "elsewhere")})
    with pytest.raises(ValueError, match="outside taxonomy"):
        to_dataset([foreign], TAXONOMY)
