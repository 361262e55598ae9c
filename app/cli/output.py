"""How commands speak: text for people, `--json` for machines, exit codes 0 good, 1 a finding, 2 wrong usage or broken set-up."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer

from app.errors import SimpulError

FINDING = 1
BROKEN = 2


def say(text: str) -> None:
    """A line for a person, on stdout."""
    typer.echo(text)


def note(text: str) -> None:
    """A line beside the result, on stderr."""
    typer.echo(text, err=True)


def show(document: Any) -> None:
    """A machine-readable result."""
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2, default=str))


def fail(text: str, code: int = BROKEN) -> NoReturn:
    """Says what is wrong and ends."""
    typer.echo(text, err=True)
    raise typer.Exit(code)


@contextmanager
def faults() -> Iterator[None]:
    """Errors of the tree end the command with one clear line (and each fault), never with a stack trace."""
    try:
        yield
    except SimpulError as error:
        lines = [f"{error.code}: {error.detail}"]
        lines += [f"  {fault.pointer or '/'}: {fault.detail} ({fault.code})" for fault in error.errors]
        fail("\n".join(lines))
    except KeyboardInterrupt:
        sys.exit(130)
