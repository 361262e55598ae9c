"""A real gateway in a process of its own, on a folder of its own, spoken to over HTTP."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx

from app.access.clients import ClientDraft
from app.cli.instance import create_instance
from app.cli.local import WALIDATA, create_client
from app.settings import load_settings
from tests.support import documented, programs
from tests.support.ports import free_port

READY_SECONDS = 90
TOKEN_SECONDS = 600


class Session(httpx.Client):
    """A client that changes whatever state it finds: it repeats a change that lacks `If-Match` with the ETag of the refusal.

    Every status that it gets must be one that the document lists for the operation.
    """

    def request(self, method: str, url: Any, **more: Any) -> httpx.Response:
        """As `httpx.Client` does it."""
        answer = super().request(method, url, **more)
        documented.check(answer.request.method, answer.request.url.raw_path.decode(), answer.status_code)
        if answer.status_code != httpx.codes.PRECONDITION_REQUIRED:
            return answer
        held = {**(more.pop("headers", None) or {}), "If-Match": "*"}
        return super().request(method, url, headers=held, **more)


class RunningGateway:
    """One gateway. `admin` speaks as the walidata; `client(role, agency)` makes further credentials."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # All callers of a test come from one address, wrong ones too; sources are asked by tests alone.
        usual = {"SIMPUL_REFUSALS_PER_MINUTE": "100000", "SIMPUL_HEALTH_SECONDS": "0"}
        self.environment = {**usual, **os.environ, **(environment or {})}
        self._process: programs.Process | None = None
        self._credential = ("", "")
        self._made = 0
        self._stewards: dict[str, httpx.Client] = {}
        self._sessions: list[httpx.Client] = []
        self._admin: tuple[httpx.Client, float] | None = None

    def init(self) -> None:
        """Makes the instance, and a client of the walidata for automation."""
        settings = load_settings(dir=self.folder, base_url=self.url)
        create_instance(settings)
        self._credential = create_client(settings, ClientDraft(WALIDATA, "admin", "Test admin"))

    def start(self) -> None:
        """Starts the process and waits until a real query works."""
        command = [*programs.SIMPUL, "serve", "--dir", str(self.folder), "--port", str(self.port)]
        with (self.folder / "serve.log").open("ab") as log:
            self._process = programs.start(command, stdout=log, stderr=log, env=self.environment)
        ends = time.monotonic() + READY_SECONDS
        with self._client() as asking:
            while time.monotonic() < ends:
                try:
                    answer = asking.get("/health/ready")
                    if answer.status_code == httpx.codes.OK and self._process.poll() is None:
                        return
                except httpx.HTTPError:
                    pass
                if self._process.poll() is not None:
                    break
                time.sleep(0.02)
        self._process.kill()
        self._process.wait()
        self._process = None
        raise AssertionError(
            f"not ready within {READY_SECONDS} s: " + (self.folder / "serve.log").read_text("utf-8")[-4000:]
        )

    def stop(self) -> int:
        """Stops the process as an operator does."""
        return self._end(signal.SIGTERM)

    def stop_process(self) -> int:
        """Stops the process and leaves the sessions open: an answer may be under way."""
        return self._wait(signal.SIGTERM)

    def kill(self) -> int:
        """Kills the process as a power cut does."""
        return self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> int:
        for session in self._sessions:
            session.close()
        self._sessions, self._admin = [], None
        return self._wait(how)

    def _wait(self, how: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(how)
        code = self._process.wait(timeout=40)
        self._process = None
        return code

    @property
    def admin(self) -> httpx.Client:
        """A client with the walidata's token, which is renewed before it ends."""
        if self._admin is None or time.monotonic() - self._admin[1] > TOKEN_SECONDS:
            self._admin = (self.session(*self._credential), time.monotonic())
        return self._admin[0]

    def sign_in_again(self) -> None:
        """The walidata's token is one of a key that is gone."""
        self._admin = None

    @property
    def pid(self) -> int:
        """The running process."""
        assert self._process is not None
        return self._process.pid

    @property
    def credential(self) -> tuple[str, str]:
        """Client and secret of the walidata."""
        return self._credential

    def session(self, client_id: str, secret: str) -> httpx.Client:
        """A client with a token of this credential."""
        session = self._client()
        self._sessions.append(session)
        answer = session.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=(client_id, secret))
        assert answer.status_code == httpx.codes.OK, answer.text
        session.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        return session

    def _client(self) -> httpx.Client:
        # The gateway speaks plain HTTP here; the list of authorities alone would cost each session 50 ms.
        # Answers come uncoded: most tests look at digests and lengths (`test_representations.py` asks for codings).
        plain = {"accept-encoding": "identity"}
        return Session(base_url=self.url, timeout=60.0, trust_env=False, verify=False, headers=plain)

    def client(self, role: str, agency: str) -> httpx.Client:
        """A fresh credential of a role and agency."""
        self._made += 1
        body = {"agency": agency, "role": role, "name": f"Test {role}", "id": f"t-{role}-{self._made}"}
        made = self.admin.post("/v1/clients", json=body)
        assert made.status_code == httpx.codes.CREATED, made.text
        return self.session(made.json()["client_id"], made.json()["client_secret"])

    def agree(self, terms: dict[str, Any], *, steps: int = 3) -> None:
        """An agreement by three hands: proposed by the consumer's steward, signed by the provider's, then by the walidata."""
        consumer, provider = terms["consumer"], terms["provider"]
        second = self.client("steward", provider) if provider == consumer else self.steward(provider)
        hands = (self.steward(consumer), second, self.admin)
        for step, hand in enumerate(hands[:steps]):
            answer = (
                hand.post("/v1/agreements", json=terms)
                if step == 0
                else hand.post(f"/v1/agreements/{terms['id']}/approve")
            )
            assert answer.status_code in {httpx.codes.CREATED, httpx.codes.OK}, answer.text

    def steward(self, agency: str) -> httpx.Client:
        """The steward of an agency, one for all who ask."""
        if agency not in self._stewards:
            body = {"agency": agency, "role": "steward", "name": "Test signatory", "id": f"t-signs-{agency}"}
            made = self.admin.post("/v1/clients", json=body).raise_for_status().json()
            self._stewards[agency] = self.session(made["client_id"], made["client_secret"])
        return self._stewards[agency]

    def agency(self, name: str, **more: Any) -> None:
        """Registers an agency whose sources may stand on the loopback."""
        body = {"id": name, "name": f"OPD {name}", "network_allow": ["127.0.0.0/8"], **more}
        answer = self.admin.post("/v1/agencies", json=body)
        assert answer.status_code in {httpx.codes.CREATED, httpx.codes.CONFLICT}, answer.text

    def upload(self, agency: str, file: Path, name: str | None = None) -> None:
        """Puts a file into the agency's inbox."""
        answer = self.admin.put(f"/v1/agencies/{agency}/files/{name or file.name}", content=file.read_bytes())
        assert answer.status_code in {httpx.codes.CREATED, httpx.codes.OK}, answer.text

    def publish(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Registers, checks and publishes a connector; returns the check report."""
        admin, name = self.admin, manifest["connector"]
        answer = admin.put(f"/v1/connectors/{name}", json=manifest)
        assert answer.status_code in {httpx.codes.CREATED, httpx.codes.OK}, answer.text
        report: dict[str, Any] = admin.post(f"/v1/connectors/{name}/check").json()
        assert report.get("passed"), report
        published = admin.post(f"/v1/connectors/{name}/publish")
        assert published.status_code == httpx.codes.OK, published.text
        return report
