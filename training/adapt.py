"""Masked-language-model training on unlabelled texts, whole words masked, before fine-tuning.

Gururangan et al. 2020, "Don't stop pretraining"; Cui et al. 2019, whole-word masking for Chinese.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import random
import time
from pathlib import Path

import jieba
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoTokenizer, BertForMaskedLM, PreTrainedTokenizerFast, get_linear_schedule_with_warmup

from model.text import head_and_tail, normalise
from training.batches import TokenBudgetBatchSampler
from training.dropout import use_pooled_dropout

IGNORED = -100


def word_ids(text: str, offsets: list[tuple[int, int]]) -> list[int]:
    """Which jieba word each token begins in; -1 for a token without characters."""
    owner = np.zeros(len(text) + 1, dtype=np.int64)
    for number, (_, start, end) in enumerate(jieba.tokenize(text)):
        owner[start:end] = number
    return [int(owner[start]) if end > start else -1 for start, end in offsets]


def encode(tokenizer: PreTrainedTokenizerFast, text: str, limit: int) -> tuple[list[int], list[int]]:
    """Token ids with the frame pieces, and the word each belongs to."""
    text = normalise(text).text
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    pairs = head_and_tail(list(zip(encoded["input_ids"], word_ids(text, encoded["offset_mapping"]), strict=True)), limit - 2)
    ids = [tokenizer.bos_token_id, *(i for i, _ in pairs), tokenizer.eos_token_id]
    return ids, [-1, *(w for _, w in pairs), -1]


def mask_words(ids: list[int], words: list[int], rate: float, mask_id: int, vocabulary: int, rng: random.Random) -> tuple[list[int], list[int]]:
    """BERT's 80/10/10 corruption applied to whole words; returns inputs and labels."""
    distinct = sorted({w for w in words if w >= 0})
    chosen = set(rng.sample(distinct, max(1, round(len(distinct) * rate)))) if distinct else set()
    inputs, labels = list(ids), [IGNORED] * len(ids)
    for position, word in enumerate(words):
        if word in chosen:
            labels[position] = ids[position]
            draw = rng.random()
            if draw < 0.8:
                inputs[position] = mask_id
            elif draw < 0.9:
                inputs[position] = rng.randrange(5, vocabulary)
    return inputs, labels


class MaskedLanguageModel(nn.Module):
    """BertForMaskedLM that scores the vocabulary at masked positions only: a third of the work saved."""

    def __init__(self, bert: BertForMaskedLM):
        super().__init__()
        self.bert = bert

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> Tensor:
        hidden = self.bert.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        picked = labels != IGNORED
        logits = self.bert.cls(hidden[picked])
        return nn.functional.cross_entropy(logits.float(), labels[picked])


def read_texts(paths: list[Path]) -> list[str]:
    """Texts of JSONL files (plain or gzip), each once."""
    texts: dict[str, None] = {}
    for path in paths:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as lines:
            texts.update((json.loads(line)["text"], None) for line in lines if line.strip())
    return list(texts)


def adapt(base: Path, texts: list[str], output: Path, *, epochs: float, rate: float, budget: int, learning_rate: float, limit: int, seed: int, log_every: int = 50) -> None:
    """Train ``base`` on ``texts`` and save encoder, tokenizer and one log line a report in ``output``."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    tokenizer = AutoTokenizer.from_pretrained(base)
    jieba.setLogLevel("WARNING")
    rows = [encode(tokenizer, text, limit) for text in texts]
    bert = BertForMaskedLM.from_pretrained(base, dtype=torch.float32, attn_implementation="eager", attention_probs_dropout_prob=0.0)
    bert.tie_weights()
    use_pooled_dropout(bert)
    network = MaskedLanguageModel(bert).train()
    decay = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW([{"params": decay, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}], lr=learning_rate, betas=(0.9, 0.98), fused=True)
    sampler = TokenBudgetBatchSampler([len(ids) for ids, _ in rows], budget, seed=seed)
    total = math.ceil(len(sampler) * epochs)
    schedule = get_linear_schedule_with_warmup(optimiser, int(total * 0.06), total)
    output.mkdir(parents=True, exist_ok=True)
    step, losses, started = 0, [], time.monotonic()
    with (output / "log.jsonl").open("w") as log:
        while step < total:
            sampler.set_epoch(step // len(sampler))
            for batch in sampler:
                if step >= total:
                    break
                masked = [mask_words(*rows[i], rate, tokenizer.mask_token_id, len(tokenizer), rng) for i in batch]
                inputs = pad_sequence([torch.tensor(m[0]) for m in masked], True, tokenizer.pad_token_id)
                labels = pad_sequence([torch.tensor(m[1]) for m in masked], True, IGNORED)
                with torch.autocast("cpu", torch.bfloat16):
                    loss = network(inputs, (inputs != tokenizer.pad_token_id).long(), labels)
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimiser.step()
                schedule.step()
                optimiser.zero_grad(set_to_none=True)
                step += 1
                losses.append(float(loss.detach()))
                if step % log_every == 0 or step == total:
                    row = {"step": step, "of": total, "loss": round(sum(losses) / len(losses), 4), "seconds": round(time.monotonic() - started)}
                    log.write(json.dumps(row) + "\n")
                    log.flush()
                    print(row, flush=True)
                    losses = []
                if step % 500 == 0 or step == total:
                    bert.bert.save_pretrained(output)
                    tokenizer.save_pretrained(output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("texts", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--epochs", type=float, default=2.0)
    parser.add_argument("--rate", type=float, default=0.2)
    parser.add_argument("--budget", type=int, default=2048)
    parser.add_argument("--learning-rate", type=float, default=4e-4)
    parser.add_argument("--limit", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    adapt(a.base, read_texts(a.texts), a.output, epochs=a.epochs, rate=a.rate, budget=a.budget, learning_rate=a.learning_rate, limit=a.limit, seed=a.seed)


if __name__ == "__main__":
    main()
