"""How a request proves itself over HTTP: basic, bearer, API key, OAuth 2.0 client credentials; secrets are resolved when sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from app.connectors.credentials import is_reference
from app.connectors.environment import SecretReader
from app.connectors.http import HttpAnswer, HttpSource, merged
from app.connectors.network import HttpAddress
from app.connectors.tokens import TokenEndpoint, Tokens
from app.errors import NetworkForbidden

_NEEDED: Mapping[str, frozenset[str]] = {
    "none": frozenset(),
    "basic": frozenset({"user"}),
    "bearer": frozenset({"token"}),
    "api_key": frozenset({"name", "value"}),
    "oauth2": frozenset({"token_url", "client_id", "client_secret"}),
}
_ALLOWED: Mapping[str, frozenset[str]] = {
    "none": frozenset(),
    "basic": frozenset({"password"}),
    "bearer": frozenset(),
    "api_key": frozenset({"place"}),
    "oauth2": frozenset({"scope"}),
}


def http_address(url: str) -> str:
    """The address as it is given. Raises `ValueError` where it is none of http or https that can be dialled."""
    try:
        HttpAddress.of(url)
    except NetworkForbidden as error:
        raise ValueError(error.detail) from None
    return url


class HttpAuth(BaseModel):
    """How the gateway proves itself to a service. Values are references: `${secret:NAME}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["none", "basic", "bearer", "api_key", "oauth2"] = "none"
    user: str = Field(default="", validate_default=True)
    password: str = ""
    token: str = Field(default="", validate_default=True)
    name: str = "X-API-Key"
    place: Literal["header", "query"] = "header"
    value: str = Field(default="", validate_default=True)
    token_url: str = Field(default="", validate_default=True)
    client_id: str = Field(default="", validate_default=True)
    client_secret: str = Field(default="", validate_default=True)
    scope: str = ""

    @field_validator("password", "token", "value", "client_secret")
    @classmethod
    def _referred(cls, text: str) -> str:
        if text and not is_reference(text):
            raise ValueError("a secret never stands in a manifest: store it and write ${secret:NAME}")
        return text

    @field_validator("token_url")
    @classmethod
    def _address(cls, url: str) -> str:
        return http_address(url) if url else url

    @field_validator(
        "user", "password", "token", "name", "place", "value", "token_url", "client_id", "client_secret", "scope"
    )
    @classmethod
    def _of_its_kind(cls, given: str, info: ValidationInfo) -> str:
        """What the kind needs must stand, and what another kind needs would prove nothing."""
        name, kind = str(info.field_name), info.data.get("kind")
        if kind is None:
            return given
        if not given and name in _NEEDED[kind]:
            raise ValueError(f"kind {kind} needs {name}")
        if given != cls.model_fields[name].default and name not in _NEEDED[kind] | _ALLOWED[kind]:
            raise ValueError(f"kind {kind} takes no {name}: state the kind that it belongs to, or leave it out")
        return given


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent."""

    method: str
    url: str
    body: bytes | None = None


class Credentials:
    """The credentials of one opened source, with the token that is kept."""

    def __init__(self, auth: HttpAuth, secrets: SecretReader, http: HttpSource) -> None:
        self._auth = auth
        self._resolve = secrets.resolve
        self._http = http
        self._tokens = Tokens(
            TokenEndpoint(auth.token_url, auth.client_id, auth.client_secret, auth.scope), secrets, http
        )

    async def send(self, request: Request, headers: dict[str, str], deadline: float | None) -> HttpAnswer:
        """The answer to a request with the credentials in it. `headers` are the caller's to give away."""
        auth, resolve, url = self._auth, self._resolve, request.url
        basic: tuple[str, str] | None = None
        if request.body is not None:
            headers["content-type"] = "application/json"
        if auth.kind == "basic":
            basic = (resolve(auth.user), resolve(auth.password))
        elif auth.kind == "bearer":
            headers["authorization"] = f"Bearer {resolve(auth.token)}"
        elif auth.kind == "api_key" and auth.place == "header":
            headers[auth.name] = resolve(auth.value)
        elif auth.kind == "api_key":
            url = merged(url, {auth.name: resolve(auth.value)})

        async def sent(token: str) -> HttpAnswer:
            more = {"authorization": f"Bearer {token}"} if token else {}
            return await self._http.send(
                request.method, url, deadline=deadline, headers={**headers, **more}, auth=basic, data=request.body
            )

        return await (self._tokens.with_token(sent, deadline) if auth.kind == "oauth2" else sent(""))
