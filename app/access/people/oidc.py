"""OpenID Connect towards one provider: authorization code with PKCE, state and nonce; what its ID token must say (OIDC Core, 3.1.3.7).

The requests are Authlib's, the signature is checked by joserfc. What a sign-in began with travels sealed in a cookie of the browser: no
replica has to remember it, and a code that another browser was given signs nobody in here.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ipaddress
import json
import secrets
import time
import warnings
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import JWKRegistry, KeySet

from app.access.sealing import Seal, Sealed
from app.errors import AuthenticationError, SettingsInvalid, SimpulError
from app.tls import verified

if TYPE_CHECKING:
    from authlib.integrations.httpx_client import AsyncOAuth2Client

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
FLOW_SECONDS: Final = 600
FLOW_CHARACTERS: Final = 3000
CODE_CHARACTERS: Final = 2048
SKEW_SECONDS: Final = 30
_FRESH_SECONDS: Final = 300
_ANSWER_BYTES: Final = 262_144
_KEPT_SECONDS: Final = 300.0
_AGAIN_SECONDS: Final = 10.0
_SECONDS: Final = 10.0
_REFUSED: Final = (
    "The sign-in at the provider does not count here: it was not begun in this browser a moment ago, the provider's answer does not fit, "
    "or no enabled person is tied to it. Begin again: GET /sign-in/oidc."
)


class OidcRefused(AuthenticationError):
    """What came back from the provider signs nobody in. `reason` is for the log alone."""

    code = "oidc_refused"

    def __init__(self, reason: str) -> None:
        super().__init__(_REFUSED)
        self.reason = reason


class OidcUnavailable(SimpulError):
    """The provider does not answer as it should."""

    code = "oidc_unavailable"
    retryable = True


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """The provider, and what the gateway is there. `base_url`: of the gateway."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    base_url: str
    ca_file: Path | None = None
    port: int = 0
    """On which the gateway itself listens."""

    @property
    def redirect_uri(self) -> str:
        """Where the provider sends the browser back to."""
        return f"{self.base_url.rstrip('/')}/sign-in/oidc/callback"


