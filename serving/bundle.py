"""What answers: a model, severity rules and a playbook that belong together, checked before they serve."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model.classification import Classification
from model.classifier import Classifier, Reading
from model.errors import InvalidArtefact, KesuError
from serving.errors import EngineFailed
from serving.playbook import CaseContext, Playbook
from serving.severity import CaseFacts, SeverityRules

# What a bundle must answer before it serves. Long and short, complaint and not, mixed scripts.
SELF_CHECK = (
    "快递显示签收了，可我没收到，客服一直不回复，请尽快赔偿。",
    "空调刚装好就漏水，打了五次电话没人上门，再不处理我就投诉到12315。",
    "谢谢客服耐心解答，已经弄好了。",
    "退款说好三天，现在都一个星期了！" * 60,
    "ＡＰＰ打不开😡，刪了重裝也沒用",
)

# A pass through the network costs as much as this many tokens, however short the text.
_PASS_TOKENS = 25


@dataclass(frozen=True, slots=True)
class Case:
    """One text to answer, with what the caller knows about it."""

    text: object
    id: str | int | None = None
    explain: bool = False
    facts: CaseFacts = field(default_factory=CaseFacts)
    channel: str | None = None
    industry: str | None = None
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A classification with its plan (as ``Plan.to_dict`` gives it); ``steps`` tells the seconds of each step."""

    classification: Classification
    plan: Mapping[str, Any]
    tokens: int
    steps: Mapping[str, float]

    def to_dict(self, identity: str | int | None = None) -> dict[str, Any]:
        """The whole answer as JSON, see :func:`whole`."""
        return whole(dataclasses.replace(self.classification, id=identity), self.plan)


def whole(found: Classification, plan: Mapping[str, Any]) -> dict[str, Any]:
    """``Classification.to_dict`` with the plan's parts, in the order of the documentation."""
    body = found.to_dict()
    warnings, model = body.pop("warnings"), body.pop("model")
    body |= {name: plan[name] for name in ("first_reply", "human_decision", "strategies")}
    body["warnings"] = warnings + plan["warnings"]
    body["model"] = model | {"playbook_version": plan["playbook_version"]}
    return body


@dataclass(frozen=True, slots=True)
class Bundle:
    """One state of the service; a request keeps the one it began with."""

    classifier: Classifier
    rules: SeverityRules
    book: Playbook
    loaded_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @classmethod
    def load(
        cls,
        model: Path | None = None,
        playbook: Path | None = None,
        severity_rules: Path | None = None,
        threads: int | None = None,
    ) -> Bundle:
        """Read all parts. Raises a KesuError that names file and place when one is not whole."""
        classifier = Classifier.load(model, threads)
        taxonomy = classifier.taxonomy
        return cls(
            classifier,
            SeverityRules.load(severity_rules, taxonomy),
            Playbook.load(playbook, taxonomy),
        )

    def answer(self, case: Case, now: datetime | None = None) -> Answer:
        """Answer one text, as of ``now``. Raises InvalidInput for a refused text, EngineFailed for NaN."""
        return self.answers([case], now)[0]

    def answers(self, cases: Sequence[Case], now: datetime | None = None) -> list[Answer]:
        """Answer texts, in order and as if each were alone; the seconds of a step are an equal part for each.

        Raises InvalidInput when one of them is refused, EngineFailed for NaN.
        """
        began = time.perf_counter()
        readings = [self.classifier.read(case.text) for case in cases]
        read = time.perf_counter()
        found: dict[int, Classification] = {}
        for explain in {case.explain for case in cases}:
            places = [place for place, case in enumerate(cases) if case.explain == explain]
            answers = self.classify([readings[p] for p in places], [cases[p].facts for p in places], explain)
            found.update(zip(places, answers, strict=True))
        inferred = time.perf_counter()
        plans = []
        for place, case in enumerate(cases):
            context = CaseContext(case.channel, case.industry, case.received_at, now or datetime.now(UTC))
            plans.append(self.plan(found[place], context))
        ends = {"tokenise": read - began, "infer": inferred - read, "plan": time.perf_counter() - inferred}
        steps = {step: seconds / len(cases) for step, seconds in ends.items()}
        return [Answer(found[p], plans[p], readings[p].tokens.used, steps) for p in range(len(cases))]

    def classify(
        self, readings: Sequence[Reading], facts: Iterable[CaseFacts] | None = None, explain: bool = False
    ) -> list[Classification]:
        """One classification a reading, its severity raised where a rule fires. Raises EngineFailed for NaN."""
        answers = self.classifier.answer(readings, explain)
        ruled = []
        for found, reading, told in zip(answers, readings, facts or [CaseFacts()] * len(readings), strict=True):
            check_numbers(found)
            severity = self.rules.apply(reading.normalised, found.severity, told)
            ruled.append(dataclasses.replace(found, severity=severity))
        return ruled

    def plan(self, found: Classification, context: CaseContext) -> dict[str, Any]:
        """What to do about it, as JSON."""
        return self.book.plan(found, context).to_dict()

    def whole(self, found: Classification, context: CaseContext | None = None) -> dict[str, Any]:
        """The whole answer as JSON for a classification of :meth:`classify`; clocks count from now unless told."""
        return whole(found, self.plan(found, context or CaseContext()))

    def cost(self, case: Case) -> int:
        """Tokens whose time answering may take, guessed without reading: a character gives at most about one."""
        length = len(case.text) if isinstance(case.text, str) else 0
        passes = 9 if case.explain else 1
        return min(length + 2 + _PASS_TOKENS, self.classifier.decoding.max_tokens) * passes + length // 64

    def check(self) -> None:
        """Answer the texts of ``SELF_CHECK``, each twice, as a service would. Raises KesuError when that fails."""
        for place, text in enumerate(SELF_CHECK):
            case = Case(text, explain=place == 0)
            try:
                first, second = (self.answer(case).classification for _ in range(2))
            except KesuError:
                raise
            except Exception as error:
                raise InvalidArtefact(f"self-check: answering failed ({type(error).__name__}: {error})") from error
            if first != second:
                raise InvalidArtefact("self-check: the same text got two answers")


Loader = Callable[[], Bundle]


def check_numbers(found: Classification) -> None:
    """Raises EngineFailed when the model gave something that is no finite number."""
    scores = [found.complaint_probability, found.confidence, found.style.probability, *found.severity.probabilities]
    scores += [score.probability for score in (*found.causes, *found.motives)]
    if not all(map(math.isfinite, scores)):
        raise EngineFailed("the model gave no finite number for this text")
