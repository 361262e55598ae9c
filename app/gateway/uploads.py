"""Files on their way into an inbox: whole, or in parts that outlive connection and process (draft-ietf-httpbis-resumable-upload).

An upload in parts is one upload in the log: when it is complete, or when it is given up. It is its client's alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import IO, Any, TypeVar, cast

import structlog

from app.access.principals import Principal, Role
from app.catalog import files
from app.catalog.files import AgencyFile, Space
from app.catalog.inbox import WRITE_BYTES, Inbox, Received, refuse_unread, safe_path
from app.catalog.uploads import (
    IncomingFiles,
    Upload,
    UploadInUse,
    UploadLengthInconsistent,
    UploadUnknown,
    at_offset,
    digests_of,
    finished,
)
from app.conditions import UNCONDITIONAL, Precondition
from app.database import Database
from app.errors import (
    BodyTooLarge,
    DigestMismatch,
    FieldError,
    QuotaExceeded,
    RequestTimeout,
    StoreUnavailable,
    ValidationFailed,
)
from app.gateway.exchange import Exchange, Log, Names
from app.gateway.storage import Storage
from app.settings import Settings

log = structlog.get_logger("simpul.uploads")

FINISHED_SECONDS = 3600
_FINISHED_KEPT = 100
_LOCK_SECONDS = 10.0
_SWEEP_SECONDS = 60.0
Result = TypeVar("Result")
_STAYS = (ConnectionResetError, asyncio.CancelledError, RequestTimeout)
"""Ends of a part after which what arrived of it is kept."""


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of an upload from an offset on. `digests`: of these bytes (Content-Digest), by hashlib name."""

    offset: int
    chunks: AsyncIterator[bytes]
    digests: Mapping[str, bytes]


