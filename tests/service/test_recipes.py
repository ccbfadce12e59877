"""The integration recipes, run as programs between a kesu service and a stand-in for the ticket system."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import serving
from tests.service.test_serve import PATIENCE, process
from tests.toys import LOST_PARCEL

RECIPES = Path(serving.__path__[0]) / "recipes"
SECRET = b"a secret of the test"


class Tickets(ThreadingHTTPServer):
    """A ticket system with what the recipes use of it; ``broken`` writes fail, ``forgetful`` ones do nothing."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.tickets: dict[str, dict[str, Any]] = {}
        self.writes: list[tuple[str, str, dict[str, Any], str | None]] = []
        self.broken = 0
        self.forgetful = False
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Tickets

    def do_GET(self) -> None:
        unread = [ticket for ticket in self.server.tickets.values() if "kesu" not in ticket]
        self.reply(200, unread[:50])

    def do_PUT(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.broken:
            self.server.broken -= 1
            return self.reply(502, {})
        ticket = self.path.rpartition("/")[2]
        self.server.writes.append((self.command, self.path, body, self.headers["Authorization"]))
        if not self.server.forgetful:
            self.server.tickets.setdefault(ticket, {}).update(body)
        return self.reply(200, {"id": ticket})

    do_PATCH = do_PUT  # noqa: N815 (the name the base class looks for)

    def reply(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[None]:
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


@pytest.fixture
def tickets() -> Iterator[Tickets]:
    with running(server := Tickets()):
        yield server


@pytest.fixture(scope="module")
def kesu(_sealed_folder: Path) -> Iterator[str]:
    with process("--model", str(_sealed_folder)) as (_, address, _log):
        yield address


def environment(kesu: str, tickets: Tickets, **more: str) -> dict[str, str]:
    told = {"KESU_URL": kesu, "TICKETS_URL": tickets.url, "TICKETS_TOKEN": "t0ken", **more}
    return {name: value for name, value in os.environ.items() if not name.startswith("KESU_")} | told


@contextlib.contextmanager
def webhook(kesu: str, tickets: Tickets) -> Iterator[str]:
    told = environment(kesu, tickets, WEBHOOK_SECRET=SECRET.decode(), PORT="0")
    command = [sys.executable, "-I", str(RECIPES / "zammad_webhook.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=told) as running:
        assert running.stdout
        found = re.search(r"http://\S+", running.stdout.readline())
        assert found
        try:
            yield found[0]
        finally:
            running.kill()


def deliver(address: str, event: Any, secret: bytes = SECRET, signature: str | None = None) -> int:
    body = json.dumps(event).encode()
    signature = signature or "sha1=" + hmac.new(secret, body, hashlib.sha1).hexdigest()
    request = urllib.request.Request(address, body, {"X-Hub-Signature": signature})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code


def created(ticket: int, body: str) -> dict[str, Any]:
    """An event as Zammad sends it, cut to what matters."""
    about = {"id": ticket, "title": "快递问题", "created_at": "2026-05-01T01:30:00.000Z"}
    return {"ticket": about, "article": {"body": body, "content_type": "text/html"}}


def test_zammad_ticket_gets_its_fields(kesu: str, tickets: Tickets) -> None:
    with webhook(kesu, tickets) as address:
        assert deliver(address, created(7, f"<p>{LOST_PARCEL}</p>&amp;")) == 200
    ((method, path, body, token),) = tickets.writes
    assert (method, path, token) == ("PUT", "/api/v1/tickets/7", "Token token=t0ken")
    assert body["kesu_cause"].split(";")[0] == "service.delivery"
    assert body["kesu_severity"] in range(1, 5)
    assert ("priority_id" in body) == (body["kesu_severity"] >= 3)
    assert body["article"]["internal"] is True
    assert "2026-05-01" in body["article"]["body"], "deadlines count from when the ticket was created"


def test_zammad_webhook_loses_nothing_and_trusts_nobody(kesu: str, tickets: Tickets) -> None:
    with webhook(kesu, tickets) as address:
        assert deliver(address, created(1, LOST_PARCEL), secret=b"another") == 401
        assert deliver(address, created(1, LOST_PARCEL), signature="sha1=\xe9") == 401
        assert deliver(address, [1]) == 400
        assert tickets.writes == []
        tickets.broken = 1
        assert deliver(address, created(1, LOST_PARCEL)) == 503
        assert deliver(address, created(1, LOST_PARCEL)) == 200
        assert deliver(address, {"ticket": {"id": 2}, "article": {"body": "😡"}}) == 200
    assert [path for _, path, _, _ in tickets.writes] == ["/api/v1/tickets/1", "/api/v1/tickets/2"]
    assert "未能读取" in tickets.writes[1][2]["article"]["body"]
    # A scheduler sends what has no kesu_decision: this one must not get a note at every run.
    assert tickets.tickets["2"]["kesu_decision"] == "refused"
    with webhook("http://127.0.0.1:9", tickets) as address:
        assert deliver(address, created(3, LOST_PARCEL)) == 503
    assert len(tickets.writes) == 2


class Echo(ThreadingHTTPServer):
    """In place of kesu: keeps the texts, and gives an answer that asks for a person beyond its strategies."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), EchoHandler)
        self.texts: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class EchoHandler(Handler):
    server: Echo  # type: ignore[assignment]

    def do_POST(self) -> None:
        self.server.texts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
        answer = {"causes": [], "motives": [], "severity": {"level": 1, "name": "轻微"}, "strategies": []}
        self.reply(200, answer | {"decision": "auto", "confidence": 0.9, "human_decision": True})


@pytest.fixture
def echo() -> Iterator[Echo]:
    with running(server := Echo()):
        yield server


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            "<p>净重&lt;500克，全家上吐下泻去了医院，要求退款赔偿，说好是&gt;800克的</p>",
            "净重<500克，全家上吐下泻去了医院，要求退款赔偿，说好是>800克的",
        ),
        ("<div>第一行<br />第&amp;二行&nbsp;<b>粗</b></div>", "第一行\n第&二行\xa0粗"),
        ("写的是&amp;lt;b&amp;gt;", "写的是&lt;b&gt;"),
        (
            "<html><head><title>x</title></head><style>p{color:red}</style><script>var x=1</script>"
            "<p>要求退款</p><!-- a > b -->",
            "要求退款",
        ),
        ("<head><meta charset=utf-8><body>头没有关上", "头没有关上"),
        ("三天没到 < 说好的一天", "三天没到 < 说好的一天"),
    ],
)
def test_zammad_markup_goes_and_what_the_customer_wrote_stays(
    echo: Echo, tickets: Tickets, body: str, text: str
) -> None:
    with webhook(echo.url, tickets) as address:
        assert deliver(address, created(4, body)) == 200
    assert echo.texts == [f"快递问题\n{text}"]


def test_zammad_odd_events_are_told_apart(kesu: str, tickets: Tickets) -> None:
    with webhook(kesu, tickets) as address:
        odd_time = created(11, LOST_PARCEL)
        for time in ("yesterday", "1999-01-01T00:00:00Z"):
            odd_time["ticket"]["created_at"] = time
            assert deliver(address, odd_time) == 200
        assert tickets.tickets["11"]["kesu_decision"] != "refused"
        for article in ("text", [{"body": LOST_PARCEL}], None):
            assert deliver(address, created(12, "") | {"article": article}) == 200
        assert tickets.tickets["12"]["kesu_cause"]  # the title alone
        nested: Any = []
        for _ in range(900):
            nested = [nested]
        assert deliver(address, {"ticket": {"id": 13, "title": LOST_PARCEL}, "article": {"body": nested}}) in (200, 400)
        tickets.writes.clear()
        assert [deliver(address, created(14, LOST_PARCEL)) for _ in range(2)] == [200, 200]
        assert len(tickets.writes) == 1, "an event that comes twice makes no second note"


def test_zammad_note_says_that_a_person_decides(echo: Echo, tickets: Tickets) -> None:
    with webhook(echo.url, tickets) as address:
        assert deliver(address, created(5, LOST_PARCEL)) == 200
    assert "须人工决定" in tickets.tickets["5"]["article"]["body"]


def poll(kesu: str, tickets: Tickets) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(RECIPES / "poll.py")]
    return subprocess.run(command, env=environment(kesu, tickets), capture_output=True, text=True, timeout=PATIENCE)


def test_poll_classifies_all_that_is_unread(kesu: str, tickets: Tickets) -> None:
    tickets.tickets = {str(i): {"id": i, "text": LOST_PARCEL if i % 7 else "😡"} for i in range(1, 121)}
    tickets.broken = 1  # the first write is tried again
    done = poll(kesu, tickets)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(tickets.writes) == 120
    assert {ticket["kesu"] for ticket in tickets.tickets.values()} <= {"auto", "suggest", "review", "refused"}
    assert tickets.tickets["7"]["kesu"] == "refused"
    assert tickets.tickets["1"]["cause"][0] == "service.delivery"


def test_poll_writes_to_the_ticket_of_any_id(kesu: str, tickets: Tickets) -> None:
    tickets.tickets = {"工单/1?": {"id": "工单/1?", "text": LOST_PARCEL}, "2": {"id": 2}}
    done = poll(kesu, tickets)
    assert [path for _, path, _, _ in tickets.writes] == ["/tickets/%E5%B7%A5%E5%8D%95%2F1%3F", "/tickets/2"]
    assert tickets.tickets["2"]["kesu"] == "refused"
    assert done.returncode == 1, "the stand-in does not find the ticket of the quoted id, and lists it again"


@pytest.mark.parametrize("listed", [None, [1], [{"text": LOST_PARCEL}], {"error": "log in"}])
def test_poll_tells_that_it_got_no_tickets(
    kesu: str, tickets: Tickets, listed: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handler, "do_GET", lambda self: self.reply(200, listed))
    done = poll(kesu, tickets)
    assert done.returncode == 1
    assert done.stderr.startswith(f"stopped: {tickets.url}/tickets: the answer")
    assert done.stderr.count("\n") == 1


def test_poll_says_what_it_could_not_do(kesu: str, tickets: Tickets) -> None:
    tickets.tickets = {"1": {"id": 1, "text": LOST_PARCEL}}
    tickets.broken = 5
    done = poll(kesu, tickets)
    assert done.returncode == 1
    assert "ticket 1: not written" in done.stderr
    assert LOST_PARCEL not in done.stderr


def test_poll_sends_long_texts_in_several_requests_and_goes_round_once(kesu: str, tickets: Tickets) -> None:
    tickets.tickets = {str(i): {"id": i, "text": LOST_PARCEL * (70_000 // len(LOST_PARCEL))} for i in range(3)}
    tickets.tickets["9"] = {"id": 9, "text": LOST_PARCEL * 20_000}
    assert poll(kesu, tickets).returncode == 0
    assert {ticket["kesu"] for ticket in tickets.tickets.values()} <= {"auto", "suggest", "review"}
    # A ticket system that takes the write but not the mark lists the ticket again and again.
    tickets.forgetful = True
    tickets.tickets = {"1": {"id": 1, "text": LOST_PARCEL}}
    tickets.writes.clear()
    assert poll(kesu, tickets).returncode == 1
    assert len(tickets.writes) == 1
