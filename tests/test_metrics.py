from __future__ import annotations

import itertools
import random
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.errors import InvalidInput
from model.taxonomy import Taxonomy, load_taxonomy, parse_taxonomy
from training.metrics import evaluate, label_tables, severity_confusion, worst_cases
from training.pairs import pair_up
from training.reliability import calibration, coverage_risk, reliability
from training.resampling import bootstrap, paired_bootstrap

Rows = dict[str, dict[str, Any]]

# Three levels, causes whose ids do not begin with their group, styles of other names.
SMALL = """
version: "t"
groups: [{id: goods, zh: 货, en: Goods, definition: d}, {id: people, zh: 人, en: People, definition: d}]
causes:
  - {id: broken, group: goods, zh: 坏, en: Broken, definition: d}
  - {id: lost, group: goods, zh: 丢, en: Lost, definition: d}
  - {id: rude, group: people, zh: 凶, en: Rude, definition: d}
motives: [{id: money, zh: 钱, en: Money, definition: d}, {id: sorry, zh: 歉, en: Apology, definition: d}]
severities:
  - {id: "0", zh: 无, en: None, definition: d}
  - {id: "1", zh: 轻, en: Low, definition: d}
  - {id: "2", zh: 重, en: High, definition: d}
styles: [{id: calm, zh: 静, en: Calm, definition: d, neutral: true}, {id: loud, zh: 闹, en: Loud, definition: d}]
"""


@pytest.fixture(scope="module")
def small() -> Taxonomy:
    return parse_taxonomy(SMALL, Path("small.yaml"))


def synthetic(taxonomy: Taxonomy, seed: int, rows: int, *, agreement: float = 0.6) -> tuple[Rows, Rows]:
    """Gold and predicted rows; uses only ``random()``, whose stream Python guarantees."""
    source = random.Random(seed)

    def below(n: int) -> int:
        return int(source.random() * n)

    def some(labels: tuple[str, ...], most: int) -> list[str]:
        # Square of a uniform number: the first labels are common, the last ones rare.
        picked = [labels[int(source.random() ** 2 * len(labels))] for _ in range(below(most + 1))]
        return list(dict.fromkeys(picked))

    def row(key: str) -> dict[str, Any]:
        level = below(taxonomy.levels)
        found: dict[str, Any] = {"id": key, "text": f"第{key}条", "severity": level}
        found["causes"] = some(taxonomy.cause_ids, 3) if level else []
        found["motives"] = some(taxonomy.motive_ids, 2) if level else []
        if source.random() < 0.8:
            found["style"] = taxonomy.style_ids[below(len(taxonomy.style_ids))]
        return found

    gold = {str(i): row(str(i)) for i in range(rows)}
    predicted: Rows = {}
    for key, truth in gold.items():
        if source.random() < 0.95:
            guess = row(key)
            for field in ("causes", "motives", "severity"):
                if source.random() < agreement:
                    guess[field] = truth[field]
            # Few distinct values, so that ties occur.
            predicted[key] = guess | {"confidence": round(source.random(), 1)}
    return gold, predicted


def f1_of_sets(gold: set[Any], given: set[Any]) -> float:
    return 2 * len(gold & given) / (len(gold) + len(given)) if gold or given else 0.0


