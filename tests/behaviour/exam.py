"""The behavioural exam of a complaint classifier: loaded, validated and scored.

After CheckList (Ribeiro et al. 2020, "Beyond Accuracy: Behavioral Testing of NLP Models"). A case
either states what the labels of one text must be (minimum functionality), or gives rewordings
whose labels must equal those of the text, whatever they are (invariance).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

import yaml

EXAM_PATH = Path(__file__).with_name("exam.yaml")
CAPABILITIES = (
    "full_width", "traditional", "emoji", "polite_padding", "hotline_frame", "punctuation", "names", "typos",
    "negation", "fear_vs_fact", "quoted_shop", "solved_thanks", "long_tail_demand", "mixed",
)  # fmt: skip


class ExamError(ValueError):
    """The exam's file is wrong; the message names the case and the field."""

    def __init__(self, case: str, field_name: str, problem: str):
        super().__init__(f"case {case}: {field_name}: {problem}")


class Prediction(Protocol):
    """Labels of one text, the primary cause and the primary motive first; severity 0 is no complaint."""

    @property
    def causes(self) -> Sequence[str]: ...

    @property
    def motives(self) -> Sequence[str]: ...

    @property
    def severity(self) -> int: ...

    @property
    def style(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must hold of a prediction; an empty tuple or None demands nothing.

    ``primary_cause`` and ``primary_motive`` list the acceptable labels, any of which will do.
    """

    causes_include: tuple[str, ...] = ()
    causes_exclude: tuple[str, ...] = ()
    primary_cause: tuple[str, ...] = ()
    primary_motive: tuple[str, ...] = ()
    motives_include: tuple[str, ...] = ()
    severity_min: int | None = None
    severity_max: int | None = None
    severity: int | None = None
    complaint: bool | None = None
    style: str | None = None

    def breaches(self, got: Prediction) -> Iterator[tuple[str, str]]:
        """Pairs of what was expected and what came, one for each demand that does not hold."""
        causes, motives = f"causes {list(got.causes)}", f"motives {list(got.motives)}"
        severity = f"severity {got.severity}"
        if missing := [label for label in self.causes_include if label not in got.causes]:
            yield f"causes include {missing}", causes
        if present := [label for label in self.causes_exclude if label in got.causes]:
            yield f"causes exclude {present}", causes
        if self.primary_cause and (not got.causes or got.causes[0] not in self.primary_cause):
            yield f"primary cause {' or '.join(self.primary_cause)}", causes
        if self.primary_motive and (not got.motives or got.motives[0] not in self.primary_motive):
            yield f"primary motive {' or '.join(self.primary_motive)}", motives
        if missing := [label for label in self.motives_include if label not in got.motives]:
            yield f"motives include {missing}", motives
        if self.severity_min is not None and got.severity < self.severity_min:
            yield f"severity at least {self.severity_min}", severity
        if self.severity_max is not None and got.severity > self.severity_max:
            yield f"severity at most {self.severity_max}", severity
        if self.severity is not None and got.severity != self.severity:
            yield f"severity {self.severity}", severity
        if self.complaint is not None and (got.severity > 0) != self.complaint:
            yield "a complaint" if self.complaint else "no complaint", severity
        if self.style is not None and got.style != self.style:
            yield f"style {self.style}", f"style {got.style}"


@dataclass(frozen=True, slots=True)
class Case:
    """One question: ``expect`` for a minimum-functionality case, else ``variants`` for an invariance case.

    ``variants`` holds the written rewordings first, then one for each augmentation in ``perturb``.
    """

    id: str
    capability: str
    text: str
    expect: Expectation | None = None
    variants: tuple[str, ...] = ()
    perturb: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """One demand of a case that did not hold, with the text it was made of."""

    case_id: str
    capability: str
    text: str
    expected: str
    got: str


@dataclass(frozen=True, slots=True)
class Score:
    """Cases passed out of cases put."""

    passed: int
    total: int

    @property
    def rate(self) -> float:
        return self.passed / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class ExamResult:
    """Scores over all cases and by capability, and every failure in the order of the cases."""

    overall: Score
    by_capability: Mapping[str, Score]
    failures: tuple[Failure, ...] = field(repr=False)

    @property
    def pass_rate(self) -> float:
        return self.overall.rate

    def summary(self) -> str:
        """One line for the whole and one for each capability, the weakest first."""
        rows = [("overall", self.overall), *sorted(self.by_capability.items(), key=lambda row: row[1].rate)]
        return "\n".join(f"{name:<17} {score.passed:>3}/{score.total:<3} {score.rate:6.1%}" for name, score in rows)


@dataclass(frozen=True, slots=True)
class _Labels:
    """The values each labelled field of an expectation may take."""

    causes: frozenset[str]
    motives: frozenset[str]
    styles: frozenset[str]
    severities: int

    def of(self, field_name: str) -> frozenset[str]:
        if field_name == "style":
            return self.styles
        return self.causes if "cause" in field_name else self.motives


def _labels() -> _Labels:
    from model.taxonomy import load_taxonomy

    taxonomy = load_taxonomy()
    causes, motives, styles = (
        frozenset(label.id for label in labels) for labels in (taxonomy.causes, taxonomy.motives, taxonomy.styles)
    )
    return _Labels(causes, motives, styles, len(taxonomy.severities))


def _reject_unknown(case_id: str, field_name: str, value: Mapping[str, Any], known: Sequence[str]) -> None:
    if unknown := sorted(str(key) for key in value if key not in known):
        raise ExamError(case_id, field_name, f"unknown field {', '.join(unknown)}; known are {', '.join(known)}")


def _string(case_id: str, field_name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ExamError(case_id, field_name, f"must be a text that is not empty, not {value!r}")
    return value


def _strings(case_id: str, field_name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ExamError(case_id, field_name, f"must be a list that is not empty, not {value!r}")
    strings = tuple(_string(case_id, field_name, item) for item in value)
    if len(set(strings)) != len(strings):
        raise ExamError(case_id, field_name, "says the same thing twice")
    return strings


def _expected_value(case_id: str, name: str, value: Any, labels: _Labels) -> Any:
    where = f"expect.{name}"
    if name == "complaint":
        if not isinstance(value, bool):
            raise ExamError(case_id, where, f"must be true or false, not {value!r}")
        return value
    if name.startswith("severity"):
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < labels.severities:
            raise ExamError(case_id, where, f"must be a level from 0 to {labels.severities - 1}, not {value!r}")
        return value
    single = name == "style" or (name.startswith("primary_") and isinstance(value, str))
    found = (_string(case_id, where, value),) if single else _strings(case_id, where, value)
    if unknown := [label for label in found if label not in labels.of(name)]:
        raise ExamError(case_id, where, f"not in the taxonomy: {', '.join(unknown)}")
    return found[0] if name == "style" else found


def _expectation(case_id: str, value: Any, labels: _Labels) -> Expectation:
    if not isinstance(value, dict) or not value:
        raise ExamError(case_id, "expect", f"must be a mapping that is not empty, not {value!r}")
    _reject_unknown(case_id, "expect", value, [item.name for item in fields(Expectation)])
    expect = Expectation(**{name: _expected_value(case_id, name, raw, labels) for name, raw in value.items()})
    _reject_contradictions(case_id, expect, labels)
    return expect


def _reject_contradictions(case_id: str, expect: Expectation, labels: _Labels) -> None:
    if both := set(expect.causes_exclude) & {*expect.causes_include, *expect.primary_cause}:
        raise ExamError(case_id, "expect.causes_exclude", f"wanted elsewhere: {', '.join(sorted(both))}")
    low = expect.severity_min or 0
    high = labels.severities - 1 if expect.severity_max is None else expect.severity_max
    if expect.severity is not None:
        low, high = max(low, expect.severity), min(high, expect.severity)
    labelled = expect.causes_include or expect.primary_cause or expect.primary_motive or expect.motives_include
    if expect.complaint is False:
        high = min(high, 0)
        if labelled:
            raise ExamError(case_id, "expect.complaint", "what is no complaint has neither cause nor motive")
    elif expect.complaint or labelled:
        low = max(low, 1)
    if low > high:
        raise ExamError(case_id, "expect.severity", "no severity can meet all that is asked")


def _perturbed(case_id: str, text: str, names: tuple[str, ...]) -> Iterator[str]:
    from training.augment import AUGMENTATIONS

    for name in names:
        if name not in AUGMENTATIONS:
            raise ExamError(case_id, "perturb", f"unknown augmentation {name}; known are {', '.join(AUGMENTATIONS)}")
        changed = AUGMENTATIONS[name](text, random.Random(f"{case_id}:{name}"))
        if changed == text:
            raise ExamError(case_id, "perturb", f"{name} leaves the text as it is")
        yield changed


def _case(position: int, value: Any, labels: _Labels) -> Case:
    if not isinstance(value, dict):
        raise ExamError(f"number {position}", "case", f"must be a mapping, not {value!r}")
    case_id = _string(f"number {position}", "id", value.get("id"))
    _reject_unknown(case_id, "case", value, [item.name for item in fields(Case)])
    capability = _string(case_id, "capability", value.get("capability"))
    if capability not in CAPABILITIES:
        raise ExamError(case_id, "capability", f"unknown {capability}; known are {', '.join(CAPABILITIES)}")
    text = _string(case_id, "text", value.get("text"))
    invariance = "variants" in value or "perturb" in value
    if invariance == ("expect" in value):
        raise ExamError(case_id, "expect", "a case has either expect, or variants or perturb")
    if not invariance:
        return Case(case_id, capability, text, _expectation(case_id, value["expect"], labels))
    written = _strings(case_id, "variants", value["variants"]) if "variants" in value else ()
    perturb = _strings(case_id, "perturb", value["perturb"]) if "perturb" in value else ()
    if text in written:
        raise ExamError(case_id, "variants", "one of them is the text itself")
    return Case(case_id, capability, text, None, (*written, *_perturbed(case_id, text, perturb)), perturb)


def load_exam(path: Path | None = None) -> tuple[Case, ...]:
    """The cases of ``path`` (the exam beside this module if None), in the order of the file.

    Raises :class:`ExamError` for a case that is malformed, contradicts itself, repeats another's
    id or text, or names a label that is not in the taxonomy.
    """
    raw = yaml.safe_load((path or EXAM_PATH).read_text(encoding="utf-8"))
    if not isinstance(raw, list) or not raw:
        raise ExamError("-", "file", "must hold a list of cases")
    labels = _labels()
    cases: dict[str, Case] = {}
    texts: dict[str, str] = {}
    for position, value in enumerate(raw, start=1):
        case = _case(position, value, labels)
        if case.id in cases:
            raise ExamError(case.id, "id", "is used twice")
        if case.text in texts:
            raise ExamError(case.id, "text", f"is the text of {texts[case.text]} too")
        cases[case.id], texts[case.text] = case, case.id
    return tuple(cases.values())


def _invariant_labels(prediction: Prediction) -> tuple[tuple[str, ...], str | None, int]:
    """What an invariance case compares; severity 0 is no complaint, so that needs no place of its own."""
    primary_motive = prediction.motives[0] if prediction.motives else None
    return tuple(sorted(prediction.causes)), primary_motive, prediction.severity


def _describe(labels: tuple[tuple[str, ...], str | None, int]) -> str:
    causes, motive, severity = labels
    return f"causes {list(causes)}, primary motive {motive}, severity {severity}"


def _failures(case: Case, predictions: Sequence[Prediction]) -> Iterator[Failure]:
    """Failures of one case, given the predictions of its text and of its variants in turn."""
    first, *others = predictions
    if case.expect is not None:
        for expected, got in case.expect.breaches(first):
            yield Failure(case.id, case.capability, case.text, expected, got)
    wanted = _invariant_labels(first)
    for variant, prediction in zip(case.variants, others, strict=True):
        if (found := _invariant_labels(prediction)) != wanted:
            yield Failure(case.id, case.capability, variant, f"as for the text: {_describe(wanted)}", _describe(found))


def run_exam(cases: Sequence[Case], predict: Callable[[list[str]], Sequence[Prediction]]) -> ExamResult:
    """Score ``predict``, called once with every text; a case passes when none of its demands fails.

    Raises ``ValueError`` when ``predict`` does not return one prediction a text.
    """
    texts = [text for case in cases for text in (case.text, *case.variants)]
    predictions = predict(texts)
    if len(predictions) != len(texts):
        raise ValueError(f"{len(predictions)} predictions for {len(texts)} texts")
    failures: list[Failure] = []
    outcomes: dict[str, list[bool]] = {}
    start = 0
    for case in cases:
        stop = start + 1 + len(case.variants)
        found = list(_failures(case, predictions[start:stop]))
        failures += found
        outcomes.setdefault(case.capability, []).append(not found)
        start = stop
    by_capability = {name: Score(sum(passed), len(passed)) for name, passed in outcomes.items()}
    overall = Score(sum(score.passed for score in by_capability.values()), len(cases))
    return ExamResult(overall, by_capability, tuple(failures))
