"""Headers of a request before anything is done with it: how large they are, and which may stand there once only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from starlette.types import Scope

from app.access.rates import Allowance
from app.errors import RequestError
from app.gateway.exchange import Assertions
from app.gateway.under import sunset

if TYPE_CHECKING:
    from app.gateway.exchange import Exchange
    from app.gateway.services import Services

_ONCE = frozenset(
    {
        b"authorization", b"simpul-purpose", b"simpul-agreement", b"simpul-mode", b"x-road-client", b"x-road-userid",
        b"x-road-issue", b"x-road-represented-party", b"content-type", b"content-digest", b"idempotency-key", b"dpop",
        b"upload-offset", b"upload-complete", b"upload-length", b"repr-digest",
    }
)  # fmt: skip
"""Headers that say who asks and why: one that stands there twice is two answers."""
LONGEST: Final = {
    "Simpul-Purpose": 64, "Simpul-Agreement": 64, "X-Road-UserId": 200, "X-Road-Issue": 200,
    "Simpul-Mode": 16, "X-Road-Client": 400, "X-Road-Represented-Party": 400,
    "Prefer": 2000, "If-Match": 2000, "If-None-Match": 2000, "If-Range": 2000, "Range": 2000,
    "Cache-Control": 2000,
}  # fmt: skip
"""Most characters of one header, as the document says."""
_LONGEST: Final = {name.lower().encode(): most for name, most in LONGEST.items()}


class HeaderRepeated(RequestError):
    """A header that says who asks or why stands there twice."""

    code = "header_repeated"


class HeaderTooLarge(RequestError):
    """More than the setting allows."""

    code = "header_too_large"


def by_name(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The headers of a request; one on several lines is one list (RFC 9110, section 5.3)."""
    found = dict(headers)
    if len(found) == len(headers):
        return found
    lines: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        lines.setdefault(name, []).append(value)
    return {name: b", ".join(values) for name, values in lines.items()}


def max_age_seconds(cache_control: str | None) -> float | None:
    """How old an answer may be (RFC 9111, section 5.2.1): 0 for `no-cache`, and for an age that is no number; None: nothing is said."""
    ages: list[float] = []
    for part in (cache_control or "").lower().split(","):
        name, _, value = part.strip().partition("=")
        if name == "no-cache":
            ages.append(0.0)
        elif name == "max-age":
            written = value.strip('"')
            ages.append(float(written) if written.isascii() and written.isdigit() and len(written) <= 10 else 0.0)
    return min(ages, default=None)


def assertions_of(headers: Mapping[bytes, bytes]) -> Assertions:
    """What a caller asserts in its headers."""

    def said(name: bytes) -> str | None:
        value = headers.get(name)
        return value.decode("latin-1") if value is not None else None

    return Assertions(
        purpose=said(b"simpul-purpose"),
        agreement=said(b"simpul-agreement"),
        officer=said(b"x-road-userid"),
        case=said(b"x-road-issue"),
        represented=said(b"x-road-represented-party"),
        road_client=said(b"x-road-client"),
        max_age_seconds=max_age_seconds(said(b"cache-control")),
    )


def rate_headers(*allowances: Allowance | None) -> list[tuple[bytes, bytes]]:
    """`RateLimit` and its policy (draft-ietf-httpapi-ratelimit-headers-10): what is left, and when all is there again."""
    told = [found for found in allowances if found is not None]
    if not told:
        return []
    left = ", ".join(f'"{found.policy}";r={found.remaining};t={found.reset_seconds}' for found in told)
    policies = b", ".join(_policy(found.policy, found.limit) for found in told)
    return [(b"ratelimit", left.encode()), (b"ratelimit-policy", policies)]


def sunset_headers(services: Services, exchange: Exchange) -> list[tuple[bytes, bytes]]:
    """`Sunset` (RFC 8594): the end of the agreement that the answer rests on, when it is near."""
    if exchange.agreement is None and not exchange.under:
        return []
    last = sunset(services.access.snapshot, exchange, services.quotas.today())
    return [] if last is None else [(b"sunset", _end_of(last, services.settings.zone))]


@cache
def _end_of(last: date, zone: str) -> bytes:
    """The first moment after the last day."""
    after = last + timedelta(days=1)
    moment = datetime(after.year, after.month, after.day, tzinfo=ZoneInfo(zone))
    return format_datetime(moment.astimezone(UTC), usegmt=True).encode()


@cache
def _policy(name: str, limit: int) -> bytes:
    return f'"{name}";q={limit};w=60'.encode()


def check_headers(scope: Scope, limit_bytes: int) -> None:
    """Raises `HeaderRepeated` or `HeaderTooLarge`."""
    size, once = 0, set()
    for name, value in scope["headers"]:
        size += len(name) + len(value)
        if name in _ONCE:
            if name in once:
                twice = name.decode("ascii")
                raise HeaderRepeated(
                    f"the header {twice} stands there twice; which one counts is not guessed: send it once"
                )
            once.add(name)
        most = _LONGEST.get(name)
        if most is not None and len(value) > most:
            raise HeaderTooLarge(f"the header {name.decode('ascii')} has at most {most} bytes", limit_bytes=most)
    if size > limit_bytes or len(scope["query_string"]) > limit_bytes:
        raise HeaderTooLarge(f"headers and query have at most {limit_bytes} bytes", limit_bytes=limit_bytes)
