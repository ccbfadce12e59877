"""JSON in and JSON out, for whatever strings Python can hold."""

from __future__ import annotations

import json
from typing import Any

import orjson

from serving.errors import MalformedBody


def loads(body: bytes) -> Any:
    """The value of a JSON body.

    A lone surrogate (half an emoji, as ticket systems that cut texts produce) is accepted
    like on the command line. Raises MalformedBody, naming the place but not what stands there.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if b"\\ud" not in body and b"\\uD" not in body:
            raise MalformedBody(f"the body is not valid JSON in UTF-8: {_place(error)}") from None
    # orjson refuses lone surrogates; the standard library takes them.
    try:
        return json.loads(body.decode("utf-8"))
    except RecursionError:
        raise MalformedBody("the body is not valid JSON: nested too deeply") from None
    except json.JSONDecodeError as error:
        raise MalformedBody(f"the body is not valid JSON: {_place(error)}") from None
    except ValueError:  # not UTF-8, or a number of thousands of digits
        raise MalformedBody("the body is not valid JSON in UTF-8") from None


def _place(error: json.JSONDecodeError) -> str:
    return f"line {error.lineno}, column {error.colno}"


def dumps(value: Any) -> bytes:
    """UTF-8 JSON; escaped where a string cannot be written as UTF-8."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()
