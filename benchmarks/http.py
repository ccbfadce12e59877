"""What HTTP costs: the service beside the bare engine, in turns, on the same texts and weights.

    python -m benchmarks.http [--model FOLDER] [--characters 80] [--rounds 5] [--clients 32] [--threads N]
    python -m benchmarks.http --load 0.5 0.8 1.5 --seconds 600     # open loop, in shares of saturation

The service runs as its own process; clients are bare asyncio connections, since a client
library would cost more than the service. Bars: one client p50 <= 1.6 x engine; many clients
>= 80 % of the engine's texts/s at its best batch size; open loop p99 <= 60 ms at 50 %, 150 ms at
80 %, and at 150 % nothing but 200 and 429 with p99 of the accepted <= 500 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from model import Classifier
from model.cpus import available_cpus
from serving.examples import SHORT, TICKET

BATCHES = (1, 2, 4, 8, 16, 32)
# Times that many clients send every text: long enough for connecting and the last answers not to count.
REPEATS = 5
CODE = "import typer; from serving.serve import serve; typer.run(serve)"


class Connection:
    """One keep-alive connection; ``path`` and ``body`` tell what is asked."""

    path = "/v1/classify"

    def __init__(self, host: str, port: int):
        self._place = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def body(self, text: str) -> object:
        """The request for a text."""
        return {"text": text}

    async def classify(self, text: str) -> tuple[int, float]:
        """Status and seconds of one request; on a new connection where the server has closed the idle one."""
        reused = self._streams is not None
        try:
            return await self._ask(text)
        except (asyncio.IncompleteReadError, ConnectionError):
            if not reused:
                raise
            self.close()
            self._streams = None
            return await self._ask(text)

    async def _ask(self, text: str) -> tuple[int, float]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._place)
        reader, writer = self._streams
        body = json.dumps(self.body(text), ensure_ascii=False).encode()
        head = f"POST {self.path} HTTP/1.1\r\nHost: kesu\r\nContent-Type: application/json\r\n"
        began = time.perf_counter()
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = re.search(r"content-length: (\d+)", answer, re.IGNORECASE)
        await reader.readexactly(int(length[1]) if length else 0)
        return int(answer.split(" ", 2)[1]), time.perf_counter() - began

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()


def texts_of(characters: int, count: int = 96) -> list[str]:
    """Texts of about this many characters, all different."""
    rng = random.Random(0)
    clauses = [clause for text in (TICKET["text"], SHORT["text"]) for clause in re.findall(r"[^，。！]+[，。！]", text)]
    made = []
    for _ in range(count):
        text = ""
        while len(text) < characters:
            text += rng.choice(clauses)
        made.append(text[:characters])
    return made


def seconds_of(run: Callable[[], object]) -> float:
    """Wall time of a call."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


async def one_client(place: tuple[str, int], texts: Sequence[str]) -> list[float]:
    """Latencies of requests one after the other."""
    connection = Connection(*place)
    found = [(await connection.classify(text))[1] for text in texts]
    connection.close()
    return found


async def many_clients(place: tuple[str, int], texts: Sequence[str], clients: int) -> None:
    """All texts, by ``clients`` connections that send the next when they have the answer.

    A slow machine refuses some of many clients, since they would wait too long. They come back after a second, as they
    are told to: clients that come back at once keep the processors busy with refusals.
    """
    todo = iter(texts)

    async def client() -> None:
        connection = Connection(*place)
        for text in todo:
            while (await connection.classify(text))[0] == 429:
                await asyncio.sleep(1)
        connection.close()

    await asyncio.gather(*(client() for _ in range(clients)))


