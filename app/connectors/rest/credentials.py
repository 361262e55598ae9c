"""How a request proves itself to a service: basic, bearer, API key, OAuth 2.0 client credentials; secrets are resolved when sent."""

from __future__ import annotations

import time

from app.connectors.environment import SecretReader
from app.connectors.http import HttpAnswer, HttpSource, document_of, merged
from app.connectors.rest.questions import Request
from app.connectors.rest.source import RestAuth
from app.errors import SourceAuthFailed

_RESERVE_SECONDS = 30
_LEAST_SECONDS = 5
_UNSTATED_SECONDS = 60
_MOST_DIGITS = 8


class Credentials:
    """The credentials of one opened source, with the token that is kept."""

    def __init__(self, auth: RestAuth, secrets: SecretReader, http: HttpSource) -> None:
        self._auth = auth
        self._resolve = secrets.resolve
        self._http = http
        self._token: tuple[str, float] | None = None

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
        elif auth.kind == "oauth2":
            kept = self._token
            headers["authorization"] = f"Bearer {await self._access_token(deadline)}"
            if self._token is kept:
                try:
                    return await self._sent(request, url, headers, deadline)
                except SourceAuthFailed:  # a kept token that is no longer believed is fetched anew, once
                    self._token = None
                    headers["authorization"] = f"Bearer {await self._access_token(deadline)}"
        return await self._sent(request, url, headers, deadline, basic)

    async def _sent(
        self,
        request: Request,
        url: str,
        headers: dict[str, str],
        deadline: float | None,
        basic: tuple[str, str] | None = None,
    ) -> HttpAnswer:
        return await self._http.send(
            request.method, url, deadline=deadline, headers=headers, auth=basic, data=request.body
        )

    async def _access_token(self, deadline: float | None) -> str:
        """A token of the source's own authorization server, kept until shortly before it ends."""
        if self._token is not None and time.monotonic() < self._token[1]:
            return self._token[0]
        auth, resolve = self._auth, self._resolve
        form = {"grant_type": "client_credentials", **({"scope": auth.scope} if auth.scope else {})}
        credentials = (resolve(auth.client_id), resolve(auth.client_secret))
        answer = await document_of(
            await self._http.send("POST", auth.token_url, deadline=deadline, data=form, auth=credentials)
        )
        if not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str):
            raise SourceAuthFailed("the token endpoint gave no access_token", field="/source/auth")
        lifetime = str(answer.get("expires_in"))
        stated = lifetime.isascii() and lifetime.isdigit() and len(lifetime) <= _MOST_DIGITS
        seconds = int(lifetime) if stated else _UNSTATED_SECONDS
        self._token = (answer["access_token"], time.monotonic() + max(seconds - _RESERVE_SECONDS, _LEAST_SECONDS))
        return self._token[0]
