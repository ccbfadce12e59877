"""kesu's service beside other ways to serve a classifier on the same encoder, in turns, over HTTP.

    python -m benchmarks.peers [--characters 80] [--clients 32] [--rounds 3] [--infinity PATH/TO/infinity_emb]

* a FastAPI route round transformers' ``pipeline`` (torch fp32), served by uvicorn, as tutorials write it;
* infinity-emb's own server and ``/classify`` route, where ``--infinity`` names its command. It needs an environment
  of its own: ``pip install "infinity-emb[server,torch]==0.0.77" "optimum==1.24.0" "transformers<4.49" "click<8.2"
  torch==2.13.0``.

Both peers get the shipped encoder with one linear head of the leaf causes (transformers'
``BertForSequenceClassification``, random head: labels do not matter here); kesu answers with all of its labels,
severity rules and a handling plan. Only one server works at a time. Bars: >= 5 x the pipeline, >= 1.3 x infinity.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.http import CODE, Connection, texts_of
from model.artifact import DEFAULT_FOLDER, ModelFolder
from model.cpus import available_cpus

PIPELINE = """
import sys, torch, uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline
torch.set_num_threads(int(sys.argv[3]))
pipe = pipeline("text-classification", model=sys.argv[1], top_k=None)
app = FastAPI()
class Body(BaseModel):
    text: str
@app.post("/classify")
def classify(body: Body):
    return pipe(body.text)
uvicorn.run(app, port=int(sys.argv[2]), log_level="error")
"""
PATIENCE = 180.0


def write_peer(folder: Path) -> None:
    """The shipped encoder with a plain classification head, as transformers saves it."""
    import torch
    from transformers import AutoTokenizer, BertForSequenceClassification

    from model.network import ComplaintModel

    warm = ModelFolder(DEFAULT_FOLDER).warm_start
    network = ComplaintModel.from_pretrained(warm, dtype=torch.float32).eval()
    config = network.encoder.config
    config.num_labels = network.config.sizes["causes"]
    peer = BertForSequenceClassification(config)
    peer.bert.load_state_dict(network.encoder.state_dict(), strict=False)
    peer.save_pretrained(folder)
    AutoTokenizer.from_pretrained(warm).save_pretrained(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    # The name that older releases of transformers know it by.
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def free_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def server(command: Sequence[str], port: int, **environment: str) -> Iterator[None]:
    """A server process, once it accepts connections."""
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | environment
    ) as process:
        try:
            end = time.monotonic() + PATIENCE
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                if process.poll() is not None or time.monotonic() > end:
                    sys.exit(f"did not start: {' '.join(command[:3])}")
                time.sleep(0.2)
            yield
        finally:
            process.terminate()
            process.wait()


class Peer(Connection):
    """A connection that asks another route in another form."""

    def __init__(self, port: int, path: str, form: Callable[[str], object]):
        super().__init__("127.0.0.1", port)
        self.path, self._form = path, form

    def body(self, text: str) -> object:
        """The request for a text."""
        return self._form(text)


async def ask_all(connect: Callable[[], Connection], texts: Sequence[str], clients: int) -> list[float]:
    """All texts by ``clients`` connections; the latencies. Ends the program on any status but 200 and 429."""
    todo, spent = iter(texts), []

    async def client() -> None:
        connection = connect()
        for text in todo:
            while True:
                status, seconds = await connection.classify(text)
                if status == 200:
                    spent.append(seconds)
                    break
                if status != 429:
                    sys.exit(f"status {status} from {connection.path}")
                await asyncio.sleep(1)  # as it is told to
        connection.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return spent


def main() -> None:
    """Start the servers, measure in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--characters", type=int, default=80)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=available_cpus())
    parser.add_argument("--infinity", type=Path, help="infinity_emb of an environment of its own")
    arguments = parser.parse_args()
    texts = texts_of(arguments.characters)
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as servers:
        folder, threads = Path(scratch) / "peer", str(arguments.threads)
        write_peer(folder)
        asks: dict[str, Callable[[], Connection]] = {}
        port = free_port()
        servers.enter_context(server([sys.executable, "-c", CODE, "--port", str(port), "--threads", threads], port))
        asks["kesu"] = lambda port=port: Connection("127.0.0.1", port)  # type: ignore[misc]
        port = free_port()
        servers.enter_context(server([sys.executable, "-c", PIPELINE, str(folder), str(port), threads], port))
        asks["FastAPI and transformers pipeline"] = lambda port=port: Peer(  # type: ignore[misc]
            port, "/classify", lambda text: {"text": text}
        )
        if arguments.infinity:
            port = free_port()
            command = [str(arguments.infinity), "v2", "--model-id", str(folder), "--served-model-name", "peer"]
            command += ["--port", str(port), "--engine", "torch", "--device", "cpu", "--no-bettertransformer"]
            servers.enter_context(server(command, port, OMP_NUM_THREADS=threads, HF_HUB_OFFLINE="1", DO_NOT_TRACK="1"))
            asks["infinity-emb"] = lambda port=port: Peer(  # type: ignore[misc]
                port, "/classify", lambda text: {"model": "peer", "input": [text]}
            )
        rates: dict[str, list[float]] = {name: [] for name in asks}
        waits: dict[str, list[float]] = {name: [] for name in asks}
        for round_ in range(-1, arguments.rounds):
            for name, connect in asks.items():
                began = time.perf_counter()
                spent = asyncio.run(ask_all(connect, texts, arguments.clients))
                if round_ >= 0:  # the first is a warm-up
                    rates[name].append(len(texts) / (time.perf_counter() - began))
                    waits[name] += spent
        ours = statistics.median(rates["kesu"])
        print(f"{arguments.clients} clients, {arguments.characters} characters, {threads} threads")
        for name, found in rates.items():
            middle, p50 = statistics.median(found), statistics.median(waits[name]) * 1e3
            print(f"{name:36s} {middle:7.1f} texts/s   p50 {p50:7.1f} ms   kesu / this {ours / middle:5.2f}")


if __name__ == "__main__":
    main()
