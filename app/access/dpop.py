"""Proofs of possession (RFC 9449): a token is bound to a key of its holder, and each request shows that the sender has it.

Each proof carries a nonce of this gateway, which any replica made and all accept for five minutes, and counts once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from jwt.utils import base64url_decode

from app.access.client_keys import ALGORITHMS, ClientKey, is_signed, read_key
from app.access.once import Once
from app.errors import AuthenticationError, ValidationFailed

CHARACTERS: Final = 4096
NONCE_SECONDS: Final = 300
PAST_SECONDS: Final = 60
FUTURE_SECONDS: Final = 10
_JTI_CHARACTERS: Final = 256
_MAC_BYTES: Final = 16
_PORTS: Final = {"http": 80, "https": 443}


class DpopProofInvalid(AuthenticationError):
    """The proof is missing or wrong."""

    code = "invalid_dpop_proof"


class DpopNonceNeeded(AuthenticationError):
    """The proof has no nonce of this gateway, or an old one; the answer carries a new one."""

    code = "use_dpop_nonce"


class Nonces:
    """Nonces that need no memory: a time and its HMAC under a key that replicas share."""

    def __init__(self, key: bytes, clock: Callable[[], float] = time.time) -> None:
        self._key = hmac.digest(key, b"simpul-dpop-nonce/1", "sha256")
        self._clock = clock

    def make(self) -> str:
        """A nonce for the next five minutes."""
        return self._text(int(self._clock()).to_bytes(8, "big"))

    def fresh(self, nonce: str) -> bool:
        """Whether a replica made it within the last five minutes."""
        try:
            moment = base64url_decode(nonce)[:8]
        except ValueError:
            return False
        age_seconds = self._clock() - int.from_bytes(moment, "big")
        right = hmac.compare_digest(self._text(moment).encode(), nonce.encode(errors="replace"))
        return right and -FUTURE_SECONDS <= age_seconds <= NONCE_SECONDS

    def _text(self, moment: bytes) -> str:
        mac = hmac.digest(self._key, moment, "sha256")[:_MAC_BYTES]
        return base64.urlsafe_b64encode(moment + mac).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Request:
    """What a proof is about: the method, the address without query, and the token that is sent (none for a new one)."""

    method: str
    url: str
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that is right but for its being used once: `used` tells that."""

    thumbprint: str
    jti: str
    until: float

    async def used(self, once: Once) -> None:
        """Counts it; raises `DpopProofInvalid` when it was used before."""
        if not await once.use("dpop", self.thumbprint, self.jti, until=self.until):
            raise DpopProofInvalid("The DPoP proof was used already: sign a new one, with a new jti, for each request.")


def read_proof(text: str, request: Request, nonces: Nonces, clock: Callable[[], float] = time.time) -> Proof:
    """The proof of this request; raises `DpopProofInvalid` naming the member that is wrong, or `DpopNonceNeeded`."""
    parts = text.split(".")
    if len(text) > CHARACTERS or not text.isascii() or len(parts) != 3:
        raise DpopProofInvalid(f"The DPoP header holds one JWT of at most {CHARACTERS} characters.")
    alg, key = _header(parts[0])
    if not is_signed(text, alg, key):
        raise DpopProofInvalid("The DPoP proof is not signed by the key in its header.")
    claims, now = _object(parts[1]), clock()
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _JTI_CHARACTERS:
        raise DpopProofInvalid(
            f"jti of the DPoP proof must be a new text each time, of 1 to {_JTI_CHARACTERS} characters."
        )
    if claims.get("htm") != request.method:
        raise DpopProofInvalid(f"htm of the DPoP proof must be {request.method}.")
    if not isinstance(claims.get("htu"), str) or _address(claims["htu"]) != _address(request.url):
        raise DpopProofInvalid("htu of the DPoP proof must be the address of the request, without its query.")
    _check_times(claims, now)
    _check_token(claims, request.token)
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not nonces.fresh(nonce):
        told = "Put the nonce of this answer's DPoP-Nonce header into the proof as nonce, and send the request again."
        raise DpopNonceNeeded(told, dpop_nonce=nonces.make())
    return Proof(key.thumbprint, jti, now + NONCE_SECONDS + FUTURE_SECONDS)


@lru_cache(maxsize=4096)
def _header(segment: str) -> tuple[str, ClientKey]:
    header = _object(segment)
    alg, jwk = header.get("alg"), header.get("jwk")
    if header.get("typ") != "dpop+jwt":
        raise DpopProofInvalid("typ of the DPoP proof must be dpop+jwt.")
    if alg not in ALGORITHMS:
        raise DpopProofInvalid(f"alg of the DPoP proof must be one of {', '.join(ALGORITHMS)}.")
    if not isinstance(jwk, dict) or "crit" in header:
        raise DpopProofInvalid("The header of the DPoP proof needs jwk, the public key, and must not have crit.")
    try:
        key = read_key(jwk, "/jwk")
    except ValidationFailed as error:
        raise DpopProofInvalid(f"jwk of the DPoP proof: {error.errors[0].detail}") from None
    if alg not in key.algorithms:
        raise DpopProofInvalid(f"alg of the DPoP proof does not fit its key: {' or '.join(key.algorithms)}.")
    return alg, key


def _object(segment: str) -> Mapping[str, Any]:
    try:
        found = orjson.loads(base64url_decode(segment))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise DpopProofInvalid("The DPoP proof cannot be read: its parts are base64url of JSON objects.")
    return found


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    times = {name: claims[name] for name in ("iat", "exp", "nbf") if name in claims}
    if "iat" not in times or any(isinstance(one, bool) or not isinstance(one, int | float) for one in times.values()):
        raise DpopProofInvalid("The DPoP proof needs iat, a number of seconds since 1970; exp and nbf are such, too.")
    if not now - PAST_SECONDS <= times["iat"] <= now + FUTURE_SECONDS:
        raise DpopProofInvalid("iat of the DPoP proof is not now: sign one for each request; check the clock.")
    if times.get("exp", now) <= now - FUTURE_SECONDS or times.get("nbf", now) > now + FUTURE_SECONDS:
        raise DpopProofInvalid("The DPoP proof is not valid now (exp, nbf): check the clock.")


def _check_token(claims: Mapping[str, Any], token: str | None) -> None:
    if token is None:
        return
    digest = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
    if claims.get("ath") != digest:
        raise DpopProofInvalid("ath of the DPoP proof must be the base64url SHA-256 of the access token.")


def _address(url: str) -> tuple[str, str, int | None, str] | None:
    """An address without query and fragment, as RFC 3986 compares (RFC 9449, section 4.3)."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme.lower())
    except ValueError:
        return None
    return parts.scheme.lower(), (parts.hostname or "").lower(), port, parts.path or "/"
