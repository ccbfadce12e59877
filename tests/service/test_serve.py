"""``kesu serve`` as a process of its own."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from model.errors import InvalidInput
from serving.security import hash_key
from serving.serve import serve
from serving.server import listen
from serving.settings import Settings
from serving.supervisor import supervise
from tests.toys import LOST_PARCEL

PATIENCE = 60.0
CODE = "import typer; from serving.serve import serve; typer.run(serve)"


@contextlib.contextmanager
def process(*arguments: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """The running service, its address, and its log so far."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KESU_")}
    environment |= {"KESU_TEXT_SECONDS": "120"} | variables
    command = [sys.executable, "-W", "error", "-c", CODE, "--port", "0", "--threads", "1", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as running:
        assert running.stdout
        assert running.stderr
        log: list[str] = []
        reader = threading.Thread(target=lambda: log.extend(iter(running.stderr.readline, "")), daemon=True)  # type: ignore[union-attr]
        reader.start()
        try:
            found = re.search(r"http://\S+:\d+", running.stdout.readline())
            assert found, log
            yield running, found[0], log
        finally:
            running.kill()
            reader.join(PATIENCE)


def post(address: str, body: bytes) -> tuple[int, Any]:
    request = urllib.request.Request(f"{address}/v1/classify", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
        return reply.status, json.load(reply)


def wait_for(log: list[str], event: str) -> None:
    end = time.monotonic() + PATIENCE
    while not any(json.loads(line)["event"] == event for line in list(log) if line.startswith("{")):
        assert time.monotonic() < end, log
        time.sleep(0.02)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def answers(address: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/readyz", timeout=PATIENCE) as reply:
        return bool(reply.status == 200)
    return False


def wait_until_refused(host: str, port: int) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection((host, port), PATIENCE).close()
        except ConnectionError:  # refused, or reset with what waited to be accepted
            return
        assert time.monotonic() < end
        time.sleep(0.02)


def test_serve_answers_reloads_on_sighup_and_drains_on_sigterm(model_folder: Path) -> None:
    with process("--model", str(model_folder)) as (running, address, log):
        body = json.dumps({"text": LOST_PARCEL}).encode()
        assert post(address, body)[1]["causes"][0]["label"] == "service.delivery"
        running.send_signal(signal.SIGHUP)
        wait_for(log, "reloaded")
        # A request whose last byte comes after SIGTERM is still answered.
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), PATIENCE) as connection:
            head = "POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:10])
            assert post(address, body)[0] == 200  # by now the other has been read as well
            running.send_signal(signal.SIGTERM)
            wait_until_refused(host, int(port))  # new callers are not left waiting for the end
            connection.sendall(body[10:])
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        assert running.wait(PATIENCE) == 0
    assert "Traceback" not in "".join(log)
    wait_for(log, "stopped")


def worker_of(supervisor: int) -> int:
    """The one child of a process."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    assert len(children) == 1, children
    return int(children[0])


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find the worker")
def test_serve_goes_on_when_its_worker_is_killed(model_folder: Path) -> None:
    with process("--model", str(model_folder)) as (running, address, log):
        body = json.dumps({"text": LOST_PARCEL}).encode()
        first = post(address, body)
        for _ in range(2):
            killed = worker_of(running.pid)
            os.kill(killed, signal.SIGKILL)
            assert post(address, body)[0] == first[0]  # waits in the queue of the socket, is not refused
            assert worker_of(running.pid) != killed
        wait_for(log, "worker_died")
        running.send_signal(signal.SIGTERM)
        assert running.wait(PATIENCE) == 0


# An engine that never comes back while a file exists; Python imports a module of this name when it starts.
HANGING = """
import pathlib, time
from model.engine import OnnxEngine
sound = OnnxEngine.logits
def logits(self, batch):
    while pathlib.Path({flag!r}).exists():
        pathlib.Path({flag!r} + ".begun").touch()
        {at_work}
    return sound(self, batch)
OnnxEngine.logits = logits
"""


def hanging(flag: Path, at_work: str = "time.sleep(3600)") -> str:
    return HANGING.format(flag=str(flag), at_work=at_work)


@pytest.mark.skipif(sys.platform == "win32", reason="nobody starts the service anew there")
def test_serve_starts_anew_when_every_worker_hangs(model_folder: Path, tmp_path: Path) -> None:
    flag, body = tmp_path / "hang", json.dumps({"text": LOST_PARCEL}).encode()
    (tmp_path / "sitecustomize.py").write_text(hanging(flag), encoding="utf-8")
    short = {"KESU_TEXT_SECONDS": "0.5", "KESU_STALLED_SECONDS": "0.5"}
    with process("--model", str(model_folder), PYTHONPATH=str(tmp_path), **short) as (running, address, log):
        flag.touch()
        for _ in range(2):  # the worker, then its replacement
            with pytest.raises(urllib.error.HTTPError, match="504") as caught:
                post(address, body)
            caught.value.close()
        flag.unlink()  # else the self-check of the new process would hang, too
        wait_for(log, "worker_died")
        assert post(address, body)[0] == 200
        wait_for(log, "stalled")
        running.send_signal(signal.SIGTERM)
        assert running.wait(PATIENCE) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="nobody ends the service there")
def test_serve_ends_although_a_reload_hangs(model_folder: Path, tmp_path: Path) -> None:
    flag = tmp_path / "hang"
    (tmp_path / "sitecustomize.py").write_text(hanging(flag), encoding="utf-8")
    with process("--model", str(model_folder), PYTHONPATH=str(tmp_path), KESU_DRAIN_SECONDS="0") as (running, _, log):
        flag.touch()
        running.send_signal(signal.SIGHUP)  # its self-check never comes back
        time.sleep(1)
        running.send_signal(signal.SIGTERM)
        assert running.wait(PATIENCE) == 128 + signal.SIGKILL, log


@pytest.mark.skipif(sys.platform == "win32", reason="nobody ends the service there")
def test_serve_tells_whom_it_cannot_answer_any_more(model_folder: Path, tmp_path: Path) -> None:
    flag, body = tmp_path / "hang", json.dumps({"text": LOST_PARCEL}).encode()
    (tmp_path / "sitecustomize.py").write_text(hanging(flag), encoding="utf-8")
    with process("--model", str(model_folder), PYTHONPATH=str(tmp_path), KESU_DRAIN_SECONDS="1") as (
        running,
        address,
        _,
    ):
        flag.touch()
        with ThreadPoolExecutor() as pool:
            asked = [pool.submit(post, address, body)]
            wait_until((tmp_path / "hang.begun").exists)
            asked.append(pool.submit(post, address, body))
            wait_until(lambda: b"kesu_waiting_single_texts 1.0" in urllib.request.urlopen(f"{address}/metrics").read())
            running.send_signal(signal.SIGTERM)
            for answer in asked:
                with pytest.raises(urllib.error.HTTPError, match="503") as caught:
                    answer.result(PATIENCE)
                assert json.load(caught.value)["error"]["code"] == "stalled"
                assert caught.value.headers["Retry-After"] == "1"
        assert running.wait(PATIENCE) == 0


def test_serve_ends_cleanly_while_a_text_is_in_the_network(model_folder: Path, tmp_path: Path) -> None:
    flag, body = tmp_path / "busy", json.dumps({"text": LOST_PARCEL}).encode()
    (tmp_path / "sitecustomize.py").write_text(hanging(flag, "sound(self, [batch[0] * 12])"), encoding="utf-8")
    with process("--model", str(model_folder), PYTHONPATH=str(tmp_path), KESU_DRAIN_SECONDS="1") as (
        running,
        address,
        log,
    ):
        flag.touch()
        with ThreadPoolExecutor() as pool:
            asked = pool.submit(post, address, body)
            wait_until((tmp_path / "busy.begun").exists)
            running.send_signal(signal.SIGTERM)
            with pytest.raises(urllib.error.HTTPError, match="503") as caught:
                asked.result(PATIENCE)
            caught.value.close()
        assert running.wait(PATIENCE) == 0
    assert all(line.startswith("{") for line in log), log


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find the worker")
def test_serve_leaves_no_worker_behind(model_folder: Path) -> None:
    with process("--model", str(model_folder)) as (running, _, _log):
        worker = worker_of(running.pid)
        running.kill()
        end = time.monotonic() + PATIENCE
        while Path(f"/proc/{worker}/exe").exists() and time.monotonic() < end:
            time.sleep(0.05)
        assert not Path(f"/proc/{worker}/exe").exists()


def test_serve_says_that_the_port_is_taken(model_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInput, match=f":{port}: cannot listen"):
            listen(Settings(port=port, model=model_folder, threads=1, logs=False))


def test_serve_wrong_model_is_told_and_not_tried_again(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert supervise(Settings(port=0, model=tmp_path / "none", logs=False)) == 2
    assert "no such folder" in capfd.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="nobody watches the start there")
def test_serve_that_is_not_ready_in_time_is_ended_and_says_so(
    model_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(port=0, model=model_folder, logs=False, startup_seconds=0.01)
    assert supervise(settings) == 2
    assert "not ready after 0.01 s" in capfd.readouterr().err


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find the worker")
def test_serve_replaces_a_worker_that_hangs_in_its_start(model_folder: Path, tmp_path: Path) -> None:
    flag, body = tmp_path / "hang", json.dumps({"text": LOST_PARCEL}).encode()
    (tmp_path / "sitecustomize.py").write_text(hanging(flag), encoding="utf-8")
    settings = {"PYTHONPATH": str(tmp_path), "KESU_STARTUP_SECONDS": "10"}
    with process("--model", str(model_folder), **settings) as (running, address, log):
        flag.touch()
        os.kill(worker_of(running.pid), signal.SIGKILL)
        wait_for(log, "not_ready")
        flag.unlink()
        assert post(address, body)[0] == 200
        running.send_signal(signal.SIGTERM)
        assert running.wait(PATIENCE) == 0


def test_serve_start_without_a_limit(tmp_path: Path) -> None:
    assert supervise(Settings(port=0, model=tmp_path / "none", logs=False, startup_seconds=math.inf)) == 2


def test_serve_takes_no_module_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [folder for folder in sys.path if folder])
    assert supervise(Settings(port=0, model=tmp_path / "none", logs=False)) == 2
    assert "no such folder" in capfd.readouterr().err


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to see the worker begin")
def test_serve_hang_up_during_the_start_is_heeded_after_it(model_folder: Path) -> None:
    command = [sys.executable, "-c", CODE, "--port", "0", "--threads", "1", "--model", str(model_folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout
        assert running.stderr
        try:
            end = time.monotonic() + PATIENCE
            while not Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text():
                assert time.monotonic() < end
                time.sleep(0.01)
            running.send_signal(signal.SIGHUP)
            assert "kesu serves on" in running.stdout.readline()
            log: list[str] = []
            while not log or json.loads(log[-1])["event"] != "reloaded":
                log.append(running.stderr.readline())
        finally:
            running.kill()


@pytest.mark.parametrize("name", ["tickets", '工单 "a"\\', "a=b"])
def test_new_key_prints_the_key_and_its_setting(name: str) -> None:
    app = typer.Typer()
    app.command()(serve)
    done = CliRunner().invoke(app, ["--new-key", name])
    assert done.exit_code == 0
    key = re.search(r"kesu_[\w-]+", done.stderr)
    assert key
    assert tomllib.loads(done.stdout) == {"api_keys": {name: hash_key(key[0])}}


def test_new_key_needs_a_name() -> None:
    with pytest.raises(InvalidInput, match="give the caller a name"):
        serve(new_key_name=" ")


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors are not numbers there")
@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_serve_with_closed_standard_streams_answers_and_ends_cleanly(model_folder: Path, closed: tuple[int]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code = "from serving.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", "--port", str(port), "--model", str(model_folder)]
    redirect = " ".join(f"{number}>&-" for number in closed)
    running = subprocess.Popen(["sh", "-c", f'exec "$@" {redirect}', "sh", *command], start_new_session=True)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(address))
        assert post(address, json.dumps({"text": LOST_PARCEL}).encode())[0] == 200
        running.send_signal(signal.SIGTERM)
        assert running.wait(PATIENCE) == 0
    finally:
        running.kill()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("target", ["/dev/full", "a pipe that nobody reads"])
def test_serve_goes_on_when_nobody_can_read_where_it_is(model_folder: Path, target: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code = f"import sys; sys.argv[1:] = ['serve', '--port', '{port}', '--model', '{model_folder}']; " + (
        "from serving.cli import main; main()"
    )
    if target == "/dev/full":
        written = os.open(target, os.O_WRONLY)
    else:
        read, written = os.pipe()
        os.close(read)
    with subprocess.Popen([sys.executable, "-c", code], stdout=written, stderr=subprocess.DEVNULL) as running:
        os.close(written)
        try:
            address = f"http://127.0.0.1:{port}"
            wait_until(lambda: answers(address))
            time.sleep(0.5)  # it tells where it is once it answers
            assert post(address, json.dumps({"text": LOST_PARCEL}).encode())[0] == 200
            running.send_signal(signal.SIGTERM)
            assert running.wait(PATIENCE) == 0
        finally:
            running.kill()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_all_addresses_of_ipv6_are_those_of_ipv4_too() -> None:
    with listen(Settings(host="::", port=0, insecure=True)) as listener:
        socket.create_connection(("127.0.0.1", listener.getsockname()[1]), timeout=PATIENCE).close()
