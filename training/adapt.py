"""Masked-language-model training on unlabelled texts, whole words masked, before fine-tuning.

Gururangan et al. 2020, "Don't stop pretraining"; Cui et al. 2019, whole-word masking for Chinese.
"""

from __future__ import annotations

import gzip
import json
import math
import random
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jieba
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    AutoConfig,
    BertForMaskedLM,
    PreTrainedTokenizerFast,
    get_linear_schedule_with_warmup,
)

from model.errors import InvalidInput
from model.text import normalise
from model.tokeniser import Tokeniser
from training.batches import TokenBudgetBatchSampler
from training.dropout import use_pooled_dropout
from training.encoder import check_base, check_length, first_line, load_tokenizer
from training.precision import fastest_precision

IGNORED = -100
_SAVE_EVERY, _LOG_EVERY = 500, 50


@dataclass(frozen=True)
class AdaptSettings:
    """How to adapt: ``rate`` is the share of words masked, ``batch_tokens`` the padded tokens of a step."""

    epochs: float = 2.0
    learning_rate: float = 4e-4
    rate: float = 0.2
    batch_tokens: int = 2048
    max_tokens: int = 160
    warmup_share: float = 0.06
    seed: int = 0


def read_texts(paths: Sequence[Path]) -> list[str]:
    """Texts of JSONL files (plain or ``.gz``), each once, in order, empty ones left out.

    Raises InvalidInput naming file and line for anything but a JSON object with a field text.
    """
    texts: dict[str, None] = {}
    for path in paths:
        number = 0
        try:
            with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as lines:
                for line in lines:
                    number += 1
                    if line.strip():
                        texts[_text_of(line)] = None
        except (OSError, EOFError, zlib.error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InvalidInput(f"{path}: cannot be read: {reason}") from error
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{path}: not in UTF-8 after line {number}; save it as UTF-8") from error
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(f"{path}:{number}: expected a JSON object with a string field text") from error
    return [text for text in texts if text.strip()]


def _text_of(line: str) -> str:
    text = json.loads(line)["text"]
    if not isinstance(text, str):
        raise TypeError
    return text


def word_numbers(text: str, offsets: Sequence[tuple[int, int]]) -> list[int]:
    """Which jieba word each token begins in; -1 for a token without characters."""
    owner = np.zeros(len(text) + 1, dtype=np.int64)
    for number, (_, start, end) in enumerate(jieba.tokenize(text)):
        owner[start:end] = number
    return [int(owner[start]) if end > start else -1 for start, end in offsets]


def encode(tokeniser: Tokeniser, text: str) -> tuple[list[int], list[int]]:
    """Framed token ids, and the word each belongs to (-1: none)."""
    normal = normalise(text).text
    tokens = tokeniser.encode(normal)
    return list(tokens.ids), [-1, *word_numbers(normal, tokens.offsets()), -1]


def mask_words(
    ids: Sequence[int], words: Sequence[int], rate: float, mask_id: int, vocabulary: int, rng: random.Random
) -> tuple[list[int], list[int]]:
    """Inputs and labels: a share ``rate`` of the words corrupted, 80 % masked, 10 % random, 10 % kept (Devlin 2019)."""
    distinct = sorted({word for word in words if word >= 0})
    chosen = set(rng.sample(distinct, max(1, round(len(distinct) * rate)))) if distinct else set()
    inputs, labels = list(ids), [IGNORED] * len(ids)
    for position, word in enumerate(words):
        if word in chosen:
            labels[position] = ids[position]
            draw = rng.random()
            if draw < 0.8:
                inputs[position] = mask_id
            elif draw < 0.9:
                inputs[position] = rng.randrange(vocabulary)
    return inputs, labels


class MaskedLanguageModel(nn.Module):
    """``BertForMaskedLM`` that scores the vocabulary at masked positions only: a third of the work saved."""

    def __init__(self, bert: BertForMaskedLM):
        super().__init__()
        self.bert = bert

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy at the positions of ``labels`` that are not ``IGNORED``; all ``[rows, tokens]``."""
        hidden = self.bert.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        picked = labels != IGNORED
        logits = self.bert.cls(hidden[picked])
        return nn.functional.cross_entropy(logits.float(), labels[picked])


def _load(base: str) -> tuple[BertForMaskedLM, PreTrainedTokenizerFast]:
    """A BERT encoder with a language-model head and a tokenizer that has a mask piece."""
    check_base(base)
    try:
        kind = AutoConfig.from_pretrained(base).model_type
        if kind != "bert":
            raise InvalidInput(f"{base}: is of the type {kind}; only BERT encoders can be adapted")
        bert = BertForMaskedLM.from_pretrained(
            base, dtype=torch.float32, attn_implementation="eager", attention_probs_dropout_prob=0.0
        )
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{base}: no BERT encoder can be loaded from it: {first_line(error)}") from error
    tokenizer = load_tokenizer(base)
    if tokenizer.mask_token_id is None:
        tokenizer.add_special_tokens({"mask_token": "<mask>"})
        bert.resize_token_embeddings(len(tokenizer))
    bert.tie_weights()
    return bert, tokenizer


def adapt(base: str, texts: Sequence[str], output: Path, settings: AdaptSettings) -> None:
    """Train ``base`` on ``texts``; saves encoder and tokenizer in ``output``, with the loss in ``log.jsonl``.

    Raises InvalidInput when the base is no BERT encoder or fewer than two texts have words.
    """
    torch.manual_seed(settings.seed)
    rng = random.Random(settings.seed)
    bert, tokenizer = _load(base)
    check_length(base, bert.config.max_position_embeddings, settings.max_tokens)
    jieba.setLogLevel("WARNING")
    tokeniser = Tokeniser(tokenizer.backend_tokenizer, settings.max_tokens)
    rows = [row for row in (encode(tokeniser, text) for text in texts) if max(row[1]) >= 0]
    if len(rows) < 2:
        raise InvalidInput(f"{len(rows)} texts with words in them are too few to adapt to; give at least two")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        use_pooled_dropout(bert)
    network = MaskedLanguageModel(bert).to(device).train()
    groups = [
        {"params": [p for p in network.parameters() if p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), fused=True)
    sampler = TokenBudgetBatchSampler([len(ids) for ids, _ in rows], settings.batch_tokens, seed=settings.seed)
    total = math.ceil(len(sampler) * settings.epochs)
    schedule = get_linear_schedule_with_warmup(optimiser, int(total * settings.warmup_share), total)
    output.mkdir(parents=True, exist_ok=True)
    bf16 = fastest_precision() == "bf16"
    step, losses, started = 0, [], time.monotonic()
    with (output / "log.jsonl").open("w", encoding="utf-8") as log:
        while step < total:
            sampler.set_epoch(sampler.epoch + 1)
            for batch in list(sampler)[: total - step]:
                masked = [
                    mask_words(*rows[i], settings.rate, tokenizer.mask_token_id, len(tokenizer), rng) for i in batch
                ]
                inputs = pad_sequence([torch.tensor(m[0]) for m in masked], True, tokenizer.pad_token_id)
                present = pad_sequence([torch.ones(len(m[0]), dtype=torch.long) for m in masked], True)
                labels = pad_sequence([torch.tensor(m[1]) for m in masked], True, IGNORED)
                with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                    loss = network(inputs.to(device), present.to(device), labels.to(device))
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimiser.step()
                schedule.step()
                optimiser.zero_grad(set_to_none=True)
                step += 1
                losses.append(float(loss.detach()))
                if step % _LOG_EVERY == 0 or step == total:
                    mean = round(sum(losses) / len(losses), 4)
                    report = {"step": step, "of": total, "loss": mean, "seconds": round(time.monotonic() - started)}
                    log.write(json.dumps(report) + "\n")
                    log.flush()
                    losses = []
                if step % _SAVE_EVERY == 0 or step == total:
                    bert.bert.save_pretrained(output)
                    tokenizer.save_pretrained(output)
