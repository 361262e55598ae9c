"""The token request of OAuth 2.0 client credentials (RFC 6749, sections 2.3.1, 4.4, 5): form in, response or error out.

The HTTP around it (form parsing, status codes, `Cache-Control: no-store`, `WWW-Authenticate`) is `api/`'s.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_plus

from app.access import assertions
from app.access.attempts import SECRET_COST, FailedAttempts
from app.access.client_keys import ASSERTION_TYPE
from app.access.clients import Client
from app.access.credentials import SecretVerifier
from app.access.dpop import DpopProofInvalid, Proof
from app.access.once import Once
from app.access.snapshot import AccessSnapshot
from app.access.tokens import TokenIssuer
from app.errors import ClientCredentialsInvalid, GrantTypeUnsupported, RequestError, SimpulError

HEADER_CHARACTERS: Final = 1024
_SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*")
_ONCE: Final = frozenset(
    {
        "grant_type",
        "client_id",
        "client_secret",
        "scope",
        "resource",
        "client_assertion",
        "client_assertion_type",
        "token",
    }
)


@dataclass(frozen=True, slots=True)
class Means:
    """What client authentication works with."""

    snapshot: AccessSnapshot
    verifier: SecretVerifier
    issuer: TokenIssuer
    once: Once
    attempts: FailedAttempts
    address: str = ""
    """Whose request it is."""


@dataclass(frozen=True, slots=True)
class Proved:
    """A client that has proved itself, and by which credential (its public thumbprint)."""

    client: Client
    credential: str


async def token_request(
    form: Iterable[tuple[str, str]], authorization: str | None, means: Means, proof: Proof | None = None
) -> dict[str, Any]:
    """The successful response, or `RequestError` (invalid_request), `GrantTypeUnsupported`, `ClientCredentialsInvalid`.

    `form` holds the decoded name-value pairs of the body, `authorization` the header's value, `proof` what the
    DPoP header held: the token is bound to its key then, and it counts once the client has proved itself.
    """
    fields = once_each(form)
    prover = _prover(fields, authorization, means.issuer.issuer)
    grant_type = fields.get("grant_type")
    if grant_type is None:
        raise RequestError("The form has no grant_type; send grant_type=client_credentials.")
    if grant_type != "client_credentials":
        raise GrantTypeUnsupported("Only grant_type=client_credentials is served.")
    scope = fields.get("scope")
    if scope and not _SCOPE.fullmatch(scope):
        raise RequestError("The scope is not a list of words; it may be left out.")
    proved = await _prove(prover, means)
    if proof is not None:
        await proof.used(means.once)
    elif proved.client.dpop:
        raise DpopProofInvalid(
            "This client's tokens are bound to a key: send a DPoP proof with the request (RFC 9449)."
        )
    token = means.issuer.issue(proved.client, proved.credential, proof.thumbprint if proof else None)
    answer = {
        "access_token": token.text,
        "token_type": "DPoP" if proof else "Bearer",
        "expires_in": token.expires_in_seconds,
    }
    # What a client may do follows from its role and agreements; whoever asks for a scope is told the one there is.
    return answer | {"scope": proved.client.role} if scope else answer


def oauth_error(error: SimpulError) -> dict[str, str]:
    """The body of a refused token request (RFC 6749, section 5.2); faults that are not the client's stay problems."""
    text = re.sub(r"[^\x20-\x21\x23-\x5B\x5D-\x7E]", "'", error.detail)
    return {"error": error.code, "error_description": text}