def restated(gold: Rows, predicted: Rows, taxonomy: Taxonomy, counted: Collection[str] | None = None) -> dict[str, Any]:
    """The definitions once more, row by row, over sets of (row, label).

    ``counted`` are the causes with enough gold rows, those of a sample where a resample of it is measured.
    """
    ids = [key for key in gold if key in predicted]
    real = [key for key in ids if gold[key]["severity"] != 0]

    def labels_of(rows: Rows, field: str) -> set[tuple[str, str]]:
        if field == "groups":
            return {(key, taxonomy.group_of[c]) for key, c in labels_of(rows, "causes")}
        return {(key, label) for key in ids for label in rows[key][field]}

    def by_label(g: set[tuple[str, str]], p: set[tuple[str, str]], minimum: int = 1) -> dict[str, float]:
        def only(pairs: set[tuple[str, str]], label: str) -> set[tuple[str, str]]:
            return {pair for pair in pairs if pair[1] == label}

        seen = {label for _, label in g}
        return {x: f1_of_sets(only(g, x), only(p, x)) for x in seen if len(only(g, x)) >= minimum}

    def average(values: list[float]) -> float:
        return sum(values) / len(values) if values else 0.0

    def primary(rows: Rows, key: str, field: str) -> str:
        return str((rows[key][field] or ["-"])[0])

    def group(rows: Rows, key: str) -> str:
        return taxonomy.group_of.get(primary(rows, key, "causes"), "-")

    def style(rows: Rows, key: str) -> str:
        return str(rows[key].get("style", taxonomy.neutral_style))

    def firsts(rows: Rows) -> set[tuple[str, str]]:
        return {(key, primary(rows, key, "motives")) for key in real if rows[key]["motives"]}

    def same(of: Any) -> float:
        return average([float(of(gold, key) == of(predicted, key)) for key in real])

    out: dict[str, Any] = {"rows": len(ids), "missing": len(gold) - len(ids), "complaints": len(real)}
    out["complaint_f1"] = f1_of_sets(set(real), {key for key in ids if predicted[key]["severity"] != 0})
    for name, field, minimum in (("group", "groups", 1), ("cause", "causes", 10)):
        g, p = labels_of(gold, field), labels_of(predicted, field)
        out[f"{name}_micro_f1"] = f1_of_sets(g, p)
        out[f"{name}_f1"] = by_label(g, p, minimum)
        if counted is not None and name == "cause":
            out["cause_f1"] = {label: f1 for label, f1 in by_label(g, p).items() if label in counted}
        out[f"{name}_macro_f1"] = average(list(out[f"{name}_f1"].values()))
    out["group_primary_accuracy"] = same(group)
    out["cause_primary_accuracy"] = same(lambda rows, key: primary(rows, key, "causes"))
    out["motive_accuracy"] = same(lambda rows, key: primary(rows, key, "motives"))
    out["motive_f1"] = by_label(firsts(gold), firsts(predicted))
    out["motive_macro_f1"] = average(list(out["motive_f1"].values()))
    out["motive_any_micro_f1"] = f1_of_sets(labels_of(gold, "motives"), labels_of(predicted, "motives"))
    levels = [(gold[key]["severity"], predicted[key]["severity"]) for key in ids]
    observed = average([(g - p) ** 2 for g, p in levels])
    # By chance: every gold level meets every predicted level.
    chance = average([(g - p) ** 2 for (g, _), (_, p) in itertools.product(levels, levels)])
    out["severity_qwk"] = 1 - observed / chance if chance else 1.0
    out["severity_accuracy"] = average([float(g == p) for g, p in levels])
    out["severity_within_1"] = average([float(abs(g - p) < 2) for g, p in levels])
    top = taxonomy.levels - 1
    out[f"critical_recall_at_{top - 1}_or_more"] = average([float(p >= top - 1) for g, p in levels if g == top])
    out["critical_f1"] = f1_of_sets(
        {key for key in ids if gold[key]["severity"] == top}, {key for key in ids if predicted[key]["severity"] == top}
    )
    out["style_accuracy"] = same(style)
    out["style_f1"] = by_label({(k, style(gold, k)) for k in real}, {(k, style(predicted, k)) for k in real})
    out["style_macro_f1"] = average(list(out["style_f1"].values()))
    parts = ("group_macro_f1", "cause_micro_f1", "motive_macro_f1", "severity_qwk")
    out["index"] = average([out[part] for part in parts])
    if all("confidence" in predicted[key] for key in ids):
        surest = sorted(real, key=lambda key: predicted[key]["confidence"], reverse=True)
        for share in (90, 80, 70):
            kept = surest[: max(1, int(len(surest) * share / 100 + 1e-9))]
            right = [primary(gold, key, "causes") == primary(predicted, key, "causes") for key in kept]
            out[f"cause_primary_accuracy_at_{share}"] = average([float(x) for x in right])
    return out


def assert_equal(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, abs=1e-12), key


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", ["shipped", "small"])
def test_metrics_agree_with_the_definitions(name: str, seed: int, small: Taxonomy) -> None:
    taxonomy = small if name == "small" else load_taxonomy()
    gold, predicted = synthetic(taxonomy, seed, (3, 20, 150)[seed % 3], agreement=(0.3, 0.9)[seed % 2])
    if seed % 4 == 3:
        del next(iter(predicted.values()))["confidence"]
    assert_equal(evaluate(gold, predicted, taxonomy), restated(gold, predicted, taxonomy))


