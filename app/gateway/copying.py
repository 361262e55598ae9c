"""Takes the snapshots of datasets, one replica for all, and keeps them at hand. Each taking is an exchange, recorded as `refresh`.

The whole dataset is read as a list would be, through the same guards, mapped and validated; grants are no part of it. The file stands
only when it is complete: a taking that fails, or whose process is killed, leaves the one before.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import structlog

from app.access.principals import Principal
from app.access.sealing import Seal, Sealed
from app.audit.entry.record import DatasetUse, uuid7
from app.catalog import copies, turns
from app.catalog.copies import CopyFault, StoredCopy
from app.database import Database
from app.datasets.copies.dataset import CopiedDataset
from app.datasets.copies.faults import SnapshotTooLarge, SnapshotUnreadable
from app.datasets.copies.sealed_file import (
    KEY_BYTES,
    SealedCopy,
    Written,
    remove_unfinished,
    stored_schema,
    write_copy,
)
from app.datasets.copies.shelf import Copy, Shelf, Shelved, Taking
from app.errors import SettingsInvalid, SimpulError, SourceError, SourceFailed, SourcePartial
from app.federation.question.query import DatasetRef, Grant, Query, SourceStatus
from app.federation.reading.runtime import Runtime
from app.federation.reading.whole import WholeRead
from app.federation.spilling import ExternalSort, OwnThread
from app.gateway.exchange import Exchange, Names, ReadOutcome
from app.gateway.notes import Notes
from app.gateway.sources import OpenDataset, SourcePool
from app.gateway.storage import Storage
from app.gateway.unclosed import Unclosed
from app.settings import Settings
from app.telemetry import Metrics

log = structlog.get_logger("simpul.snapshots")

LOOK_SECONDS = 0.5
AT_ONCE = 2
KEPT_SECONDS = 900
"""How long a copy stays behind the one that replaced it: who reads page by page comes to the end."""
SWEEP_SECONDS = 60.0
_FREE_EVERY_BYTES = 1 << 20
_STORED_DETAIL = 2000
_CALLER = "simpul:snapshot"


@dataclass(frozen=True, slots=True)
class CopyMeans:
    """What taking copies needs. `replica`: the name of this process; `names`: how agencies stand in entries, at this moment."""

    settings: Settings
    database: Database
    log: Any
    seal: Seal
    storage: Storage
    spool: Path
    sources: SourcePool
    runtime: Runtime
    notes: Notes
    metrics: Metrics
    unclosed: Unclosed
    shelf: Shelf
    replica: str
    names: Callable[[], Names]


class CopyTaker:
    """Takes copies when it is time, and shows this process what stands."""

    def __init__(self, means: CopyMeans) -> None:
        self._means = means
        self._folder = means.settings.dir / "snapshots"
        self._opened: dict[str, Copy] = {}
        self._broken: dict[str, SnapshotUnreadable] = {}
        self._elsewhere: dict[str, StoredCopy] = {}
        """By connector the newest copy of which this replica has no file: another one has it, and it is not taken again for that."""
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._look_again: dict[str, float] = {}
        self._follower: asyncio.Task[None] | None = None
        self._swept = 0.0

    async def start(self) -> None:
        """Shows what stands, and goes on from there."""
        if self._means.settings.embedded:  # of replicas another one may be writing
            await asyncio.to_thread(remove_unfinished, self._folder)
        with suppress(SimpulError):
            await self.look()
        self._follower = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Ends what is under way; the copies before stand."""
        tasks = [*self._under_way.values(), *([self._follower] if self._follower else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def forgotten(self, gone: Sequence[StoredCopy]) -> None:
        """Copies whose keys are gone from the store: their files go too, and no read of this process is answered from them."""
        await self.look()
        for one in gone:
            await asyncio.to_thread(self._path(one).unlink, missing_ok=True)

    async def look(self) -> None:
        """What stands in the store, opened for the reads of this process."""
        async with self._means.database.read() as connection:
            stored = await copies.stored(connection)
            faults = await copies.faults(connection)
        known = {one.id for one in stored}
        self._opened = {name: copy for name, copy in self._opened.items() if name in known}
        self._broken = {name: error for name, error in self._broken.items() if name in known}
        found: defaultdict[str, list[Copy]] = defaultdict(list)
        elsewhere: dict[str, StoredCopy] = {}
        for one in stored:
            copy = await self._open(one)
            if copy is not None:
                found[one.connector].append(copy)
            elif one.replaced_at is None and one.id in self._broken and await self._is_elsewhere(one):
                elsewhere[one.connector] = one
        self._elsewhere = elsewhere
        failed = {name: _taking(fault) for name, fault in faults.items()}
        for one in stored:
            broken = self._broken.get(one.id)
            if broken is not None and one.replaced_at is None and one.connector not in failed:
                failed[one.connector] = Taking(broken, one.taken_at, one.taken_at, 0)
        names = {*found, *failed}
        self._means.shelf.replace({name: Shelved(tuple(found[name]), failed.get(name)) for name in names})

    async def _is_elsewhere(self, one: StoredCopy) -> bool:
        """Whether another replica, with a folder of its own, has the file."""
        return not self._means.settings.embedded and not await asyncio.to_thread(self._path(one).exists)

    async def _open(self, one: StoredCopy) -> Copy | None:
        """The copy, None for one that cannot be read; why is known then."""
        known = self._opened.get(one.id)
        if known is not None:
            return known
        opened = self._means.sources.get(one.connector)
        if one.id in self._broken or opened is None:
            return None
        try:
            key = self._means.seal.open(Sealed(one.sealed_key, one.nonce, one.key_id), *_bound_to(one))
            file = SealedCopy(self._path(one), key, one.id.encode(), opened.schema)
            rows = await asyncio.to_thread(lambda: file.rows)
            if rows != one.rows:
                raise SnapshotUnreadable(f"the file holds {rows} records, {one.rows} were written")
        except SettingsInvalid as error:
            self._broken[one.id] = SnapshotUnreadable(f"the snapshot cannot be opened: {error.detail}")
        except SnapshotUnreadable as error:
            self._broken[one.id] = error
        else:
            made = Copy(
                one.id, one.connector, one.made_of, one.as_of, one.rows, one.rejected_rows, file, one.took_seconds
            )
            self._opened[one.id] = made
            return made
        log.warning("snapshot_unreadable", connector=one.connector, snapshot=one.id)
        return None

    async def _follow(self) -> None:
        while True:
            try:
                await self.look()
                self._begin_what_is_due()
                await self._sweep()
            except SimpulError as error:
                log.warning("snapshots_not_looked_at", code=error.code)
            except Exception as error:
                log.exception("snapshots_not_looked_at", kind=type(error).__name__, exc_info=error)
            await asyncio.sleep(LOOK_SECONDS)

    def _begin_what_is_due(self) -> None:
        now = datetime.now(UTC)
        for opened in self._means.sources.all():
            name, source = opened.dataset, opened.source
            if len(self._under_way) >= AT_ONCE:
                return
            if name in self._under_way or not isinstance(source, CopiedDataset):
                continue
            if time.monotonic() < self._look_again.get(name, 0.0) or not self._due(source, name, now):
                continue
            task = asyncio.create_task(self._due_copy(opened, source))
            self._under_way[name] = task
            task.add_done_callback(lambda _, name=name: self._under_way.pop(name, None))  # type: ignore[misc]

    def _due(self, source: CopiedDataset, name: str, now: datetime) -> bool:
        newest: Copy | StoredCopy | None = self._means.shelf.newest(name, source.made_of)
        other = self._elsewhere.get(name)
        if newest is None and other is not None and other.made_of == source.made_of:
            newest = other
        return newest is None or source.schedule.begin(newest.as_of, newest.took_seconds) <= now

    async def _due_copy(self, opened: OpenDataset, source: CopiedDataset) -> None:
        try:
            await self._turn(opened, source)
        except SimpulError as error:  # the store is away: it is looked at again
            log.warning("snapshots_not_looked_at", connector=opened.dataset, code=error.code)

    async def _turn(self, opened: OpenDataset, source: CopiedDataset) -> None:
        """Takes a copy if it is this replica's turn."""
        means, turn = self._means, f"snapshot:{opened.dataset}"
        self._look_again[opened.dataset] = time.monotonic() + LOOK_SECONDS
        async with means.database.begin() as connection:
            mine = await turns.take(connection, turn, means.replica, datetime.now(UTC))
        if not mine:
            return
        await self.look()  # another replica may have ended a moment ago
        next_at = datetime.now(UTC)
        try:
            if self._due(source, opened.dataset, next_at):
                next_at = await self._taken(opened, source, turn)
        finally:
            with suppress(SimpulError):
                async with means.database.begin() as connection:
                    await turns.end(connection, turn, means.replica, next_at)
        await self.look()

    async def _taken(self, opened: OpenDataset, source: CopiedDataset, turn: str) -> datetime:
        """One exchange from intent to outcome; returns when the next try is due at the earliest."""
        means = self._means
        holding = asyncio.create_task(self._hold(turn, asyncio.current_task()))
        exchange = self._exchange(opened)
        try:
            stored = await self._take(opened, source, exchange)
        except SimpulError as error:
            exchange.failed(error=f"{error.code}: {error.detail}")
            await self._close(exchange, 502 if isinstance(error, SourceError) else 500, 0)
            async with means.database.begin() as connection:
                fault = await copies.failed(
                    connection, opened.dataset, error.code, error.detail[:_STORED_DETAIL], datetime.now(UTC)
                )
            means.metrics.count_snapshot(opened.agency, taken=False)
            log.warning("snapshot_not_taken", connector=opened.dataset, code=error.code, failures=fault.failures)
            return fault.at + source.schedule.retry(fault.failures)
        except BaseException:
            exchange.failed(error="internal_error: the gateway stopped, or a fault in it")
            await asyncio.shield(self._close(exchange, 500, 0))
            raise
        finally:
            holding.cancel()
        means.metrics.count_snapshot(opened.agency, taken=True)
        log.info("snapshot_taken", connector=opened.dataset, rows=stored.rows, size_bytes=stored.size_bytes)
        return datetime.now(UTC)

    async def _take(self, opened: OpenDataset, source: CopiedDataset, exchange: Exchange) -> StoredCopy:
        means, started = self._means, time.monotonic()
        as_of, copy_id, key = datetime.now(UTC), uuid7(), secrets.token_bytes(KEY_BYTES)
        await exchange.intend(means.log)
        path = self._folder / opened.agency / f"{copy_id}.parquet"
        async with means.database.read() as connection:
            before = await copies.taken_bytes(connection, opened.agency)
        thread = OwnThread()
        sort = ExternalSort(
            means.storage.space(means.spool, _CALLER), [(name, False) for name in opened.schema.meta.key]
        )
        try:
            status, as_of = await self._read(opened, source, thread, sort, as_of)
            exchange.answered(ReadOutcome(status.rows, tuple(opened.schema.fields), complete=True, sources=[status]))
            means.notes.take([status])
            kept = stored_schema(opened.schema)
            blocks = _stored_blocks(sort, kept)
            room = _AgencyRoom(means.storage, opened.agency, before, means.settings.snapshot_bytes)
            try:
                written = await thread.run(write_copy, path, key, copy_id.encode(), kept, blocks, room.before)
            except OSError as error:
                raise means.storage.room(_CALLER).refused(error) from None
        finally:
            thread.end(sort.close)
        new = self._stored(opened, source, copy_id, as_of, status, written, time.monotonic() - started, key)
        await self._close(exchange, 200, written.size_bytes)
        try:
            async with means.database.begin() as connection:
                await copies.add(connection, new)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return new

    async def _read(
        self, opened: OpenDataset, source: CopiedDataset, thread: OwnThread, sort: ExternalSort, as_of: datetime
    ) -> tuple[SourceStatus, datetime]:
        """The whole dataset into the sort; how its leg ended, and of when the oldest part is. Raises the source's fault."""
        grant = Grant(frozenset(opened.schema.fields))
        ref = DatasetRef(opened.agency, opened.dataset, opened.revision, source.live, grant, slots=opened.slots)
        seconds = self._means.settings.snapshot_seconds
        runtime = self._means.runtime.until(time.monotonic() + seconds, _CALLER)
        read = WholeRead(Query(opened.schema, partial="never"), [ref], runtime)
        async with aclosing(read.batches()) as batches:
            async for batch in batches:
                as_of = min(as_of, batch.as_of)
                await thread.run(sort.add, batch.columns)
        status = read.statuses[0]
        if status.status != "ok":
            raise status.problem or SourceFailed(f"the source was not read to its end: {status.status}")
        if not status.whole:
            raise SourcePartial("the source did not say that this was all; what may be a part is not kept")
        return status, as_of

    def _stored(
        self, opened: OpenDataset, source: CopiedDataset, copy_id: str, as_of: datetime, status: SourceStatus,
        written: Written, seconds: float, key: bytes,
    ) -> StoredCopy:  # fmt: skip
        bare = StoredCopy(
            id=copy_id, connector=opened.dataset, agency=opened.agency, revision=opened.revision, made_of=source.made_of,
            as_of=as_of, taken_at=datetime.now(UTC), took_seconds=round(seconds, 3), rows=written.rows,
            rejected_rows=status.rejected_rows, size_bytes=written.size_bytes, digest=written.digest,
            sealed_key=b"", nonce=b"", key_id="",
        )  # fmt: skip
        sealed = self._means.seal.seal(key, *_bound_to(bare))
        return replace(bare, sealed_key=sealed.sealed, nonce=sealed.nonce, key_id=sealed.key_id)

    def _exchange(self, opened: OpenDataset) -> Exchange:
        """The gateway acts on behalf of the agency whose manifest asks for the copy."""
        exchange = Exchange(
            op="refresh",
            closing="outcome",
            principal=Principal(_CALLER, opened.agency, "steward", "gateway"),
            names=self._means.names(),
            request="snapshot",
        )
        exchange.asks(schemas=(opened.schema.name,))
        exchange.decide(allow=True, rule="snapshot")
        exchange.touches((opened.agency,), (DatasetUse(opened.dataset, opened.revision),))
        return exchange

    async def _close(self, exchange: Exchange, status: int, size: int) -> None:
        try:
            await exchange.close(self._means.log, status=status, size=size, commitment=None)
        except SimpulError:
            self._means.unclosed.add(exchange)
            if status == 200:
                raise

    async def _hold(self, turn: str, task: asyncio.Task[None] | None) -> None:
        """Shows that this replica goes on; ends the taking where another one took its turn."""
        while True:
            await asyncio.sleep(turns.HOLD_SECONDS / 3)
            with suppress(SimpulError):
                async with self._means.database.begin() as connection:
                    held = await turns.keep(connection, turn, self._means.replica, datetime.now(UTC))
                if not held and task is not None:
                    task.cancel()
                    return

    async def _sweep(self) -> None:
        """Takes away copies that were replaced a while ago, those of connectors that have none any more, and files of no copy."""
        if time.monotonic() - self._swept < SWEEP_SECONDS:
            return
        self._swept, now = time.monotonic(), datetime.now(UTC)
        async with self._means.database.begin() as connection:
            stored = await copies.stored(connection)
            gone = [one for one in stored if self._over(one, now)]
            await copies.remove(connection, [one.id for one in gone])
        kept = {one.id for one in stored} - {one.id for one in gone}
        await asyncio.to_thread(self._remove_files, kept, now)

    def _over(self, one: StoredCopy, now: datetime) -> bool:
        if one.replaced_at is not None:
            return now - one.replaced_at > timedelta(seconds=KEPT_SECONDS)
        opened = self._means.sources.get(one.connector)
        if opened is None or opened.error is not None:
            return now - one.taken_at > timedelta(seconds=KEPT_SECONDS) and (opened is None or opened.retired)
        source = opened.source
        return not isinstance(source, CopiedDataset) or source.made_of != one.made_of

    def _remove_files(self, kept: set[str], now: datetime) -> None:
        for path in self._folder.glob("*/*.parquet*"):
            old = now.timestamp() - path.stat().st_mtime > KEPT_SECONDS
            if path.name.partition(".")[0] not in kept and old:
                path.unlink(missing_ok=True)

    def _path(self, one: StoredCopy) -> Path:
        return self._folder / one.agency / f"{one.id}.parquet"


class _AgencyRoom:
    """What an agency's copies may take of the disk; looks at the disk itself once a mebibyte."""

    def __init__(self, storage: Storage, agency: str, before: int, most: int) -> None:
        self._storage, self._agency, self._size, self._most = storage, agency, before, most
        self._looked = -_FREE_EVERY_BYTES

    def before(self, size: int) -> None:
        """Before so many bytes are written; raises `SnapshotTooLarge`, `StorageFull`."""
        self._size += size
        if self._size > self._most:
            detail = f"the snapshots of {self._agency} would take more than {self._most} bytes; the one before stands"
            raise SnapshotTooLarge(detail, limit_bytes=self._most)
        if self._size - self._looked > _FREE_EVERY_BYTES:
            self._storage.check_free(size + _FREE_EVERY_BYTES)
            self._looked = self._size


def _stored_blocks(sort: ExternalSort, kept: pa.Schema) -> Iterator[pa.RecordBatch]:
    for block in sort.blocks():
        yield pa.RecordBatch.from_arrays([block.column(name) for name in kept.names], schema=kept)


def _bound_to(one: StoredCopy) -> tuple[str, ...]:
    return "snapshot", one.agency, one.connector, one.id


def _taking(fault: CopyFault) -> Taking:
    return Taking(_error_of(fault.code, SourceFailed)(fault.detail), fault.at, fault.since, fault.failures)


def _error_of(code: str, otherwise: type[SimpulError]) -> type[SimpulError]:
    """The leaf of the tree of errors with this code."""
    waiting: list[type[SimpulError]] = [SimpulError]
    while waiting:
        found = waiting.pop()
        if found.code == code:
            return found
        waiting += found.__subclasses__()
    return otherwise
