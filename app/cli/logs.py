"""`simpul log verify` and `simpul log vkey`: on the store itself, read only, also on a copied folder."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.audit.keys import load_verifier
from app.audit.verify_store import verify_settings
from app.cli.output import FINDING, fail, faults, note, say, show
from app.settings import load_settings

Folder = Annotated[
    Path | None, typer.Option("--dir", help="Folder of the instance, or a copy of it", show_default=".simpul")
]


def verify_log(
    folder: Folder = None,
    since: Annotated[Path | None, typer.Option(help="File with a signed checkpoint that the log must extend")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable result")] = False,
) -> None:
    """Verify the whole log: every hash, column, detail, tag, checkpoint. Exit 0 verified, 1 broken (names the index), 2 could not run."""
    with faults():
        settings = load_settings(dir=folder)
        try:
            checkpoint = since.read_text("utf-8") if since is not None else None
        except OSError as error:
            fail(f"{since}: {error.strerror}")
        found = verify_settings(settings, since=checkpoint, progress=_progress if sys.stderr.isatty() else None)
    if as_json:
        show(asdict(found))
    elif found.ok:
        say(f"verified: {found.size} entries, {found.checkpoints_checked} signed checkpoints, root {found.root}")
    else:
        say(f"first broken index: {found.first_broken_index}")
        say(f"reason: {found.reason}")
    for warning in found.warnings:
        note(f"warning: {warning}")
    if not found.ok:
        raise typer.Exit(FINDING)


def show_vkey(folder: Folder = None) -> None:
    """Print the log's public key, for verifiers."""
    with faults():
        say(load_verifier(load_settings(dir=folder).dir).text())


def _progress(done: int, total: int) -> None:
    sys.stderr.write(f"\r{done} of {total} entries")
    sys.stderr.flush()
    if done >= total:
        sys.stderr.write("\n")
