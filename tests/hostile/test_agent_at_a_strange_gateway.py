"""What answers is no gateway, or a broken one: the agent says at which step and what to do, and never that anything was sent."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.integration.connectors.test_database_tls import certificate
from tests.support.agent import Office, told

SMALL = b"kode,nama\nP1,Puskesmas Satu\n"
LARGE = b"kode\n" + b"x" * 300_000
TOKEN = (200, {}, {"access_token": "t", "expires_in": 900})
UPLOAD = "/v1/agencies/dinkes/uploads/4f1d2c3b5a69788796a5b4c3d2e1f001"
Answer = tuple[int, dict[str, str], Any]


def stored(content: bytes, **more: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "new_version": True,
        **more,
    }


def problem(code: str, detail: str = "so it is") -> dict[str, Any]:
    return {"type": "about:blank", "code": code, "detail": detail}


class Strange:
    """A server that answers each method as it is told: status, headers, and a document or bytes."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Answer | list[Answer]] = {"POST /oauth/token": TOKEN}
        self.asked: list[str] = []
        strange = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                strange.asked.append(f"{self.command} {self.path}")
                found = strange.answers.get(
                    f"{self.command} {self.path}", strange.answers.get(self.command, (404, {}, {}))
                )
                status, headers, document = (
                    (found.pop(0) if len(found) > 1 else found[0]) if isinstance(found, list) else found
                )
                body = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(status)
                for name, value in {"content-length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - names of the library

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def strange() -> Iterator[Strange]:
    made = Strange()
    yield made
    made.close()


def office_at(folder: Path, url: str, content: bytes = SMALL) -> Office:
    office = Office(folder / "kantor", url, {"client_id": "dinkes-agen", "client_secret": "rahasia"})
    office.agent["piece"] = "64KiB"
    (office.folder / "a.csv").write_bytes(content)
    office.write({"name": "a", "file": "a.csv", "to": "a.csv", "every": "15m", "settle": "0s"})
    return office


def failing(office: Office) -> dict[str, Any]:
    """The failure of a push; nothing else may be said of it."""
    done = office.run("once")
    lines = told(done.stderr)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert {line["event"] for line in lines} <= {
        "failed",
        "trying_again",
        "upload_resumed",
        "upload_lost",
        "file_changed",
        "give_up_failed",
    }
    shown = office.status()["a"]
    assert shown["last"] is None
    assert shown["error"]["advice"]
    return lines[-1]


PAGE = b"<html><form>Masuk ke jaringan</form></html>"


@pytest.mark.parametrize(
    ("answers", "step", "code"),
    [
        ({"POST /oauth/token": (200, {}, PAGE)}, "token", "not_understood"),
        ({"POST /oauth/token": (200, {}, {"access_token": 1, "expires_in": 900})}, "token", "not_understood"),
        ({"POST /oauth/token": (302, {"location": "https://lain.example/"}, {})}, "token", "redirected"),
        ({"PUT": (200, {}, PAGE)}, "upload", "not_understood"),
        ({"PUT": (201, {}, {})}, "upload", "not_understood"),
        ({"PUT": (204, {}, b"")}, "upload", "not_understood"),
        ({"PUT": (200, {}, stored(SMALL, version="1"))}, "upload", "not_understood"),
        ({"PUT": (201, {}, stored(SMALL, size_bytes=1))}, "upload", "not_understood"),
        ({"PUT": (201, {}, stored(SMALL, sha256="0" * 64))}, "upload", "other_bytes"),
        ({"PUT": (413, {}, problem("body_too_large", "at most 10 bytes"))}, "upload", "body_too_large"),
        ({"PUT": (413, {}, PAGE)}, "upload", "not_understood"),
        ({"PUT": (401, {}, problem("token_invalid"))}, "token", "token_invalid"),
        ({"PUT": (403, {}, problem("agency_forbidden"))}, "permission", "agency_forbidden"),
        ({"PUT": (404, {}, PAGE)}, "upload", "not_understood"),
        ({"PUT": (200, {"content-length": "99999999"}, b"x" * 5_000_000)}, "connect", "not_http"),
    ],
)
def test_hostile_a_small_file(
    strange: Strange, tmp_path: Path, answers: dict[str, Answer], step: str, code: str
) -> None:
    strange.answers |= answers
    fault = failing(office_at(tmp_path, f"http://127.0.0.1:{strange.port}"))

    assert (fault["step"], fault["code"]) == (step, code)


SENT = [(204, {"upload-offset": str(min(end, len(LARGE)))}, b"") for end in range(65536, len(LARGE) + 65536, 65536)]
BEGUN = (201, {"location": UPLOAD, "upload-offset": "0"}, {})


@pytest.mark.parametrize(
    ("answers", "step", "code"),
    [
        ({"POST": (201, {}, {})}, "upload", "not_understood"),
        ({"POST": (201, {"location": "https://lain.example/x"}, {})}, "upload", "not_understood"),
        ({"PATCH": (204, {}, b"")}, "upload", "not_understood"),
        ({"PATCH": (204, {"upload-offset": "-5"}, b"")}, "upload", "not_understood"),
        ({"PATCH": (204, {"upload-offset": "999999999"}, b"")}, "upload", "upload_lost"),
        ({"PATCH": (204, {"upload-offset": "0"}, b"")}, "upload", "no_progress"),
        ({"PATCH": (409, {"upload-offset": "0"}, problem("upload_offset_mismatch"))}, "upload", "no_progress"),
        ({"PATCH": (413, {}, PAGE), "HEAD": (200, {"upload-offset": "0"}, {})}, "upload", "not_understood"),
        ({"PATCH": (413, {"upload-limit": "max-size=1"}, problem("body_too_large"))}, "upload", "body_too_large"),
        ({"PATCH": [*SENT, (200, {}, PAGE)]}, "upload", "not_understood"),
        ({"PATCH": (204, {"upload-offset": str(len(LARGE))}, b"")}, "upload", "upload_lost"),
        ({"PATCH": [*SENT, (201, {}, stored(LARGE, sha256="0" * 64))]}, "upload", "other_bytes"),
        ({"PATCH": (404, {}, problem("upload_unknown")), f"GET {UPLOAD}": (404, {}, {})}, "upload", "upload_lost"),
    ],
)  # fmt: skip
def test_hostile_a_file_in_parts(
    strange: Strange, tmp_path: Path, answers: dict[str, Any], step: str, code: str
) -> None:
    listed = {"GET /v1/agencies/dinkes/files": (200, {}, {"items": []})}
    strange.answers |= {"POST": BEGUN, "HEAD": (200, {"upload-offset": "0"}, {}), **listed, **answers}
    fault = failing(office_at(tmp_path, f"http://127.0.0.1:{strange.port}", LARGE))

    assert (fault["step"], fault["code"]) == (step, code)


def test_hostile_something_between_that_takes_smaller_bodies_gets_smaller_parts(
    strange: Strange, tmp_path: Path
) -> None:
    half = 128 << 10
    sent = [(204, {"upload-offset": str(min(end, len(LARGE)))}, b"") for end in range(half, len(LARGE) + half, half)]
    strange.answers |= {"POST": BEGUN, "HEAD": (200, {"upload-offset": "0"}, {})}
    strange.answers["PATCH"] = [(413, {}, PAGE), *sent, (201, {}, stored(LARGE))]
    office = office_at(tmp_path, f"http://127.0.0.1:{strange.port}", LARGE)
    office.agent["piece"] = "256KiB"
    office.write({"name": "a", "file": "a.csv", "to": "a.csv", "every": "15m", "settle": "0s"})
    done = office.run("once")

    assert done.returncode == 0, done.stderr
    assert [asked.split()[0] for asked in strange.asked] == ["POST", "POST", "PATCH", "HEAD", *["PATCH"] * 4]


@pytest.mark.parametrize("status", [429, 503, 507])
def test_hostile_a_gateway_that_asks_to_wait_is_not_asked_again_before(
    strange: Strange, tmp_path: Path, status: int
) -> None:
    code = {429: "rate_limited", 503: "store_unavailable", 507: "storage_full"}[status]
    strange.answers["PUT"] = (status, {"retry-after": "500"}, problem(code))
    office = office_at(tmp_path, f"http://127.0.0.1:{strange.port}")
    began = time.time()
    fault = failing(office)
    known = office.remembered("a")

    assert fault["code"] == code
    assert len([asked for asked in strange.asked if asked.startswith("PUT")]) == 1
    assert known["retry_at"] >= began + 500


def test_hostile_what_is_no_http(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for _ in range(20):
                try:
                    with listening.accept()[0] as peer:
                        peer.recv(100)
                        peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n" + bytes(range(256)))
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        fault = failing(office_at(tmp_path, f"http://127.0.0.1:{listening.getsockname()[1]}"))
    assert (fault["step"], fault["code"]) == ("connect", "not_http")


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[Callable[[str], tuple[Strange, Path]]]:
    made = []

    def serve(name: str) -> tuple[Strange, Path]:
        trusted, key = certificate(tmp_path, name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(trusted, key)
        made.append(Strange(context))
        made[-1].answers["PUT"] = (201, {}, stored(SMALL))
        return made[-1], trusted

    yield serve
    for one in made:
        one.close()


def test_hostile_a_certificate_that_nobody_vouches_for(
    tls: Callable[[str], tuple[Strange, Path]], tmp_path: Path
) -> None:
    strange, trusted = tls("localhost")
    office = office_at(tmp_path, f"https://localhost:{strange.port}")
    fault = failing(office)
    assert (fault["step"], fault["code"]) == ("tls", "tls_refused")
    assert "ca_file" in fault["advice"]
    assert strange.asked == []

    office.gateway["ca_file"] = str(trusted)
    office.write({"name": "a", "file": "a.csv", "to": "a.csv", "every": "15m", "settle": "0s"})
    assert office.run("once").returncode == 0
    office.gateway["ca_file"] = "tidak-ada.pem"
    office.write({"name": "b", "file": "a.csv", "to": "b.csv", "every": "15m", "settle": "0s"})
    assert told(office.run("once").stderr)[-1]["code"] == "ca_missing"


def test_hostile_a_certificate_of_another_name(tls: Callable[[str], tuple[Strange, Path]], tmp_path: Path) -> None:
    strange, trusted = tls("gerbang-lain.example")
    office = office_at(tmp_path, f"https://localhost:{strange.port}")
    office.gateway["ca_file"] = str(trusted)
    office.write({"name": "a", "file": "a.csv", "to": "a.csv", "every": "15m", "settle": "0s"})
    fault = failing(office)

    assert (fault["step"], fault["code"]) == ("tls", "tls_refused")
    assert strange.asked == []
