"""The one HTTP client: httpx's interface on aiohttp's transport, with the network policy at dial time.

Every resolved address is checked when it is dialled, every redirect hop is a new dial, environment proxies are ignored,
bodies are bounded after inflation. No secret, query or body stands in an error.
"""

from __future__ import annotations

import asyncio
import math
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast
from urllib.parse import urljoin

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from httpx_aiohttp import AiohttpTransport

from app.connectors.environment import Environment, NetworkPolicy
from app.connectors.json_text import JsonFlaw, decode_json_bytes, parse_json
from app.connectors.network import HttpAddress, canonical_host, resolve_allowed
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
_MOST_KNOWN = 64
_PACKINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
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


class HttpSource:
    """The connections of one connector. Opens nothing before the first request."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._client: httpx.AsyncClient | None = None
        self._transport: httpx.AsyncBaseTransport | None = None
        self._known: set[HttpAddress] = set()
        """Addresses that the policy lets be dialled; it is the same as long as this source is open."""

    async def get(self, url: str, *, deadline: float | None = None, **request: Any) -> httpx.Response:
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
        **request: Any,
    ) -> httpx.Response:
        """One request with its redirects, within the deadline (`time.monotonic()` seconds)."""
        budget = self._environment.limits.deadline_seconds
        if deadline is not None:
            budget = min(budget, deadline - time.monotonic())
        sent, ends = dict(headers or {}), time.monotonic() + budget
        _sendable(sent)
        trace = outgoing_trace()
        if trace is not None:
            sent.setdefault("traceparent", trace)
        try:
            async with asyncio.timeout(max(budget, 0)):
                for _ in range(MOST_WAITS):
                    try:
                        return await self._follow(method, url, dict(sent), auth, dict(request))
                    except SourceFailed as refused:
                        # 429 and 503 with Retry-After: the service says when; where that is too late it has failed.
                        wait = refused.retry_after_seconds
                        if wait is None or time.monotonic() + wait >= ends:
                            raise
                        await asyncio.sleep(max(wait, _LEAST_WAIT_SECONDS))
                return await self._follow(method, url, sent, auth, request)
        except TimeoutError:
            raise SourceTimeout(f"no answer within {budget:.3g} s", field="/source/url") from None

    async def close(self) -> None:
        """Closes the connections; may be called twice."""
        client, self._client, self._transport = self._client, None, None
        if client is not None:
            await client.aclose()

    async def _follow(
        self, method: str, url: str, headers: dict[str, str], auth: Any, request: dict[str, Any]
    ) -> httpx.Response:
        for _ in range(MOST_HOPS + 1):
            await self._allowed(url)
            answer = await self._once(method, url, headers, auth, request)
            if answer.status_code not in _REDIRECTS or "location" not in answer.headers:
                return _checked(answer)
            target = joined(url, answer.headers["location"])
            here, there = HttpAddress.of(url), HttpAddress.of(target)
            if here.scheme == "https" and there.scheme != "https":
                raise NetworkForbidden("the source redirects from https to http", field="/source/url")
            if here != there:
                headers, auth = {}, None  # credentials never follow to another host
            url, request = target, {}
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

    async def _once(
        self, method: str, url: str, headers: Mapping[str, str], auth: Any, request: dict[str, Any]
    ) -> httpx.Response:
        client, transport = self._open()
        try:
            asked = client.build_request(method, url, headers=headers, **request)
            if auth is not None:
                asked = next(httpx.BasicAuth(*auth).auth_flow(asked))
            # By the transport itself: of what the client does around it only the cookies are wanted here.
            answer = await transport.handle_async_request(asked)
            try:
                if "set-cookie" in answer.headers:
                    client.cookies.extract_cookies(answer)
                answer._content = await self._body(answer)  # noqa: SLF001 - what httpx's own aread does, but bounded
            finally:
                await answer.aclose()
            return answer
        except SimpulError:
            raise
        except (httpx.HTTPError, aiohttp.ClientError) as error:
            raise _translated(error) from None
        except ValueError:
            # What cannot be sent is quoted by the client's own error: a credential may stand in it.
            raise SourceRejected(_UNSENDABLE, field="/source/auth") from None
        except httpx.InvalidURL:
            raise SourceFormatError("the service leads to something that is no address", field="/source/url") from None

    async def _body(self, answer: httpx.Response) -> bytes:
        packed = _packed_as_asked(answer)
        most = self._environment.limits.bytes
        chunks: list[bytes] = []
        size = 0
        async for chunk in answer.aiter_bytes() if packed else cast("httpx.AsyncByteStream", answer.stream):
            size += len(chunk)
            if size > most:
                raise SourceTooLarge("the answer is larger than the limit", limit_bytes=most)
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _open(self) -> tuple[httpx.AsyncClient, httpx.AsyncBaseTransport]:
        if self._client is None or self._transport is None:
            policy, limits = self._environment.network, self._environment.limits

            tls = verified(self._environment.ca_file)

            def session() -> aiohttp.ClientSession:
                connector = aiohttp.TCPConnector(
                    resolver=_PolicyResolver(policy),
                    ssl=tls,
                    limit=limits.concurrency,
                    ttl_dns_cache=10,
                    use_dns_cache=True,
                    happy_eyeballs_delay=None,
                )
                return aiohttp.ClientSession(connector=connector, trust_env=False, auto_decompress=False)

            packings = {"accept-encoding": "gzip, deflate"}
            timeout = httpx.Timeout(limits.deadline_seconds, connect=CONNECT_SECONDS)
            self._transport = AiohttpTransport(client=session, verify=tls, trust_env=False)
            self._client = httpx.AsyncClient(
                headers=packings,
                transport=self._transport,
                timeout=timeout,
                verify=tls,
                trust_env=False,
                follow_redirects=False,
            )
        return self._client, self._transport


def joined(url: str, reference: str) -> str:
    """The address that a link or redirect of a service means; raises `SourceFormatError` when it is none."""
    try:
        return urljoin(url, reference)
    except ValueError:
        raise SourceFormatError("the service leads to something that is no address", field="/source/url") from None


def merged(url: str, params: Mapping[str, str]) -> str:
    """The address with these parameters beside those that it has; one of the same name takes the place of the old."""
    return str(httpx.URL(url).copy_merge_params(dict(params))) if params else url


async def document_of(answer: httpx.Response) -> Any:
    """The body as JSON; a large one is parsed in a thread, so that others go on."""
    if len(answer.content) <= INLINE_BYTES:
        return json_of(answer)
    return await in_bulk(json_of, answer)


def json_of(answer: httpx.Response) -> Any:
    """The body as JSON, numbers exact; raises `SourceFormatError`."""
    try:
        return parse_json(decode_json_bytes(answer.content))
    except JsonFlaw as flaw:
        kind = answer.headers.get("content-type", "no content type").partition(";")[0]
        raise SourceFormatError(
            f"the answer ({kind}) is no JSON: {flaw.detail}", field="/source/url", rule=flaw.rule
        ) from None


def _packed_as_asked(answer: httpx.Response) -> bool:
    """Whether the body is packed. Refuses a way that was not asked for: unpacked by nobody, it would be read as broken text."""
    if "content-encoding" not in answer.headers:
        return False
    packed = [word.strip().lower() for word in answer.headers.get("content-encoding", "").split(",")]
    strange = [word for word in packed if word not in _PACKINGS]
    if strange:
        known = ", ".join(sorted(_PACKINGS - {""}))
        raise SourceFormatError(
            f"the source packed its answer as {strange[0][:40]!r}, which was not asked for; it may use {known}",
            field="/source/url",
            rule="content_encoding",
        )
    return True


def _checked(answer: httpx.Response) -> httpx.Response:
    status = answer.status_code
    if 200 <= status < 300:
        return answer
    seconds = _retry_after(answer) if status in {429, 503} else None
    if status in _STATUS:
        raise _STATUS[status](f"the source answered HTTP {status}", field="/source/url", retry_after_seconds=seconds)
    if status >= 500:
        raise SourceFailed(f"the source answered HTTP {status}", field="/source/url", retry_after_seconds=seconds)
    raise SourceRejected(f"the source answered HTTP {status}", field="/source/url")


def _retry_after(answer: httpx.Response) -> int | None:
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


def _translated(error: httpx.HTTPError | aiohttp.ClientError) -> SimpulError:
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
    if isinstance(error, httpx.TimeoutException):
        return SourceTimeout("the source did not answer in time", field="/source/url")
    if isinstance(error, httpx.ConnectError):
        return SourceUnreachable("the source refuses connections", field="/source/url")
    if isinstance(error, httpx.DecodingError):
        return SourceFormatError("the answer cannot be unpacked", field="/source/url")
    return SourceUnreachable("the connection to the source broke off", field="/source/url")
