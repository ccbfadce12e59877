"""Connections to a listening service, spoken to by hand."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn

from serving.protocol import connection

PATIENCE = 30.0
BODY = json.dumps({"text": "快递丢了，没人管"}, ensure_ascii=False).encode()
Serve = Callable[..., tuple[str, int]]


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with method, path, headers and the whole body."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    told = {
        "method": scope["method"],
        "path": scope["path"],
        "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
        "body": body.decode(),
    }
    answer = json.dumps(told).encode()
    headers = [(b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server with limits for its connections; gives its address."""
    with contextlib.ExitStack() as stack:

        def run(head_seconds: float = PATIENCE, most: int = 100) -> tuple[str, int]:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            kind = connection(head_seconds, most)
            server = uvicorn.Server(uvicorn.Config(echo, http=kind, ws="none", lifespan="off", log_config=None))
            thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
            thread.start()
            stack.callback(thread.join, PATIENCE)
            stack.callback(lambda: setattr(server, "should_exit", True))
            end = time.monotonic() + PATIENCE
            while not server.started:
                assert time.monotonic() < end
                time.sleep(0.01)
            address: tuple[str, int] = listener.getsockname()
            return address

        yield run


def read(stream: socket.socket) -> tuple[int, Any]:
    """Status and JSON of one answer; 0 where the connection was closed without one."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):  # no byte further: the next answer may have come with this one
        part = stream.recv(1)
        if not part:
            assert not head
            return 0, None
        head += part
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    body = b""
    while len(body) < length:
        body += stream.recv(length - len(body))
    return int(head.split()[1]), json.loads(body)


def offering(offer: str, body: bytes = BODY, method: str = "POST", **headers: str) -> tuple[bytes, bytes]:
    """Head and body of a request that offers to go on in another protocol."""
    given = {"Host": "kesu", "Connection": "keep-alive, Upgrade, HTTP2-Settings", "Upgrade": offer} | headers
    if body:
        given["Content-Length"] = str(len(body))
    lines = [f"{method} /v1/classify?a=1 HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode(), body


@pytest.mark.parametrize("offer", ["h2c", "websocket", "TLS/1.0"])
@pytest.mark.parametrize("cut", [None, 3, 60, -1, 0, 10])
def test_offer_of_another_protocol_is_passed_over_and_the_body_is_read(
    serve: Serve, offer: str, cut: int | None
) -> None:
    head, body = offering(offer, **{"HTTP2-Settings": "AAMAAABkAAQAAP__", "X-Request-ID": "a-1"})
    whole = head + body
    place = len(whole) if cut is None else cut if cut in (3, 60) else len(head) + cut
    with socket.create_connection(serve(), timeout=PATIENCE) as stream:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2):  # the connection is kept, and Java's client makes its offer every time
            stream.sendall(whole[:place])
            time.sleep(0.05)
            stream.sendall(whole[place:])
            status, told = read(stream)
            assert status == 200
            assert told["body"] == BODY.decode()
            assert (told["method"], told["path"]) == ("POST", "/v1/classify")
            headers = dict(told["headers"])
            assert headers == {
                "host": "kesu",
                "connection": "keep-alive",
                "x-request-id": "a-1",
                "content-length": str(len(BODY)),
            }


def test_offer_without_a_body_and_the_next_request_behind_it(serve: Serve) -> None:
    head, _ = offering("h2c", body=b"", method="GET", Connection="Upgrade")
    with socket.create_connection(serve(), timeout=PATIENCE) as stream:
        stream.sendall(head + b"GET /second HTTP/1.1\r\nHost: kesu\r\n\r\n")
        first = read(stream)
        assert first[0] == 200
        assert dict(first[1]["headers"]) == {"host": "kesu"}
        assert read(stream)[1]["path"] == "/second"


def test_offer_with_a_body_in_chunks(serve: Serve) -> None:
    head, _ = offering("h2c", body=b"", **{"Transfer-Encoding": "chunked"})
    with socket.create_connection(serve(), timeout=PATIENCE) as stream:
        stream.sendall(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY))
        assert read(stream)[1]["body"] == BODY.decode()


@pytest.mark.parametrize(
    "request_",
    [b"FOO BAR BAZ\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"CONNECT kesu:443 HTTP/1.1\r\n\r\n"],
)
def test_what_is_no_request_is_told_so_in_json(serve: Serve, request_: bytes) -> None:
    with socket.create_connection(serve(), timeout=PATIENCE) as stream:
        stream.sendall(request_)
        status, told = read(stream)
        assert (status, told["error"]["code"]) == (400, "malformed_body")
        assert told["error"]["request_id"]
        assert stream.recv(1) == b""


def test_head_must_arrive_in_time(serve: Serve) -> None:
    address = serve(head_seconds=0.3)
    with socket.create_connection(address, timeout=PATIENCE) as slow:
        slow.sendall(b"GET /v1/taxonomy HTTP/1.1\r\nHost:")
        status, told = read(slow)
        assert (status, told["error"]["code"]) == (408, "slow_body")
        assert slow.recv(1) == b""
    with socket.create_connection(address, timeout=PATIENCE) as idle:
        time.sleep(0.6)  # no request has begun: that is for the keep-alive time to end
        idle.sendall(b"GET /late HTTP/1.1\r\nHost: kesu\r\n\r\n")
        assert read(idle)[1]["path"] == "/late"


def test_idle_connections_give_way_to_new_ones(serve: Serve) -> None:
    address = serve(most=3)
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(address, timeout=PATIENCE)) for _ in range(3)]
        for place in (1, 2, 0):  # one after the other, so that it is certain which has been idle for longest
            silent[place].sendall(b"GET / HTTP/1.1\r\nHost: kesu\r\n\r\n")
            assert read(silent[place])[0] == 200
        silent[0].sendall(b"GET / HTTP/1.1\r\nHost:")  # half a head is idle, too, but not for as long as the others
        for _ in range(2):
            late = stack.enter_context(socket.create_connection(address, timeout=PATIENCE))
            late.sendall(b"GET /late HTTP/1.1\r\nHost: kesu\r\n\r\n")
            assert read(late)[1]["path"] == "/late"
        assert [read(stream)[0] for stream in silent[1:]] == [0, 0]
        silent[0].sendall(b" kesu\r\n\r\n")
        assert read(silent[0])[0] == 200
