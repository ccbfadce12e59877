"""Tickets not classified yet -> kesu, a batch at a time -> fields on each ticket. Python 3.11, nothing to install.

Settings by environment: KESU_URL, KESU_KEY (where the service has keys), TICKETS_URL, TICKETS_TOKEN.
Exits with 0 when the list is empty, with 1 when it is not: a ticket could not be read or written (run it again later).
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any
from urllib.parse import quote

KESU, TICKETS = os.environ["KESU_URL"].rstrip("/"), os.environ["TICKETS_URL"].rstrip("/")
KEY = os.environ.get("KESU_KEY")
TOKEN = {"Authorization": f"Bearer {os.environ['TICKETS_TOKEN']}"}
BATCH = 64
# Of one text, and of a batch: kesu takes no longer text, and no body above 1 MB.
CHARACTERS = 100_000
TRIES = 5


def call(method: str, url: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
    """JSON there and back; waits and tries again when the other side is busy or not there for a moment."""
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, content, {"Content-Type": "application/json", **(headers or {})}, method=method
    )
    for attempt in range(1, TRIES + 1):
        try:
            with urllib.request.urlopen(request, timeout=120) as reply:
                return json.loads(reply.read() or b"null")
        except urllib.error.HTTPError as error:
            if attempt == TRIES or error.code not in (429, 502, 503, 504):
                raise
            time.sleep(float(error.headers.get("Retry-After") or attempt))
        except (OSError, HTTPException):
            if attempt == TRIES:
                raise
            time.sleep(attempt)
    raise AssertionError("not reached")


def fields(result: dict[str, Any]) -> dict[str, Any]:
    """What is written to the ticket; a text that kesu refuses gets the reason, so that it is not asked again."""
    if "error" in result:
        return {"kesu": "refused", "kesu_note": result["error"]["message"]}
    return {
        "kesu": result["decision"],
        "cause": [cause["label"] for cause in result["causes"]],
        "motive": [motive["label"] for motive in result["motives"]],
        "severity": result["severity"]["level"],
        "first_reply_by": result["first_reply"]["at"] if result["first_reply"] else None,
        "human_decision": result["human_decision"],
    }


def unread() -> list[dict[str, Any]]:
    """Tickets without labels. Raises ValueError where the answer is no list of tickets, such as a page to log in."""
    listed = call("GET", f"{TICKETS}/tickets?kesu=unread", headers=TOKEN)
    if not isinstance(listed, list):
        raise ValueError(f"{TICKETS}/tickets: the answer is no list of tickets")
    for ticket in listed:
        if not isinstance(ticket, dict) or not isinstance(ticket.get("id"), int | str):
            raise ValueError(f"{TICKETS}/tickets: the answer holds what is no ticket with an id")
    return listed


def batch_of(tickets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first of them, as many as go into one request."""
    items: list[dict[str, Any]] = []
    size = 0
    for ticket in tickets[:BATCH]:
        text = str(ticket.get("text") or "")[:CHARACTERS]
        size += len(text)
        if items and size > CHARACTERS:
            break
        items.append({"id": ticket["id"], "text": text})
    return items


def main() -> int:
    """All tickets of the list, each once; one that is still there at the end makes the exit code 1."""
    done: set[Any] = set()
    while True:
        listed = unread()
        items = batch_of([ticket for ticket in listed if ticket["id"] not in done])
        if not items:
            return 1 if listed else 0
        found = call("POST", f"{KESU}/v1/classify/batch", {"items": items}, {"X-API-Key": KEY} if KEY else {})
        for item, result in zip(items, found["results"], strict=True):
            done.add(item["id"])
            if result.get("status", 0) >= 500:
                print(f"ticket {item['id']}: not classified ({result['error']['code']})", file=sys.stderr)
                continue
            try:
                # An id may hold any character, and must not become another path.
                call("PATCH", f"{TICKETS}/tickets/{quote(str(item['id']), safe='')}", fields(result), TOKEN)
            except (OSError, HTTPException) as error:
                print(f"ticket {item['id']}: not written ({error})", file=sys.stderr)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, HTTPException, ValueError) as error:  # ValueError: not JSON, or not of the form expected
        sys.exit(f"stopped: {error}")
