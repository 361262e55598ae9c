"""FileCache of what stands on a server: asked for again when `refresh` is over, shared by all connectors that ask the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from app.connectors.environment import Environment
from app.connectors.file.located import ending_of
from app.connectors.file.locations.origin import LIVE_SECONDS, Found, Local
from app.connectors.file.source import FileSource
from app.connectors.file_cache import Bring, CachedFile, FileCache
from app.errors import SourceTimeout


class Fetching:
    """The copies of one opened source."""

    def __init__(self, source: FileSource, environment: Environment) -> None:
        self.kept = environment.file_cache or FileCache(environment.cache / "copies")
        self._most = environment.limits.bytes
        self._deadline_seconds = environment.limits.deadline_seconds
        self._seconds = source.refresh.total_seconds() or LIVE_SECONDS
        self._seen: tuple[float, Sequence[Found]] | None = None
        self._looking = asyncio.Lock()
        self.anew = False
        """Whether nothing that was confirmed before is taken: what a check looks at is the server, not a copy."""

    async def listed(self, look: Callable[[], Awaitable[Sequence[Found]]], deadline: float | None) -> Sequence[Found]:
        """The files that a server lists, looked for again as `refresh` says. Raises `SourceTimeout` at the deadline."""
        begun = time.monotonic()
        ends = deadline or begun + self._deadline_seconds
        try:
            async with asyncio.timeout(max(0.0, ends - begun)), self._looking:
                if self._seen is None or self._seen[0] < begun - (0 if self.anew else self._seconds):
                    self._seen = (time.monotonic(), await look())
                return self._seen[1]
        except TimeoutError:
            detail = "the server did not list its files before the deadline"
            raise SourceTimeout(detail, field="/source/location") from None

    @asynccontextmanager
    async def local(
        self, key: tuple[object, ...], name: str, bring: Bring, deadline: float | None, mark: str = ""
    ) -> AsyncIterator[Local]:
        """The file that `key` tells from all others. `mark`: where a list of the source's files gives one, it decides what is fresh."""
        begun = time.monotonic()

        def fresh(copy: CachedFile) -> bool:
            if mark:
                return copy.memo.get("mark") == mark or copy.confirmed >= begun
            return copy.confirmed >= begun - (0 if self.anew else self._seconds)

        if deadline is None:
            deadline = begun + self._deadline_seconds
        using = self.kept.using(
            key,
            bring,
            owner=id(self),
            fresh=fresh,
            most=self._most,
            deadline=deadline,
            ending=ending_of(name),
        )
        async with using as copy:
            yield Local(copy.path.parent, copy.path.name, copy.mark, copy.as_of)

    def close(self) -> None:
        """Lets go of the copies."""
        self.kept.release(id(self))
