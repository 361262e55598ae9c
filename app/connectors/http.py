"""The one HTTP client: aiohttp with the network policy at dial time.

Every resolved address is checked when it is dialled, every redirect hop is a new dial, environment proxies are ignored,
bodies are bounded after inflation. No secret, query or body stands in an error.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import math
import re
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from app.connectors.environment import Environment, NetworkPolicy
from app.connectors.json_text import JsonFlaw, decode_json_bytes, parse_json
from app.connectors.network import HttpAddress, canonical_host, resolve_allowed
from app.connectors.pace import Pace
from app.connectors.packings import Gunzip, packed_as_asked, unpacked
from app.errors import (
    NetworkForbidden,
    SimpulError,
    SourceAuthFailed,
    SourceDnsFailed,
    SourceFailed,
    SourceFormatError,
    SourceMissing,
    SourcePermissionDenied,
    SourceRejected,
    SourceTimeout,
    SourceTlsFailed,
    SourceTooLarge,
    SourceUnreachable,
)
from app.lanes import in_bulk
from app.telemetry import outgoing_trace
from app.tls import verified

MOST_HOPS = 5
MOST_WAITS = 20
_LEAST_WAIT_SECONDS = 0.05
CONNECT_SECONDS = 5.0
INLINE_BYTES = 131_072
_CHUNK_BYTES = 16_384
_MOST_KNOWN = 64
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CODE = re.compile(r"[a-z_]{1,64}", re.ASCII)
_XML_CODE = re.compile(rb"<Error>(?:\s*<[A-Z][A-Za-z]*>[^<]*</[A-Z][A-Za-z]*>)*?\s*<Code>([A-Za-z]{1,64})</Code>")
_FOLLOWS = frozenset({"accept-encoding", "if-none-match", "if-modified-since"})
"""Headers that follow a redirect to another host; credentials never do."""
_SENT_AGAIN = frozenset({307, 308})
Sent = Mapping[str, str] | bytes | None
"""The fields of a form, or a body as it stands."""
STALL_SECONDS = 30.0
"""Longest pause of a server in the middle of a file."""


@dataclass(frozen=True, slots=True)
class Into:
    """Where the body of an answer goes that is a file, chunk by chunk, and within how many seconds it has to be whole."""

    write: Callable[[bytes], Awaitable[None]]
    seconds: float
    as_written: bool = False
    """The address was signed: nothing of it is escaped anew."""


_STATUS: Mapping[int, type[SimpulError]] = {
    401: SourceAuthFailed,
    403: SourcePermissionDenied,
    404: SourceMissing,
    408: SourceTimeout,
    410: SourceMissing,
    429: SourceFailed,
}


_UNSENDABLE = "a credential or header holds signs that HTTP cannot carry; store the secret again without line ends"


def _sendable(headers: Mapping[str, str]) -> None:
    """Raises `SourceRejected` for a value that no header can hold; it is named, never quoted."""
    for name, value in headers.items():
        if not value.isascii() or not value.isprintable():
            raise SourceRejected(f"header {name}: {_UNSENDABLE}", field="/source/auth", header=name)


class _PolicyResolver(AbstractResolver):
    """aiohttp asks here for addresses; it dials exactly what this returns, so a name that changes its address gains nothing."""

    def __init__(self, policy: NetworkPolicy) -> None:
        self._policy = policy

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The allowed literal addresses of a host; raises `NetworkForbidden` or `SourceDnsFailed`."""
        del family
        found = await resolve_allowed(host, port, self._policy)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in found
        ]

    async def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What a service answered: its status, its headers (names in any case), its body unpacked."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    link: str = ""
    """Its `Link` headers as one."""

    @property
    def next_link(self) -> str | None:
        """The address with the relation `next` (RFC 8288), as it is written; None where there is none."""
        if not self.link:
            return None
        return httpx.Response(self.status, headers={"link": self.link}).links.get("next", {}).get("url")


