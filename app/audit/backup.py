"""Backup of an embedded instance beside a running gateway, and putting it back; keys are kept apart.

Does not live here: PostgreSQL (its own tools back it up). A tree that is older than what was signed is never served again as
the same log: `open_shard` begins a new one that declares the gap.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import BinaryIO

import apsw

from app.audit.entry.record import Entry, Gateway, Record, uuid7
from app.audit.keys.durable_files import replace_file, sync_folder
from app.audit.keys.files import CHECKPOINT_FILE, KEY_FILE, KEY_FOLDER, VKEY_FILE, create_log_keys
from app.audit.store.sqlite import LOCK_FILE, LOG_FILE, SqliteLogStore
from app.audit.tlog.checkpoint import Checkpoint
from app.audit.verify.checks import GAP_OP
from app.audit.write.log import ExchangeLog
from app.errors import Conflict, InstanceMissing, SettingsInvalid
from app.settings import INSTANCE_FILE, Settings

MANIFEST = "manifest.json"
SHARD_FOLDER = "shards"
_STORE_FILE = "simpul.db"
_LEFT_OUT = frozenset({KEY_FOLDER, "spool", "cache", LOCK_FILE})
_DATABASES = (_STORE_FILE, LOG_FILE)
_MODE = 0o600
_PART = f"{INSTANCE_FILE}.part"


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds: entries of the log, files, and when it was made."""

    entries: int
    files: int
    made_at: str


def make_backup(folder: Path, target: Path, keys: Path | None, before: Callable[[], None] = lambda: None) -> Backup:
    """Write `target` (tar), and the keys to `keys` (tar, mode 0600). `Conflict` when a target exists.

    The log is copied last: everything that the other files know of is in it. `before` is called when it is sure to begin.
    """
    if not (folder / INSTANCE_FILE).is_file():
        raise InstanceMissing(f"{folder} holds no instance")
    if absent := next((name for name in _DATABASES if not (folder / name).is_file()), None):
        raise InstanceMissing(f"{folder} has no {absent} yet: it was never served, there is nothing to back up")
    for path in (target, keys):
        if path is not None and path.exists():
            raise Conflict(f"{path} exists already; a backup is never overwritten")
    before()
    made_at, digests = datetime.now(UTC).isoformat(timespec="seconds"), dict[str, str]()
    with TemporaryDirectory(dir=target.absolute().parent) as name:
        scratch, part = Path(name), target.with_name(f".{target.name}.part")
        with _private(part) as file, tarfile.open(fileobj=file, mode="w") as tar:
            checkpoint = folder / CHECKPOINT_FILE
            plain = [checkpoint] if checkpoint.is_file() else []
            plain += [path for path in _plain_files(folder) if path != checkpoint]
            for path in plain:
                _add(tar, digests, path, path.relative_to(folder).as_posix())
            for database in _DATABASES:
                copy = scratch / database
                entries = _copy_database(folder / database, copy)
                _add(tar, digests, copy, database)
            manifest = {"made_at": made_at, "entries": entries, "sha256": digests}
            (scratch / MANIFEST).write_text(json.dumps(manifest, indent=1), "utf-8")
            tar.add(scratch / MANIFEST, MANIFEST)
        if keys is not None:
            _keys_tar(folder, keys)
        _finish(part, target)
    return Backup(entries, len(digests), made_at)


def restore(source: Path, keys: Path, folder: Path, then: Callable[[Backup], None]) -> Backup:
    """Put a backup and its keys into an empty folder. `Conflict` when it is not empty, `SettingsInvalid` for a damaged file.

    `then` is called when all is there but the file that makes the folder an instance: what breaks off is never served.
    """
    if folder.exists() and any(folder.iterdir()):
        raise Conflict(f"{folder} is not empty; restore into a new folder")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tarfile.open(source) as tar:
        tar.extractall(folder, filter=_under_way)  # noqa: S202 - the filter is that of data
    with tarfile.open(keys) as tar:
        tar.extractall(folder, filter="data")
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        raise SettingsInvalid(f"{source}: not a backup of this program, it has no {MANIFEST}") from None
    for name, digest in manifest["sha256"].items():
        path = folder / (_PART if name == INSTANCE_FILE else name)
        if not path.is_file() or _sha256(path) != digest:
            raise SettingsInvalid(f"{source}: {name} is damaged")
    (folder / MANIFEST).unlink()
    made = Backup(manifest["entries"], len(manifest["sha256"]), manifest["made_at"])
    then(made)
    (folder / _PART).rename(folder / INSTANCE_FILE)
    sync_folder(folder)
    return made


