"""Objects of an S3-compatible store: listed, fetched and asked for again by their ETag, over the one HTTP client.

Requests are signed by botocore (AWS Signature Version 4), which opens no connection here; the bucket stands in the path of the address.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, unquote_plus

from app.connectors.contract import CheckStep
from app.connectors.environment import Environment
from app.connectors.file.located import object_endpoint
from app.connectors.file.locations.fetching import Fetching
from app.connectors.file.locations.origin import FETCH_SECONDS, Found, Local, Origin, at_location, check_server, extra
from app.connectors.file.several import MOST_FILES, is_pattern, literal_start, matching
from app.connectors.file.source import FileSource
from app.connectors.file_cache import Brought, CachedFile, Sink
from app.connectors.http import HttpAnswer, HttpSource, Into
from app.connectors.network import HttpAddress
from app.connectors.xml_records import Elements
from app.errors import SimpulError, SourceAuthFailed, SourceFormatError, SourceMissing, SourceTooLarge

MOST_LISTED: Final = 100_000
"""Objects that a pattern's prefix may have; more are not gone through."""
_PAGE: Final = 1_000
_CODE = re.compile(r"\((\w+)\)\Z")
_NOT_PROVEN = frozenset(
    {
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "XAdminUserNotFound",
    }
)
_OTHER_REGION = frozenset({"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"})


class ObjectStore(Origin):
    """One object, or those that a pattern in the last part of the key means."""

    def __init__(self, source: FileSource, environment: Environment) -> None:
        self._source = source
        self._environment = environment
        self._endpoint = object_endpoint(source)
        self._bucket, _, self._key = source.location[len("s3://") :].partition("/")
        self._http = HttpSource(environment)
        self._fetching = Fetching(source, environment)

    async def files(self, deadline: float | None) -> Sequence[Found]:
        """The object, or those that fit, in the order of their keys."""
        if not is_pattern(self._key):
            return [Found(self._source.location)]
        return await self._fetching.listed(self._looked, deadline)

    @asynccontextmanager
    async def local(self, found: Found, deadline: float | None) -> AsyncIterator[Local]:
        """The copy, fetched or confirmed."""
        key = found.name[len("s3://") :].partition("/")[2]

        async def bring(before: CachedFile | None, sink: Sink) -> Brought | None:
            etag = before.memo.get("etag", "") if before is not None else ""
            headers = {"if-none-match": etag} if etag else {}
            answer = await self._get(self._address(key), headers, sink)
            if answer.status == 304 and before is not None:
                return None
            return Brought({"etag": answer.headers.get("etag", ""), "mark": found.mark})

        whole = ("s3", self._endpoint, found.name, self._proof(), self._environment.network)
        async with self._fetching.local(whole, found.name, bring, deadline, mark=found.mark) as local:
            yield replace(local, as_of=max(found.seen, local.as_of)) if found.seen and local.as_of else local

    async def check(self) -> Sequence[CheckStep]:
        """Stages: dns, tcp, then what listing and fetching show: tls, auth or permission."""
        address = HttpAddress.of(self._endpoint)
        pointer = "/source/endpoint" if self._source.endpoint else "/source/location"

        async def first() -> None:
            self._fetching.anew = True
            found = (await self.files(None))[0]
            async with self.local(found, None):
                pass

        try:
            return await check_server(address.host, address.port, self._environment, first, pointer)
        finally:
            self._fetching.anew = False

    async def close(self) -> None:
        """Closes the connections and lets go of the copies."""
        self._fetching.close()
        await self._http.close()

    def _address(self, key: str = "", query: str = "") -> str:
        """Escaped as it is signed: every sign but those that RFC 3986 leaves unreserved."""
        path = f"/{self._bucket}/{quote(key, safe='/-_.~')}" if key else f"/{self._bucket}"
        return f"{self._endpoint}{path}" + (f"?{query}" if query else "")

    def _proof(self) -> str:
        said = "\0".join(self._environment.secrets.resolve(text or "") for text in self._keys())
        return hashlib.sha256(said.encode()).hexdigest()

    def _keys(self) -> tuple[str | None, str | None]:
        return self._source.access_key, self._source.secret_key

    def _signed(self, url: str) -> dict[str, str]:
        """The headers that prove a GET of this address; none for a public bucket."""
        access, secret = (self._environment.secrets.resolve(text) if text else "" for text in self._keys())
        if not access:
            return {}
        auth, request, credentials = extra("s3", "botocore.auth", "botocore.awsrequest", "botocore.credentials")
        signing = request.AWSRequest(method="GET", url=url)
        signer = auth.S3SigV4Auth(credentials.Credentials(access, secret), "s3", self._source.region)
        signer.add_auth(signing)
        return {name.lower(): value for name, value in signing.headers.items()}

    async def _get(self, url: str, headers: dict[str, str], sink: Sink | _Pages) -> HttpAnswer:
        try:
            sent = {**self._signed(url), **headers}
            into = Into(sink.write, FETCH_SECONDS, as_written=True)
            answer = await self._http.send("GET", url, headers=sent, data=into)
            if answer.status not in {200, 304}:
                raise SourceFormatError(f"the store answered HTTP {answer.status}, which is no whole object")
        except SimpulError as error:
            raise self._told(error) from None
        return answer

    def _told(self, error: SimpulError) -> SimpulError:
        """The error with the member of the manifest that the store's own word speaks of."""
        word = _CODE.search(error.detail)
        said = word[1] if word is not None else ""
        if said in _NOT_PROVEN:
            detail = f"the store does not take the signature ({said}); look at access_key, secret_key and the clock"
            return SourceAuthFailed(detail, field="/source/secret_key")
        if said in _OTHER_REGION:
            return SourceAuthFailed(
                f"the bucket stands in another region ({said}); state that region", field="/source/region"
            )
        return at_location(error)

    async def _looked(self) -> Sequence[Found]:
        folder, _, name = self._key.rpartition("/")
        before = f"{folder}/" if folder else ""
        fits, found, seen = matching(name), list[Found](), datetime.now(UTC)
        for key, mark in await self._listed(before + literal_start(name)):
            match = fits.fullmatch(key[len(before) :])
            if match is not None:
                found.append(Found(f"s3://{self._bucket}/{key}", match.groupdict(), mark, seen))
        if not found:
            raise SourceMissing(f"no object fits {self._source.location}", field="/source/location")
        if len(found) > MOST_FILES:
            detail = f"{len(found)} objects fit {self._source.location}; at most {MOST_FILES} are one dataset"
            raise SourceTooLarge(detail, field="/source/location", limit_files=MOST_FILES)
        return sorted(found, key=lambda one: one.name)

    async def _listed(self, prefix: str) -> list[tuple[str, str]]:
        """Keys with a prefix, not those in folders below it, each with its mark (ListObjectsV2). Raises `SourceTooLarge`."""
        found: list[tuple[str, str]] = []
        token, begun = "", time.monotonic()
        while True:
            named = {
                "delimiter": "/",
                "encoding-type": "url",
                "list-type": "2",
                "max-keys": str(_PAGE),
                "prefix": prefix,
            }
            named |= {"continuation-token": token} if token else {}
            query = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in sorted(named.items()))
            page = _Page(f"the list of {self._bucket}")
            pages = _Pages(page)
            await self._get(self._address(query=query), {}, pages)
            page.end()
            found += page.objects()
            if len(found) > MOST_LISTED or time.monotonic() - begun > FETCH_SECONDS:
                detail = f"more than {MOST_LISTED} objects begin with {prefix}; put those that are meant in a folder of their own"
                raise SourceTooLarge(detail, field="/source/location", limit_objects=MOST_LISTED)
            if not page.more:
                return found
            if not page.token or page.token == token:
                raise SourceFormatError("the store says that its list goes on, but not where", field="/source/location")
            token = page.token


