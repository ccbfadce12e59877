"""Teachers' opinions on unlabelled texts: kesu models and, if asked, the TF-IDF baseline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data.corpus import load_corpus
from data.readers import load_labelled
from model.artifact import ModelFolder
from model.errors import InvalidInput
from model.taxonomy import Taxonomy
from model.tokeniser import Tokeniser
from training.adapt import read_texts
from training.baseline import fit as fit_baseline
from training.distil import Soft, mean_opinion, soft_targets, write_soft
from training.export import load_trained
from training.precision import fastest_precision
from training.predict import predict
from training.targets import label_ids


def baseline_opinion(texts: Sequence[str], files: Sequence[Path] | None, taxonomy: Taxonomy) -> Soft:
    """The TF-IDF model's probabilities in the form of a teacher's; trained on ``files`` or the corpus."""
    rows = load_labelled(files, taxonomy) if files else load_corpus("train")
    probabilities = fit_baseline([row.as_row() for row in rows], taxonomy).probabilities(texts)
    complaint = 1.0 - probabilities["severity"][:, :1]

    def share(many: np.ndarray) -> np.ndarray:
        return many / many.sum(axis=1, keepdims=True) * complaint

    return {
        **{name: probabilities[name] for name in ("causes", "motives", "severity", "style")},
        "primary_cause": share(probabilities["causes"]),
        "primary_motive": share(probabilities["motives"]),
    }


def write_opinions(
    files: Sequence[Path],
    teachers: Sequence[Path],
    output: Path,
    *,
    shares: Sequence[float] | None = None,
    baseline_share: float = 0.0,
    baseline_train: Sequence[Path] | None = None,
) -> int:
    """Write the teachers' mean opinion on the texts of ``files``; returns how many texts.

    Raises InvalidInput for unreadable files, no text, or weights that do not fit the teachers,
    InvalidArtefact for a teacher without torch weights.
    """
    texts = read_texts(files)
    if not texts:
        raise InvalidInput(f"{files[0]}: holds no text; give JSONL files with a field text")
    weights = list(shares) if shares else [1.0] * len(teachers)
    if not teachers or len(weights) != len(teachers):
        raise InvalidInput(f"{len(teachers)} teachers but {len(weights)} weights: give one weight a teacher")
    artefacts = [ModelFolder(folder).validate(warm_start=True) for folder in teachers]
    taxonomy = artefacts[0].taxonomy
    for artefact in artefacts:
        if label_ids(artefact.taxonomy) != label_ids(taxonomy):
            raise InvalidInput(
                f"{artefact.folder.path}: was trained on other labels than {teachers[0]}; "
                "distil from teachers of one taxonomy"
            )
    opinions: list[Soft] = []
    for artefact in artefacts:
        network, _ = load_trained(artefact.folder.warm_start, artefact.taxonomy)
        tokeniser = Tokeniser.load(artefact.folder.tokenizer, artefact.decoding.max_tokens)
        opinions.append(soft_targets(predict(network, tokeniser, texts, precision=fastest_precision())))
    if baseline_share:
        opinions.append(baseline_opinion(texts, baseline_train, taxonomy))
        weights.append(baseline_share)
    write_soft(output, texts, mean_opinion(opinions, weights), taxonomy)
    return len(texts)