class Uploads:
    """What arrives at the inboxes of one process. A new request for an upload in parts ends the one that still adds to it."""

    def __init__(self, settings: Settings, database: Database, storage: Storage) -> None:
        self._settings = settings
        self._database = database
        self._storage = storage
        self._working: dict[str, tuple[asyncio.Task[Any], bool]] = {}
        self._begins = asyncio.Lock()
        self._swept = float("-inf")

    async def store(
        self, agency: str, received: Received, client: str, condition: Precondition = UNCONDITIONAL
    ) -> tuple[AgencyFile, bool]:
        """Puts received bytes in place as a version of their path: the file, and whether it is a new version."""
        inbox, gone = Inbox(self._settings.dir, agency), list[AgencyFile]()
        space = Space(self._settings.agency_file_bytes, self._settings.file_versions)
        async with self._database.begin() as connection:
            file, new = await files.record_file(connection, agency, received, uploaded_by=client, condition=condition)
            if new:
                gone = await files.make_room(connection, agency, file, space)
                await inbox.install(received)
        for old in gone:
            await inbox.forget(old.path, old.sha256)
        return file, new

    async def begin(
        self, caller: Principal, agency: str, path: str, length: int | None, digests: Mapping[str, bytes]
    ) -> Upload:
        """A new upload in parts. Raises `ValidationFailed` (path), `BodyTooLarge`, `QuotaExceeded`."""
        settings, moment = self._settings, datetime.now(UTC)
        if length is not None and length > settings.upload_bytes:
            raise self._too_large()
        name = safe_path(path)
        incoming = self._incoming(agency)
        new = Upload(
            uuid.uuid4().hex, agency, name, caller.client_id, caller.agency, caller.role, caller.credential, moment,
            moment + timedelta(seconds=settings.open_upload_seconds), length,
            {algorithm: digest.hex() for algorithm, digest in digests.items()},
        )  # fmt: skip
        async with self._begins:
            others = [one for one in await asyncio.to_thread(incoming.all) if one.finished is None]
            if len(others) >= settings.open_uploads:
                detail = (
                    f"{agency} has {len(others)} open uploads, at most {settings.open_uploads}: complete or DELETE one"
                )
                raise QuotaExceeded(detail, limit=settings.open_uploads)
            if await self._reserved(incoming, others) + (length or 0) > settings.agency_file_bytes:
                raise self._no_space(agency)
            self._storage.check_free(length or 0)
            await self._on_disk(incoming.begin, new)
        return new

    async def find(self, caller: Principal, agency: str, upload_id: str) -> Upload:
        """An upload of the caller; `UploadUnknown` for everything else."""
        return await self._own(caller, agency, upload_id)

    async def look(self, caller: Principal, agency: str, upload_id: str) -> tuple[Upload, int]:
        """An upload of the caller and its offset, from which it may go on: a part that still arrives is ended first."""
        found = await self._own(caller, agency, upload_id)
        return await self._alone(found.id, self._look(found))

    async def listed(self, caller: Principal, agency: str) -> list[tuple[Upload, int]]:
        """The caller's uploads in parts and their offsets; the walidata sees those of all clients of the agency."""
        incoming = self._incoming(agency)
        found = await asyncio.to_thread(incoming.all)
        return [
            (one, await asyncio.to_thread(incoming.offset, one))
            for one in found
            if caller.role == "admin" or one.client == caller.client_id
        ]

    async def append(self, caller: Principal, agency: str, upload_id: str, part: Part) -> tuple[Upload, int]:
        """Adds a part; the new offset. What arrived before a connection broke stays.

        Raises `UploadUnknown`, `UploadOffsetMismatch`, `UploadCompleted`, `UploadLengthInconsistent`, `BodyTooLarge`, `DigestMismatch`.
        """
        found = await self._own(caller, agency, upload_id)
        return await self._alone(found.id, self._append(found, part))

    async def complete(
        self, caller: Principal, upload: Upload, offset: int, digests: Mapping[str, bytes], exchange: Exchange
    ) -> tuple[AgencyFile, bool]:
        """Checks the whole and puts it in place. What is wrong with the bytes themselves ends the upload."""
        wanted = _together(upload.digests, {name: digest.hex() for name, digest in digests.items()})
        work = self._complete(upload, offset, wanted, caller.client_id, exchange.id)
        return await self._alone(upload.id, work, stoppable=False)

    async def give_up(self, caller: Principal, agency: str, upload_id: str) -> tuple[Upload, int]:
        """Ends an upload of the caller and removes its bytes; what it was."""
        found = await self._own(caller, agency, upload_id, also_admin=True)
        return await self._alone(found.id, self._give_up(found), stoppable=False)

    async def sweep(self, written: Log, names: Names) -> None:
        """Gives up what is too old, and removes what killed processes left; looks once a minute at most."""
        moment = time.monotonic()
        if moment - self._swept < _SWEEP_SECONDS:
            return
        self._swept = moment
        for folder in await asyncio.to_thread(lambda: sorted((self._settings.dir / "agencies").glob("*"))):
            incoming = self._incoming(folder.name)
            await asyncio.to_thread(incoming.remove_stale, time.time())
            for one in await asyncio.to_thread(incoming.all):
                if one.expires_at > datetime.now(UTC):
                    continue
                if one.finished is not None:
                    await asyncio.to_thread(incoming.forget, one.id)
                    continue
                try:
                    await self._alone(one.id, self._expire(one, written, names), stoppable=False)
                except (UploadUnknown, UploadInUse):  # it ended, or another process looks at it
                    continue

    def limits(self, upload: Upload | None = None) -> str:
        """`Upload-Limit`: the largest file, and the seconds that an upload has left."""
        seconds = self._settings.open_upload_seconds if upload is None else upload.left_seconds(datetime.now(UTC))
        return f"max-size={self._settings.upload_bytes}, max-age={seconds}"

    async def _look(self, upload: Upload) -> tuple[Upload, int]:
        incoming = self._incoming(upload.agency)
        if upload.finished is None:
            async with self._held(incoming, upload):
                pass  # nobody adds to it now
        fresh = await asyncio.to_thread(incoming.find, upload.id)
        return fresh, await asyncio.to_thread(incoming.offset, fresh)

    async def _append(self, upload: Upload, part: Part) -> tuple[Upload, int]:
        incoming = self._incoming(upload.agency)
        if upload.finished is not None:  # its bytes are in place: there is no file to lock
            at_offset(upload, cast("IO[bytes]", None), part.offset)
        async with self._held(incoming, upload) as (file, fresh):
            await _settled(at_offset, fresh, file, part.offset)
            most = await self._most(incoming, fresh)
            hashes = {name: hashlib.new(name) for name in part.digests}
            try:
                size = await self._fill(file, part, hashes, fresh, most)
                await self._on_disk(_sync, file)
            except (BodyTooLarge, UploadLengthInconsistent):
                await _settled(incoming.forget, fresh.id)
                raise
            if any(not hmac.compare_digest(hashes[name].digest(), digest) for name, digest in part.digests.items()):
                await self._on_disk(file.truncate, part.offset)
                raise DigestMismatch(
                    f"the part does not have the Content-Digest that was sent: send it again from byte {part.offset}"
                )
        return fresh, size

    async def _fill(self, file: IO[bytes], part: Part, hashes: dict[str, Any], upload: Upload, most: int) -> int:
        size, waiting = part.offset, bytearray()

        async def flush() -> None:
            """What waits is taken out before it is written: a write ends although its task is cancelled, and is never done twice."""
            piece = bytes(waiting)
            waiting.clear()
            self._storage.check_free(len(piece))
            await self._on_disk(_write, file, piece, hashes)

        try:
            async for chunk in part.chunks:
                size += len(chunk)
                if upload.length is not None and size > upload.length:
                    detail = f"the upload was announced with {upload.length} bytes and more arrived: it is ended; begin a new one"
                    raise UploadLengthInconsistent(detail, length=upload.length)
                if size > most:
                    raise self._too_large() if most == self._settings.upload_bytes else self._no_space(upload.agency)
                waiting += chunk
                if len(waiting) >= WRITE_BYTES:
                    await flush()
            await flush()
        except _STAYS:
            await flush()
            await self._on_disk(_sync, file)
            raise
        return size

    async def _complete(
        self, upload: Upload, offset: int, wanted: Mapping[str, str], client: str, exchange_id: str
    ) -> tuple[AgencyFile, bool]:
        incoming = self._incoming(upload.agency)
        if upload.finished is not None:
            at_offset(upload, cast("IO[bytes]", None), offset)
        async with self._held(incoming, upload) as (file, fresh):
            await _settled(at_offset, fresh, file, offset)
            if fresh.length is not None and offset != fresh.length:
                detail = f"the upload was announced with {fresh.length} bytes and has {offset}: send the rest first"
                raise UploadLengthInconsistent(detail, length=fresh.length)
            path = incoming.bytes_of(fresh.id)
            try:
                found = await _settled(digests_of, path, wanted)
                await _settled(refuse_unread, path)
            except (DigestMismatch, ValidationFailed) as error:
                await _settled(incoming.forget, fresh.id)
                error.facts["upload_complete"] = "?1"
                raise
            stored, new = await self.store(upload.agency, Received(fresh.path, path, offset, found["sha256"]), client)
            told = {**asdict(stored), "new_version": new, "exchange": exchange_id}
            await asyncio.to_thread(path.unlink, missing_ok=True)  # the same bytes again were not moved
            until = datetime.now(UTC) + timedelta(seconds=FINISHED_SECONDS)
            await self._on_disk(incoming.keep, replace(finished(fresh, told), expires_at=until))
        await asyncio.to_thread(_thin, incoming)
        return stored, new

    async def _give_up(self, upload: Upload) -> tuple[Upload, int]:
        incoming = self._incoming(upload.agency)
        if upload.finished is not None:
            at_offset(upload, cast("IO[bytes]", None), 0)
        async with self._held(incoming, upload) as (_, fresh):
            offset = incoming.offset(fresh)
            await _settled(incoming.forget, fresh.id)
        return fresh, offset

    async def _expire(self, upload: Upload, written: Log, names: Names) -> None:
        """Recorded under the client that began it, before its bytes go."""
        incoming = self._incoming(upload.agency)
        async with self._held(incoming, upload) as (_, fresh):
            principal = Principal(fresh.client, fresh.client_agency, cast("Role", fresh.role), fresh.credential)
            exchange = Exchange(op="file.give_up", closing="admin", principal=principal, names=names)
            exchange.touches((fresh.agency,))
            exchange.decide(allow=True, rule="upload_too_old")
            exchange.tells(upload=told_of(fresh, incoming.offset(fresh)), reason="not complete in time")
            await exchange.intend(written)
            await _settled(incoming.forget, fresh.id)
            await exchange.close(written, status=410, size=0, commitment=None)
        log.info("upload_given_up", agency=fresh.agency, upload=fresh.id)

    async def _own(self, caller: Principal, agency: str, upload_id: str, *, also_admin: bool = False) -> Upload:
        found = await asyncio.to_thread(self._incoming(agency).find, upload_id)
        if found.client != caller.client_id and not (also_admin and caller.role == "admin"):
            raise UploadUnknown("no open upload of this client has this id: begin a new one", upload=upload_id[:64])
        return found

    async def _alone(self, upload_id: str, work: Coroutine[Any, Any, Result], *, stoppable: bool = True) -> Result:
        """The work on an upload, one after the other. What still adds to it is ended: its client has left or sends again."""
        before = self._working.get(upload_id)
        if before is not None:
            if before[1]:
                before[0].cancel()
            await asyncio.wait({before[0]}, timeout=_LOCK_SECONDS)
        task = asyncio.ensure_future(work)
        self._working[upload_id] = (task, stoppable)
        try:
            return await (task if stoppable else asyncio.shield(task))
        except asyncio.CancelledError:
            if not stoppable:  # what puts a file in place, and says so, is done to its end
                await asyncio.wait({task})
            own = asyncio.current_task()
            if task.cancelled() and own is not None and not own.cancelling():
                raise UploadInUse(
                    "another request for this upload came meanwhile: ask for its offset", retry_after_seconds=1
                ) from None
            raise
        finally:
            if self._working.get(upload_id, (None,))[0] is task:
                del self._working[upload_id]

    @asynccontextmanager
    async def _held(self, incoming: IncomingFiles, upload: Upload) -> AsyncGenerator[tuple[IO[bytes], Upload]]:
        """The bytes of an upload for this request alone, and its state as it is now."""
        with ExitStack() as stack:
            file = await _settled(stack.enter_context, incoming.locked(upload, _LOCK_SECONDS))
            yield file, await asyncio.to_thread(incoming.find, upload.id)

    async def _most(self, incoming: IncomingFiles, upload: Upload) -> int:
        """Where the upload has to end; of one whose length is known that was looked at when it began."""
        if upload.length is not None:
            return self._settings.upload_bytes
        others = [one for one in await asyncio.to_thread(incoming.all) if one.finished is None and one.id != upload.id]
        left = self._settings.agency_file_bytes - await self._reserved(incoming, others)
        return min(self._settings.upload_bytes, max(left, 0))

    async def _reserved(self, incoming: IncomingFiles, others: list[Upload]) -> int:
        def count() -> int:
            return sum(one.length if one.length is not None else incoming.offset(one) for one in others)

        return await asyncio.to_thread(count)

    async def _on_disk(self, function: Callable[..., Any], *given: Any) -> None:
        try:
            await _settled(function, *given)
        except OSError as error:
            raise StoreUnavailable(f"the upload could not be written ({error.strerror}); is the disk full?") from error

    def _incoming(self, agency: str) -> IncomingFiles:
        return IncomingFiles(Inbox(self._settings.dir, agency))

    def _too_large(self) -> BodyTooLarge:
        most = self._settings.upload_bytes
        return BodyTooLarge(f"a file has at most {most} bytes: split it", limit_bytes=most, upload_limit=self.limits())

    def _no_space(self, agency: str) -> QuotaExceeded:
        most = self._settings.agency_file_bytes
        detail = f"the open uploads of {agency} would take more than {most} bytes: complete or DELETE one"
        return QuotaExceeded(detail, limit_bytes=most)