@dataclass(slots=True)
class _Pages:
    """Hands what comes to the parser of a page of the list."""

    page: _Page

    async def write(self, chunk: bytes) -> None:
        self.page.feed(chunk)


@dataclass(slots=True)
class _Entry:
    """One `Contents` of a list."""

    said: dict[str, str] = field(default_factory=dict)


class _Page(Elements):
    """One page of a list: keys with ETag, size and time, and where it goes on."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self._open: list[str] = []
        self._text: list[str] = []
        self._entries: list[_Entry] = []
        self._said: dict[str, str] = {}
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text.append

    @property
    def more(self) -> bool:
        """Whether the list goes on."""
        return self._said.get("IsTruncated", "").strip() == "true"

    @property
    def token(self) -> str:
        """What the next page is asked for with."""
        return self._said.get("NextContinuationToken", "")

    def objects(self) -> list[tuple[str, str]]:
        """Each key with its mark. Raises `SourceFormatError` where the answer was no such list."""
        if "IsTruncated" not in self._said:
            raise SourceFormatError("the store did not answer with a list of objects", field="/source/location")
        escaped = self._said.get("EncodingType") == "url"
        found = []
        for entry in self._entries:
            key = entry.said.get("Key", "")
            mark = "|".join(entry.said.get(name, "") for name in ("ETag", "Size", "LastModified"))
            found.append((unquote_plus(key) if escaped else key, mark))
        return found

    def _start(self, tag: str, _: dict[str, Any]) -> None:
        self._open.append(tag.rpartition("}")[2])
        self._text.clear()
        if self._open[1:] == ["Contents"]:
            self._entries.append(_Entry())

    def _end(self, _: str) -> None:
        name = self._open.pop()
        text = "".join(self._text)
        if len(self._open) == 1 and name != "Contents":
            self._said[name] = text
        elif self._open[1:] == ["Contents"]:
            self._entries[-1].said[name] = text
        self._text.clear()
