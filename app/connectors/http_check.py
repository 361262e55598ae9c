"""The stages of `check` for whatever is asked over HTTP."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from app.connectors.contract import CheckStep, milliseconds_since
from app.connectors.environment import Environment
from app.connectors.network import HttpAddress, resolve_allowed
from app.errors import SimpulError


async def check_http(url: str, environment: Environment, first: Callable[[], Awaitable[object]]) -> list[CheckStep]:
    """The stages of an HTTP source: dns, then what the first request shows."""
    started = time.perf_counter()
    try:
        address = HttpAddress.of(url)
        await resolve_allowed(address.host, address.port, environment.network)
    except SimpulError as error:
        return [CheckStep("dns", milliseconds_since(started), error, "/source/url")]
    steps = [CheckStep("dns", milliseconds_since(started), None, "/source/url")]
    started = time.perf_counter()
    try:
        await first()
    except SimpulError as error:
        stage = {
            "source_unreachable": "tcp",
            "source_tls_failed": "tls",
            "source_auth_failed": "auth",
            "source_permission_denied": "permission",
        }.get(error.code, "read")
        return [
            *steps,
            CheckStep(stage, milliseconds_since(started), error, str(error.facts.get("field", "/source/url"))),
        ]
    return [*steps, CheckStep("read", milliseconds_since(started), None, "/source/url")]
