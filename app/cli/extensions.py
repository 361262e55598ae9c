"""`simpul extensions`: the kinds and schemas that installed packages bring, and why one of them is refused."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from app.cli.output import FINDING, note, say, show
from app.gateway.extensions import met


def list_extensions(as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output")] = False) -> None:
    """List what installed packages bring (kinds, schemas); exit code 1 when something is refused."""
    found = met()
    if as_json:
        show({"items": [asdict(one) for one in found]})
    else:
        for one in found:
            state = "taken" if one.code is None else f"REFUSED {one.code}: {one.detail}"
            say(f"{one.group:<18} {one.name:<20} {one.package} {one.version}  {state}")
        if not found:
            note("no installed package brings a kind or a schema")
    if any(one.code is not None for one in found):
        raise typer.Exit(FINDING)
