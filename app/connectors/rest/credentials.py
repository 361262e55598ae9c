"""How a request proves itself to a service: basic, bearer, API key, OAuth 2.0 client credentials; secrets are resolved when sent."""

from __future__ import annotations

from app.connectors.environment import SecretReader
from app.connectors.http import HttpAnswer, HttpSource, merged
from app.connectors.rest.questions import Request
from app.connectors.rest.source import RestAuth
from app.connectors.tokens import TokenEndpoint, Tokens


class Credentials:
    """The credentials of one opened source, with the token that is kept."""

    def __init__(self, auth: RestAuth, secrets: SecretReader, http: HttpSource) -> None:
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
