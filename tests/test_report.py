from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from model.taxonomy import Taxonomy
from training import metrics, reliability, resampling
from training.pairs import pair_up
from training.report import render, write_report

VOID = {"meta", "br", "line", "polyline", "input", "img", "link", "hr"}
FETCHING = {"script", "link", "img", "iframe", "object", "embed", "audio", "video", "source", "use", "image"}


class Page(HTMLParser):
    """Checks that tags nest, and collects what a browser would fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetches: list[str] = []
        self.shown: list[str] = []
        self.feed(html)
        self.close()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in FETCHING or {"src", "href", "srcset", "action"} & {name for name, _ in attrs}:
            self.fetches.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        self.shown.append(data)


def rows_of(taxonomy: Taxonomy) -> tuple[dict[str, Any], dict[str, Any]]:
    gold: dict[str, Any] = {}
    predicted: dict[str, Any] = {}
    for i in range(40):
        level = i % taxonomy.levels
        row = {
            "text": f"<script>alert({i})</script>快递晚了 & 没人管",
            "causes": [taxonomy.cause_ids[i % 7]] if level else [],
            "motives": [taxonomy.motive_ids[i % 3]] if level else [],
            "severity": level,
            "style": taxonomy.style_ids[i % 2],
        }
        gold[str(i)] = row
        wrong = {"causes": [], "severity": 0} if i % 6 == 1 else {}
        predicted[str(i)] = {**row, **wrong, "confidence": (i % 10) / 10}
    return gold, predicted


def result_of(gold: dict[str, Any], predicted: dict[str, Any], taxonomy: Taxonomy) -> dict[str, Any]:
    pairs = pair_up(gold, predicted, taxonomy)
    return {
        **metrics.evaluate_pairs(pairs),
        "not_measured": {},
        "notes": [],
        "intervals": resampling.bootstrap(pairs, resamples=20),
        "labels": metrics.label_tables(pairs),
        "calibration": reliability.calibration(pairs),
        "coverage_risk": reliability.coverage_risk(pairs),
        "severity_confusion": metrics.severity_confusion(pairs),
        "worst": metrics.worst_cases(pairs, limit=3),
        "facts": {"predictions": "answers.jsonl", "seed": "0"},
    }


def test_report_nests_and_fetches_nothing(taxonomy: Taxonomy) -> None:
    gold, predicted = rows_of(taxonomy)
    html = render(result_of(gold, predicted, taxonomy), gold, predicted, taxonomy)
    page = Page(html)
    assert page.open == []
    assert page.fetches == []
    assert not re.search(r"https?:|//[a-z]|url\(|@import", html)
    assert "prefers-color-scheme:dark" in html
    assert 'name="viewport"' in html


def test_report_escapes_customers_texts(taxonomy: Taxonomy) -> None:
    gold, predicted = rows_of(taxonomy)
    html = render(result_of(gold, predicted, taxonomy), gold, predicted, taxonomy)
    assert "<script" not in html
    assert "&lt;script&gt;alert(" in html
    assert any("<script>alert(" in text for text in Page(html).shown)


def test_report_shows_figures_with_intervals_and_baseline(taxonomy: Taxonomy) -> None:
    gold, predicted = rows_of(taxonomy)
    result = result_of(gold, predicted, taxonomy)
    other = {key: row | {"confidence": 0.5, "severity": 1} for key, row in predicted.items()}
    weak = result_of(gold, other, taxonomy)
    result["baseline"] = {
        **{key: weak[key] for key in ("intervals", "labels", "calibration", "coverage_risk")},
        "figures": weak,
        "difference": resampling.paired_bootstrap(gold, predicted, other, taxonomy, resamples=20),
    }
    html = render(result, gold, predicted, taxonomy)
    assert Page(html).open == []
    for shown in (f"{result['index']:.4f}", f"{weak['index']:.4f}", f"{result['intervals']['index'][0]:.3f}"):
        assert shown in html
    for label in (*taxonomy.causes, *taxonomy.severities, *taxonomy.styles):
        assert label.zh in html
    assert html.count("<svg") == 2


def test_report_works_without_confidence_and_with_cause_probabilities(taxonomy: Taxonomy) -> None:
    gold, predicted = rows_of(taxonomy)
    for row in predicted.values():
        del row["confidence"]
        row["cause_probabilities"] = dict.fromkeys(taxonomy.cause_ids, 0.5)
    html = render(result_of(gold, predicted, taxonomy), gold, predicted, taxonomy)
    assert "carry no confidence" in html
    assert "<th>ECE</th>" in html
    assert Page(html).open == []


def test_write_report_leaves_nothing_half_written(
    taxonomy: Taxonomy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gold, predicted = rows_of(taxonomy)
    gold["1"]["text"] = "半个表情\ud83d"
    result = result_of(gold, predicted, taxonomy)
    target = tmp_path / "report.html"
    write_report(target, result, gold, predicted, taxonomy)
    before = target.read_bytes()
    assert before.decode("utf-8").startswith("<!doctype html>")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_report(target, result, gold, predicted, taxonomy)
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]
