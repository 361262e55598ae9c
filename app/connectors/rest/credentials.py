"""How a request proves itself to a service."""

from __future__ import annotations

from app.connectors.environment import SecretReader
from app.connectors.http import HttpAnswer, HttpSource
from app.connectors.http_auth import HttpAuth
from app.connectors.http_credentials import HttpCredentials
from app.connectors.rest.questions import Request


class Credentials:
    """The credentials of one opened source."""

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
