"""`simpul keys`: the keys that sign access tokens, straight in the store. A running gateway takes them within a second."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from app.access.keys import KeySet, load_keys, rotate_keys
from app.access.sealing import load_seal
from app.audit.acts import Act, noted
from app.cli.output import faults, note, say
from app.database import Database
from app.settings import Settings, load_settings

Folder = Annotated[Path | None, typer.Option("--dir", help="Folder of the instance", show_default=".simpul")]


def rotate(
    folder: Folder = None,
    revoke_others: Annotated[
        bool, typer.Option("--revoke-others", help="A key has leaked: all tokens of older keys are dead at once")
    ] = False,
) -> None:
    """Make a new key that signs tokens; older ones verify until the last token of theirs has ended."""
    with faults():
        kid = asyncio.run(_rotate(load_settings(dir=folder), revoke_others=revoke_others))
    say(f"new key {kid}")
    note(
        "older keys are gone, and their tokens"
        if revoke_others
        else "it signs in 10 s; older keys verify for 16 minutes"
    )


def show(folder: Folder = None) -> None:
    """List the keys that verify tokens now."""
    with faults():
        keys = asyncio.run(_load(load_settings(dir=folder)))
    now = datetime.now(UTC)
    signing = keys.signing(now).kid
    for kid, key in keys.verifying(now).items():
        say(f"{kid}  {key.created_at:%Y-%m-%dT%H:%M:%SZ}  {'signs' if kid == signing else 'verifies'}")


async def _rotate(settings: Settings, *, revoke_others: bool) -> str:
    database = Database.open(settings)
    try:
        async with database.begin() as connection:
            seal = load_seal(settings.dir, os.environ.get("SIMPUL_SECRET_KEY"))
            kid = await rotate_keys(connection, seal, datetime.now(UTC), revoke_others=revoke_others)
            facts = {"kid": kid, "revoke_others": revoke_others}
            await connection.execute(noted(Act("keys.rotate", "simpul keys rotate", facts)))
            return kid
    finally:
        await database.close()


async def _load(settings: Settings) -> KeySet:
    database = Database.open(settings)
    try:
        async with database.read() as connection:
            return await load_keys(connection, load_seal(settings.dir, os.environ.get("SIMPUL_SECRET_KEY")))
    finally:
        await database.close()
