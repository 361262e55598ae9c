"""Access tokens: signed at+jwt (RFC 9068) by PyJWT with EdDSA, issued and checked by the gateway itself.

Checking looks at the header first (three members, nothing that points at a key), then at signature, issuer, audience
and times, then at the client as it is now. A token seen before costs one dictionary look until it ends or access
changes.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import jwt

from app.access.client_keys import ALGORITHMS
from app.access.clients import Client
from app.access.keys import KeySet
from app.access.principals import Principal
from app.access.snapshot import AccessSnapshot
from app.errors import TokenInvalid

ALGORITHM: Final = "EdDSA"
MEDIA_TYPE: Final = "at+jwt"
TOKEN_CHARACTERS: Final = 2048
"""Longest token that is looked at; ours have about 600."""
LONGEST_SECONDS: Final = 900
CLOCK_SKEW_SECONDS: Final = 10
REMEMBERED_TOKENS: Final = 20_000
_HEADER_MEMBERS: Final = frozenset({"alg", "typ", "kid"})
_CLAIMS: Final = ("iss", "aud", "sub", "client_id", "agency", "role", "credential", "jti", "iat", "exp")
_AGAIN: Final = "get a new one at /oauth/token"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token that was issued; its text is not in the repr."""

    text: str = field(repr=False)
    expires_in_seconds: int
    jti: str


class TokenIssuer:
    """Issues and verifies the tokens of one instance. `install` gives it keys and clients, before the first use."""

    def __init__(
        self,
        base_url: str,
        *,
        token_seconds: int = 900,
        remembered_tokens: int = REMEMBERED_TOKENS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.issuer = base_url.rstrip("/")
        self._token_seconds = min(token_seconds, LONGEST_SECONDS)
        self._remembered_tokens = remembered_tokens
        self._clock = clock
        self._keys = KeySet(())
        self._clients: Mapping[str, Client] = {}
        self._seen: OrderedDict[bytes, tuple[float, Principal, str | None]] = OrderedDict()
        self._revoked: frozenset[str] = frozenset()

    def revoke(self, jtis: frozenset[str]) -> None:
        """These tokens are dead, however long they had to live; every token is checked anew."""
        self._revoked = jtis
        self._seen.clear()

    def revocable(self, token: str) -> tuple[str, str, float] | None:
        """Client, `jti` and end of a token that is alive; None for any other."""
        try:
            self.verify(token)
        except TokenInvalid:
            return None
        claims = jwt.decode(token, options={"verify_signature": False})  # checked above
        return claims["client_id"], claims["jti"], float(claims["exp"])

    def install(self, keys: KeySet, snapshot: AccessSnapshot) -> None:
        """Use these keys and clients from now on; every token is checked anew, so a disabled client's are dead."""
        self._keys = keys
        self._clients = snapshot.clients
        self._seen.clear()

    def issue(self, client: Client, credential: str | None = None, bound_to: str | None = None) -> AccessToken:
        """A token for a client that has proved itself: by its secret, or by the key of this thumbprint.

        `bound_to`: thumbprint of the key whose proofs it needs (RFC 9449, section 6.1).
        """
        now = int(self._clock())
        key = self._keys.signing(self._now())
        jti = secrets.token_urlsafe(16)
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self.issuer,
            "sub": client.id,
            "client_id": client.id,
            "agency": client.agency,
            "role": client.role,
            "credential": credential or client.credential,
            "jti": jti,
            "iat": now,
            "exp": now + self._token_seconds,
        }
        if bound_to is not None:
            claims["cnf"] = {"jkt": bound_to}
        text = jwt.encode(claims, key.private, algorithm=ALGORITHM, headers={"typ": MEDIA_TYPE, "kid": key.kid})
        return AccessToken(text, self._token_seconds, jti)

    def verify(self, token: str) -> Principal:
        """Who holds this token, or `TokenInvalid`; a proof that it may need is another matter (`holder`)."""
        return self.holder(token)[0]

    def holder(self, token: str) -> tuple[Principal, str | None]:
        """Who holds this token, and by proofs of which key; raises `TokenInvalid`.

        Known ones are found by their SHA-256; their text is not kept.
        """
        if len(token) > TOKEN_CHARACTERS or not token.isascii():
            raise TokenInvalid(f"The token is longer than {TOKEN_CHARACTERS} characters or not ASCII.")
        digest = hashlib.sha256(token.encode()).digest()
        seen = self._seen.get(digest)
        if seen is not None and seen[0] > self._clock():
            return seen[1], seen[2]
        ends_at, principal, bound_to = self._check(token)
        self._seen[digest] = (ends_at, principal, bound_to)
        if len(self._seen) > self._remembered_tokens:
            self._seen.popitem(last=False)
        return principal, bound_to

    def jwks(self) -> dict[str, Any]:
        """The public keys, for `/.well-known/jwks.json`."""
        return self._keys.jwks(self._now())

    def metadata(self) -> dict[str, Any]:
        """The authorization server metadata, for `/.well-known/oauth-authorization-server`."""
        return server_metadata(self.issuer)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _check(self, token: str) -> tuple[float, Principal, str | None]:
        try:
            header = jwt.get_unverified_header(token)
            key = self._keys.verifying(self._now()).get(_kid(header))
            if key is None:
                raise TokenInvalid(f"The token's key is not (or no longer) one of this gateway; {_AGAIN}.")
            claims = jwt.decode(token, key.public, algorithms=[ALGORITHM], options=_decode_options(), leeway=0)
        except jwt.PyJWTError:
            raise TokenInvalid(f"The token is not one that this gateway signed; {_AGAIN}.") from None
        self._check_claims(claims)
        client = self._client(claims)
        bound_to = claims["cnf"]["jkt"] if "cnf" in claims else None
        if client.dpop and bound_to is None:
            raise TokenInvalid(
                "The client's tokens are bound to a key (DPoP), this one is not; get a new one with a DPoP proof."
            )
        return float(claims["exp"]), Principal(client.id, client.agency, client.role, claims["credential"]), bound_to

    def _check_claims(self, claims: Mapping[str, Any]) -> None:
        """Issuer and audience exact (one string, not a list), times whole numbers by this process's clock."""
        if any(not isinstance(claims[name], str) for name in _CLAIMS[:-2]) or claims["iss"] != self.issuer:
            raise TokenInvalid(f"The token was not issued by {self.issuer}; {_AGAIN}.")
        if claims["aud"] != self.issuer or claims["sub"] != claims["client_id"]:
            raise TokenInvalid(f"The token is not meant for {self.issuer}; {_AGAIN}.")
        issued_at, ends_at = claims["iat"], claims["exp"]
        if type(issued_at) is not int or type(ends_at) is not int or ends_at - issued_at > LONGEST_SECONDS:
            raise TokenInvalid(f"The token's times are not acceptable; {_AGAIN}.")
        now = self._clock()
        if issued_at > now + CLOCK_SKEW_SECONDS:
            raise TokenInvalid("The token is from the future; check the clock of the machine that issued it.")
        if ends_at <= now:
            raise TokenInvalid(f"The token has expired; {_AGAIN}.")
        if claims["jti"] in self._revoked:
            raise TokenInvalid(f"The token was revoked by its client; {_AGAIN}.")

    def _client(self, claims: Mapping[str, Any]) -> Client:
        client = self._clients.get(claims["client_id"])
        if client is None or client.disabled:
            raise TokenInvalid("The token's client is not enabled; ask the walidata.")
        if (client.agency, client.role) != (claims["agency"], claims["role"]) or not client.holds(claims["credential"]):
            raise TokenInvalid(f"The client's secret or key was changed after the token was issued; {_AGAIN}.")
        return client


