"""``kesu playbook``: check a playbook, show what is in one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from model.errors import InvalidInput
from model.taxonomy import load_taxonomy
from serving.playbook.playbook import Playbook
from serving.playbook.problems import closest
from serving.playbook.rules import Rule
from serving.playbook.strategies import FIRST_REPLY, Strategy

app = typer.Typer(help="Check and show handling playbooks.", no_args_is_help=True, add_completion=False)

_Taxonomy = Annotated[Path | None, typer.Option(help="taxonomy.yaml of your model; by default kesu's labels.")]


@app.command()
def check(
    path: Annotated[Path, typer.Argument(help="Folder of YAML files, or one file.")],
    taxonomy: _Taxonomy = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """Check a playbook; every error is told with file, line and field, and the exit code is 2."""
    from serving.playbook.review import remarks

    playbook = Playbook.load(path, load_taxonomy(taxonomy))
    found = remarks(playbook)
    if as_json:
        counts = {"strategies": len(playbook.strategies), "rules": len(playbook.rules)}
        print(json.dumps({"version": playbook.version, **counts, "remarks": found}, ensure_ascii=False))
        return
    for remark in found:
        print(f"remark: {remark}", file=sys.stderr)
    print(f"{path}: version {playbook.version}, {len(playbook.strategies)} strategies, {len(playbook.rules)} rules: ok")


@app.command()
def show(
    id: Annotated[str | None, typer.Argument(help="Id of a strategy or rule; by default all, one a line.")] = None,
    path: Annotated[Path | None, typer.Option(help="Folder or file; by default the playbook that ships.")] = None,
    taxonomy: _Taxonomy = None,
    rules: Annotated[bool, typer.Option("--rules", help="List the rules instead of the strategies.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show the strategies, the rules, or one of them in full."""
    playbook = Playbook.load(path, load_taxonomy(taxonomy) if taxonomy else None)
    contents = playbook.contents
    if id is not None:
        entry = contents.strategies.get(id) or contents.rules.get(id)
        if entry is None:
            raise InvalidInput(f"no strategy or rule {id!r}{closest(id, [*contents.strategies, *contents.rules])}")
        print(json.dumps(described(entry), ensure_ascii=False, indent=2))
        return
    entries: tuple[Strategy | Rule, ...] = playbook.rules if rules else playbook.strategies
    if as_json:
        print(json.dumps([described(entry) for entry in entries], ensure_ascii=False, indent=2))
        return
    for entry in entries:
        print(_line(entry))
    print(contents.settings.notice.zh, contents.settings.notice.en, sep=" / ", file=sys.stderr)


def described(entry: Strategy | Rule) -> dict[str, Any]:
    """A strategy or rule as its author wrote it, JSON-safe."""
    if isinstance(entry, Rule):
        from serving.playbook.plan import Basis

        note = {"note": entry.note.to_dict()} if entry.note else {}
        concerned = {"industry": list(entry.industries), "except_industry": list(entry.excepted)}
        return Basis(entry, None).to_dict() | concerned | note
    return {
        "id": entry.id,
        "title": entry.title.to_dict(),
        "when": {key: list(values) for key, values in entry.when.given.items()},
        "steps": list(entry.steps),
        "owner": entry.owner,
        "due": _due(entry),
        "human_decision": entry.human_decision,
        "script": list(entry.script),
        "basis": list(entry.basis),
        "replaces": list(entry.replaces),
        "pinned": entry.pinned,
    }


def _due(strategy: Strategy) -> str | dict[str, Any]:
    if strategy.limit is not None:
        return dict(strategy.limit.to_dict())
    return {"rule": strategy.due_rule} if strategy.due_rule else FIRST_REPLY


def _line(entry: Strategy | Rule) -> str:
    if isinstance(entry, Rule):
        limit = " ".join(f"{count} {unit}" for unit, count in entry.limit.to_dict().items()) if entry.limit else "-"
        span = f"{entry.valid_from or '...'} to {entry.valid_to or '...'}"
        return "\t".join((entry.id, entry.law.zh, entry.article, limit, span))
    decision = "human decision" if entry.human_decision else "-"
    when = " ".join(f"{key}={','.join(values)}" for key, values in entry.when.given.items())
    return "\t".join((entry.id, entry.title.zh, when, entry.owner, decision))