@dataclass(frozen=True, slots=True)
class Flow:
    """One sign-in under way, as the browser keeps it sealed. `session`: of a step-up, the session that is to be fresh."""

    state: str
    nonce: str
    verifier: str = field(repr=False)
    begun: float
    return_to: str
    session: str | None = None

    @classmethod
    def begin(cls, return_to: str, session: str | None) -> Flow:
        """A new one."""
        words = (secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48))
        return cls(*words, time.time(), return_to, session)

    def sealed(self, seal: Seal) -> str:
        """As the cookie has it."""
        made = seal.seal(json.dumps(asdict(self)).encode(), "oidc", "flow")
        parts = (made.key_id.encode(), made.nonce, made.sealed)
        return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)

    @classmethod
    def opened(cls, seal: Seal, text: str) -> Flow:
        """The flow of a cookie; raises `OidcRefused` for anything else, and for one that began too long ago."""
        try:
            key_id, nonce, sealed = (
                base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in text.split(".")
            )
            plain = seal.open(Sealed(sealed, nonce, key_id.decode("ascii")), "oidc", "flow")
        except (ValueError, binascii.Error, SettingsInvalid):
            raise OidcRefused("the cookie of the sign-in is none of this gateway") from None
        flow = cls(**json.loads(plain))
        if not flow.begun - SKEW_SECONDS <= time.time() <= flow.begun + FLOW_SECONDS:
            raise OidcRefused("the sign-in was begun too long ago")
        return flow


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signed in at the provider. `email` only where the provider has verified it."""

    issuer: str
    subject: str = field(repr=False)
    email: str | None = field(repr=False)


class Provider:
    """The one provider of a gateway. Nothing is asked of it before somebody signs in there."""

    def __init__(self, settings: ProviderSettings) -> None:
        """Raises `SettingsInvalid` for an issuer that is not reached over HTTPS (or on the machine itself)."""
        if not _safe(settings.issuer):
            raise SettingsInvalid("SIMPUL_OIDC_ISSUER must be an https address (http on the machine itself)")
        if _is_own(settings.issuer, settings):
            raise SettingsInvalid("SIMPUL_OIDC_ISSUER is the gateway itself: name the provider at which people sign in")
        if not _safe(settings.base_url):
            raise SettingsInvalid(
                "SIMPUL_OIDC_ISSUER needs a SIMPUL_BASE_URL with https: people do not sign in over plain HTTP"
            )
        self.settings = settings
        self._metadata: tuple[float, Mapping[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None
        self._asking = asyncio.Lock()

    async def address(self, flow: Flow) -> str:
        """Where the browser signs in. A step-up asks for signing in anew (`prompt=login`, `max_age=0`)."""
        found = await self._discovered()
        more: dict[str, Any] = {"prompt": "login", "max_age": 0} if flow.session else {}
        async with self._client() as client:
            address, _ = client.create_authorization_url(
                found["authorization_endpoint"], state=flow.state, code_verifier=flow.verifier, nonce=flow.nonce, **more
            )
        return str(address)

    async def identity(self, flow: Flow, given: Mapping[str, str]) -> Identity:
        """Who the browser came back as; raises `OidcRefused` or `OidcUnavailable`. The caller has used the state up."""
        found = await self._discovered()
        issuer = given.get("iss")
        if issuer != self.settings.issuer and (
            issuer is not None or found.get("authorization_response_iss_parameter_supported") is True
        ):
            raise OidcRefused("iss of the answer is another provider's")  # RFC 9207
        code = given.get("code", "")
        if "error" in given or not 0 < len(code) <= CODE_CHARACTERS:
            raise OidcRefused("the provider answered with an error, or with no code")
        token = await self._token(found, flow, code)
        return self._checked(await self._claims(token, flow), flow)

    async def _token(self, found: Mapping[str, Any], flow: Flow, code: str) -> Mapping[str, Any]:
        from authlib.common.errors import AuthlibBaseError  # noqa: PLC0415 - only gateways with a provider load it

        try:
            async with self._client() as client:
                answer: Mapping[str, Any] = await client.fetch_token(
                    found["token_endpoint"], grant_type="authorization_code", code=code, code_verifier=flow.verifier
                )
        except AuthlibBaseError as fault:
            raise OidcRefused(f"the provider gave no token: {fault.error}") from None
        except (httpx.HTTPError, ValueError) as fault:
            raise OidcUnavailable(f"the provider's token endpoint did not answer ({type(fault).__name__})") from None
        if not isinstance(answer.get("id_token"), str):
            raise OidcRefused("the provider gave no ID token")
        return answer

    async def _claims(self, token: Mapping[str, Any], flow: Flow) -> Mapping[str, Any]:
        from authlib.oidc.core import CodeIDToken  # noqa: PLC0415 - as above

        try:
            decoded = await self._decoded(str(token["id_token"]))
            own = self.settings
            claims: Mapping[str, Any] = CodeIDToken(
                decoded.claims,
                decoded.header,
                {"iss": {"essential": True, "value": own.issuer}, "aud": {"essential": True, "value": own.client_id}},
                {"nonce": flow.nonce, "client_id": own.client_id, "access_token": token.get("access_token")},
            )
            claims.validate(now=int(time.time()), leeway=SKEW_SECONDS)  # type: ignore[attr-defined]
        except (JoseError, ValueError, TypeError) as fault:
            raise OidcRefused(f"the ID token does not hold: {type(fault).__name__}") from None
        return claims

    async def _decoded(self, text: str) -> jwt.Token:
        """The token, checked by the provider's keys, which are asked for again where none fits."""
        try:
            return _decode(text, await self._key_set())
        except (JoseError, ValueError):
            return _decode(text, await self._key_set(anew=True))

    def _checked(self, claims: Mapping[str, Any], flow: Flow) -> Identity:
        """What libraries leave open: one audience, a subject, a nonce, and of a step-up the time of the new sign-in."""
        audience, subject, now = claims["aud"], claims["sub"], time.time()
        if audience not in (self.settings.client_id, [self.settings.client_id]):
            raise OidcRefused("the ID token is meant for others too")
        if claims.get("nonce") != flow.nonce or not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise OidcRefused("the ID token has no nonce or no subject of ours")
        if not isinstance(claims["iat"], int | float) or abs(now - claims["iat"]) > FLOW_SECONDS:
            raise OidcRefused("the ID token was not made just now")
        if flow.session is not None:
            signed_in = claims.get("auth_time")
            if type(signed_in) not in (int, float) or signed_in is None or signed_in < flow.begun - SKEW_SECONDS:
                raise OidcRefused("auth_time does not show that the person signed in anew")
            if not now - _FRESH_SECONDS <= signed_in <= now + SKEW_SECONDS:
                raise OidcRefused("auth_time is not of just now")
        email = claims.get("email")
        known = isinstance(email, str) and claims.get("email_verified") is True
        return Identity(self.settings.issuer, subject, str(email).lower() if known else None)

    async def _discovered(self) -> Mapping[str, Any]:
        async with self._asking:
            if self._metadata is None or time.monotonic() - self._metadata[0] > _KEPT_SECONDS:
                found = await self._document(f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration")
                if found.get("issuer") != self.settings.issuer:
                    raise OidcUnavailable("the provider's metadata names another issuer than SIMPUL_OIDC_ISSUER")
                for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                    address = found.get(name)
                    if not isinstance(address, str) or not _safe(address) or _is_own(address, self.settings):
                        raise OidcUnavailable(
                            f"the provider's metadata has no {name} of its own that is reached over HTTPS"
                        )
                self._metadata = (time.monotonic(), found)
            return self._metadata[1]

    async def _key_set(self, *, anew: bool = False) -> KeySet:
        found = await self._discovered()
        async with self._asking:
            age = float("inf") if self._keys is None else time.monotonic() - self._keys[0]
            if self._keys is None or age > _KEPT_SECONDS or (anew and age > _AGAIN_SECONDS):
                self._keys = (time.monotonic(), _readable(await self._document(found["jwks_uri"])))
            return self._keys[1]

    async def _document(self, address: str) -> dict[str, Any]:
        try:
            async with httpx.AsyncClient(**self._transport()) as client:
                answer = await client.get(address, headers={"accept": "application/json"})
                answer.raise_for_status()
                found = answer.json()
        except (httpx.HTTPError, ValueError) as fault:
            raise OidcUnavailable(f"the provider did not answer as it should ({type(fault).__name__})") from None
        if not isinstance(found, dict):
            raise OidcUnavailable("the provider did not answer with a JSON object")
        return found

    def _client(self) -> AsyncOAuth2Client:
        from authlib.deprecate import AuthlibDeprecationWarning  # noqa: PLC0415 - as above

        with warnings.catch_warnings():  # Authlib prefers httpx2, and takes httpx
            warnings.simplefilter("ignore", AuthlibDeprecationWarning)
            from authlib.integrations.httpx_client import AsyncOAuth2Client  # noqa: PLC0415 - as above

        own = self.settings
        return AsyncOAuth2Client(
            client_id=own.client_id,
            client_secret=own.client_secret,
            redirect_uri=own.redirect_uri,
            scope="openid email",
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic",  # noqa: S106 - a method's name
            **self._transport(),
        )

    def _transport(self) -> dict[str, Any]:
        inner = httpx.AsyncHTTPTransport(verify=verified(self.settings.ca_file), trust_env=False)
        return {"transport": _Bounded(inner), "timeout": _SECONDS, "trust_env": False, "follow_redirects": False}


class _Bounded(httpx.AsyncBaseTransport):
    """Answers of the provider have a bound, and no coding that could blow them up."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As the transport within, with a counted body."""
        request.headers["accept-encoding"] = "identity"
        answer = await self._inner.handle_async_request(request)
        if "content-encoding" in answer.headers or not isinstance(answer.stream, httpx.AsyncByteStream):
            await answer.aclose()
            raise httpx.DecodingError("the provider's answer is coded")
        answer.stream = _Counted(answer.stream)
        return answer

    async def aclose(self) -> None:
        """Closes the transport within."""
        await self._inner.aclose()


class _Counted(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._inner:
            size += len(piece)
            if size > _ANSWER_BYTES:
                raise httpx.ReadError(f"more than {_ANSWER_BYTES} bytes")
            yield piece

    async def aclose(self) -> None:
        await self._inner.aclose()


def _decode(text: str, keys: KeySet) -> jwt.Token:
    with warnings.catch_warnings():  # the name EdDSA is deprecated (RFC 9864); providers go on using it
        warnings.simplefilter("ignore", SecurityWarning)
        return jwt.decode(text, keys, algorithms=ALGORITHMS)


def _readable(document: Mapping[str, Any]) -> KeySet:
    """The keys that can be read; others are passed over (RFC 7517, section 5). Raises `OidcUnavailable` where there is none.

    An Ed25519 key may say `EdDSA` or `Ed25519` (RFC 9864), and its tokens the other one: what it says is not held against them.
    """
    given, keys = document.get("keys"), []
    for one in given if isinstance(given, list) else ():
        try:
            kept = {name: value for name, value in one.items() if name != "alg" or one.get("kty") != "OKP"}
            keys.append(JWKRegistry.import_key(kept))
        except (JoseError, AttributeError, KeyError, TypeError, ValueError):
            continue
    if not keys:
        raise OidcUnavailable("none of the provider's keys can be read")
    return KeySet(keys)


def _is_own(address: str, settings: ProviderSettings) -> bool:
    """Whether an address is the gateway's port on this machine. The public address may be one for both, behind one proxy."""
    parts = urlsplit(address)
    try:
        here = parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname or "").is_loopback
        return here and parts.port == settings.port
    except ValueError:
        return False


def _safe(address: str) -> bool:
    """Whether an address is reached over HTTPS, or on the machine itself."""
    parts = urlsplit(address)
    if parts.scheme == "https":
        return bool(parts.hostname)
    try:
        return parts.scheme == "http" and ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.scheme == "http" and parts.hostname == "localhost"