class HttpSource:
    """The connections of one connector. Opens nothing before the first request.

    `rate`: the requests in a time, such as `5/s`; all that this process opens of one connector take turns (`environment.pace`).
    """

    def __init__(self, environment: Environment, rate: str | None = None) -> None:
        self._environment = environment
        self._pace = environment.pace or Pace(rate)
        self._session: aiohttp.ClientSession | None = None
        self._known: set[HttpAddress] = set()
        """Addresses that the policy lets be dialled; it is the same as long as this source is open."""

    async def get(self, url: str, *, deadline: float | None = None, **request: Any) -> HttpAnswer:
        """The answer to a GET, its body read; redirects followed by hand. Raises `SourceError` leaves for all but 2xx."""
        return await self.send("GET", url, deadline=deadline, **request)

    async def send(
        self,
        method: str,
        url: str,
        *,
        deadline: float | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        data: Sent | Into = None,
    ) -> HttpAnswer:
        """One request with its redirects, within the deadline (`time.monotonic()` seconds).

        `data` that is an `Into`: the body of status 200 goes there, as the server stores it; 304 is an answer like 200.
        """
        budget = data.seconds if isinstance(data, Into) else self._environment.limits.deadline_seconds
        if deadline is not None:
            budget = min(budget, deadline - time.monotonic())
        sent, ends = dict(headers or {}), time.monotonic() + budget
        patience = time.monotonic() + min(budget, self._environment.limits.deadline_seconds)
        if isinstance(data, Into):
            sent.setdefault("accept-encoding", "identity")
        _sendable(sent)
        trace = outgoing_trace()
        if trace is not None:
            sent.setdefault("traceparent", trace)
        if auth is not None:
            sent["authorization"] = "Basic " + base64.b64encode(":".join(auth).encode()).decode()
        try:
            async with asyncio.timeout(max(budget, 0)):
                for _ in range(MOST_WAITS):
                    try:
                        return await self._follow(method, url, sent, data, ends)
                    except SourceFailed as refused:
                        # 429 and 503 with Retry-After: the service says when; where that is too late it has failed.
                        wait = refused.retry_after_seconds
                        if wait is None or time.monotonic() + wait >= patience:
                            raise
                        await asyncio.sleep(max(wait, _LEAST_WAIT_SECONDS))
                return await self._follow(method, url, sent, data, ends)
        except TimeoutError:
            raise SourceTimeout(f"no answer within {budget:.3g} s", field="/source/url") from None

    async def close(self) -> None:
        """Closes the connections; may be called twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _follow(
        self, method: str, url: str, headers: Mapping[str, str], data: Sent | Into, ends: float
    ) -> HttpAnswer:
        for _ in range(MOST_HOPS + 1):
            await self._allowed(url)
            await self._pace.turn(ends)
            answer = await self._once(method, url, headers, data)
            if answer.status not in _REDIRECTS or "location" not in answer.headers:
                return answer if answer.status == 304 and isinstance(data, Into) else _checked(answer)
            target = joined(url, answer.headers["location"])
            here, there = HttpAddress.of(url), HttpAddress.of(target)
            if here.scheme == "https" and there.scheme != "https":
                raise NetworkForbidden("the source redirects from https to http", field="/source/url")
            if method != "GET" and (here != there or answer.status not in _SENT_AGAIN):
                detail = f"the source redirects a {method} request; state the address that it leads to"
                raise SourceRejected(detail, field="/source/url")
            if here != there:
                headers = {name: value for name, value in headers.items() if name in _FOLLOWS}  # no credentials
            url = target
        raise SourceRejected(f"more than {MOST_HOPS} redirects", field="/source/url")

    async def _allowed(self, url: str) -> None:
        """Literal addresses are dialled without asking the resolver, so they are looked at here; what was allowed once stays so."""
        address = HttpAddress.of(url)
        if address in self._known:
            return
        host = canonical_host(address.host)
        if host.replace(".", "").isdigit() or ":" in host:
            await resolve_allowed(host, address.port, self._environment.network)
        if len(self._known) < _MOST_KNOWN:
            self._known.add(address)

    async def _once(self, method: str, url: str, headers: Mapping[str, str], data: Sent | Into) -> HttpAnswer:
        session, more = self._opened(), dict[str, Any](data=data)
        if isinstance(data, Into):
            more = {"timeout": aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=STALL_SECONDS)}
        try:
            address = URL(url, encoded=True) if isinstance(data, Into) and data.as_written else url
            async with session.request(method, address, headers=headers, allow_redirects=False, **more) as answer:
                found = answer.headers
                if isinstance(data, Into) and answer.status == 200:
                    await _whole_file(answer, data, self._environment.limits.bytes)
                    return HttpAnswer(answer.status, found, b"")
                packed = packed_as_asked(found.getall("content-encoding", ()))
                content = await self._body(answer.content, packed)
                link = ", ".join(found.getall("link")) if "link" in found else ""
                return HttpAnswer(answer.status, found, content, link)
        except SimpulError:
            raise
        except aiohttp.InvalidURL:
            raise SourceFormatError("the service leads to something that is no address", field="/source/url") from None
        except aiohttp.ClientError as error:
            raise _translated(error) from None
        except ValueError:
            # What cannot be sent is quoted by the client's own error: a credential may stand in it.
            raise SourceRejected(_UNSENDABLE, field="/source/auth") from None

    async def _body(self, sent: aiohttp.StreamReader, packed: str) -> bytes:
        most = self._environment.limits.bytes
        chunks: list[bytes] = []
        size = 0
        async for chunk in unpacked(sent, packed, most) if packed else sent.iter_any():
            size += len(chunk)
            if size > most:
                raise SourceTooLarge("the answer is larger than the limit", limit_bytes=most)
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            policy, limits = self._environment.network, self._environment.limits
            connector = aiohttp.TCPConnector(
                resolver=_PolicyResolver(policy),
                ssl=verified(self._environment.ca_file),
                limit=limits.concurrency,
                ttl_dns_cache=10,
                use_dns_cache=True,
                happy_eyeballs_delay=None,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                headers={"accept-encoding": "gzip, deflate", "user-agent": "simpul"},
                cookie_jar=aiohttp.CookieJar(unsafe=True),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),  # `send` bounds the whole
                trust_env=False,
                auto_decompress=False,
            )
        return self._session


async def _whole_file(answer: aiohttp.ClientResponse, into: Into, most: int) -> None:
    """Hands on a file whose end the server states and that came to it: what is cut short raises, as it does in aiohttp."""
    found = answer.headers
    length = found.get("content-length")
    if length is None and "chunked" not in found.get("transfer-encoding", "").lower():
        raise SourceFormatError(
            "the server does not say where the file ends (neither Content-Length nor chunks), so that one cut short would look whole; "
            "have it sent with its length",
            field="/source/url",
        )
    if length is not None and length.isascii() and length.isdigit() and int(length) > most:
        raise SourceTooLarge(f"the file has {length} bytes, {most} are read (SIMPUL_SOURCE_BYTES)", limit_bytes=most)
    packed = packed_as_asked(found.getall("content-encoding", ()))
    if packed not in {"", "identity", "gzip"}:
        raise SourceFormatError(f"the server packed the file as {packed}, which was not asked for", field="/source/url")
    unpacking = Gunzip() if packed == "gzip" else None
    async for chunk in answer.content.iter_any():
        for part in (chunk,) if unpacking is None else unpacking.parts(chunk):
            await into.write(part)
    if unpacking is not None and not unpacking.whole:
        raise SourceFormatError("the file was cut short: what the server packed has no end", field="/source/url")


def joined(url: str, reference: str) -> str:
    """The address that a link or redirect of a service means; raises `SourceFormatError` when it is none."""
    try:
        return urljoin(url, reference)
    except ValueError:
        raise SourceFormatError("the service leads to something that is no address", field="/source/url") from None


def merged(url: str, params: Mapping[str, str]) -> str:
    """The address with these parameters beside those that it has; one of the same name takes the place of the old."""
    return str(httpx.URL(url).copy_merge_params(dict(params))) if params else url


async def document_of(answer: HttpAnswer) -> Any:
    """The body as JSON; a large one is parsed in a thread, so that others go on."""
    if len(answer.content) <= INLINE_BYTES:
        return json_of(answer)
    return await in_bulk(json_of, answer)


def json_of(answer: HttpAnswer) -> Any:
    """The body as JSON, numbers exact; raises `SourceFormatError`."""
    try:
        return parse_json(decode_json_bytes(answer.content))
    except JsonFlaw as flaw:
        kind = answer.headers.get("content-type", "no content type").partition(";")[0]
        raise SourceFormatError(
            f"the answer ({kind}) is no JSON: {flaw.detail}", field="/source/url", rule=flaw.rule
        ) from None


def _checked(answer: HttpAnswer) -> HttpAnswer:
    status = answer.status
    if 200 <= status < 300:
        return answer
    seconds = _retry_after(answer) if status in {429, 503} else None
    said = _problem_code(answer)
    told = f"the source answered HTTP {status}{said and f' ({said})'}"
    if status in _STATUS:
        raise _STATUS[status](told, field="/source/url", retry_after_seconds=seconds)
    if status >= 500:
        raise SourceFailed(told, field="/source/url", retry_after_seconds=seconds)
    raise SourceRejected(told, field="/source/url")


def _problem_code(answer: HttpAnswer) -> str:
    """The code of a problem document (RFC 9457) or of an object store's XML, a word of the service and no value; else nothing."""
    kind = answer.headers.get("content-type", "")
    if "xml" in kind and (word := _XML_CODE.search(answer.content[:2000])):
        return word[1].decode("ascii")
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        return ""
    with contextlib.suppress(JsonFlaw):
        document = parse_json(decode_json_bytes(answer.content))
        code = document.get("code") if isinstance(document, dict) else None
        if isinstance(code, str) and _CODE.fullmatch(code):
            return code
    return ""


def _retry_after(answer: HttpAnswer) -> int | None:
    """Seconds to wait by `Retry-After` (RFC 9110 10.2.3), a number or a date; None where it says nothing usable."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 6:
        return int(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return max(0, math.ceil((moment - datetime.now(UTC)).total_seconds()))


def _translated(error: aiohttp.ClientError) -> SimpulError:
    """The leaf for a transport fault; one of our own errors may stand underneath (the resolver raised it)."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, SimpulError):
            return cause
        if isinstance(cause, aiohttp.ClientResponseError):  # its own text quotes what was sent: records, for one
            return SourceFormatError("the answer breaks the rules of HTTP, its length for one", field="/source/url")
        if isinstance(cause, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
            return SourceTlsFailed("the TLS connection failed; check the certificate", field="/source/url")
        if isinstance(cause, aiohttp.ClientConnectorDNSError):
            return SourceDnsFailed("the host name has no address", field="/source/url")
        if isinstance(cause, aiohttp.ClientConnectorError):
            return SourceUnreachable("the source refuses connections", field="/source/url")
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, aiohttp.ServerTimeoutError):
        return SourceTimeout("the source did not answer in time", field="/source/url")
    return SourceUnreachable("the connection to the source broke off", field="/source/url")
