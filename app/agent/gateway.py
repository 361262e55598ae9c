"""The gateway as the agent sees it: one connection, a token, answers that are understood or told as a fault."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import random
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from app.agent.config import Gateway
from app.agent.faults import AgentFault, Retry, Step, Stopping

TIMEOUT_SECONDS = 60.0
_ANSWER_BYTES = 4 << 20
_RENEW_SECONDS = 60
_SHOWN = 300
_AGENT = "simpul-agent/1"
_ADVICE: Mapping[int, tuple[Retry, str]] = {
    400: ("next_time", "see what the gateway says; the same bytes would be refused again"),
    401: ("rarely", "check gateway.client_id and the secret, and ask the walidata whether the client is still enabled"),
    403: ("rarely", "ask the walidata: the client needs the role steward, and gateway.agency must be its own agency"),
    404: ("rarely", "check gateway.url and gateway.agency"),
    405: ("rarely", "check gateway.url: what answers there takes no uploads"),
    407: ("rarely", "the proxy asks for a password, which is not supported: let this machine pass without one"),
    413: ("next_time", "the file is larger than the gateway takes: split it, or ask the operator for more"),
    415: ("next_time", "what answers at gateway.url is no gateway of this version: update it, or the agent"),
    422: ("next_time", "mend the file as the gateway says; the same bytes would be refused again"),
    429: ("soon", "wait: the agent tries again by itself"),
    507: ("soon", "the gateway has no room: the operator has to make some; the agent tries again by itself"),
}


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whole. Names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether it is a success."""
        return 200 <= self.status < 300

    def document(self) -> dict[str, Any]:
        """Its JSON object; an empty one where there is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


class Connection:
    """One connection to the gateway, opened when it is needed. Certificates are always checked; no proxy of the environment counts."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.stopping = False
        self._http: http.client.HTTPConnection | None = None
        self._token = ""
        self._token_ends = 0.0

    def stop(self) -> None:
        """Ends what is under way as soon as possible; may be called from a signal handler."""
        self.stopping = True
        opened = self._http.sock if self._http is not None else None
        if opened is not None:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Closes the connection; the next request opens one."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def path(self, *parts: str) -> str:
        """A path below the agency: each part quoted, slashes kept."""
        named = "/".join(quote(part, safe="/") for part in ("v1/agencies", self.gateway.agency, *parts))
        return f"{self.gateway.url.path.rstrip('/')}/{named}"

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: Callable[[], Iterable[bytes]] | None = None,
    ) -> Reply:
        """An answer to a request with a token. A 401 gets a new token once; raises `AgentFault` where nothing was answered.

        `body`: makes the body; called again where it has to be sent again.
        """
        reply = self._asked(method, path, headers or {}, body, self.token())
        if reply.status == 401:
            reply = self._asked(method, path, headers or {}, body, self.token(fresh=True))
        return reply

    def _asked(
        self, method: str, path: str, headers: Mapping[str, str], body: Callable[[], Iterable[bytes]] | None, token: str
    ) -> Reply:
        given = None if body is None else body()
        return self._send(method, path, {"Authorization": f"Bearer {token}", **headers}, given)

    def reach(self, path: str) -> Reply:
        """An answer to a request without a token."""
        return self._send("GET", path, {}, None)

    def token(self, *, fresh: bool = False) -> str:
        """A token that is good for a while."""
        if fresh or time.monotonic() > self._token_ends:
            self._token_ends = 0.0
            secret = self.gateway.secret.read()
            basic = base64.b64encode(
                f"{quote(self.gateway.client_id, safe='')}:{quote(secret, safe='')}".encode()
            ).decode()
            headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
            form = urlencode({"grant_type": "client_credentials"}).encode()
            reply = self._send("POST", f"{self.gateway.url.path.rstrip('/')}/oauth/token", headers, form)
            found = reply.document()
            token, seconds = found.get("access_token"), found.get("expires_in")
            if not reply.ok or not isinstance(token, str) or not isinstance(seconds, int):
                raise self.fault(reply, "token")
            self._token, self._token_ends = token, time.monotonic() + max(seconds - _RENEW_SECONDS, 5)
        return self._token

    def fault(self, reply: Reply, step: Step) -> AgentFault:
        """What an answer that is no success means."""
        problem = reply.document()
        code = problem.get("code") or problem.get("error")
        if reply.status in {401, 403}:
            step = "permission" if reply.status == 403 else "token"
        if 300 <= reply.status < 400:
            return AgentFault(
                step, "redirected", f"the gateway leads elsewhere (HTTP {reply.status}), which is not followed",
                "write the address itself into gateway.url", retry="rarely",
            )  # fmt: skip
        if not isinstance(code, str):
            code, problem = "not_understood", {}
        retry, advice = _ADVICE.get(reply.status, ("soon", "wait: the agent tries again by itself"))
        if not problem and reply.ok:
            retry, advice = (
                "rarely",
                "check gateway.url: what answers there is no gateway (a sign-in page of the network, for example)",
            )
        said = str(problem.get("detail") or problem.get("error_description") or "")[:_SHOWN]
        told = [
            f"{fault.get('pointer')}: {fault.get('detail')}"
            for fault in problem.get("errors", [])
            if isinstance(fault, dict)
        ]
        detail = "; ".join([f"HTTP {reply.status}", *([said] if said else []), *told[:3]])
        return AgentFault(
            step, code, detail, advice, retry=retry, after_seconds=_after(reply.headers.get("retry-after"))
        )

    def _send(self, method: str, path: str, headers: Mapping[str, str], body: Any) -> Reply:
        if self.stopping:
            raise Stopping
        try:
            connection = self._opened()
            try:
                connection.request(method, path, body, {"User-Agent": _AGENT, "Accept": "application/json", **headers})
            except (BrokenPipeError, ConnectionResetError):
                if self.stopping:
                    raise
            # A gateway that refuses may answer, and close, before the body is sent: its answer says why.
            answered = connection.getresponse()
            content = answered.read(_ANSWER_BYTES + 1)
            if len(content) > _ANSWER_BYTES:
                raise http.client.HTTPException("the answer does not end")
            found = Reply(answered.status, {name.lower(): value for name, value in answered.getheaders()}, content)
            if answered.will_close:
                self.close()
            return found
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if self.stopping:
                raise Stopping from None
            raise self._lost(error) from None
        except BaseException:
            self.close()
            raise

    def _opened(self) -> http.client.HTTPConnection:
        if self._http is not None and self._http.sock is not None and _idle_but_open(self._http.sock):
            return self._http
        self.close()
        url, proxy = self.gateway.url, self.gateway.proxy
        host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        to = (proxy.hostname or "", proxy.port or 8080) if proxy is not None else (host, port)
        if url.scheme == "https":
            context = ssl.create_default_context(cafile=str(self.gateway.ca_file) if self.gateway.ca_file else None)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            made: http.client.HTTPConnection = http.client.HTTPSConnection(
                *to, timeout=TIMEOUT_SECONDS, context=context
            )
        else:
            made = http.client.HTTPConnection(*to, timeout=TIMEOUT_SECONDS)
        if proxy is not None:
            made.set_tunnel(host, port)
        self._http = made
        made.connect()
        return made

    def _lost(self, error: Exception) -> AgentFault:
        named = f"{self.gateway.url.hostname}:{self.gateway.url.port or self.gateway.url.scheme}"
        if isinstance(error, ssl.SSLError):
            why = getattr(error, "verify_message", "") or error.reason or "TLS failed"
            return AgentFault(
                "tls", "tls_refused", f"the certificate of {named} is not trusted: {why}",
                "give the authority of the gateway as gateway.ca_file, or check the clock and the name in gateway.url",
                retry="rarely",
            )  # fmt: skip
        if isinstance(error, FileNotFoundError):
            return AgentFault(
                "tls", "ca_missing", f"{self.gateway.ca_file} does not exist", "check gateway.ca_file", retry="rarely"
            )
        if isinstance(error, socket.gaierror):
            return AgentFault("connect", "name_unknown", f"no address for {named}", "check gateway.url and the network")
        if isinstance(error, TimeoutError):
            return AgentFault(
                "connect", "timeout", f"{named} did not answer in {TIMEOUT_SECONDS:g} s", "check network and proxy"
            )
        if isinstance(error, OSError):
            why = str(error)[:_SHOWN]
            return AgentFault("connect", "unreachable", f"no connection to {named} ({why})", "check network and proxy")
        return AgentFault(
            "connect", "not_http", f"what {named} answers is no HTTP ({type(error).__name__})",
            "check the port in gateway.url, and what stands between",
        )  # fmt: skip


def pause_seconds(failures: int, fault: AgentFault, random_share: float | None = None) -> float:
    """How long to wait after so many failures in a row: doubled each time, up to an hour (six where a person has to act), and a
    random share of it, so that many agents do not come at once. Never less than the gateway asked for.
    """
    first, most = (900.0, 21_600.0) if fault.retry == "rarely" else (15.0, 3600.0)
    whole = min(first * 2.0 ** min(failures - 1, 20), most)
    share = random.random() if random_share is None else random_share  # noqa: S311 - spreads load, keeps no secret
    return max(whole * (0.5 + share / 2), fault.after_seconds)


def _after(text: str | None) -> float:
    """Seconds of `Retry-After`; of one that is no number, none."""
    return float(min(int(text), 86_400)) if text is not None and text.isascii() and text.isdigit() else 0.0


def _idle_but_open(opened: socket.socket) -> bool:
    """Whether a kept connection is still there: one that the gateway closed can be read."""
    try:
        return not select.select([opened], [], [], 0)[0]
    except (OSError, ValueError):
        return False
