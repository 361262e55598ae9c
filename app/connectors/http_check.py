"""The stages of `check` for whatever is asked over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Awaitable, Callable

from app.connectors.contract import CheckStep, milliseconds_since
from app.connectors.environment import Environment
from app.connectors.network import HttpAddress, resolve_allowed
from app.connectors.steps import step_of
from app.errors import SimpulError, SourceTimeout, SourceTlsFailed, SourceUnreachable
from app.tls import verified


async def check_http(url: str, environment: Environment, first: Callable[[], Awaitable[object]]) -> list[CheckStep]:
    """The stages of an HTTP source: dns, then what the first request shows; tcp and tls alone where no record may be asked for."""
    started = time.perf_counter()
    try:
        address = HttpAddress.of(url)
        await resolve_allowed(address.host, address.port, environment.network)
    except SimpulError as error:
        return [CheckStep("dns", milliseconds_since(started), error, "/source/url")]
    steps = [CheckStep("dns", milliseconds_since(started), None, "/source/url")]
    started = time.perf_counter()
    whole = environment.whole_checks
    try:
        await (first() if whole else _dialled(address, environment))
    except SimpulError as error:
        field = str(error.facts.get("field", "/source/url"))
        return [*steps, CheckStep(step_of(error), milliseconds_since(started), error, field)]
    last = "read" if whole else "tls" if address.scheme == "https" else "tcp"
    return [*steps, CheckStep(last, milliseconds_since(started), None, "/source/url")]


async def _dialled(address: HttpAddress, environment: Environment) -> None:
    """A connection, with its TLS, and nothing sent over it."""
    (found, *_) = await resolve_allowed(address.host, address.port, environment.network)
    context = verified(environment.ca_file) if address.scheme == "https" else None
    try:
        async with asyncio.timeout(environment.limits.deadline_seconds):
            _, writer = await asyncio.open_connection(
                found, address.port, ssl=context, server_hostname=address.host if context is not None else None
            )
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    except TimeoutError:
        raise SourceTimeout("no connection in time", field="/source/url") from None
    except ssl.SSLError:
        raise SourceTlsFailed("the certificate of the source is not one that is trusted", field="/source/url") from None
    except OSError:
        raise SourceUnreachable("nothing listens at the address, or it refuses", field="/source/url") from None
