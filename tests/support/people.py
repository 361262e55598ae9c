"""People at a running gateway: each with a browser of its own that keeps cookies, an authenticator, and a page's manners."""

from __future__ import annotations

import sqlite3
import time
from typing import Any, ClassVar

import httpx
import pyotp

from tests.support import documented
from tests.support.gateway import RunningGateway

PASSWORD = "empat kata yang mudah diingat"
STEP = 30
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}


class Browser(httpx.Client):
    """Keeps cookies, says where changes come from, and sends the CSRF token once it has a session."""

    csrf = ""
    opened: ClassVar[list[Browser]] = []

    def __init__(self, url: str) -> None:
        Browser.opened.append(self)
        super().__init__(base_url=url, timeout=60.0, trust_env=False, verify=False)
        self.origin = url

    def request(self, method: str, url: Any, **more: Any) -> httpx.Response:
        """As a page of the gateway sends it; what is given wins."""
        headers = {"origin": self.origin, "sec-fetch-site": "same-origin"} if method in UNSAFE else {}
        if self.csrf and method in UNSAFE:
            headers["simpul-csrf-token"] = self.csrf
        given = more.pop("headers", None) or {}
        sent = {name: value for name, value in {**headers, **given}.items() if value is not None}
        answer = super().request(method, url, headers=sent, **more)
        documented.check(answer.request.method, answer.request.url.raw_path.decode(), answer.status_code)
        if answer.status_code == httpx.codes.PRECONDITION_REQUIRED:
            return super().request(method, url, headers={**sent, "If-Match": "*"}, **more)
        return answer


def close_browsers() -> None:
    """Closes every browser that a test has opened."""
    while Browser.opened:
        Browser.opened.pop().close()


class PersonAt:
    """A person with an open account."""

    def __init__(self, gateway: RunningGateway, role: str, agency: str, login: str, **more: Any) -> None:
        self.gateway, self.role, self.agency, self.login = gateway, role, agency, login
        self.password = PASSWORD
        answer = gateway.admin.post("/v1/people", json=self.body(role, agency, login) | more)
        assert answer.status_code == httpx.codes.CREATED, answer.text
        self.made: dict[str, Any] = answer.json()
        self.id: str = self.made["id"]
        self.secret, self.recovery_codes = "", list[str]()
        self._used = 0

    @staticmethod
    def body(role: str, agency: str, login: str) -> dict[str, Any]:
        """What registers a person."""
        return {"agency": agency, "role": role, "name": f"Nama {login}", "login": login}

    def open(self, code: str | None = None) -> PersonAt:
        """Opens the account with its code."""
        with Browser(self.gateway.url) as page:
            given = {"login": self.login, "code": code or self.made["code"]}
            found = page.post("/sign-in/account", json=given)
            assert found.status_code == httpx.codes.OK, found.text
            self.secret, self._used = found.json()["secret"], 0
            body = {**given, "password": self.password, "totp": self.code()}
            opened = page.post("/sign-in/account/open", json=body)
            assert opened.status_code == httpx.codes.CREATED, opened.text
            self.recovery_codes = opened.json()["recovery_codes"]
        return self

    def code(self) -> str:
        """The next code that was not used yet; the step before the present one counts too, and so does the one after it."""
        while True:
            present = int(time.time()) // STEP
            step = max(self._used + 1, present - 1)
            if step <= present + 1:
                self._used = step
                return pyotp.TOTP(self.secret).generate_otp(step)
            time.sleep(0.2)

    def forget_used(self) -> None:
        """Lets the steps that were used count again, as if minutes had passed."""
        with sqlite3.connect(self.gateway.folder / "simpul.db", timeout=20) as store:
            store.execute("UPDATE person SET totp_counter = 0 WHERE id = ?", (self.id,))
        self._used = 0

    def proof(self) -> dict[str, str]:
        """What signs in now."""
        return {"login": self.login, "password": self.password, "totp": self.code()}

    def sign_in(self, page: Browser | None = None, *, aged: bool = True, **more: Any) -> Browser:
        """A browser with a session; `aged`: minutes after the last code was used (on the embedded store)."""
        if aged:
            self.forget_used()
        page = page or Browser(self.gateway.url)
        answer = page.post("/sign-in", json=self.proof() | more)
        assert answer.status_code == httpx.codes.OK, answer.text
        page.csrf = answer.json()["csrf_token"]
        return page

    def step_up(self, page: Browser, *, aged: bool = True) -> httpx.Response:
        """Shows the second factor again."""
        if aged:
            self.forget_used()
        answer = page.post("/v1/session/step-up", json={"totp": self.code()})
        if answer.is_success:
            page.csrf = answer.json()["csrf_token"]
        return answer


def age(gateway: RunningGateway, what: str, seconds: float) -> None:
    """Moves a moment of every session into the past, as if so many seconds had gone by."""
    assert what in {"idle_until", "expires_at", "fresh_until", "locked_until"}
    table = "person" if what == "locked_until" else "person_session"
    with sqlite3.connect(gateway.folder / "simpul.db", timeout=20) as store:
        store.execute(f"UPDATE {table} SET {what} = strftime('%Y-%m-%d %H:%M:%f', {what}, ?)", (f"-{seconds} seconds",))
