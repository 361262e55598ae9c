"""Making and running an instance: `init`, `serve`, `db`, `codes load`, `openapi`. Works on the folder itself."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from app.access.keys import ensure_keys
from app.access.purposes import seed_purposes
from app.access.sealing import create_seal_key, load_seal
from app.audit.acts import Act, note_migration, noted
from app.audit.keys.files import create_log_keys
from app.catalog.agencies import Agency, create_agency, list_agencies
from app.catalog.code_files import read_code_file
from app.catalog.codes import load_codes
from app.cli.local import WALIDATA
from app.cli.output import faults, note, say, show
from app.database import Database, current_revision, head_revision, upgrade
from app.errors import Conflict, SettingsInvalid
from app.settings import INSTANCE_FILE, Settings, load_settings

Folder = Annotated[Path | None, typer.Option("--dir", help="Folder of the instance", show_default=".simpul")]


def init(
    folder: Folder = None,
    instance: Annotated[str, typer.Option(help="Name of the instance")] = "ID-JEPARA",
    region: Annotated[str, typer.Option(help="Kemendagri code of the region")] = "33.20",
    base_url: Annotated[str, typer.Option(help="Address at which callers reach the gateway")] = "http://127.0.0.1:8000",
    origin: Annotated[str, typer.Option(help="Origin of the log; fixed for its life")] = "",
) -> None:
    """Make an instance: folder, databases and keys. It has no admin yet: `simpul user create` makes the first."""
    with faults():
        settings = load_settings(dir=folder, instance=instance, region=region, base_url=base_url, log_origin=origin)
        create_instance(settings)
        say(f"instance {settings.instance} in {settings.dir}")
        say(f"log origin {settings.origin}")
        say(f"next: simpul user create --login LOGIN --name NAME --dir {settings.dir}   (the first admin)")
        say(f"      simpul serve --dir {settings.dir}")


def create_instance(settings: Settings) -> None:
    """The folder, the stores, the keys and the walidata's agency. Nobody has a credential yet."""
    folder = settings.dir
    if (folder / INSTANCE_FILE).exists():
        raise Conflict(f"{folder} holds an instance already; start it with: simpul serve --dir {folder}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    close_folder(folder)
    upgrade(settings)
    if not os.environ.get("SIMPUL_SECRET_KEY"):
        create_seal_key(folder)
    create_log_keys(folder, settings.origin)
    asyncio.run(_seed(settings))
    facts = {
        "instance": settings.instance,
        "region": settings.region,
        "bbox": list(settings.bbox),
        "zone": settings.zone,
        "base_url": settings.base_url,
        "log_origin": settings.origin,
        "id": secrets.token_hex(8),
    }
    # Written last: a folder without it is no instance, so a broken attempt is never served.
    (folder / INSTANCE_FILE).write_text(json.dumps(facts, indent=2) + "\n", "utf-8")


def close_folder(folder: Path) -> None:
    """The folder is for its user alone from now on; `SettingsInvalid` where it belongs to another one."""
    if folder.stat().st_mode & 0o077:
        try:
            folder.chmod(0o700)
        except OSError as error:
            raise SettingsInvalid(
                f"{folder} can be opened by others, and {error.strerror.lower() if error.strerror else 'cannot be changed'}: "
                "give it to the user of the gateway and run chmod 700 on it"
            ) from None
        note(f"{folder} could be opened by others: closed it (mode 0700)")


async def _seed(settings: Settings) -> None:
    database = Database.open(settings)
    now = datetime.now(UTC)
    try:
        async with database.begin() as connection:
            await ensure_keys(connection, load_seal(settings.dir, os.environ.get("SIMPUL_SECRET_KEY")), now)
            await seed_purposes(connection)
            if WALIDATA not in {agency.id for agency in await list_agencies(connection)}:
                await create_agency(connection, Agency(WALIDATA, "Dinas Komunikasi dan Informatika (walidata)"))
            facts = {"instance": settings.instance, "region": settings.region, "log_origin": settings.origin}
            await connection.execute(noted(Act("instance.init", "simpul init", facts, WALIDATA)))
    finally:
        await database.close()


def load_code_list(
    file: Annotated[Path, typer.Argument(help="Region list (CSV, JSON, SQL dump) or BPS crosswalk (CSV)")],
    folder: Folder = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable result")] = False,
) -> None:
    """Load region codes or a crosswalk; may be repeated. What does not match stays unmatched and is named."""
    with faults():
        settings = load_settings(dir=folder)
        report = asyncio.run(_load(settings, file))
    unmatched = [entry.kode_asal for entry in report.unmatched]
    if as_json:
        show({"rows": report.rows, "created": report.created, "updated": report.updated, "matched": report.matched,
              "unmatched": unmatched})  # fmt: skip
        return
    say(
        f"{file.name}: {report.rows} codes, {report.created} new, {report.updated} changed, {report.unchanged} as before"
    )
    if report.matched or unmatched:
        say(f"crosswalk: {report.matched} matched, {len(unmatched)} unmatched")
    for code in unmatched[:20]:
        note(f"  unmatched: {code}")


def loaded_codes(command: str, file: Path, report: Any) -> Act:
    """What is told of a list of codes that was loaded."""
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    counts = {name: getattr(report, name) for name in ("rows", "created", "updated", "matched")}
    return Act("codes.load", command, {"file": file.name, "sha256": digest, **counts})


async def _load(settings: Settings, file: Path) -> Any:
    database = Database.open(settings)
    try:
        found = await asyncio.to_thread(read_code_file, file)
        async with database.begin() as connection:
            report = await load_codes(connection, found)
            await connection.execute(noted(loaded_codes("simpul codes load", file, report)))
            return report
    finally:
        await database.close()


def db_upgrade(folder: Folder = None) -> None:
    """Bring the database to the revision that this version needs."""
    with faults():
        settings = load_settings(dir=folder)
        upgrade(settings, note=note_migration("simpul db upgrade"))
        say(f"database at revision {current_revision(settings)}")


def db_current(folder: Folder = None) -> None:
    """Show the revision of the database, and the one this version needs."""
    with faults():
        settings = load_settings(dir=folder)
        current, head = current_revision(settings), head_revision()
    say(f"database at revision {current or 'none'}, this version needs {head}")
    if current != head:
        raise typer.Exit(1)
