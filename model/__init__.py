"""kesu reads Chinese customer complaints: ``Classifier.load().classify(texts)``. Needs neither torch nor a network."""

import importlib
import os
from typing import TYPE_CHECKING, Any

from model.errors import InvalidArtefact, InvalidInput, InvalidTaxonomy, KesuError

if TYPE_CHECKING:
    from model.classification import Classification
    from model.classifier import Classifier
    from model.taxonomy import load_taxonomy

__all__ = [
    "Classification",
    "Classifier",
    "InvalidArtefact",
    "InvalidInput",
    "InvalidTaxonomy",
    "KesuError",
    "load_taxonomy",
]

# Said before anything imports onnxruntime, which looks only then: from version 1.29 on it would keep a device id in the
# home folder and report to its makers.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Fetched on first use: whoever only wants the labels need not wait for numpy and tokenizers.
_HOMES = {
    "Classification": "model.classification",
    "Classifier": "model.classifier",
    "load_taxonomy": "model.taxonomy",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
