"""The fitted numbers between logits and labels: temperatures, thresholds, confidence (``decoding.json``)."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NoReturn

from model.errors import InvalidArtefact
from model.taxonomy import Taxonomy

FORMAT = 2
# Format 1 took the probability of "no complaint" as the confidence in it.
_ADDED_IN_2 = {"no_complaint_confidence": {"weights": [1.0], "bias": 0.0}}
# The frame takes two tokens; fewer than this leaves no text to read.
MIN_TOKENS = 8
CONFIDENCE_FEATURES = 3


@dataclass(frozen=True, slots=True)
class Temperature:
    """What each head's logits are divided by before they become probabilities."""

    causes: float = 1.0
    motives: float = 1.0
    severity: float = 1.0
    style: float = 1.0


@dataclass(frozen=True, slots=True)
class Confidence:
    """Logistic regression of "the answer is right" on ``model.decode.confidence_features`` (none: on its log-odds)."""

    weights: tuple[float, ...]
    bias: float


@dataclass(frozen=True, slots=True)
class Decoding:
    """Everything ``model.decode.decode`` needs besides logits and labels.

    Probabilities and thresholds lie in 0..1, offsets are added to logits before the
    temperature. An ``auto_confidence`` or ``suggest_confidence`` above 1 means "never".
    """

    max_tokens: int
    temperature: Temperature
    cause_thresholds: tuple[float, ...]
    motive_offsets: tuple[float, ...]
    motive_thresholds: tuple[float, ...]
    complaint_threshold: float
    severity_cuts: tuple[float, ...]
    style_offsets: tuple[float, ...]
    max_causes: int
    max_motives: int
    confidence: Confidence
    no_complaint_confidence: Confidence
    auto_confidence: float
    suggest_confidence: float

    @classmethod
    def uncalibrated(cls, taxonomy: Taxonomy, max_tokens: int = 256) -> Decoding:
        """The neutral starting point: temperature 1, thresholds at one half, confidence of the first cause."""
        causes, motives = len(taxonomy.causes), len(taxonomy.motives)
        return cls(
            max_tokens=max_tokens,
            temperature=Temperature(),
            cause_thresholds=(0.5,) * causes,
            motive_offsets=(0.0,) * motives,
            motive_thresholds=(0.5,) * motives,
            complaint_threshold=0.5,
            severity_cuts=tuple(level + 0.5 for level in range(1, taxonomy.levels - 1)),
            style_offsets=(0.0,) * len(taxonomy.styles),
            max_causes=3,
            max_motives=2,
            confidence=Confidence((1.0, 0.0, 0.0), 0.0),
            no_complaint_confidence=Confidence((1.0,), 0.0),
            auto_confidence=0.95,
            suggest_confidence=0.5,
        )

    @classmethod
    def read(cls, path: Path, taxonomy: Taxonomy) -> Decoding:
        """The content of a ``decoding.json``. Raises InvalidArtefact as :meth:`parse` does."""
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
            raise InvalidArtefact(f"{path}: not valid JSON ({error}); run `kesu calibrate` to write it anew") from error
        except OSError as error:
            raise InvalidArtefact(f"{path}: cannot be read: {error.strerror}") from error
        return cls.parse(raw, taxonomy, path)

    @classmethod
    def parse(cls, raw: Any, taxonomy: Taxonomy, path: Path) -> Decoding:
        """From decoded JSON; ``path`` is only named in errors.

        Raises InvalidArtefact for an unknown or missing key, a number out of its range, a
        list whose length does not fit ``taxonomy``, and a format this version cannot read.
        """
        read = _Reader(path)
        names = [field.name for field in fields(cls)]
        if isinstance(raw, dict) and raw.get("format") == 1:
            raw = _ADDED_IN_2 | raw | {"format": FORMAT}
        read.keys(raw, {"format", *names}, "the file")
        if raw["format"] != FORMAT:
            read.fail(f"format {raw['format']!r} is not known; this kesu reads formats 1 and {FORMAT}: update kesu")
        if taxonomy.levels < 2:
            read.fail('the taxonomy needs at least the severities "0" and "1"')
        read.keys(raw["temperature"], {field.name for field in fields(Temperature)}, "temperature")
        for name in ("confidence", "no_complaint_confidence"):
            read.keys(raw[name], {field.name for field in fields(Confidence)}, name)
        causes, motives, styles = len(taxonomy.causes), len(taxonomy.motives), len(taxonomy.styles)
        cuts = read.numbers(raw, "severity_cuts", taxonomy.levels - 2, "severity levels above 1")
        if any(later < earlier for earlier, later in itertools.pairwise(cuts)):
            read.fail("severity_cuts must ascend")
        auto = read.number(raw, "auto_confidence", low=0)
        suggest = read.number(raw, "suggest_confidence", low=0)
        if suggest > auto:
            read.fail("suggest_confidence must not exceed auto_confidence")
        return cls(
            max_tokens=read.whole(raw, "max_tokens", MIN_TOKENS),
            temperature=Temperature(
                **{f.name: read.number(raw["temperature"], f.name, low=1e-6) for f in fields(Temperature)}
            ),
            cause_thresholds=read.numbers(raw, "cause_thresholds", causes, "causes", low=0, high=1),
            motive_offsets=read.numbers(raw, "motive_offsets", motives, "motives"),
            motive_thresholds=read.numbers(raw, "motive_thresholds", motives, "motives", low=0, high=1),
            complaint_threshold=read.number(raw, "complaint_threshold", low=0, high=1),
            severity_cuts=cuts,
            style_offsets=read.numbers(raw, "style_offsets", styles, "styles"),
            max_causes=read.whole(raw, "max_causes", 1),
            max_motives=read.whole(raw, "max_motives", 1),
            confidence=read.confidence(raw["confidence"], CONFIDENCE_FEATURES),
            no_complaint_confidence=read.confidence(raw["no_complaint_confidence"], 1),
            auto_confidence=auto,
            suggest_confidence=suggest,
        )

    def to_dict(self) -> dict[str, Any]:
        """The content of ``decoding.json``, ready for ``json.dumps``."""
        return {"format": FORMAT, **asdict(self)}


