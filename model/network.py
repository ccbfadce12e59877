"""The network in torch: one shared encoder, one head a dimension. Only training imports it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

from model.taxonomy import Taxonomy

DIMENSIONS = ("causes", "motives", "severity", "style")


class ComplaintConfig(PretrainedConfig):
    """Configuration of :class:`ComplaintModel`: the encoder's own, and the labels of each head.

    ``id2label`` holds the leaf causes, the head that generic tools look at; the other heads'
    labels are in ``motive_labels``, ``severity_labels`` and ``style_labels``.
    """

    model_type = "kesu"
    has_no_defaults_at_init = True

    def __init__(
        self,
        encoder: dict[str, Any] | None = None,
        cause_labels: list[str] | None = None,
        motive_labels: list[str] | None = None,
        severity_labels: list[str] | None = None,
        style_labels: list[str] | None = None,
        taxonomy_version: str = "",
        head_dropout: float = 0.1,
        **kwargs: Any,
    ):
        self.encoder = encoder or {}
        self.cause_labels = cause_labels or []
        self.motive_labels = motive_labels or []
        self.severity_labels = severity_labels or []
        self.style_labels = style_labels or []
        self.taxonomy_version = taxonomy_version
        self.head_dropout = head_dropout
        kwargs.setdefault("id2label", dict(enumerate(self.cause_labels)))
        kwargs.setdefault("label2id", {label: i for i, label in enumerate(self.cause_labels)})
        super().__init__(**kwargs)

    @property
    def sizes(self) -> dict[str, int]:
        """Number of logits of each head, in the order of ``DIMENSIONS``."""
        labels = (self.cause_labels, self.motive_labels, self.severity_labels, self.style_labels)
        return {name: len(names) for name, names in zip(DIMENSIONS, labels, strict=True)}

    @classmethod
    def for_taxonomy(cls, encoder: PretrainedConfig, taxonomy: Taxonomy, **kwargs: Any) -> ComplaintConfig:
        """Configuration for an encoder and the labels of a taxonomy."""
        return cls(
            # Where the encoder came from on the machine that trained is nobody's business.
            encoder={name: value for name, value in encoder.to_dict().items() if name != "_name_or_path"},
            cause_labels=list(taxonomy.cause_ids),
            motive_labels=list(taxonomy.motive_ids),
            severity_labels=[level.id for level in taxonomy.severities],
            style_labels=list(taxonomy.style_ids),
            taxonomy_version=taxonomy.version,
            **kwargs,
        )


@dataclass
class ComplaintOutput(ModelOutput):
    """Raw logits a dimension, each ``[rows, labels]``; severity is one logit a level."""

    causes: Tensor | None = None
    motives: Tensor | None = None
    severity: Tensor | None = None
    style: Tensor | None = None


class ComplaintModel(PreTrainedModel):
    """Encoder, one attention-pooled view of the text for every logit, one linear unit on each.

    A label reads the tokens it needs (label-wise attention, Mullenbach et al. 2018). Attention
    starts uniform, so training sets out from mean pooling. The pooled vectors are standardised
    without learned scale: the encoder's sentence vectors crowd in a narrow cone, and linear
    units on the raw vectors learn slowly.
    """

    config_class = ComplaintConfig
    base_model_prefix = "encoder"
    _supports_sdpa = True

    def __init__(self, config: ComplaintConfig):
        super().__init__(config)
        settings = dict(config.encoder)
        encoder_config = AutoConfig.for_model(settings.pop("model_type"), **settings)
        encoder_config._attn_implementation = config._attn_implementation or "eager"
        self.encoder = AutoModel.from_config(encoder_config, add_pooling_layer=False)
        width, units = encoder_config.hidden_size, sum(config.sizes.values())
        self.queries = nn.Parameter(torch.zeros(units, width))
        self.standardise = nn.BatchNorm1d(width, affine=False)
        self.dropout = nn.Dropout(config.head_dropout)
        self.weights = nn.Parameter(torch.zeros(units, width))
        self.biases = nn.Parameter(torch.zeros(units))
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Heads start at zero; the encoder initialises itself."""

    def pool(self, hidden: Tensor, attention_mask: Tensor | None) -> Tensor:
        """One vector a logit, ``[rows, units, width]``, from ``hidden`` ``[rows, tokens, width]``."""
        scores = torch.matmul(hidden, self.queries.t()).transpose(1, 2) / hidden.shape[-1] ** 0.5
        if attention_mask is not None:
            scores = scores.masked_fill(attention_mask[:, None, :] == 0, float("-inf"))
        return torch.matmul(torch.softmax(scores.float(), dim=-1).to(hidden.dtype), hidden)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **_: Any) -> ComplaintOutput:
        """Logits of every dimension for ``input_ids`` and ``attention_mask`` ``[rows, tokens]``."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        pooled = self.pool(hidden, attention_mask).float()
        rows, units, width = pooled.shape
        pooled = self.standardise(pooled.reshape(rows * units, width)).view(rows, units, width)
        logits = (self.dropout(pooled) * self.weights).sum(-1) + self.biases
        causes, motives, severity, style = logits.split(list(self.config.sizes.values()), dim=-1)
        return ComplaintOutput(causes=causes, motives=motives, severity=severity, style=style)


AutoConfig.register("kesu", ComplaintConfig)
AutoModel.register(ComplaintConfig, ComplaintModel)


def load(folder: str | Path) -> ComplaintModel:
    """The kesu model saved in ``folder``, in fp32.

    Raises OSError or ValueError when there is none, or only a part of its weights.
    """
    config = AutoConfig.from_pretrained(folder)
    if not isinstance(config, ComplaintConfig):
        raise ValueError(f"holds a model of the type {config.model_type}, which is no kesu model")
    return _whole(ComplaintModel, folder)


def build(
    base: str, taxonomy: Taxonomy, *, head_dropout: float = 0.1, attention_dropout: float = 0.0, layers: int = 0
) -> ComplaintModel:
    """A model on the encoder ``base`` (folder or hub name) with fresh heads for ``taxonomy``.

    ``layers`` above 0 keeps only so many encoder layers, evenly spaced with the last among them
    (Sajjad et al. 2020): the start of a smaller student.

    Where ``base`` is itself a kesu model its encoder and queries are kept, and so are the heads'
    units of every label that the taxonomy still has (warm start).

    Raises OSError or ValueError when ``base`` cannot be loaded whole, is no BERT-like encoder
    or has fewer than ``layers`` layers.
    """
    config = AutoConfig.from_pretrained(base)
    if isinstance(config, ComplaintConfig):
        old = load(base)
        encoder = old.encoder
    else:
        old, encoder = None, _whole(AutoModel, base, add_pooling_layer=False)
    encoder.config.attention_probs_dropout_prob = attention_dropout
    if layers:
        _keep_layers(encoder, layers)
    fresh = ComplaintModel(ComplaintConfig.for_taxonomy(encoder.config, taxonomy, head_dropout=head_dropout))
    fresh.encoder.load_state_dict(encoder.state_dict(), strict=True)
    if old is not None:
        fresh.standardise.load_state_dict(old.standardise.state_dict())
        _copy_known_units(old, fresh)
    return fresh


def _whole(kind: type[PreTrainedModel], folder: str | Path, **kwargs: Any) -> Any:
    """``kind.from_pretrained`` in fp32, but weights that are missing are an error and not made up."""
    try:
        network, report = kind.from_pretrained(folder, dtype=torch.float32, output_loading_info=True, **kwargs)
    except (RuntimeError, SafetensorError) as error:
        raise ValueError(f"its weights cannot be read: {error}") from error
    except TypeError as error:
        raise ValueError(f"is no encoder like BERT or RoBERTa: {error}") from error
    missing: Collection[str] = report["missing_keys"]
    if missing:
        raise ValueError(f"lacks {len(missing)} of its weights, for instance {min(missing)}")
    return network


def _keep_layers(encoder: PreTrainedModel, layers: int) -> None:
    """Drop all but ``layers`` of the encoder's layers; raises ValueError when it has fewer."""
    depth = len(encoder.encoder.layer)
    if layers > depth:
        raise ValueError(f"the encoder has {depth} layers, {layers} cannot be kept")
    kept = [(i + 1) * depth // layers - 1 for i in range(layers)]
    encoder.encoder.layer = nn.ModuleList(encoder.encoder.layer[i] for i in kept)
    encoder.config.num_hidden_layers = layers


def _copy_known_units(old: ComplaintModel, fresh: ComplaintModel) -> None:
    """Copy the queries, weights and biases of the labels both models know."""

    def units(config: ComplaintConfig) -> list[tuple[str, str]]:
        labels = (config.cause_labels, config.motive_labels, config.severity_labels, config.style_labels)
        return [(d, label) for d, names in zip(DIMENSIONS, labels, strict=True) for label in names]

    position = {unit: i for i, unit in enumerate(units(old.config))}
    with torch.no_grad():
        for i, unit in enumerate(units(fresh.config)):
            if unit in position:
                for name in ("queries", "weights", "biases"):
                    getattr(fresh, name)[i] = getattr(old, name)[position[unit]]
