"""Texts a second: kesu's int8 engine beside transformers' pipeline and a plain ONNX Runtime fp32 loop.

    python -m benchmarks.engine [--tokens 80] [--rounds 5] [--threads 2]

The three take turns in one process on the same texts, so that a slow moment of the machine
hits them alike; what counts is the ratio of the medians. All run the shipped encoder.
"""

from __future__ import annotations

import argparse
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from transformers import AutoTokenizer, BertForSequenceClassification, pipeline

from data.corpus import load_corpus
from model import Classifier
from model.artifact import DEFAULT_FOLDER, ModelFolder
from model.network import ComplaintModel
from training.onnx_export import write_fp32

TEXTS = 96


def texts_of(tokens: int, classifier: Classifier) -> list[str]:
    """Corpus texts joined and cut so that each has about ``tokens`` tokens."""
    rng = random.Random(0)
    pool = [row.text for row in load_corpus()]
    made = []
    for _ in range(TEXTS):
        text = ""
        while len(classifier.tokeniser.encode(text).ids) < tokens:
            text += rng.choice(pool)
        cut = classifier.tokeniser.encode(text).offsets()[tokens - 3][1]
        made.append(text[:cut])
    return made


def rate(run: Callable[[], object]) -> float:
    """Texts a second of one run over all texts."""
    started = time.perf_counter()
    run()
    return TEXTS / (time.perf_counter() - started)


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=80)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    folder = ModelFolder(DEFAULT_FOLDER)
    classifier = Classifier.load(threads=arguments.threads)
    texts = texts_of(arguments.tokens, classifier)
    ids = [classifier.tokeniser.encode(text).ids for text in texts]

    network = ComplaintModel.from_pretrained(folder.warm_start, dtype=torch.float32).eval()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "fp32.onnx"
        write_fp32(network, path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = arguments.threads
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    config = network.encoder.config
    config.num_labels = len(classifier.taxonomy.causes)
    config._attn_implementation = "sdpa"
    peer = BertForSequenceClassification(config).eval()
    peer.bert.load_state_dict(network.encoder.state_dict(), strict=False)
    pipe = pipeline(
        "text-classification", model=peer, tokenizer=AutoTokenizer.from_pretrained(folder.warm_start), top_k=None
    )

    def onnx_fp32() -> None:
        for row in ids:
            session.run(None, {"input_ids": np.asarray(row, np.int64)[None]})

    runs: dict[str, Callable[[], object]] = {
        "transformers pipeline, torch fp32, batch 32": lambda: pipe(texts, batch_size=32),
        "transformers pipeline, torch fp32, batch 1": lambda: pipe(texts, batch_size=1),
        "ONNX Runtime fp32, plain loop": onnx_fp32,
        "kesu engine, int8": lambda: classifier.engine.logits(ids),
        "kesu classify, text to labels": lambda: classifier.classify(texts),
    }
    for run in runs.values():
        run()
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(arguments.rounds):
        for name, run in runs.items():
            rates[name].append(rate(run))
    ours = statistics.median(rates["kesu engine, int8"])
    print(f"{platform.processor() or platform.machine()}, {arguments.threads} threads, {arguments.tokens} tokens,")
    print(f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}, median of {arguments.rounds} rounds")
    for name, found in rates.items():
        middle = statistics.median(found)
        print(f"{name:45s} {middle:8.1f} texts/s   kesu engine / this: {ours / middle:5.2f}")


if __name__ == "__main__":
    main()
