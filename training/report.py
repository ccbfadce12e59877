"""The evaluation report: one HTML file that opens anywhere, offline, light or dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from model.atomic import atomic_writer
from model.taxonomy import Label, Taxonomy
from training.measurable import told
from training.metrics import INDEX_PARTS

TEMPLATES = Path(__file__).with_name("templates")
# Inner size of a plot in SVG units; probabilities map onto it.
PLOT = 240
_CURVE_POINTS = 200
HEADLINE = {
    "index": "Index",
    "group_macro_f1": "Cause group, macro F1",
    "cause_micro_f1": "Cause, micro F1",
    "motive_macro_f1": "Motive, macro F1",
    "severity_qwk": "Severity, quadratic kappa",
    "complaint_f1": "Complaint or not, F1",
}
DIMENSIONS = {
    "groups": "Cause groups",
    "causes": "Causes",
    "motives": "Motives (primary, complaints only)",
    "severity": "Severity levels",
    "style": "Styles (complaints only)",
}


def _plot_points(xs: Sequence[float], ys: Sequence[float], top: float = 1.0) -> list[tuple[float, float]]:
    """Plot positions of points with x in 0..1 and y in 0..``top``; y grows downwards in SVG."""
    return [(round(x * PLOT, 1), round((1 - y / top) * PLOT, 1)) for x, y in zip(xs, ys, strict=True)]


def _reliability(calibration: Mapping[str, Any]) -> dict[str, Any] | None:
    found = calibration.get("confidence")
    if not found:
        return None
    curve = found["curve"]
    points = _plot_points([b["probability"] for b in curve], [b["right"] for b in curve])
    return {"ece": found["ece"], "points": list(zip(points, curve, strict=True))}


def _thinned(values: Sequence[float]) -> list[float]:
    """At most ``_CURVE_POINTS`` values, the last one always kept."""
    step = max(1, -(-len(values) // _CURVE_POINTS))
    return list(values[::-1][::step][::-1])


def _risk_top(curves: Sequence[Mapping[str, Any] | None]) -> float:
    """Height of the risk axis: a round tenth above all risks beyond the noisy first few rows."""
    settled = [max(curve["risk"][len(curve["risk"]) // 20 :]) for curve in curves if curve]
    return min(1.0, (int(10 * max(settled, default=1.0)) + 1) / 10)


def _risk(curve: Mapping[str, Any] | None, top: float) -> dict[str, Any] | None:
    if not curve:
        return None
    risks = [min(top, risk) for risk in _thinned(curve["risk"])]
    points = " ".join(f"{x},{y}" for x, y in _plot_points(_thinned(curve["coverage"]), risks, top))
    return {"aurc": curve["aurc"], "best_aurc": curve["best_aurc"], "points": points}


def _names(labels: Sequence[Label]) -> dict[str, str]:
    return {label.id: f"{label.zh} · {label.en}" for label in labels}


def _cases(
    ids: Sequence[str],
    gold: Mapping[str, Mapping[str, Any]],
    predicted: Mapping[str, Mapping[str, Any]],
    taxonomy: Taxonomy,
) -> list[dict[str, Any]]:
    causes, motives = _names(taxonomy.causes), _names(taxonomy.motives)

    def shown(row: Mapping[str, Any]) -> dict[str, str]:
        level = taxonomy.severities[row["severity"]]
        return {
            "causes": "; ".join(causes[c] for c in row["causes"]) or "none",
            "motives": "; ".join(motives[m] for m in row["motives"]) or "none",
            "severity": f"{level.id} {level.zh}",
        }

    return [
        {
            "id": key,
            "text": gold[key].get("text", ""),
            "confidence": predicted[key].get("confidence"),
            "gold": shown(gold[key]),
            "predicted": shown(predicted[key]),
        }
        for key in ids
    ]


def render(
    result: Mapping[str, Any],
    gold: Mapping[str, Mapping[str, Any]],
    predicted: Mapping[str, Mapping[str, Any]],
    taxonomy: Taxonomy,
) -> str:
    """The report of an evaluation (``Evaluation.result`` and its rows) as HTML that fetches nothing."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    other = result.get("baseline")
    top = _risk_top([result["coverage_risk"], other and other["coverage_risk"]])
    confusion = result["severity_confusion"]
    return environment.get_template("report.html.j2").render(
        result=result,
        subject=result["facts"].get("model") or result["facts"].get("predictions", "predictions"),
        baseline=other,
        headline=HEADLINE,
        index_parts=[HEADLINE[part] for part in INDEX_PARTS],
        figures=list(result["intervals"]),
        not_measured=told(result["not_measured"]),
        dimensions=DIMENSIONS,
        baseline_f1={d: {r["label"]: r["f1"] for r in rows} for d, rows in other["labels"].items()} if other else {},
        plot=PLOT,
        reliability=_reliability(result["calibration"]),
        baseline_reliability=_reliability(other["calibration"]) if other else None,
        cause_calibration=result["calibration"].get("causes"),
        risk=_risk(result["coverage_risk"], top),
        baseline_risk=_risk(other["coverage_risk"], top) if other else None,
        risk_top=top,
        confusion=[(line, max(1, sum(line))) for line in confusion],
        levels=[f"{label.id} {label.zh}" for label in taxonomy.severities],
        confident=_cases(result["worst"]["confident"], gold, predicted, taxonomy),
        missed=_cases(result["worst"]["severity"], gold, predicted, taxonomy),
    )


def write_report(
    path: Path,
    result: Mapping[str, Any],
    gold: Mapping[str, Mapping[str, Any]],
    predicted: Mapping[str, Mapping[str, Any]],
    taxonomy: Taxonomy,
) -> None:
    """Write :func:`render`'s HTML to ``path``, whole or not at all; raises OSError as ``open`` does."""
    page = render(result, gold, predicted, taxonomy)
    with atomic_writer(path) as handle:
        # A gold text may hold half an emoji, which UTF-8 cannot.
        handle.write(page.encode("utf-8", "replace").decode("utf-8"))
