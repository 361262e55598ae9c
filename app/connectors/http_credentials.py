"""How a request over HTTP proves itself; secrets are resolved when it is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.connectors.environment import SecretReader
from app.connectors.http import HttpAnswer, HttpSource, merged
from app.connectors.http_auth import HttpAuth
from app.connectors.tokens import TokenEndpoint, Tokens

Sends = Callable[[str, dict[str, str], tuple[str, str] | None], Awaitable[HttpAnswer]]
"""Sends a request: address, headers, user and password."""


class HttpCredentials:
    """The credentials of one opened source, with the token that is kept."""

    def __init__(self, auth: HttpAuth, secrets: SecretReader, http: HttpSource) -> None:
        self._auth = auth
        self._resolve = secrets.resolve
        self._tokens = Tokens(
            TokenEndpoint(auth.token_url, auth.client_id, auth.client_secret, auth.scope), secrets, http
        )

    async def send(self, send: Sends, url: str, headers: dict[str, str], deadline: float | None) -> HttpAnswer:
        """The answer to what is sent with the credentials in it. `headers` are the caller's to give away."""
        auth, resolve = self._auth, self._resolve
        basic: tuple[str, str] | None = None
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
            return await send(url, {**headers, **more}, basic)

        return await (self._tokens.with_token(sent, deadline) if auth.kind == "oauth2" else sent(""))


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent."""

    method: str
    url: str
    body: bytes | None = None


class Credentials:
    """The credentials of one opened source, for requests that may have a body of JSON."""

    def __init__(self, auth: HttpAuth, secrets: SecretReader, http: HttpSource) -> None:
        self._http = http
        self._credentials = HttpCredentials(auth, secrets, http)

    async def send(self, request: Request, headers: dict[str, str], deadline: float | None) -> HttpAnswer:
        """The answer to a request with the credentials in it. `headers` are the caller's to give away."""
        if request.body is not None:
            headers["content-type"] = "application/json"

        async def sent(url: str, proven: dict[str, str], basic: tuple[str, str] | None) -> HttpAnswer:
            return await self._http.send(
                request.method, url, deadline=deadline, headers=proven, auth=basic, data=request.body
            )

        return await self._credentials.send(sent, request.url, headers, deadline)
