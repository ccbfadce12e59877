"""The playbook's strategies as ``/v1/strategies`` lists them."""

from __future__ import annotations

from typing import Any

from serving.playbook import Playbook


def listed(book: Playbook) -> dict[str, Any]:
    """Version, and every strategy: id, title, the cases it is for, steps, owner, script, basis."""
    settings = book.contents.settings
    return {
        "version": book.version,
        "notice": settings.notice.to_dict(),
        "strategies": [
            {
                "id": strategy.id,
                "title": strategy.title.to_dict(),
                "when": {key: list(values) for key, values in strategy.when.given.items()},
                "steps": list(strategy.steps),
                "owner": {"id": strategy.owner, **settings.owners[strategy.owner].to_dict()},
                "human_decision": strategy.human_decision,
                "script": list(strategy.script),
                "basis": list(strategy.basis),
            }
            for strategy in book.strategies
        ],
    }
