"""``kesu serve``: load, check, listen."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from model.errors import InvalidInput
from serving.security import hash_key, new_key


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="[default: 8000]")] = None,
    model: Annotated[Path | None, typer.Option(help="Model folder; by default the one that ships.")] = None,
    playbook: Annotated[Path | None, typer.Option(help="Playbook; by default the one that ships.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; by default all available processors.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings. [env: KESU_CONFIG]")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Serve other machines without API keys.")] = False,
    new_key_name: Annotated[
        str | None, typer.Option("--new-key", metavar="NAME", help="Print a new API key and its setting, and exit.")
    ] = None,
) -> None:
    """Serve the classifier over HTTP."""
    if new_key_name is not None:
        _print_key(new_key_name)
        return
    # After the above, which should not wait for it.
    from serving.settings import load_settings
    from serving.supervisor import supervise

    options = {"host": host, "port": port, "model": model, "playbook": playbook, "threads": threads}
    raise typer.Exit(supervise(load_settings(config, options | {"insecure": insecure or None})))


def _print_key(name: str) -> None:
    if not name.strip():
        raise InvalidInput("--new-key: give the caller a name, such as `--new-key helpdesk`")
    key = new_key()
    print(f"key, for the caller (shown only now): {key}", file=sys.stderr)
    # A JSON string without non-ASCII escapes is one of TOML, too.
    print(f'# in the file named by KESU_CONFIG\n[api_keys]\n{json.dumps(name, ensure_ascii=False)} = "{hash_key(key)}"')
