"""Examples and error replies for /docs. The answers were given by the service: see ``serving.openapi``."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from serving.errors import STATUS
from serving.schemas import ErrorReply, InferError

ANSWERS = Path(__file__).with_name("examples.json")
TICKET: dict[str, Any] = {
    "id": "T-20260501-0042",
    "text": "刚买一周的电饭煲，煮到一半冒烟跳闸，插头都烧黑了，差点把厨房点着！马上给我退货，并且赔偿损失，"
    "不然我去市场监管局举报。",
    "channel": "hotline",
    "industry": "retail",
    "received_at": "2026-05-01T09:30:00+08:00",
    "history": {"prior_complaints": 1, "open_days": 3, "affected_customers": 1},
    "explain": True,
}
SHORT = {"text": "快递显示昨天已经签收，可我根本没收到，客服让我再等三天，请尽快找到或者补发。"}
BATCH: dict[str, Any] = {"items": [{"id": 1, **SHORT}, {"id": 2, "text": ""}]}
INFER: dict[str, Any] = {
    "id": "7",
    "inputs": [{"name": "text", "datatype": "BYTES", "shape": [2], "data": [SHORT["text"], "谢谢客服，已经解决了。"]}],
    "outputs": [{"name": "causes"}, {"name": "severity"}, {"name": "decision"}],
}


@cache
def answers() -> dict[str, Any]:
    """What the service answered to each example, by name."""
    read: dict[str, Any] = json.loads(ANSWERS.read_text(encoding="utf-8")) if ANSWERS.exists() else {}
    return read


def _request(**examples: Any) -> dict[str, Any]:
    return {"application/json": {"examples": {name: {"value": value} for name, value in examples.items()}}}


def _reply(name: str) -> dict[str, Any]:
    return {"application/json": {"example": answers()[name]}} if name in answers() else {}


CLASSIFY_EXAMPLES = _request(ticket=TICKET, short=SHORT)
BATCH_EXAMPLES = _request(batch=BATCH)
INFER_EXAMPLES = _request(infer=INFER)
CLASSIFY_REPLY = _reply("ticket")
BATCH_REPLY = _reply("batch")
INFER_REPLY = _reply("infer")


def errors(*statuses: int, model: type = ErrorReply) -> dict[int | str, dict[str, Any]]:
    """Documentation of the error replies of a route."""
    codes: dict[int, list[str]] = {}
    for status, code in STATUS.values():
        if code not in codes.setdefault(status, []):
            codes[status].append(code)
    return {status: {"model": model, "description": ", ".join(codes[status])} for status in statuses}


def infer_errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The same for the Open Inference Protocol."""
    return errors(*statuses, model=InferError)
