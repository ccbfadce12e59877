"""Texts in, classifications out: what a notebook imports and everything that serves is built on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.artifact import DEFAULT_FOLDER, ModelFolder
from model.classification import Classification, LabelScore, ModelInfo, Notice, Severity, Span
from model.decode import REVIEW, Decoded, decode, group_probabilities
from model.decoding import Decoding
from model.engine import Engine, OnnxEngine
from model.errors import InvalidArtefact, InvalidInput
from model.evidence import occlude
from model.intake import UNSAFE_NOTICES, accept, notices
from model.taxonomy import Taxonomy
from model.text import NormalisedText
from model.tokeniser import Tokeniser, Tokens


@dataclass(frozen=True, slots=True)
class Reading:
    """A text that was accepted: normalised, tokenised, with its warnings; ready to be answered."""

    normalised: NormalisedText
    tokens: Tokens
    warnings: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class _Evidence:
    """Spans of one text by number of cause and of motive."""

    causes: dict[int, tuple[Span, ...]]
    motives: dict[int, tuple[Span, ...]]


_NO_EVIDENCE = _Evidence({}, {})


class Classifier:
    """Labels Chinese complaints. Safe to call from several threads.

    >>> classifier = Classifier.load()  # doctest: +SKIP
    >>> classifier.classify(["快递丢了，客服一直不理我，要求赔偿"])[0].causes[0].label  # doctest: +SKIP
    'service.delivery'
    """

    def __init__(
        self, taxonomy: Taxonomy, tokeniser: Tokeniser, engine: Engine, decoding: Decoding, info: ModelInfo
    ) -> None:
        self.taxonomy = taxonomy
        self.tokeniser = tokeniser
        self.engine = engine
        self.decoding = decoding
        self.info = info

    @classmethod
    def load(cls, path: Path | str | None = None, threads: int | None = None) -> Classifier:
        """The model in the folder ``path``, or the one that ships; ``threads`` as in ``OnnxEngine``.

        Raises InvalidArtefact when the folder is incomplete, damaged or of another format.
        """
        if path is None and not DEFAULT_FOLDER.exists():
            raise InvalidArtefact(f"{DEFAULT_FOLDER}: the shipped model is missing; install kesu again or name a model")
        artefact = ModelFolder(DEFAULT_FOLDER if path is None else Path(path)).validate()
        manifest, folder = artefact.manifest, artefact.folder
        return cls(
            artefact.taxonomy,
            Tokeniser.load(folder.tokenizer, artefact.decoding.max_tokens),
            OnnxEngine(folder.network, artefact.taxonomy, threads),
            artefact.decoding,
            ModelInfo(manifest.name, manifest.version, manifest.taxonomy_version),
        )

    def classify(self, texts: Iterable[str], explain: bool = False) -> list[Classification]:
        """One classification a text, in order; with ``explain`` the words that speak for each cause and motive.

        Raises InvalidInput, naming the place (from 0) of the first text that is not a
        string, empty, without any word, longer than ``MAX_CHARACTERS`` or binary.
        """
        if isinstance(texts, (str, bytes)):
            raise InvalidInput("expected a list of texts, found a single one; put it into a list: classify([text])")
        readings = []
        for place, text in enumerate(texts):
            try:
                readings.append(self.read(text))
            except InvalidInput as error:
                raise InvalidInput(f"text {place}: {error}") from error
        return self.answer(readings, explain)

    def read(self, text: object) -> Reading:
        """Check, normalise and tokenise one text, the part of :meth:`classify` that may refuse it.

        Raises InvalidInput with the reason; neither reason nor warnings repeat the text.
        """
        normalised = accept(text)
        tokens = self.tokeniser.encode(normalised.text)
        return Reading(normalised, tokens, notices(normalised, tokens))

    def answer(self, readings: Sequence[Reading], explain: bool = False) -> list[Classification]:
        """One classification a reading, in order. A text's answer never depends on the others."""
        decoded = self._decode([reading.tokens.ids for reading in readings])
        evidence = self._evidence(readings, decoded) if explain else [_NO_EVIDENCE] * len(readings)
        groups = group_probabilities(decoded.causes, self.taxonomy)
        return [
            self._assemble(decoded, row, dict(zip(self.taxonomy.group_ids, groups[row].tolist(), strict=True)), *pair)
            for row, pair in enumerate(zip(readings, evidence, strict=True))
        ]

    def _decode(self, batch: Sequence[Sequence[int]]) -> Decoded:
        return decode(self.engine.logits(batch), self.decoding, self.taxonomy)

    def _evidence(self, readings: Sequence[Reading], decoded: Decoded) -> list[_Evidence]:
        """Evidence of every text: the variants of all of them go through the engine in one call."""
        plans = [
            occlude(reading.normalised, reading.tokens, self.tokeniser) if decoded.is_complaint[row] else None
            for row, reading in enumerate(readings)
        ]
        without = self._decode([ids for plan in plans if plan for ids in plan.variants])
        found: list[_Evidence] = []
        begin = 0
        for row, plan in enumerate(plans):
            if plan is None:
                found.append(_NO_EVIDENCE)
                continue
            part = slice(begin, begin + len(plan.variants))
            begin = part.stop
            causes, motives = decoded.chosen_causes[row], decoded.chosen_motives[row]
            # Scaled scores, so that a "meaningful" drop means the same for sharp and soft models.
            found.append(
                _Evidence(
                    {c: plan.spans(decoded.cause_scores[row, c], without.cause_scores[part, c]) for c in causes},
                    {m: plan.spans(decoded.motive_scores[row, m], without.motive_scores[part, m]) for m in motives},
                )
            )
        return found

    def _assemble(
        self, decoded: Decoded, row: int, groups: dict[str, float], reading: Reading, evidence: _Evidence
    ) -> Classification:
        labels = self.taxonomy
        level, style = int(decoded.level[row]), int(decoded.chosen_style[row])
        is_complaint = bool(decoded.is_complaint[row])
        # What calibration never saw is no case for a machine to decide, however sure it feels.
        foreign = tuple(notice.code for notice in reading.warnings if notice.code in UNSAFE_NOTICES)
        causes = tuple(
            LabelScore(
                labels.causes[c].id,
                labels.causes[c].zh,
                float(decoded.causes[row, c]),
                labels.causes[c].group,
                evidence.causes.get(c, ()),
            )
            for c in decoded.chosen_causes[row]
        )
        motives = tuple(
            LabelScore(
                labels.motives[m].id,
                labels.motives[m].zh,
                float(decoded.motives[row, m]),
                evidence=evidence.motives.get(m, ()),
            )
            for m in decoded.chosen_motives[row]
        )
        return Classification(
            is_complaint=is_complaint,
            complaint_probability=float(decoded.complaint_probability[row]),
            causes=causes,
            # The causes of a non-complaint are no causes: the network never learnt what to say there.
            cause_groups=groups if is_complaint else dict.fromkeys(groups, 0.0),
            motives=motives,
            severity=Severity(level, labels.severities[level].zh, tuple(decoded.severity[row].tolist()), level),
            style=LabelScore(labels.styles[style].id, labels.styles[style].zh, float(decoded.style[row, style])),
            confidence=float(decoded.confidence[row]),
            decision=REVIEW if foreign else decoded.decision[row],
            review_reasons=foreign + decoded.review_reasons[row],
            warnings=reading.warnings,
            model=self.info,
        )
