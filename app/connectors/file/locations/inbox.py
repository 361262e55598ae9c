"""Files in an agency's own folder: what is inside a ZIP or packed by gzip, and what is one file of several."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from app.connectors.agency_files import agency_file
from app.connectors.contract import CheckStep, milliseconds_since
from app.connectors.environment import Environment
from app.connectors.file.content import file_mark, openable
from app.connectors.file.locations.origin import Found, Local, Origin
from app.connectors.file.several import files_of, is_pattern
from app.connectors.file.source import FileSource
from app.errors import SimpulError


class Inbox(Origin):
    """The agency's folder."""

    def __init__(self, source: FileSource, environment: Environment) -> None:
        self._location = source.location
        self._root = environment.root

    async def files(self, deadline: float | None) -> Sequence[Found]:
        """The file, or those that the pattern means."""
        if not is_pattern(self._location):
            return [Found(self._location)]
        files = await asyncio.to_thread(files_of, self._root, self._location)
        return [Found(file.location, file.parts) for file in files]

    @asynccontextmanager
    async def local(self, found: Found, deadline: float | None) -> AsyncIterator[Local]:
        """The file itself."""
        path = await asyncio.to_thread(agency_file, self._root, found.name)
        yield Local(self._root, found.name, file_mark(path))

    async def check(self) -> Sequence[CheckStep]:
        """Stage: permission (each file is there and may be read)."""
        started, wrong = time.perf_counter(), None
        try:
            for found in await self.files(None):
                await asyncio.to_thread(openable, agency_file(self._root, found.name))
        except SimpulError as error:
            wrong = error
        return [CheckStep("permission", milliseconds_since(started), wrong, "/source/location")]
