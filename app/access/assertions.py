"""Signed client assertions: `private_key_jwt` (RFC 7523, OpenID Connect Core section 9) as FAPI 2.0 profiles it.

The audience is the issuer and nothing else (a text, not a list): an assertion for another server, or for one endpoint of
this one, is not taken. It ends within five minutes, and its `jti` counts once on all replicas.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import orjson
from jwt.utils import base64url_decode

from app.access.client_keys import ALGORITHMS, ClientKey, is_signed
from app.access.clients import Client
from app.access.once import Once
from app.errors import ClientCredentialsInvalid

CHARACTERS: Final = 4096
LONGEST_SECONDS: Final = 300
SKEW_SECONDS: Final = 10
"""How far a client's clock may be ahead, or behind (FAPI 2.0, section 5.3.2.1, number 13)."""
_JTI_CHARACTERS: Final = 256
_TYPES: Final = frozenset({"jwt", "client-authentication+jwt"})
_REFUSED_MEMBERS: Final = ("crit", "b64", "jwk", "jku", "x5u", "x5c", "zip")
_NOBODY: Final = "The client is unknown or disabled, or the assertion is not signed by one of its registered keys."


@dataclass(frozen=True, slots=True)
class Claims:
    """What an assertion says; nothing of it is proved before its signature is."""

    client_id: str
    jti: str
    ends_at: float
    alg: str
    kid: str | None


def read_claims(assertion: str, issuer: str, clock: Callable[[], float] = time.time) -> Claims:
    """The claims of an assertion for this issuer; raises `ClientCredentialsInvalid` naming the member that is wrong."""
    if len(assertion) > CHARACTERS or not assertion.isascii():
        raise ClientCredentialsInvalid(f"The client_assertion is longer than {CHARACTERS} characters or not ASCII.")
    parts = assertion.split(".")
    if len(parts) != 3:
        raise ClientCredentialsInvalid(
            "The client_assertion is no JWT: it has three parts with two points between them."
        )
    alg, kid = _header(parts[0])
    claims = _object(parts[1], "claims")
    client_id = claims.get("sub")
    if not isinstance(client_id, str) or not client_id or claims.get("iss") != client_id:
        raise ClientCredentialsInvalid("iss and sub of the assertion must both be the client_id.")
    if claims.get("aud") != issuer:
        raise ClientCredentialsInvalid(f"aud of the assertion must be the text {issuer}, nothing else and no list.")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _JTI_CHARACTERS:
        raise ClientCredentialsInvalid(
            f"jti of the assertion must be a new text each time, of 1 to {_JTI_CHARACTERS} characters."
        )
    return Claims(client_id, jti, _times(claims, clock()), alg, kid)


async def prove(assertion: str, claims: Claims, client: Client | None, once: Once) -> ClientKey:
    """The key that signed it, once; raises `ClientCredentialsInvalid`, in the same words whoever is not there."""
    key = signed_by(assertion, claims, client.keys if client is not None and not client.disabled else ())
    if key is None:
        raise ClientCredentialsInvalid(_NOBODY)
    if not await once.use("client_assertion", claims.client_id, claims.jti, until=claims.ends_at + SKEW_SECONDS):
        raise ClientCredentialsInvalid(
            "The assertion was used already: sign a new one, with a new jti, for each request."
        )
    return key


def signed_by(assertion: str, claims: Claims, keys: tuple[ClientKey, ...]) -> ClientKey | None:
    """The key of these that signed it, if any. Without a kid all are tried: a client has few."""
    fitting = [key for key in keys if claims.alg in key.algorithms and claims.kid in (None, key.kid)]
    return next((key for key in fitting if is_signed(assertion, claims.alg, key)), None)


@lru_cache(maxsize=4096)
def _header(segment: str) -> tuple[str, str | None]:
    """Algorithm and key id. A client's headers are all alike."""
    header = _object(segment, "header")
    refused = [name for name in _REFUSED_MEMBERS if name in header]
    if refused:
        raise ClientCredentialsInvalid(
            f"The assertion's header must not have {refused[0]}: only a registered key counts."
        )
    alg, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if alg not in ALGORITHMS:
        raise ClientCredentialsInvalid(f"alg of the assertion must be one of {', '.join(ALGORITHMS)}.")
    if kid is not None and not isinstance(kid, str):
        raise ClientCredentialsInvalid("kid of the assertion's header must be a text.")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in _TYPES:
        raise ClientCredentialsInvalid(
            "typ of the assertion's header is JWT or client-authentication+jwt, or left out."
        )
    return alg, kid


def _object(segment: str, what: str) -> Mapping[str, Any]:
    try:
        found = orjson.loads(base64url_decode(segment))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ClientCredentialsInvalid(
            f"The {what} of the client_assertion cannot be read: base64url of a JSON object."
        )
    return found


def _times(claims: Mapping[str, Any], now: float) -> float:
    """When it ends; `exp` must stand, `iat` and `nbf` may. Numbers of seconds since 1970 (RFC 7519, section 2)."""
    times = {name: claims[name] for name in ("exp", "iat", "nbf") if name in claims}
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in times.values()):
        raise ClientCredentialsInvalid("exp, iat and nbf of the assertion must be numbers of seconds since 1970.")
    if "exp" not in times:
        raise ClientCredentialsInvalid(f"The assertion needs exp, at most {LONGEST_SECONDS} seconds from now.")
    if times["exp"] <= now - SKEW_SECONDS:
        raise ClientCredentialsInvalid("The assertion has ended (exp): sign a new one; check the clock.")
    if times["exp"] > now + LONGEST_SECONDS + SKEW_SECONDS:
        raise ClientCredentialsInvalid(f"exp of the assertion must be at most {LONGEST_SECONDS} seconds from now.")
    if any(times.get(name, 0) > now + SKEW_SECONDS for name in ("iat", "nbf")):
        raise ClientCredentialsInvalid("The assertion is from the future (iat or nbf): check the clock.")
    return float(times["exp"])