def _under_way(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    """Each file under its name, but the one that makes a folder an instance beside it."""
    named = member.replace(name=_PART) if member.name == INSTANCE_FILE else member
    return tarfile.data_filter(named, folder)


async def open_shard(settings: Settings, last: Checkpoint, kept: int, reason: str) -> str:
    """Begin a new log: the old one is set aside, readable and verifiable, and the first entry declares what was lost.

    `last`: the newest signed checkpoint that is known; `kept`: entries that the restored log has. Returns the new origin.
    """
    folder, old = settings.dir, settings.origin
    number = 1 + sum(1 for _ in (folder / SHARD_FOLDER).glob("*")) if (folder / SHARD_FOLDER).is_dir() else 1
    aside = folder / SHARD_FOLDER / f"{number:03d}"
    (aside / KEY_FOLDER).mkdir(parents=True)
    for name in (LOG_FILE, VKEY_FILE, CHECKPOINT_FILE, f"{KEY_FOLDER}/{KEY_FILE}"):
        if (folder / name).exists():
            (folder / name).rename(aside / name)
    origin = f"{old.rsplit('/restored-', 1)[0]}/restored-{number}"
    facts = json.loads((folder / INSTANCE_FILE).read_text("utf-8"))
    replace_file(folder / INSTANCE_FILE, json.dumps({**facts, "log_origin": origin}, indent=2).encode() + b"\n")
    create_log_keys(folder, origin)
    gateway = Gateway(settings.instance, "restore")
    log = await ExchangeLog.open(SqliteLogStore(folder, origin), folder, origin=origin, gateway=gateway)
    try:
        root = "_".join(last.root.hex()[start : start + 4] for start in range(0, 64, 4))
        gap = f"after {old} size {last.size:_} root {root} kept {kept:_} lost {kept:_}-{last.size - 1:_}"
        entry = Entry(xid=uuid7(), kind="admin", gw=gateway, op=GAP_OP, q=gap)
        await log.append(Record(entry, {"reason": reason, "checkpoint": last.note}))
    finally:
        await log.close()
    return origin


def _plain_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        known = parts[0] in _LEFT_OUT or parts[0].startswith(_DATABASES) or parts[0].endswith(".log")
        if not known and path.is_file() and not path.is_symlink():
            yield path


def _copy_database(source: Path, target: Path) -> int:
    """One consistent state of a database that others write; how many entries the log has, 0 for the store."""
    reader = apsw.Connection(
        source.absolute().as_uri() + "?mode=ro", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    )
    reader.set_busy_timeout(10_000)
    writer = apsw.Connection(str(target))
    try:
        with writer.backup("main", reader, "main") as work:
            work.step(-1)
        writer.pragma("journal_mode", "DELETE")
        has_log = writer.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'log_head'").get
        return int(writer.execute("SELECT size FROM log_head").get) if has_log else 0
    finally:
        writer.close()
        reader.close()


def _add(tar: tarfile.TarFile, digests: dict[str, str], path: Path, name: str) -> None:
    digests[str(PurePosixPath(name))] = _sha256(path)
    tar.add(path, name)


def _keys_tar(folder: Path, target: Path) -> None:
    part = target.with_name(f".{target.name}.part")
    with _private(part) as file, tarfile.open(fileobj=file, mode="w") as tar:
        tar.add(folder / KEY_FOLDER, KEY_FOLDER)
    _finish(part, target)


def _private(part: Path) -> BinaryIO:
    """A new file that nobody else can open, from its first byte on; one that a broken attempt left goes."""
    part.unlink(missing_ok=True)
    return os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "wb")


def _finish(part: Path, target: Path) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.rename(target)
    sync_folder(target.absolute().parent)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
