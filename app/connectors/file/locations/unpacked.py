"""What a local file holds to the reader: itself, the file that gzip packed, or members of a ZIP; each as a file of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from app.connectors.environment import Environment
from app.connectors.file.content import unchanged, unreadable
from app.connectors.file.located import scheme_of
from app.connectors.file.locations.archive import Member, gunzip, holds_members, is_gzip, is_zip, opened
from app.connectors.file.locations.fetching import Fetching
from app.connectors.file.locations.origin import Found, Local
from app.connectors.file.source import FileSource
from app.connectors.file_cache import Brought, CachedFile, Sink
from app.errors import SourceFormatError, SourceTooLarge


@dataclass(frozen=True, slots=True)
class Piece:
    """One local file that is read as one table. `source.location`: as people are shown it."""

    source: FileSource
    local: Local
    parts: Mapping[str, str] = field(default_factory=dict)


class Unpacked:
    """The pieces of the files of one source."""

    def __init__(self, source: FileSource, environment: Environment) -> None:
        self._source = source
        self._most = environment.limits.bytes
        self._fetching = Fetching(source, environment)
        self._known: dict[str, tuple[str, list[Member] | None]] = {}
        """The members of each archive at its mark."""

    async def members(self, found: Found, local: Local) -> list[Member] | None:
        """The members that are read; None where the file is no archive of them. Raises `SourceError` leaves."""
        source = self._source
        if source.location.lower().endswith(".gz") or source.format in {"shapefile", "kml"}:
            return None
        known = self._known.get(found.name)
        if known is None or known[0] != local.mark:
            known = (local.mark, await asyncio.to_thread(_members, source, found, local, self._most))
            self._known[found.name] = known
        return known[1]

    async def data(self, found: Found, local: Local) -> list[tuple[str, int]]:
        """Every member that may be read, with its size."""

        def listed() -> list[tuple[str, int]]:
            with unreadable(found.name), opened(local.path, found.name) as archive:
                return [(name, archive.size(name)) for name in archive.data(self._source)]

        return await asyncio.to_thread(listed)

    async def is_archive(self, local: Local) -> bool:
        """Whether it is a ZIP of files to the reader."""
        return await asyncio.to_thread(lambda: is_zip(local.path) and holds_members(local.path, self._source))

    @asynccontextmanager
    async def piece(
        self, found: Found, local: Local, member: Member | None, deadline: float | None
    ) -> AsyncIterator[Piece]:
        """One of the pieces; it stays as it is until the context ends."""
        if member is not None:
            shown = f"{found.name}/{member.name}"
            async with self._fetched(found, local, member, deadline) as inner:
                yield Piece(self._of(shown), inner, {**found.parts, **member.parts})
        elif await self._packed(local):
            async with self._fetched(found, local, None, deadline) as inner:
                yield Piece(self._of(found.name), inner, found.parts)
        else:
            yield Piece(self._of(found.name), local, found.parts)

    async def _packed(self, local: Local) -> bool:
        """Whether gzip has to be undone. Web servers that call `.gz` a coding of theirs have had it undone on its way."""
        location = self._source.location
        if not location.lower().partition("?")[0].endswith(".gz"):
            return False
        return not scheme_of(location).startswith("http") or await asyncio.to_thread(is_gzip, local.path)

    def close(self) -> None:
        """Lets go of the copies."""
        self._fetching.close()

    def _of(self, shown: str) -> FileSource:
        return self._source.model_copy(update={"location": shown, "member": None})

    @asynccontextmanager
    async def _fetched(
        self, found: Found, local: Local, member: Member | None, deadline: float | None
    ) -> AsyncIterator[Local]:
        name = found.name if member is None else member.name

        async def bring(_: CachedFile | None, sink: Sink) -> Brought:
            await asyncio.to_thread(self._unpack, found, local, member, sink.write_here)
            return Brought({"mark": local.mark})

        key = ("unpacked", str(local.root), self._source.location, found.name, name)
        async with self._fetching.local(key, name, bring, deadline, mark=local.mark) as inner:
            yield replace(inner, as_of=local.as_of)

    def _unpack(self, found: Found, local: Local, member: Member | None, write: Callable[[bytes], None]) -> None:
        with unreadable(found.name), unchanged(local.path, found.name):
            if member is None:
                gunzip(local.path, found.name, write, self._most)
                return
            with opened(local.path, found.name) as archive:
                archive.unpack(member.name, write, self._most)


def _members(source: FileSource, found: Found, local: Local, most: int) -> list[Member] | None:
    with unreadable(found.name):
        if not is_zip(local.path):
            if source.member is None:
                return None
            detail = f"{found.name} is no ZIP, so that it has no member {source.member}; leave member out, or give the archive"
            raise SourceFormatError(detail, field="/source/member")
        if not holds_members(local.path, source):
            return None
        with opened(local.path, found.name) as archive:
            members = archive.chosen(source)
            total = sum(archive.size(member.name) for member in members)
    if total > most:  # a member that unpacks to more than the archive says is refused when it is unpacked
        detail = f"{found.name}: unpacked, its members have {total} bytes, {most} are read (SIMPUL_SOURCE_BYTES)"
        raise SourceTooLarge(detail, field="/source/member", limit_bytes=most)
    return members
