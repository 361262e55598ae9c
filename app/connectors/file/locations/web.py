"""A file at `http://` or `https://`: fetched whole by the one HTTP client, asked for again by its ETag or date (RFC 9110, 13)."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from app.connectors.contract import CheckStep
from app.connectors.environment import Environment
from app.connectors.file.locations.fetching import Fetching
from app.connectors.file.locations.origin import FETCH_SECONDS, Found, Local, Origin, at_location, check_server
from app.connectors.file.source import FileSource
from app.connectors.file_cache import Brought, CachedFile, Sink
from app.connectors.http import HttpAnswer, HttpSource, Into
from app.connectors.http_credentials import HttpCredentials
from app.connectors.network import HttpAddress
from app.errors import SimpulError, SourceFormatError


class WebFile(Origin):
    """One file at one address."""

    def __init__(self, source: FileSource, environment: Environment) -> None:
        self._source = source
        self._environment = environment
        self._http = HttpSource(environment)
        self._credentials = HttpCredentials(source.auth, environment.secrets, self._http)
        self._fetching = Fetching(source, environment)

    async def files(self, deadline: float | None) -> Sequence[Found]:
        """The one file; parameters of the address are not shown."""
        return [Found(self._source.location.partition("?")[0])]

    @asynccontextmanager
    async def local(self, found: Found, deadline: float | None) -> AsyncIterator[Local]:
        """The copy, fetched or confirmed."""
        key = ("web", self._source.location, self._proof(), self._environment.network)
        async with self._fetching.local(key, found.name, self._bring, deadline) as local:
            yield local

    async def check(self) -> Sequence[CheckStep]:
        """Stages: dns, tcp, then what the request for the file shows."""
        address = HttpAddress.of(self._source.location)

        async def first() -> None:
            self._fetching.anew = True
            async with self.local((await self.files(None))[0], None):
                pass

        try:
            return await check_server(address.host, address.port, self._environment, first, "/source/location")
        finally:
            self._fetching.anew = False

    async def close(self) -> None:
        """Closes the connections and lets go of the copy."""
        self._fetching.close()
        await self._http.close()

    def _proof(self) -> str:
        """Tells callers with other credentials apart, without holding any."""
        auth, resolve = self._source.auth, self._environment.secrets.resolve
        said = "\0".join(f"{name}={resolve(str(value))}" for name, value in sorted(auth.model_dump().items()))
        return hashlib.sha256(said.encode()).hexdigest()

    async def _bring(self, before: CachedFile | None, sink: Sink) -> Brought | None:
        headers = dict[str, str]()
        if before is not None:
            headers |= {"if-none-match": before.memo["etag"]} if before.memo.get("etag") else {}
            headers |= {"if-modified-since": before.memo["date"]} if before.memo.get("date") else {}

        async def sent(url: str, proven: dict[str, str], basic: tuple[str, str] | None) -> HttpAnswer:
            return await self._http.send("GET", url, headers=proven, auth=basic, data=Into(sink.write, FETCH_SECONDS))

        try:
            answer = await self._credentials.send(sent, self._source.location, headers, None)
            if answer.status == 304 and before is not None:
                return None
            if answer.status != 200:
                raise SourceFormatError(f"the server answered HTTP {answer.status}, which is no whole file")
        except SimpulError as error:
            raise at_location(error) from None
        return Brought({"etag": answer.headers.get("etag", ""), "date": answer.headers.get("last-modified", "")})
