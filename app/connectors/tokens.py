"""Tokens by OAuth 2.0 client credentials (RFC 6749, section 4.4), kept until shortly before they end."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.connectors.environment import SecretReader
from app.connectors.http import HttpAnswer, HttpSource, document_of
from app.errors import SourceAuthFailed

_RESERVE_SECONDS = 30
_LEAST_SECONDS = 5
_UNSTATED_SECONDS = 60
_MOST_DIGITS = 8
Sends = Callable[[str], Awaitable[HttpAnswer]]


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """Where a token is asked for, and by whom. Client and secret may be references."""

    url: str
    client_id: str
    client_secret: str
    scope: str = ""
    field: str = "/source/auth"
    """The part of the manifest that an error names."""


class Tokens:
    """The token of one opened source."""

    def __init__(self, endpoint: TokenEndpoint, secrets: SecretReader, http: HttpSource) -> None:
        self._endpoint = endpoint
        self._resolve = secrets.resolve
        self._http = http
        self._token: tuple[str, float] | None = None

    async def with_token(self, send: Sends, deadline: float | None) -> HttpAnswer:
        """The answer to what is sent with a token; a kept one that is no longer believed is fetched anew, once."""
        kept = self._token
        token = await self._access_token(deadline)
        if self._token is not kept:
            return await send(token)
        try:
            return await send(token)
        except SourceAuthFailed:
            self._token = None
            return await send(await self._access_token(deadline))

    async def _access_token(self, deadline: float | None) -> str:
        if self._token is not None and time.monotonic() < self._token[1]:
            return self._token[0]
        endpoint, resolve = self._endpoint, self._resolve
        form = {"grant_type": "client_credentials", **({"scope": endpoint.scope} if endpoint.scope else {})}
        credentials = (resolve(endpoint.client_id), resolve(endpoint.client_secret))
        answer = await document_of(
            await self._http.send("POST", endpoint.url, deadline=deadline, data=form, auth=credentials)
        )
        if not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str):
            raise SourceAuthFailed("the token endpoint gave no access_token", field=endpoint.field)
        lifetime = str(answer.get("expires_in"))
        stated = lifetime.isascii() and lifetime.isdigit() and len(lifetime) <= _MOST_DIGITS
        seconds = int(lifetime) if stated else _UNSTATED_SECONDS
        self._token = (answer["access_token"], time.monotonic() + max(seconds - _RESERVE_SECONDS, _LEAST_SECONDS))
        return self._token[0]