def server_metadata(issuer: str) -> dict[str, Any]:
    """RFC 8414 metadata of the instance at `issuer` (its base URL without a trailing slash)."""
    methods = ["private_key_jwt", "client_secret_basic", "client_secret_post"]
    return {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/oauth/token",
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "service_documentation": f"{issuer}/docs",
        "ui_locales_supported": ["id", "en"],
    }


def resource_metadata(issuer: str) -> dict[str, Any]:
    """RFC 9728 metadata: the API at `issuer`, whose tokens come from the same instance."""
    return {
        "resource": issuer,
        "authorization_servers": [issuer],
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "resource_name": "Simpul",
        "resource_documentation": f"{issuer}/docs",
    }


def _kid(header: Mapping[str, Any]) -> str:
    """The key id of a header of exactly our form; anything more (`jwk`, `jku`, `x5u`, `crit`, `zip`) is refused."""
    kid = header.get("kid")
    kind = str(header.get("typ")).lower().removeprefix("application/")
    if set(header) != _HEADER_MEMBERS or header["alg"] != ALGORITHM or kind != MEDIA_TYPE or not isinstance(kid, str):
        raise TokenInvalid(f"The token's header is not that of an access token of this gateway; {_AGAIN}.")
    return kid


def _decode_options() -> Any:
    """PyJWT checks the signature and that every claim is there; issuer, audience and times are compared exactly."""
    return {
        "require": list(_CLAIMS),
        "verify_exp": False,
        "verify_iat": False,
        "verify_nbf": True,
        "verify_aud": False,
        "verify_iss": False,
    }
