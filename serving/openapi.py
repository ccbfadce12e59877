"""The OpenAPI document: ``python -m serving.openapi`` writes ``serving/openapi.json``, which a test holds to the code.

With ``--examples`` the examples' answers are first asked of the shipped model, through the service itself.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from model.errors import InvalidInput
from serving.bundle import Bundle, Case
from serving.middleware.access import OPEN

PATH = Path(__file__).with_name("openapi.json")
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def describe(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """What ``app.openapi`` is replaced by: FastAPI's document, with the keys that the middleware asks for."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            document["components"]["securitySchemes"] = _SCHEMES
            document["security"] = [{scheme: []} for scheme in _SCHEMES]
            for path, methods in document["paths"].items():
                for operation in methods.values():
                    if path in OPEN:
                        operation["security"] = []
                    # FastAPI's own form of validation errors is never sent.
                    if str(operation["responses"].get("422", "")).find("HTTPValidationError") >= 0:
                        del operation["responses"]["422"]
            for unused in ("HTTPValidationError", "ValidationError"):
                document["components"]["schemas"].pop(unused, None)
            app.openapi_schema = document
        return app.openapi_schema

    return openapi


def render() -> str:
    """The document as it is committed."""
    from serving.app import bare_app

    return json.dumps(bare_app().openapi(), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def ask_examples(bundle: Bundle) -> dict[str, Any]:
    """Answers to the requests of ``serving.examples``, given minutes after the ticket came in."""
    from serving.examples import BATCH, INFER, TICKET
    from serving.routes.classify import failed
    from serving.routes.inference import tensors
    from serving.schemas import ClassifyRequest

    case = ClassifyRequest.model_validate(TICKET).case("")
    now = datetime.fromisoformat(str(TICKET["received_at"])) + timedelta(minutes=2)
    results: list[dict[str, Any]] = []
    for item in BATCH["items"]:
        try:
            results.append(bundle.answer(Case(item["text"]), now).to_dict(item["id"]))
        except InvalidInput as error:
            results.append(failed(error, item["id"]))
    answers = [bundle.answer(Case(text), now).to_dict() for text in INFER["inputs"][0]["data"]]
    version = bundle.classifier.info.version
    return {
        "ticket": bundle.answer(case, now).to_dict(case.id),
        "batch": {"results": results},
        "infer": tensors(version, INFER["id"], [output["name"] for output in INFER["outputs"]], answers),
    }


def main() -> None:
    """Write the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", action="store_true")
    if parser.parse_args().examples:
        from serving.examples import ANSWERS

        found = ask_examples(Bundle.load(None, None, None, 1))
        ANSWERS.write_text(json.dumps(found, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        # A fresh process: the routes of this one were made with the answers of before.
        subprocess.run([sys.executable, "-m", "serving.openapi"], check=True)
        return
    PATH.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
