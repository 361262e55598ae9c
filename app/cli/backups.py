"""`simpul backup` and `simpul restore`: an embedded instance as two files, one of them the keys."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.exc import SQLAlchemyError

from app.audit.acts import Act, note_migration, noted
from app.audit.backup import Backup, make_backup, open_shard
from app.audit.backup import restore as put_back
from app.audit.keys.files import CHECKPOINT_FILE, load_verifier
from app.audit.tlog.checkpoint import Checkpoint, NoteError
from app.audit.verify.stored_log import verify_folder
from app.cli.output import FINDING, fail, faults, note, say
from app.database import Database, check_revision, current_revision, knows_revision, upgrade
from app.errors import StoreUnavailable
from app.settings import Settings, load_settings

Folder = Annotated[Path | None, typer.Option("--dir", help="Folder of the instance", show_default=".simpul")]


def backup(
    file: Annotated[Path, typer.Argument(help="Where to write the backup (tar)")],
    keys: Annotated[
        Path | None, typer.Option(help="Where to write the keys (tar, mode 0600); keep it elsewhere")
    ] = None,
    folder: Folder = None,
) -> None:
    """Back up an embedded instance, also while it is served. Without --keys the keys are not saved."""
    with faults():
        settings = load_settings(dir=folder)
        if not settings.embedded:
            fail("this instance is on PostgreSQL: back it up with pg_dump or base backups, and the folder's keys apart")
        made = make_backup(settings.dir, file, keys, lambda: _note_backup(settings, file, keys))
    say(f"{file}: {made.files} files, {made.entries} entries of the log")
    if keys is None:
        note("the keys were not saved; without them nothing in the backup can be opened or served: use --keys FILE")


def restore(
    file: Annotated[Path, typer.Argument(help="Backup to put back")],
    keys: Annotated[Path, typer.Option(help="Its keys")],
    folder: Folder = None,
    last_checkpoint: Annotated[
        Path | None, typer.Option(help="Newest signed checkpoint that is known: of the lost disk, a witness, a receipt")
    ] = None,
    accept_loss: Annotated[
        str | None,
        typer.Option(help="Why entries after the backup are given up; begins a new log that declares the gap"),
    ] = None,
) -> None:
    """Put a backup into an empty folder and verify it. A log older than what was signed needs --accept-loss REASON."""
    with faults():
        settings = load_settings(dir=folder)
        if not settings.embedded:
            fail(
                "this instance is on PostgreSQL: restore its database with PostgreSQL's tools, and the folder's keys apart"
            )
        put_back(file, keys, settings.dir, lambda made: _note_restore(settings, file, made, accept_loss))
        settings = load_settings(dir=folder)
        verified = verify_folder(settings.dir)
        if not verified.ok:
            say(f"first broken index: {verified.first_broken_index}")
            say(f"reason: {verified.reason}")
            raise typer.Exit(FINDING)
        known = _known(settings.dir, last_checkpoint)
        say(f"restored: {verified.size} entries, verified")
        if known is None or known.size <= verified.size:
            return
        lost = f"entries {verified.size} to {known.size - 1} were signed and are lost"
        if not accept_loss:
            say(f"{lost}; restore into a new folder with --accept-loss REASON to begin a new log that declares this")
            raise typer.Exit(FINDING)
        origin = asyncio.run(open_shard(settings, known, verified.size, accept_loss))
    say(f"{lost}; declared in the first entry of the new log {origin}")
    note("erasures carried out after the backup must be proposed and approved again")


def _note_backup(settings: Settings, file: Path, keys: Path | None) -> None:
    """Before the copy, so that it knows of itself. A store that cannot be written is backed up all the same."""
    facts = {"file": str(file.absolute()), "keys": None if keys is None else str(keys.absolute())}
    try:
        asyncio.run(_note(settings, Act("instance.backup", "simpul backup", facts)))
    except (StoreUnavailable, SQLAlchemyError) as error:
        note(f"this backup leaves no entry in the exchange log: the store takes no note of it ({type(error).__name__})")


def _note_restore(settings: Settings, file: Path, made: Backup, accept_loss: str | None) -> None:
    """In the store that was put back, brought to this version's revision where it is older."""
    current = current_revision(settings)
    if current is not None and not knows_revision(current):
        check_revision(settings)
    upgrade(settings, note=note_migration("simpul restore"))
    facts = {"file": file.name, "made_at": made.made_at, "entries": made.entries, "accept_loss": accept_loss}
    asyncio.run(_note(settings, Act("instance.restore", "simpul restore", facts)))


async def _note(settings: Settings, act: Act) -> None:
    database = Database.open(settings)
    try:
        async with database.begin() as connection:
            await connection.execute(noted(act))
    finally:
        await database.close()


def _known(folder: Path, given: Path | None) -> Checkpoint | None:
    verifier = load_verifier(folder)
    if given is None:
        return None
    try:
        return verifier.open(given.read_text("utf-8"))
    except (OSError, NoteError) as error:
        fail(f"{given}: not a signed checkpoint of this log ({error}); see {CHECKPOINT_FILE} of the lost folder")