class _Reader:
    """Strict access to decoded JSON, with errors that name the file and the key."""

    def __init__(self, path: Path):
        self.path = path

    def fail(self, problem: str) -> NoReturn:
        raise InvalidArtefact(f"{self.path}: {problem}")

    def keys(self, raw: Any, expected: set[str], where: str) -> None:
        if not isinstance(raw, dict):
            self.fail(f"{where} must be a mapping with the keys {', '.join(sorted(expected))}")
        for problem, names in (("lacks", expected - set(raw)), ("has the unknown", set(raw) - expected)):
            if names:
                self.fail(f"{where} {problem} key {sorted(names)[0]!r}; expected are {', '.join(sorted(expected))}")

    def number(self, raw: Mapping[str, Any], key: str, low: float = -math.inf, high: float = math.inf) -> float:
        return self._checked(raw[key], key, low, high)

    def numbers(
        self, raw: Mapping[str, Any], key: str, count: int, of: str, low: float = -math.inf, high: float = math.inf
    ) -> tuple[float, ...]:
        values = raw[key]
        if not isinstance(values, list) or len(values) != count:
            found = f"{len(values)} entries" if isinstance(values, list) else repr(values)
            self.fail(f"{key} must be a list of {count} numbers (the taxonomy has {count} {of}), found {found}")
        return tuple(self._checked(value, f"{key}[{place}]", low, high) for place, value in enumerate(values))

    def confidence(self, raw: Mapping[str, Any], features: int) -> Confidence:
        values = raw["weights"]
        if not isinstance(values, list) or len(values) != features:
            found = f"{len(values)} entries" if isinstance(values, list) else repr(values)
            self.fail(f"weights must be a list of {features} numbers (the features of confidence), found {found}")
        return Confidence(self.numbers(raw, "weights", features, "features"), self.number(raw, "bias"))

    def whole(self, raw: Mapping[str, Any], key: str, low: int) -> int:
        value = raw[key]
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            self.fail(f"{key} must be a whole number, {low} or more, found {value!r}")
        return value

    def _checked(self, value: Any, key: str, low: float, high: float) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            self.fail(f"{key} must be a finite number, found {value!r}")
        if not low <= value <= high:
            bound = f"between {low} and {high}" if math.isfinite(high) else f"{low} or more"
            self.fail(f"{key} must be {bound}, found {value!r}")
        return float(value)
