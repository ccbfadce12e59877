"""Zammad webhook -> kesu -> fields, priority and a note on the ticket. Python 3.11, nothing to install.

Settings by environment: KESU_URL, KESU_KEY (where the service has keys), TICKETS_URL, TICKETS_TOKEN,
WEBHOOK_SECRET (the signature token of the webhook), PORT (8090), HOST (127.0.0.1).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sys
import urllib.error
import urllib.request
from collections import OrderedDict
from html.parser import HTMLParser
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KESU, TICKETS = os.environ["KESU_URL"].rstrip("/"), os.environ["TICKETS_URL"].rstrip("/")
SECRET = os.environ["WEBHOOK_SECRET"].encode()
# Zammad's default priorities: 1 low, 2 normal, 3 high.
HIGH, SERIOUS = 3, 3
MAX_BODY = 4_000_000
# kesu takes no more, and of a text like that it reads the beginning and the end.
MAX_CHARACTERS = 100_000
# Zammad waits 30 s for the answer: both calls must fit in, or it delivers the event again while this is still at work.
SECONDS = 14
# Not <head>: mails leave out its end, and all that follows would go with it.
HIDDEN = ("style", "script", "title")
# Signatures of the latest events that were written back.
WRITTEN: OrderedDict[str, None] = OrderedDict()
REMEMBERED = 1000


def call(method: str, url: str, body: dict[str, Any], headers: dict[str, str]) -> Any:
    """JSON there and back."""
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json", **headers}, method=method
    )
    with urllib.request.urlopen(request, timeout=SECONDS) as reply:
        return json.load(reply)


class Words(HTMLParser):
    """What a reader sees of a mail: no markup, styles, scripts or comments."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        """Lines break at <br>; styles and scripts begin."""
        self.hidden += tag in HIDDEN
        if tag == "br":
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        """Lines break after paragraphs; styles and scripts end."""
        self.hidden = max(0, self.hidden - (tag in HIDDEN))
        if tag in ("p", "div"):
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        """Text, its entities resolved."""
        if not self.hidden:
            self.parts.append(data)


def text_of(event: dict[str, Any]) -> str:
    """Title and first article, without the markup of a mail."""
    article = event.get("article")
    article = article if isinstance(article, dict) else {}
    body = str(article.get("body") or "")
    if "html" in str(article.get("content_type")):
        words = Words()
        words.feed(body)
        words.close()
        body = "".join(words.parts)
    return f"{event['ticket'].get('title') or ''}\n{body}".strip()[:MAX_CHARACTERS]


def classify(event: dict[str, Any]) -> dict[str, Any]:
    """kesu's answer for the event's text."""
    ticket = event["ticket"]
    body: dict[str, Any] = {"id": str(ticket["id"]), "text": text_of(event)}
    if ticket.get("created_at"):
        body["received_at"] = ticket["created_at"]
    key = os.environ.get("KESU_KEY")
    headers = {"X-API-Key": key} if key else {}
    try:
        answer: dict[str, Any] = call("POST", f"{KESU}/v1/classify", body, headers)
    except urllib.error.HTTPError as error:
        # A time that kesu cannot read is no reason to leave the complaint unread: deadlines then count from now.
        if error.code != 422 or body.pop("received_at", None) is None:
            raise
        answer = call("POST", f"{KESU}/v1/classify", body, headers)
    return answer


def fields(answer: dict[str, Any]) -> dict[str, Any]:
    """What is written to the ticket."""
    level = answer["severity"]["level"]
    note = [f"严重度 {level} {answer['severity']['name']}，{answer['decision']}（{answer['confidence']:.2f}）"]
    if answer["human_decision"]:  # also where none of the strategies below asks for it
        note.append("赔付、拒绝或结案须人工决定")
    for strategy in answer["strategies"]:
        decides = "，须人工决定" if strategy["human_decision"] else ""
        # Without a date where the working-day calendar lacks the year.
        due = f"，{strategy['due']['at']} 前" if strategy["due"]["at"] else ""
        note.append(f"· {strategy['title']['zh']}：{strategy['owner']['zh']}{due}{decides}")
    found: dict[str, Any] = {
        "kesu_cause": ";".join(cause["label"] for cause in answer["causes"]),
        "kesu_motive": ";".join(motive["label"] for motive in answer["motives"]),
        "kesu_severity": level,
        "kesu_decision": answer["decision"],
        "article": {"subject": "kesu", "body": "\n".join(note), "type": "note", "internal": True},
    }
    return found | ({"priority_id": HIGH} if level >= SERIOUS else {})


def write_back(ticket: object, changes: dict[str, Any]) -> None:
    """Fields and note onto the ticket."""
    token = {"Authorization": f"Token token={os.environ['TICKETS_TOKEN']}"}
    call("PUT", f"{TICKETS}/api/v1/tickets/{ticket}", changes, token)


def refused(error: urllib.error.HTTPError) -> dict[str, Any]:
    """A note in place of labels, and a mark, so that it is not asked again: kesu will never accept this text."""
    note = f"kesu 未能读取：{json.load(error)['error']['message']}"
    article = {"subject": "kesu", "body": note, "type": "note", "internal": True}
    return {"kesu_decision": "refused", "article": article}


class Webhook(BaseHTTPRequestHandler):
    """One event a request."""

    def do_POST(self) -> None:
        """200 when the ticket carries its fields, 503 when Zammad should deliver the event again."""
        length = self.headers.get("Content-Length") or ""
        if not length.isdecimal():
            return self.reply(411)
        if len(length) > 9 or int(length) > MAX_BODY:
            return self.reply(413)
        body = self.rfile.read(int(length))
        signature = "sha1=" + hmac.new(SECRET, body, hashlib.sha1).hexdigest()
        if not hmac.compare_digest(signature.encode(), (self.headers.get("X-Hub-Signature") or "").encode()):
            return self.reply(401)
        try:
            event = json.loads(body)
            ticket = event["ticket"]["id"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return self.reply(400)
        if signature in WRITTEN:  # delivered again, because the first answer got lost
            return self.reply(200)
        try:
            try:
                changes = fields(classify(event))
            except urllib.error.HTTPError as error:
                if error.code not in (413, 422):  # too long, no words in it
                    raise
                changes = refused(error)
            write_back(ticket, changes)
            WRITTEN[signature] = None
            if len(WRITTEN) > REMEMBERED:
                WRITTEN.popitem(last=False)  # in one step, as there are other threads
        except (OSError, HTTPException, ValueError) as error:  # not reached, overloaded, or an answer cut short
            print(f"ticket {ticket}: {type(error).__name__} {getattr(error, 'code', '')}; will be delivered again",
                  file=sys.stderr)  # fmt: skip
            return self.reply(503)
        return self.reply(200)

    def reply(self, status: int) -> None:
        """A status without a body."""
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: complaints do not belong into a log."""


if __name__ == "__main__":
    host = os.environ.get("HOST", "127.0.0.1")
    server = ThreadingHTTPServer((host, int(os.environ.get("PORT", "8090"))), Webhook)
    print(f"webhook on http://{host}:{server.server_port}/", flush=True)
    server.serve_forever()
