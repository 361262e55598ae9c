"""The connection of commands that go over HTTP to a running gateway: profile, token, requests, errors."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import httpx

from app.access.client_keys import ASSERTION_TYPE
from app.cli.key_files import assertion, private_key
from app.cli.output import fail
from app.tls import verified

PROFILE_FILE = Path.home() / ".config" / "simpul" / "profile.json"
_PRIVATE = 0o077
_REFUSED = 400


class Remote:
    """A running gateway and a token for it. Every refusal ends the command with the problem's own words."""

    def __init__(self, url: str, client_id: str = "", client_secret: str = "", client_key: str = "") -> None:
        """Without a client there is no token: public routes alone. `client_key`: file of the private key."""
        self.url = url.rstrip("/")
        # Environment proxies are ignored: credentials go to the gateway and nowhere else.
        ca_file = os.environ.get("SIMPUL_CA_FILE")
        tls = verified(Path(ca_file)) if ca_file else True
        self._http = httpx.Client(base_url=self.url, timeout=120.0, trust_env=False, verify=tls)
        if client_id:
            self._http.headers["authorization"] = f"Bearer {self._token(client_id, client_secret, client_key)}"

    def call(self, method: str, path: str, *, ok: tuple[int, ...] = (), **request: Any) -> httpx.Response:
        """The answer; statuses from 400 on end the command unless listed in `ok`."""
        try:
            answer = self._http.request(method, path, **request)
        except httpx.HTTPError as error:
            fail(f"{self.url} does not answer ({type(error).__name__}); is the gateway running?")
        if answer.status_code >= _REFUSED and answer.status_code not in ok:
            fail(refusal(answer))
        return answer

    def issuer(self) -> str:
        """The issuer of this gateway, which is the audience of assertions."""
        return str(self.call("GET", "/.well-known/oauth-authorization-server").json()["issuer"])

    def _token(self, client_id: str, client_secret: str, client_key: str) -> str:
        form = {"grant_type": "client_credentials"}
        if client_key:
            signed = assertion(private_key(Path(client_key)), client_id, self.issuer())
            form |= {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}
        try:
            if client_key:
                answer = self._http.post("/oauth/token", data=form)
            else:
                answer = self._http.post("/oauth/token", data=form, auth=(client_id, client_secret))
        except httpx.HTTPError as error:
            fail(f"{self.url} does not answer ({type(error).__name__}); is the gateway running?")
        if answer.status_code != httpx.codes.OK:
            fail(f"no token: {answer.text}")
        return str(answer.json()["access_token"])


def refusal(answer: httpx.Response) -> str:
    """A problem as lines for a person."""
    try:
        problem = answer.json()
    except json.JSONDecodeError:
        return f"HTTP {answer.status_code}"
    lines = [f"{problem.get('code', answer.status_code)}: {problem.get('detail', '')}"]
    lines += [
        f"  {fault['pointer'] or '/'}: {fault['detail']} ({fault['code']})" for fault in problem.get("errors", [])
    ]
    return "\n".join(lines)


def connect(url: str | None, profile: Path | None) -> Remote:
    """From `--url`, the environment or a profile file of mode 0600.

    `SIMPUL_URL`, `SIMPUL_CLIENT_ID`, and `SIMPUL_CLIENT_KEY` (file of a private key) or `SIMPUL_CLIENT_SECRET`.
    """
    found = {
        "url": url or os.environ.get("SIMPUL_URL"),
        "client_id": os.environ.get("SIMPUL_CLIENT_ID"),
        "client_secret": os.environ.get("SIMPUL_CLIENT_SECRET"),
        "client_key": os.environ.get("SIMPUL_CLIENT_KEY"),
    }
    file = profile or PROFILE_FILE
    if file.is_file():
        if os.name == "posix" and file.stat().st_mode & _PRIVATE:
            fail(f"{file} can be read by others; run: chmod 600 {file}")
        stored = json.loads(file.read_text("utf-8"))
        found = {name: value or stored.get(name) for name, value in found.items()}
    unneeded = "client_secret" if found["client_key"] else "client_key"
    missing = [name for name, value in found.items() if not value and name != unneeded]
    if missing:
        fail(
            f"{', '.join(missing)} not given: set SIMPUL_URL, "
            f"SIMPUL_CLIENT_ID and SIMPUL_CLIENT_KEY (or SIMPUL_CLIENT_SECRET), or write {file} (mode 0600)"
        )
    secret, key = found["client_secret"] or "", found["client_key"] or ""
    return Remote(str(found["url"]), str(found["client_id"]), secret, key)