def test_metrics_keep_their_golden_numbers(taxonomy: Taxonomy) -> None:
    # Computed by an independent script, the project's definition of every figure, on these very rows.
    found = evaluate(*synthetic(taxonomy, 2024, 400), taxonomy)
    golden = {
        "rows": 377,
        "missing": 23,
        "complaints": 301,
        "complaint_f1": 0.9134125636672326,
        "group_micro_f1": 0.6912181303116147,
        "group_macro_f1": 0.6340656164625086,
        "group_primary_accuracy": 0.6810631229235881,
        "cause_micro_f1": 0.6045400238948626,
        "cause_macro_f1": 0.5994202386879135,
        "cause_primary_accuracy": 0.6312292358803987,
        "motive_accuracy": 0.6611295681063123,
        "motive_macro_f1": 0.6336060867068618,
        "motive_any_micro_f1": 0.6189624329159212,
        "severity_qwk": 0.6066329081290489,
        "severity_accuracy": 0.6843501326259946,
        "severity_within_1": 0.8116710875331565,
        "critical_recall_at_3_or_more": 0.7538461538461538,
        "critical_f1": 0.7164179104477612,
        "style_accuracy": 0.2059800664451827,
        "style_macro_f1": 0.14484371239595872,
        "index": 0.6197111587983205,
        "cause_primary_accuracy_at_90": 0.6259259259259259,
        "cause_primary_accuracy_at_80": 0.6083333333333333,
        "cause_primary_accuracy_at_70": 0.6,
    }
    assert {key: found[key] for key in golden} == pytest.approx(golden, abs=1e-12)


def test_metrics_of_rows_without_labels(taxonomy: Taxonomy) -> None:
    row = {"causes": [], "motives": [], "severity": 0}
    found = evaluate({"a": row, "b": row}, {"a": row | {"confidence": 1.0}, "c": row}, taxonomy)
    assert (found["rows"], found["missing"], found["complaints"]) == (1, 1, 0)
    assert found["complaint_f1"] == found["cause_micro_f1"] == found["cause_primary_accuracy_at_90"] == 0
    assert found["severity_qwk"] == 1
    assert coverage_risk(pair_up({"a": row}, {"a": row | {"confidence": 1.0}}, taxonomy)) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"causes": ["quality.colour"]}, "predicted row 'a': cause 'quality.colour' is not in the taxonomy"),
        ({"motives": ["fun"]}, "motive 'fun'"),
        ({"style": "loud"}, "style 'loud'"),
        ({"severity": 5}, "severity 5 is not a level 0-4"),
        ({"severity": "2"}, "field 'severity'"),
        ({"causes": "quality.defect"}, "field 'causes'"),
        ({"confidence": 1.5}, "confidence must be a number"),
        ({"confidence": float("nan")}, "confidence must be a number"),
    ],
)
def test_metrics_refuse_unusable_rows(change: dict[str, Any], message: str, taxonomy: Taxonomy) -> None:
    row = {"causes": [], "motives": [], "severity": 2}
    with pytest.raises(InvalidInput, match=message.replace("(", r"\(")):
        evaluate({"a": row}, {"a": row | change}, taxonomy)


def test_metrics_refuse_files_without_a_common_id(taxonomy: Taxonomy) -> None:
    row = {"causes": [], "motives": [], "severity": 2}
    with pytest.raises(InvalidInput, match="none of the 1 gold ids"):
        evaluate({"a": row}, {"b": row}, taxonomy)


def test_label_tables_count_each_label(small: Taxonomy) -> None:
    gold = {str(i): {"causes": c, "motives": ["money"], "severity": 1} for i, c in enumerate([["lost"], ["lost"], []])}
    given = {
        key: row | {"causes": c} for (key, row), c in zip(gold.items(), [["lost"], ["rude"], ["lost"]], strict=True)
    }
    rows = {row["label"]: row for row in label_tables(pair_up(gold, given, small))["causes"]}
    lost = rows["lost"]
    assert (lost["precision"], lost["recall"], lost["f1"], lost["support"], lost["predicted"]) == (0.5, 0.5, 0.5, 2, 2)
    assert (rows["rude"]["support"], rows["rude"]["predicted"], rows["broken"]["f1"]) == (0, 1, 0)


def test_reliability_has_bins_of_equal_mass() -> None:
    source = np.random.default_rng(0)
    probability = source.random(3000)
    honest = reliability(probability, source.random(3000) < probability)
    assert [bin_["rows"] for bin_ in honest["curve"]] == [200] * 15
    assert honest["ece"] < 0.05
    sure = reliability(np.full(100, 0.9), np.arange(100) < 50)
    assert sure["ece"] >= 0.4 - 1e-9
    assert reliability(np.array([0.25]), np.array([True]))["ece"] == pytest.approx(0.75)


def test_calibration_covers_every_cause_probability(small: Taxonomy) -> None:
    gold, predicted = synthetic(small, 5, 60)
    assert "causes" not in calibration(pair_up(gold, predicted, small))
    for row in predicted.values():
        row["cause_probabilities"] = {c: float(c in row["causes"]) for c in small.cause_ids}
    found = calibration(pair_up(gold, predicted, small))
    assert set(found["causes"]["labels"]) == set(small.cause_ids)
    assert found["confidence"]["rows"] == sum(gold[key]["severity"] > 0 for key in predicted)