def once_each(form: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The form as a mapping; a parameter of ours that stands twice is an error, an empty one counts as left out."""
    fields: dict[str, str] = {}
    for name, value in form:
        if name in fields and name in _ONCE:
            raise RequestError(f"Parameter {name} stands more than once in the form.")
        fields[name] = value
    return {name: value for name, value in fields.items() if value}


@dataclass(frozen=True, slots=True)
class _Secret:
    client_id: str
    secret: str


@dataclass(frozen=True, slots=True)
class _Signed:
    assertion: str
    claims: assertions.Claims


async def authenticate_client(fields: dict[str, str], authorization: str | None, means: Means) -> Proved:
    """The client of a form and header; raises `ClientCredentialsInvalid` or `RequestError`."""
    return await _prove(_prover(fields, authorization, means.issuer.issuer), means)


async def _prove(given: _Secret | _Signed, means: Means) -> Proved:
    if isinstance(given, _Signed):
        client = means.snapshot.clients.get(given.claims.client_id)
        try:
            key = await assertions.prove(given.assertion, given.claims, client, means.once)
        except ClientCredentialsInvalid:
            means.attempts.check(means.address)
            means.attempts.failed(means.address)
            raise
        return Proved(means.snapshot.clients[given.claims.client_id], key.thumbprint)
    client = means.snapshot.clients.get(given.client_id)
    holder = None if client is None or client.disabled else client
    if not means.verifier.remembers(holder, given.secret):
        means.attempts.check(means.address, given.client_id)
    if not await means.verifier.verify(holder, given.secret, means.address, given.client_id) or holder is None:
        means.attempts.failed(means.address, given.client_id, cost=SECRET_COST)
        raise ClientCredentialsInvalid("The client is unknown or disabled, or its secret is wrong.")
    means.attempts.succeeded(means.address, given.client_id)
    return Proved(holder, holder.credential)


def _prover(fields: dict[str, str], authorization: str | None, issuer: str) -> _Secret | _Signed:
    """How the client proves itself: one way, never two (RFC 6749, section 2.3)."""
    if "client_assertion" in fields or "client_assertion_type" in fields:
        if authorization is not None or "client_secret" in fields:
            raise ClientCredentialsInvalid(
                "A client proves itself in one way: send the client_assertion or a secret, not both."
            )
        return _signed(fields, issuer)
    if authorization is not None:
        client_id, secret = _basic(authorization)
        if "client_secret" in fields:
            raise RequestError("Give the secret in the Authorization header or in the form, not in both.")
        if fields.get("client_id", client_id) != client_id:
            raise RequestError("The client_id of the form is not that of the Authorization header.")
        return _Secret(client_id, secret)
    if "client_id" not in fields or "client_secret" not in fields:
        raise ClientCredentialsInvalid(
            "No client authentication: send client_assertion with client_assertion_type, HTTP Basic, or client_id and client_secret."
        )
    return _Secret(fields["client_id"], fields["client_secret"])


def _signed(fields: dict[str, str], issuer: str) -> _Signed:
    if fields.get("client_assertion_type") != ASSERTION_TYPE:
        raise ClientCredentialsInvalid(f"client_assertion_type must be {ASSERTION_TYPE}.")
    if "client_assertion" not in fields:
        raise ClientCredentialsInvalid("The form has a client_assertion_type and no client_assertion.")
    claims = assertions.read_claims(fields["client_assertion"], issuer)
    if fields.get("client_id", claims.client_id) != claims.client_id:
        raise ClientCredentialsInvalid("The client_id of the form is not that of the assertion.")
    return _Signed(fields["client_assertion"], claims)


def _basic(authorization: str) -> tuple[str, str]:
    """Id and secret of HTTP Basic; both are form-encoded before they are joined (RFC 6749, section 2.3.1)."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic" or len(authorization) > HEADER_CHARACTERS:
        raise ClientCredentialsInvalid("The Authorization header of a token request is HTTP Basic or left out.")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise ClientCredentialsInvalid("The Authorization header is not well-formed HTTP Basic.") from None
    client_id, parted, secret = text.partition(":")
    if not parted:
        raise ClientCredentialsInvalid("The Authorization header holds no colon between client id and secret.")
    return unquote_plus(client_id), unquote_plus(secret)
