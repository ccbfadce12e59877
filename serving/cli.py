"""The ``kesu`` command: finds the commands that the layers plug in, and loads only the one asked for."""

from __future__ import annotations

import ast
import errno
import importlib.util
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, NoReturn, TextIO

import typer
from typer.core import TyperCommand, TyperGroup

from model.errors import KesuError

ENTRY_POINTS = "kesu.commands"
# Which extra brings what a layer imports.
EXTRAS = {"training": "train", "data": "data"}
OWN = {"model", "training", "serving", "data"}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_ABOUT = "Reads Chinese customer complaints: cause, motive, severity, style, and what to do next."


def _summary(entry: EntryPoint) -> str:
    """First line of a command's help, read from its source: importing it might load torch."""
    try:
        spec = importlib.util.find_spec(entry.module)
        tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8")) if spec and spec.origin else None
    except (ImportError, OSError, SyntaxError, ValueError):
        tree = None
    if tree is None:
        return "(not installed)"
    text = ast.get_docstring(tree)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == entry.attr:
            text = ast.get_docstring(node)
        elif isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == entry.attr for t in node.targets):
            for word in node.value.keywords if isinstance(node.value, ast.Call) else ():
                if word.arg == "help" and isinstance(word.value, ast.Constant):
                    text = str(word.value.value)
    return (text or "").strip().split("\n", 1)[0]


def _missing(command: str, layer: str, error: ImportError) -> KesuError:
    package = (error.name or "").split(".")[0]
    if package in OWN or not package:
        return KesuError(f"`kesu {command}` cannot be loaded: {error}; install kesu again")
    extra = EXTRAS.get(layer)
    what = f'pip install "kesu[{extra}]"' if extra else f"pip install {package}"
    return KesuError(f"`kesu {command}` needs the package {package}, which is not installed; run: {what}")


def _load(entry: EntryPoint) -> Any:
    """The click command behind an entry point: a typer app with its subcommands, or a plain function."""
    layer = entry.module.split(".")[0]
    try:
        target = entry.load()
    except ImportError as error:
        raise _missing(entry.name, layer, error) from error
    except AttributeError as error:
        raise KesuError(f"`kesu {entry.name}` cannot be loaded: {entry.value} does not exist") from error
    if isinstance(target, typer.Typer):
        command: Any = typer.main.get_group(target)
    else:
        app = typer.Typer(add_completion=False)
        app.command()(target)
        command = typer.main.get_command(app)
    command.name = entry.name
    return command


class LazyGroup(TyperGroup):
    """Knows all commands by name and loads the one that runs."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.entries = {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}
        for name in self.entries:
            self.add_command(TyperCommand(name))

    def list_commands(self, ctx: Any) -> list[str]:
        """Names for the help text, for which alone the summaries are read."""
        for name, entry in self.entries.items():
            self.commands[name].help = self.commands[name].help or _summary(entry)
        return sorted(self.entries)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Replace the placeholder by the real command."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, _load(self.entries[name]) if name in self.entries else command, rest


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, help=_ABOUT, pretty_exceptions_enable=False)


@app.callback()
def _root() -> None:
    # Typer makes a group only of an app that has a callback.
    pass


class _Stderr(logging.StreamHandler[TextIO]):
    """Shows what the layers log under "kesu", which is written for the user."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr  # of now: it may have been exchanged since the last line
        super().emit(record)


def _show_log() -> None:
    log = logging.getLogger("kesu")
    if not any(isinstance(handler, _Stderr) for handler in log.handlers):
        log.addHandler(_Stderr())
    log.setLevel(logging.INFO)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run ``kesu`` and exit: 0 done, 2 the user's input (told on stderr), 130 Ctrl-C, 1 a fault of kesu."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if threading.current_thread() is threading.main_thread():
        # As an exception, so that unfinished files are removed.
        signal.signal(signal.SIGTERM, _terminate)
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Chinese must not end the run
    _show_log()
    code = _run(arguments)
    try:
        sys.stdout.flush()
    except OSError as error:
        code = 1 if error.errno == errno.EPIPE else _told(_explained(error))
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains once more
    sys.exit(code)


def _open_streams() -> None:
    """Give a standard stream that is closed, as a daemon's may be, the null device.

    The next file or socket that is opened would take its number, and be written to or closed in its place.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)  # the lowest that is free
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))


def _run(arguments: list[str]) -> int:
    command = next((word for word in arguments if not word.startswith("-")), "")
    try:
        app(args=arguments, prog_name="kesu")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else _told(str(stop.code))
    except KeyboardInterrupt:
        return 130
    except KesuError as error:
        return _told(str(error))
    except OSError as error:
        return _told(_explained(error))
    except MemoryError:
        return _told("not enough memory; close other programs or give kesu fewer rows at a time")
    except Exception as error:
        entry = next(iter(entry_points(group=ENTRY_POINTS, name=command)), None)
        if isinstance(error, ModuleNotFoundError) and entry and (error.name or "").split(".")[0] not in OWN:
            return _told(str(_missing(command, entry.module.split(".")[0], error)))
        if os.environ.get("KESU_TRACEBACK"):
            raise
        # Not the message: it might hold a complaint.
        place = error.__traceback__
        while place and place.tb_next:
            place = place.tb_next
        where = f" in {Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place else ""
        _told(
            f"kesu failed ({type(error).__name__}{where}); this is a fault of kesu. KESU_TRACEBACK=1 shows the details"
        )
        return 1
    return 0


def _terminate(*_: object) -> None:
    sys.exit(128 + signal.SIGTERM)


def _told(problem: str) -> int:
    print(f"error: {problem}", file=sys.stderr)
    return 2


def _explained(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    advice = "; free some space or write elsewhere" if error.errno in _FULL else ""
    return f"{where}{error.strerror or error}{advice}"


if __name__ == "__main__":
    main()