def told_of(upload: Upload, offset: int) -> dict[str, Any]:
    """An upload in parts as the detail of an entry tells it."""
    return {"id": upload.id, "path": upload.path, "bytes": offset, "began_at": upload.began_at.isoformat()}


def _together(begun: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    if not begun and not now:
        detail = "an upload in parts is checked as a whole: send Repr-Digest (RFC 9530) when it begins or when it ends"
        raise ValidationFailed(detail, errors=[FieldError("Repr-Digest", "missing", "write it as sha-256=:BASE64:")])
    if any(begun.get(name, digest) != digest for name, digest in now.items()):
        raise DigestMismatch("this Repr-Digest is another one than the upload began with")
    return {**begun, **now}


def _thin(incoming: IncomingFiles) -> None:
    done = [one for one in incoming.all() if one.finished is not None]
    for old in done[: max(len(done) - _FINISHED_KEPT, 0)]:
        incoming.forget(old.id)


def _write(file: IO[bytes], content: bytes, hashes: Mapping[str, Any]) -> None:
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]
    for one in hashes.values():
        one.update(content)


def _sync(file: IO[bytes]) -> None:
    os.fsync(file.fileno())


async def _settled(function: Callable[..., Result], *given: Any) -> Result:
    """In a thread, to its end also when this task is cancelled meanwhile."""
    job = asyncio.ensure_future(asyncio.to_thread(function, *given))
    try:
        return await asyncio.shield(job)
    except asyncio.CancelledError:
        await asyncio.wait({job})
        raise