async def open_loop(place: tuple[str, int], texts: Sequence[str], rate: float, seconds: float) -> None:
    """Requests at a fixed rate, whether or not answers come; prints statuses and latencies."""
    idle: list[Connection] = []
    statuses: Counter[int] = Counter()
    accepted: list[float] = []

    async def send(text: str) -> None:
        connection = idle.pop() if idle else Connection(*place)
        status, spent = await connection.classify(text)
        idle.append(connection)
        statuses[status] += 1
        if status == 200:
            accepted.append(spent)

    began = time.perf_counter()
    rng = random.Random(1)
    due = 0.0
    tasks: set[asyncio.Task[None]] = set()
    while due < seconds:
        due += rng.expovariate(rate)  # arrivals as they come in life
        await asyncio.sleep(max(0.0, began + due - time.perf_counter()))
        task = asyncio.create_task(send(rng.choice(texts)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    cuts = statistics.quantiles(accepted, n=100)
    told = " ".join(f"{status}:{count}" for status, count in sorted(statuses.items()))
    print(f"{rate:7.1f} requests/s: p50 {cuts[49] * 1e3:6.1f} ms  p99 {cuts[98] * 1e3:6.1f} ms  {told}")


def compare(place: tuple[str, int], texts: list[str], arguments: argparse.Namespace) -> None:
    """The two bars against the bare engine."""
    classifier = Classifier.load(arguments.model, arguments.threads)
    ids = [classifier.read(text).tokens.ids for text in texts]
    engine = classifier.engine
    alone: list[float] = []
    http: list[float] = []
    rates: dict[int, list[float]] = {size: [] for size in BATCHES}
    served: list[float] = []
    crowd = texts * REPEATS
    for round_ in range(-1, arguments.rounds):
        bare = [seconds_of(lambda row=row: engine.logits([row])) for row in ids]  # type: ignore[misc]
        over = asyncio.run(one_client(place, texts))
        found = {size: len(ids) / seconds_of(lambda size=size: in_batches(classifier, ids, size)) for size in BATCHES}  # type: ignore[misc]
        whole = len(crowd) / seconds_of(lambda: asyncio.run(many_clients(place, crowd, arguments.clients)))
        if round_ < 0:  # warm-up
            continue
        alone += bare
        http += over
        served.append(whole)
        for size, rate in found.items():
            rates[size].append(rate)
    p50, over50 = statistics.median(alone), statistics.median(http)
    best, size = max((statistics.median(found), size) for size, found in rates.items())
    many = statistics.median(served)
    print(f"{arguments.threads} threads, {arguments.characters} characters, median of {arguments.rounds} rounds")
    print(f"one client, p50:   engine {p50 * 1e3:6.2f} ms   HTTP {over50 * 1e3:6.2f} ms   ratio {over50 / p50:.2f}")
    print(
        f"{arguments.clients} clients:   engine at batch {size} {best:6.1f} texts/s   HTTP {many:6.1f} texts/s   "
        f"ratio {many / best:.2f}"
    )


def in_batches(classifier: Classifier, ids: Sequence[Sequence[int]], size: int) -> None:
    """All texts through the engine, ``size`` a call."""
    for begin in range(0, len(ids), size):
        classifier.engine.logits(ids[begin : begin + size])


def print_memory(supervisor: int) -> None:
    """Resident memory of the service's processes, where /proc tells it."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children")
    for process in [str(supervisor), *(children.read_text().split() if children.exists() else ())]:
        status = Path(f"/proc/{process}/status")
        if status.exists():
            print(*(line for line in status.read_text().splitlines() if line.startswith(("Name", "VmHWM", "VmRSS"))))


def main() -> None:
    """Start the service, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--characters", type=int, default=80)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--threads", type=int, default=available_cpus())
    parser.add_argument("--load", type=float, nargs="*", default=[], help="open loop, shares of saturation")
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    texts = texts_of(arguments.characters)
    command = [sys.executable, "-c", CODE, "--port", "0", "--threads", str(arguments.threads)]
    command += ["--model", str(arguments.model)] if arguments.model else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as service:
        try:
            found = re.search(r"http://([\d.]+):(\d+)", service.stdout.readline() if service.stdout else "")
            if found is None:
                sys.exit("the service did not start; try `kesu serve`")
            place = found[1], int(found[2])
            if not arguments.load:
                compare(place, texts, arguments)
                return
            crowd = texts * REPEATS
            spent = [
                seconds_of(lambda: asyncio.run(many_clients(place, crowd, arguments.clients)))
                for _ in range(arguments.rounds)
            ]
            saturation = len(crowd) / statistics.median(spent)
            print(f"saturation: {saturation:.1f} texts/s")
            for share in arguments.load:
                asyncio.run(open_loop(place, texts, share * saturation, arguments.seconds))
            print_memory(service.pid)
        finally:
            service.terminate()
            service.wait()


if __name__ == "__main__":
    main()
