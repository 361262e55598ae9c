"""The cookies of people's sessions: their names, how they are set, and what a request that brings one must prove.

Over HTTPS the name begins with `__Host-` (RFC 6265bis, section 4.1.3.2): no other host and no page over HTTP can set it. A gateway
for trials at `http://127.0.0.1` uses the name without the beginning, since browsers keep `__Host-` cookies over HTTPS alone.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from app.access.people.sessions import VALUE_CHARACTERS, csrf_of
from app.errors import AccessDenied, AuthenticationError
from app.settings import Settings

SESSION: Final = "simpul-session"
CSRF_HEADER: Final = "Simpul-Csrf-Token"
_CSRF: Final = CSRF_HEADER.lower().encode()
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class SessionInvalid(AuthenticationError):
    """The cookie is of no live session."""

    code = "session_invalid"


class CrossSiteRefused(AccessDenied):
    """The request may come from a page of another site."""

    code = "cross_site_refused"


class IdentityAmbiguous(AccessDenied):
    """A token and a session's cookie of somebody else stand in one request."""

    code = "identity_ambiguous"


def over_https(settings: Settings) -> bool:
    """Whether callers reach the gateway over HTTPS."""
    return urlsplit(settings.base_url).scheme == "https"


def require_transport(settings: Settings) -> None:
    """People sign in over HTTPS, or on the machine itself; else `AccessDenied` (`https_needed`)."""
    host = urlsplit(settings.base_url).hostname or ""
    try:
        here = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        here = False
    if not over_https(settings) and not here:
        raise AccessDenied("people sign in over HTTPS alone; the operator sets SIMPUL_BASE_URL", rule="https_needed")


def name_of(settings: Settings, plain: str) -> str:
    """A cookie's name here."""
    return f"__Host-{plain}" if over_https(settings) else plain


def cookie(settings: Settings, plain: str, value: str, seconds: int, *, same_site: str = "Strict") -> str:
    """`Set-Cookie` of a value; with 0 seconds the browser forgets it."""
    secure = "; Secure" if over_https(settings) else ""
    name = name_of(settings, plain)
    return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite={same_site}{secure}"


def value_of(headers: Sequence[tuple[bytes, bytes]], settings: Settings, plain: str, most: int) -> str | None:
    """The value of a cookie; None: there is none. Raises `SessionInvalid` where the name stands there twice."""
    wanted, found = name_of(settings, plain), list[str]()
    for name, line in headers:
        if name == b"cookie":
            pairs = (part.strip().partition("=") for part in line.decode("latin-1").split(";"))
            found += [value.strip('"') for key, _, value in pairs if key == wanted]
    if len(found) > 1:
        raise SessionInvalid(f"the cookie {wanted} stands there twice; delete both and sign in again")
    if found and (len(found[0]) > most or not found[0].isascii()):
        raise SessionInvalid("the cookie is none of this gateway; sign in again")
    return found[0] if found else None


def session_value(headers: Sequence[tuple[bytes, bytes]], settings: Settings) -> str | None:
    """The value of the session's cookie."""
    return value_of(headers, settings, SESSION, VALUE_CHARACTERS)


def check_same_site(headers: Mapping[bytes, bytes], settings: Settings, method: str, *, needed: bool) -> None:
    """Refuses what a page of another site sends (`csrf_origin`). `needed`: a change must say where it comes from.

    Browsers write `Sec-Fetch-Site` and `Origin`; no page can change them.
    """
    unsafe = method not in _SAFE
    site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
    own = _origin(settings.base_url)
    allowed = {b"same-origin"} if unsafe else {b"same-origin", b"none"}
    if site is not None and site not in allowed:
        raise CrossSiteRefused(f"a session is used by pages of {own} alone", rule="csrf_origin")
    if origin is not None and origin.decode("latin-1").lower() != own:
        raise CrossSiteRefused(f"a session is used by pages of {own} alone; look at Origin", rule="csrf_origin")
    if needed and unsafe and site is None and origin is None:
        raise CrossSiteRefused(f"a change by cookie says where it comes from: send Origin: {own}", rule="csrf_origin")


def check_csrf(headers: Mapping[bytes, bytes], settings: Settings, method: str, value: str) -> None:
    """What every request by cookie must prove: it comes from no other site, and a change carries the session's CSRF token."""
    check_same_site(headers, settings, method, needed=True)
    if method not in _SAFE and not hmac.compare_digest(headers.get(_CSRF, b""), csrf_of(value).encode()):
        raise CrossSiteRefused(
            f"a change by cookie carries the token of GET /v1/session in the header {CSRF_HEADER}", rule="csrf_token"
        )


def _origin(base_url: str) -> str:
    """Scheme, host and port as browsers write them: no port where it is the scheme's own."""
    parts = urlsplit(base_url)
    own = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in {None, own} else f":{parts.port}"
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"
