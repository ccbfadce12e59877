"""The training configuration: a strict schema over ``config.toml`` and ``--set`` overrides."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model.errors import InvalidInput

DEFAULT_PATH = Path(__file__).with_name("config.toml")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataSettings(_Section):
    """Which rows are learned from and which are held out."""

    train: list[str] = Field(min_length=1)
    validation: list[str]
    validation_share: float = Field(gt=0, lt=0.5)
    soft: list[str]
    soft_weight: float = Field(gt=0)
    weights: dict[str, float]
    taxonomy: str


class ModelSettings(_Section):
    """What is trained."""

    base: str = Field(min_length=1)
    max_tokens: int = Field(ge=16, le=512)
    head_dropout: float = Field(ge=0, lt=1)
    layers: int = Field(ge=0)


class OptimisationSettings(_Section):
    """How it is trained."""

    epochs: float = Field(gt=0)
    batch_tokens: int = Field(ge=64)
    learning_rate: float = Field(gt=0)
    head_learning_rate: float = Field(gt=0)
    layer_decay: float = Field(gt=0, le=1)
    warmup_share: float = Field(ge=0, lt=1)
    weight_decay: float = Field(ge=0)
    max_gradient_norm: float = Field(gt=0)
    patience: int = Field(ge=0)
    precision: Literal["auto", "bf16", "fp32"]
    threads: int = Field(ge=0)
    seed: int = Field(ge=0)
    label_smoothing: float = Field(ge=0, lt=0.5)


class LossSettings(_Section):
    """Weights of the parts of the loss."""

    causes: float = Field(ge=0)
    primary_cause: float = Field(ge=0)
    motives: float = Field(ge=0)
    primary_motive: float = Field(ge=0)
    severity: float = Field(ge=0)
    severity_distance: float = Field(ge=0)
    style: float = Field(ge=0)
    rare_motive_power: float = Field(ge=0, le=1)


class AugmentationSettings(_Section):
    """How much is rewritten, and how much a rewriting may change the answer."""

    rate: float = Field(ge=0, le=1)
    consistency: float = Field(0.0, ge=0)  # trainings begun before there was one are resumed without


class TrainingConfig(_Section):
    """All settings of one training."""

    data: DataSettings
    model: ModelSettings
    optimisation: OptimisationSettings
    loss: LossSettings
    augmentation: AugmentationSettings


def _parse_value(text: str, old: Any) -> Any:
    """A command-line value in the type of the default it replaces."""
    if isinstance(old, list):
        return [part for part in text.split(",") if part]
    if isinstance(old, str):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror}; give --config an existing TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path}: not valid TOML: {error}") from error


def load_config(path: Path | None = None, overrides: list[str] | None = None) -> TrainingConfig:
    """Defaults, then the file at ``path`` (which may give only some fields), then ``section.field=value``.

    Raises InvalidInput naming the field for anything unknown, of the wrong type or out of range.
    """
    settings = _read(DEFAULT_PATH)
    if path is not None:
        for section, fields in _read(path).items():
            if section not in settings or not isinstance(fields, dict):
                raise InvalidInput(f"{path}: unknown section [{section}]; known are {', '.join(settings)}")
            settings[section].update(fields)
    for override in overrides or []:
        name, equals, value = override.partition("=")
        section, _, field = name.strip().partition(".")
        if not equals or field not in settings.get(section, {}):
            known = ", ".join(f"{s}.{f}" for s, fields in settings.items() for f in fields)
            raise InvalidInput(f"--set {override}: expected section.field=value with one of {known}")
        settings[section][field] = _parse_value(value.strip(), settings[section][field])
    try:
        return TrainingConfig.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(f"{path or 'settings'}: {where}: {first['msg']} (found {first['input']!r})") from error
