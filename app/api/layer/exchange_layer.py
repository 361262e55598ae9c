"""The one pure ASGI layer around the API: who asks, which exchange this is, and that it is closed before bytes leave.

It authenticates all of `/v1` and the log's entry bundles, opens the exchange of every recorded route, runs the application
with a deadline, turns every fault into a problem, makes the closing entry durable, and only then releases the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from typing import TYPE_CHECKING

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.layer.addresses import from_behind
from app.api.layer.admittance import no_route, practised, refusal
from app.api.layer.callers import admit
from app.api.layer.capture import CHUNK_BYTES, Capture, read_whole
from app.api.layer.formats import language_of
from app.api.layer.headers import assertions_of, by_name, check_headers, rate_headers, sunset_headers
from app.api.layer.idempotency import Once, once
from app.api.layer.in_the_log import fault_told, request_structure
from app.api.layer.methods import headers_only, options, parts_taken
from app.api.layer.problems import problem_body, problem_headers
from app.api.layer.representation import represented
from app.api.layer.resource import GOVERNED, RouteRule, Rule, RuleTable
from app.api.layer.watch import Watch, cancelled_from_outside, in_time
from app.connectors.chain import arrived
from app.errors import (
    AccessDenied,
    AuthenticationError,
    BodyTooLarge,
    EntryInvalid,
    EntryTooLarge,
    RequestTimeout,
    ServerOverloaded,
    SimpulError,
)
from app.gateway.admission import enter
from app.gateway.answers import MARK
from app.gateway.exchange import Exchange
from app.gateway.spool import with_first
from app.gateway.under import settle
from app.telemetry import TraceContext, trace_by

if TYPE_CHECKING:
    from app.access.rates import Allowance
    from app.federation.reading.bulkhead import Bulkhead
    from app.gateway.services import Services

log = structlog.get_logger("simpul.api")

_UPLOAD_SECONDS = 3600.0
_CLIENT_GONE = 499
_LEAST_ERROR = 400
_API_VERSION = (b"api-version", b"1.0.0")
_LIVE = "/health/live"
_FULL = "all places, or your share of them, are taken; try again in a moment"
_BODILESS = frozenset({"GET", "HEAD"})
_PLAIN_HEADERS = [(b"x-content-type-options", b"nosniff"), _API_VERSION]


class _ClientGoneError(Exception):
    """The consumer closed the connection while the answer was being made."""


class ExchangeLayer:
    """Stands outside of the whole application. `scope["app"].state.services` must be open.

    `rules`: who may call what, and how it is recorded.
    """

    def __init__(self, app: ASGIApp, rules: RuleTable) -> None:
        self.app = app
        self.rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        services: Services = scope["app"].state.services
        if scope["method"] == "OPTIONS":
            begins = self.rules.find("POST", scope["path"])
            parts = [] if begins is None or not begins.rule.upload else parts_taken(services.uploads.limits())
            await options(self.rules.methods_of(scope["path"]), [*_PLAIN_HEADERS, *parts], send)
            return
        if scope["method"] == "HEAD":  # answered as GET is, recorded as GET is, sent without its body (RFC 9110 9.3.2)
            scope, send = {**scope, "method": "GET", "simpul.method": "HEAD"}, headers_only(send)
        scope = from_behind(scope, services.settings.trusted_proxies)
        services.under_way.enter()
        try:
            await self._serve(services, scope, receive, send)
        finally:
            services.under_way.leave()

    async def _serve(self, services: Services, scope: Scope, receive: Receive, send: Send) -> None:
        call = _Call(services, scope, receive, send, by_name(scope["headers"]))
        trace_by(lambda: call.trace)
        state = scope.setdefault("state", {})
        try:
            check_headers(scope, services.settings.header_bytes)
            if not scope["path"].startswith(GOVERNED):
                await self._public(services, call, scope)
                return
            found = self.rules.find(scope["method"], scope["path"])
            rule = found.rule if found is not None else None
            principal, call.counted_as, call.allowance = await admit(services, scope, rule, call.headers)
            arrived(call.header(b"simpul-via"), services.settings.origin)
            state["principal"] = principal
        except SimpulError as error:
            await call.refuse(error)
            return
        admission, client = services.admission, principal.client_id
        call.practice = state["practice"] = rule is not None and practised(rule, call.headers)
        if rule is not None and rule.upload:
            bulkhead = admission.uploads
        else:  # what has no body is here already
            bulkhead = admission.working if scope["method"] in _BODILESS else admission.reading
        if not bulkhead.enter(client):
            await call.refuse(ServerOverloaded(_FULL, retry_after_seconds=1))
            return
        call.held.append(bulkhead)
        try:
            if rule is None and not scope["path"].startswith(self.rules.recorded_prefixes):
                await call.refuse(no_route(scope, self.rules))
            elif rule is None or call.is_exchange(rule):
                await call.recorded(self.app, found, self.rules)
            elif (fault := refusal(rule, principal, call.headers, services.names)) is not None:
                await call.refuse(fault)
            else:
                await call.plain(self.app, upload=rule.upload)
        finally:
            for held in call.held:
                held.leave(client)

    async def _public(self, services: Services, call: _Call, scope: Scope) -> None:
        """Pages, tokens, checkpoints: by address. Whether the process lives is told whatever else it does."""
        if scope["path"] == _LIVE:
            await call.plain(self.app)
            return
        address, bulkhead = call.address, services.admission.strangers
        if not bulkhead.enter(address):
            await call.refuse(ServerOverloaded(_FULL, retry_after_seconds=1))
            return
        try:
            await call.plain(self.rules.direct.get((scope["method"], scope["path"]), self.app))
        finally:
            bulkhead.leave(address)


class _Call:
    """One request on its way through the layer."""

    def __init__(
        self, services: Services, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, bytes]
    ) -> None:
        self.services = services
        self.scope = scope
        self.address: str = (scope.get("client") or ("",))[0]
        self.receive = receive
        self.send = send
        self.headers = headers
        self.exchange: Exchange | None = None
        self.held: list[Bulkhead] = []
        """Slots of the process that this request holds."""
        self.template = ""
        self.practice = False
        self.counted_as = ""
        self.allowance: Allowance | None = None
        self.once: Once | None = None
        self.started = time.perf_counter()

    @functools.cached_property
    def trace(self) -> TraceContext:
        """Where this request stands in the caller's trace; made when somebody asks."""
        return TraceContext.from_header(self.header(b"traceparent"))

    def header(self, name: bytes) -> str | None:
        """A request header as text, None when absent."""
        value = self.headers.get(name)
        return value.decode("latin-1") if value is not None else None

    async def refuse(self, error: SimpulError) -> None:
        """Answers with the problem, without an exchange."""
        status, body = self._problem(error)
        named = problem_headers(error, self.language, self.services.settings.base_url)
        extra = [(name.encode(), value.encode()) for name, value in named.items()]
        extra.append((b"content-length", str(len(body)).encode()))
        self._count(status)
        await self.send(
            {"type": "http.response.start", "status": status, "headers": extra + self._rates + _PLAIN_HEADERS}
        )
        await self.send({"type": "http.response.body", "body": body})

    def is_exchange(self, rule: Rule) -> bool:
        """Whether it is recorded; a part of an upload is none, but for the last."""
        return rule.recording != "none" and not (rule.in_parts and self.header(b"upload-complete") != "?1")

    async def plain(self, app: ASGIApp, *, upload: bool = False) -> None:
        """Runs a route that is no exchange; a fault before the first byte becomes a problem."""
        started, status = False, 0
        head: Message | None = None

        async def send(message: Message) -> None:
            """Holds the head until the body is there: its tag and its coding stand in it."""
            nonlocal started, status, head
            if message["type"] == "http.response.start":
                head = message
                return
            body = message.get("body", b"")
            if head is not None:
                status, headers = head["status"], list(head.get("headers", ()))
                if not message.get("more_body", False):
                    status, headers, body = await represented(self.headers, self.scope["method"], status, headers, body)
                started, head = True, None
                headers += [*self._rates, *_PLAIN_HEADERS]
                await self.send({"type": "http.response.start", "status": status, "headers": headers})
            await self.send({**message, "body": body})

        try:
            self.scope["state"]["body"] = await self._body(upload=upload)
            if not upload:
                self._work()
            seconds = _UPLOAD_SECONDS if upload else self.services.settings.request_seconds
            async with asyncio.timeout(seconds):
                await app(self.scope, self._in_time(self.receive) if upload else self.receive, send)
            self._count(status)
        except ConnectionResetError:
            return
        except Exception as caught:
            if started:
                raise
            await self.refuse(self._as_error(caught))

    async def recorded(self, app: ASGIApp, found: RouteRule | None, rules: RuleTable) -> None:
        """Runs an exchange: application, closing entry, release."""
        services = self.services
        self.template = found.template if found else "unmatched"
        settings = services.settings
        self.exchange = exchange = self._open(found.rule if found else None)
        self.scope["state"]["exchange"] = exchange
        capture = Capture(
            memory_bytes=settings.answer_memory_bytes,
            spool_bytes=settings.answer_spool_bytes,
            folder=services.spool,
            room=services.storage.room(exchange.principal.client_id),
        )
        try:
            try:
                await self._answer(app, found, capture, rules)
                await self._represent(capture, exchange)
            except (_ClientGoneError, ConnectionResetError):
                self._nobody_there(capture, exchange, "client_gone")
            except asyncio.CancelledError:
                if cancelled_from_outside():
                    self._nobody_there(capture, exchange, "gateway_stopped")
                    await self._close_whatever_happens(capture, exchange)
                    raise
                # What was awaited had been cancelled, not this request: a fault like any other.
                self._fail(capture, SimpulError("work that this request waited for was cancelled", retryable=True))
            except Exception as caught:  # noqa: BLE001 - every fault must become a problem and an entry
                self._fail(capture, self._as_error(caught))
            await self._settle(capture)
            await self._close(capture, exchange)
            if capture.status != _CLIENT_GONE:
                await self._release(capture, exchange)
        finally:
            capture.discard()
            services.details.spend(self.counted_as, exchange.detail_bytes)

    @staticmethod
    def _nobody_there(capture: Capture, exchange: Exchange, reason: str) -> None:
        capture.replace(_CLIENT_GONE, {}, b"")
        exchange.failed(error=reason)

    async def _close_whatever_happens(self, capture: Capture, exchange: Exchange) -> None:
        """Closes in a task of its own, which a cancellation of this one does not reach."""
        closing = asyncio.ensure_future(self._close(capture, exchange))
        while not closing.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({closing})

    def _open(self, rule: Rule | None) -> Exchange:
        scope = self.scope
        return Exchange(
            op=rule.op if rule else "route.unknown",
            closing="outcome" if rule is None or rule.recording == "none" else rule.recording,
            principal=scope["state"]["principal"],
            names=self.services.names,
            address=self.address,
            request=request_structure(
                scope.get("simpul.method", scope["method"]), self.template, scope["query_string"].decode("latin-1")
            ),
            assertions=assertions_of(self.headers),
            mode="uji" if self.practice else None,
        )

    async def _answer(self, app: ASGIApp, found: RouteRule | None, capture: Capture, rules: RuleTable) -> None:
        if found is None:
            raise no_route(self.scope, rules)
        rule = found.rule
        fault = refusal(rule, self.scope["state"]["principal"], self.headers, self.services.names)
        if fault is not None:
            raise fault
        seconds = _UPLOAD_SECONDS if rule.upload else self.services.settings.request_seconds
        self.scope["state"]["body"] = body = await self._body(upload=rule.upload, most=rule.body_bytes)
        if rule.upload:
            self.receive = self._in_time(self.receive)
        else:
            self._work()
        if isinstance(body, bytes) and self.exchange is not None:
            self.once = once(self.services.idempotency, self.exchange, self.scope, self.headers, rule, body)
        if self.once is not None and await self.once.replayed(capture):
            return
        watch = Watch(self.receive)
        try:  # what has a key is done to its end, whoever still listens: the same key then gets the answer
            watch.arm(seconds, listen=not rule.upload and self.once is None)
            if rule.direct:
                capture.take(await found.endpoint(Request(self.scope)))
            else:
                await app(self.scope, self.receive, capture.send)
        except asyncio.CancelledError:
            if watch.gone or watch.late:
                watch.uncancel()
            if watch.gone:
                raise _ClientGoneError from None
            if watch.late:
                raise RequestTimeout(f"not answered within {seconds:g} s", limit_seconds=seconds) from None
            raise
        finally:
            watch.disarm()
            await watch.absorb()
        if watch.gone:
            raise _ClientGoneError

    async def _represent(self, capture: Capture, exchange: Exchange) -> None:
        """Counts its rows; in which form it leaves: the entry tells where that is not the answer as it was made."""
        if self.practice:
            capture.mark(MARK)
        await settle(self.services.quotas, self.services.access.snapshot, exchange)
        form = await capture.represent(self.headers, self.scope["method"])
        if form is not None:
            exchange.tells(sent_as=form)

    async def _settle(self, capture: Capture) -> None:
        """What stands under the key of this request from now on."""
        if self.once is not None:
            try:
                await self.once.settle(capture)
            except SimpulError as error:  # the key stays reserved: a repetition is told that the outcome is not known
                log.warning("idempotency_key_not_settled", code=error.code, route=self.template)

    async def _body(self, *, upload: bool, most: int = 0) -> bytes | BodyTooLarge:
        """The body, read whole; its being too large is told only when somebody looks at it (403 comes before 413)."""
        bare = b"content-length" not in self.headers and b"transfer-encoding" not in self.headers
        if upload or bare or self.scope["method"] in _BODILESS:
            return b""
        limit, seconds = max(self.services.settings.request_body_bytes, most), self.services.settings.request_seconds
        try:
            async with asyncio.timeout(seconds):
                body = await read_whole(self._in_time(self.receive), limit)
        except TimeoutError:
            raise RequestTimeout(f"the body did not arrive within {seconds:g} s", limit_seconds=seconds) from None
        if body is None:
            return BodyTooLarge(f"a request body has at most {limit} bytes", limit_bytes=limit)
        return body

    def _in_time(self, receive: Receive) -> Receive:
        return in_time(receive, self.services.settings.read_seconds)

    def _work(self) -> None:
        """The request is here: from now on it holds a slot of work and no longer one of reading."""
        principal, admission = self.scope["state"].get("principal"), self.services.admission
        if principal is not None and admission.working not in self.held:
            enter(admission.working, principal.client_id)
            for held in self.held:
                held.leave(principal.client_id)
            self.held[:] = [admission.working]

    def _as_error(self, caught: Exception) -> SimpulError:
        if isinstance(caught, SimpulError):
            return caught
        if isinstance(caught, TimeoutError):
            return RequestTimeout()
        log.error("unexpected_fault", kind=type(caught).__name__, route=self.template, exc_info=caught)
        return SimpulError("an unexpected fault in the gateway; nothing was released", retryable=False)

    def _fail(self, capture: Capture, error: SimpulError) -> None:
        exchange = self.exchange
        if exchange is not None:
            exchange.failed(**fault_told(error))
            if isinstance(error, AccessDenied | AuthenticationError):
                exchange.decide(allow=False, rule=str(error.facts.get("rule", error.code)))
        status, body = self._problem(error)
        capture.replace(status, problem_headers(error, self.language), body)

    async def _close(self, capture: Capture, exchange: Exchange) -> None:
        """The closing entry. When it cannot be written nothing of the answer leaves: 503, or 500 where the facts are no entry."""
        commitment = capture.sealed()[1]
        try:
            await exchange.close(
                self.services.log,
                status=capture.status,
                size=capture.told_size,
                commitment=commitment if capture.size else None,
            )
        except (EntryInvalid, EntryTooLarge) as error:
            await self._close_bare(capture, exchange, error)
        except SimpulError as error:
            self._not_recorded(capture, exchange, error)

    async def _close_bare(self, capture: Capture, exchange: Exchange, fault: SimpulError) -> None:
        """The facts are no entry, which is a fault of the gateway: recorded as failed with what can be, and an alarm."""
        log.critical(
            "exchange_facts_refused", code=fault.code, fault=fault.detail, exchange_id=exchange.id, op=exchange.op
        )
        self.services.metrics.entry_faults.inc()
        self._fail(capture, SimpulError("a fault in the gateway; nothing was released", retryable=False))
        commitment = capture.sealed()[1]
        try:
            await exchange.close_bare(
                self.services.log, status=capture.status, size=capture.size, commitment=commitment, fault=fault
            )
        except SimpulError as error:
            self._not_recorded(capture, exchange, error)

    def _not_recorded(self, capture: Capture, exchange: Exchange, error: SimpulError) -> None:
        log.error("exchange_not_recorded", code=error.code, reason=error.detail, exchange_id=exchange.id)
        self.services.unclosed.add(exchange)
        if not exchange.intended:
            self.exchange = None  # a number that no entry has is not given out
        status, body = self._problem(error)
        capture.replace(status, problem_headers(error, self.language), body)

    async def _release(self, capture: Capture, exchange: Exchange) -> None:
        self._count(capture.status)
        digest = capture.content_digest()
        digests = [(b"content-digest", digest.encode())] if digest else []
        extra = [*digests, *self._rates, *sunset_headers(self.services, exchange), *_PLAIN_HEADERS]
        applied = self.scope["state"].get("applied")
        if applied and capture.status < _LEAST_ERROR:
            extra.append((b"preference-applied", ", ".join(applied).encode()))
        if exchange.intended:
            extra.append((b"exchange-id", exchange.id.encode()))
        if exchange.closed:
            extra.append((b"link", f'</v1/exchanges/{exchange.id}/receipt>; rel="receipt"'.encode()))
        if not any(name.lower() == b"cache-control" for name, _ in capture.headers):
            extra.append((b"cache-control", b"no-store"))
        watch = Watch(self.receive) if capture.sent_size > CHUNK_BYTES else None
        sent = 0
        try:
            if watch is not None:
                watch.start()
            async for handed_over in capture.release(self.send, extra):
                sent = handed_over
        except (asyncio.CancelledError, OSError):
            await self._cut_short(exchange, sent, capture.sent_size)
            if watch is None or not watch.gone:
                raise
        finally:
            if watch is not None:
                watch.disarm()

    async def _cut_short(self, exchange: Exchange, sent: int, size: int) -> None:
        """Records that not the whole answer was handed over."""
        if sent < size:
            with contextlib.suppress(SimpulError):
                await exchange.delivery(self.services.log, sent=sent, size=size)

    def _problem(self, error: SimpulError) -> tuple[int, bytes]:
        status, body = problem_body(
            error,
            base_url=self.services.settings.base_url,
            trace_id=self.trace.trace_id,
            exchange_id=self.exchange.id if self.exchange is not None else None,
            language=self.language,
        )
        return status, with_first(MARK, body) if self.practice else body

    @functools.cached_property
    def language(self) -> str:
        """Of problems."""
        lines = [value.decode("latin-1") for name, value in self.scope["headers"] if name == b"accept-language"]
        return language_of(",".join(lines))

    @property
    def _rates(self) -> list[tuple[bytes, bytes]]:
        """What is left of the requests of this client, and of the agreement that was used; whether it is practice."""
        told = rate_headers(self.allowance, self.exchange.allowance if self.exchange is not None else None)
        return [*told, (b"simpul-mode", b"uji")] if self.practice else told

    def _count(self, status: int) -> None:
        template = self.template or getattr(self.scope.get("route"), "path", "unmatched")
        self.services.metrics.count_request(self.scope["method"], template, status, time.perf_counter() - self.started)
