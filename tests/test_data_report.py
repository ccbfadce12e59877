from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from data.audit import check
from data.readers import read_labelled
from data.report import print_report
from model.taxonomy import load_taxonomy


def test_print_report_cuts_no_label_for_many_splits(tmp_path: Path) -> None:
    splits = ["train", "dev", "test", "甲组二零二四", "second_half_of_year", "fold_1", "fold_2"]
    rows = [
        {"text": f"第{i}盏灯坏了", "causes": ["Q1"], "motives": ["vent"], "severity": 2, "split": split}
        for i, split in enumerate(splits)
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    taxonomy = load_taxonomy()
    page = io.StringIO()
    print_report(check([read_labelled(path)], taxonomy), Console(file=page, width=80))
    tables = page.getvalue().split("Texts by label")[1:]
    for table in tables:
        assert all(label in table for label in (*taxonomy.cause_ids, *taxonomy.motive_ids, *taxonomy.style_ids))
    assert len(tables) > 1
    assert "…" not in "".join(line for line in page.getvalue().splitlines() if line.startswith("│"))
    assert all(any(split in table for table in tables) for split in splits)