def test_coverage_risk_is_best_where_errors_come_last(small: Taxonomy) -> None:
    gold = {str(i): {"causes": ["lost"], "motives": [], "severity": 1} for i in range(4)}
    given = {key: row | {"confidence": 1 - int(key) / 10} for key, row in gold.items()}
    given["3"] |= {"causes": ["rude"]}
    curve = coverage_risk(pair_up(gold, given, small))
    assert curve is not None
    assert curve["risk"] == [0, 0, 0, 0.25]
    assert curve["aurc"] == curve["best_aurc"] == 0.0625
    given["3"]["confidence"] = 1.0
    given["0"]["confidence"] = 0.5
    worse = coverage_risk(pair_up(gold, given, small))
    assert worse is not None
    assert worse["aurc"] > worse["best_aurc"] == 0.0625


def test_bootstrap_is_seeded_and_holds_the_figure(taxonomy: Taxonomy) -> None:
    pairs = pair_up(*synthetic(taxonomy, 8, 760), taxonomy)
    found = bootstrap(pairs, resamples=200, seed=1)
    assert found == bootstrap(pairs, resamples=200, seed=1) != bootstrap(pairs, resamples=200, seed=2)
    figures = evaluate(*synthetic(taxonomy, 8, 760), taxonomy)
    assert set(found) == {key for key, value in figures.items() if isinstance(value, float)}
    for key, (low, high) in found.items():
        assert low <= figures[key] <= high, key


def test_bootstrap_equals_plain_resampling(small: Taxonomy) -> None:
    gold, predicted = synthetic(small, 9, 40)
    pairs = pair_up(gold, predicted, small)
    counts = np.random.default_rng(4).multinomial(len(pairs.ids), np.full(len(pairs.ids), 1 / len(pairs.ids)), size=25)
    plain: dict[str, list[float]] = {}
    # One cause of the sample lies just beyond the bound, so that many resamples have too few rows of it.
    counted = evaluate(gold, predicted, small)["cause_f1"].keys()
    for line in counts:
        drawn = [(f"{key}/{copy}", key) for key, times in zip(pairs.ids, line, strict=True) for copy in range(times)]
        figures = restated({a: gold[b] for a, b in drawn}, {a: predicted[b] for a, b in drawn}, small, counted)
        for key, value in figures.items():
            if isinstance(value, float):
                plain.setdefault(key, []).append(value)
    for key, interval in bootstrap(pairs, resamples=25, seed=4).items():
        assert interval == pytest.approx(tuple(np.quantile(plain[key], [0.025, 0.975])), abs=1e-12), key


def test_paired_bootstrap_sees_what_separate_intervals_hide(taxonomy: Taxonomy) -> None:
    gold, good = synthetic(taxonomy, 10, 300, agreement=0.9)
    worse = {key: row | ({"severity": 0} if int(key) % 20 == 0 else {}) for key, row in good.items()}
    found = paired_bootstrap(gold, good, worse, taxonomy, seed=3)
    assert found["severity_qwk"]["low"] > 0
    assert found["severity_qwk"]["p"] < 0.05
    same = paired_bootstrap(gold, good, good, taxonomy, resamples=50)
    assert same["index"] == {"difference": 0, "low": 0, "high": 0, "p": 1.0}


def test_severity_confusion_is_gold_by_predicted(small: Taxonomy) -> None:
    gold = {str(i): {"causes": [], "motives": [], "severity": level} for i, level in enumerate([0, 1, 2, 2])}
    given = {key: gold[key] | {"severity": level} for key, level in zip(gold, [0, 1, 1, 2], strict=True)}
    assert severity_confusion(pair_up(gold, given, small)) == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]


def test_worst_cases_put_surest_and_underestimated_first(small: Taxonomy) -> None:
    gold = {
        key: {"causes": ["lost"], "motives": [], "severity": level}
        for key, level in {"fine": 1, "over": 0, "under": 2, "sure": 1, "unsure": 1}.items()
    }
    given = {key: row | {"confidence": 0.5} for key, row in gold.items()}
    given["over"]["severity"], given["under"]["severity"] = 2, 0
    given["sure"] |= {"causes": ["rude"], "confidence": 0.9}
    given["unsure"] |= {"causes": [], "confidence": 0.1}
    found = worst_cases(pair_up(gold, given, small))
    assert found == {"confident": ["sure", "unsure"], "severity": ["under", "over"]}
