"""The way out of an office: a proxy that the configuration names carries everything, and those of the environment nothing."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.test_agent_at_a_strange_gateway import Strange, office_at, stored, tls
from tests.support.agent import ROOT, told
from tests.support.ports import free_port

__all__ = ["tls"]


class Proxy:
    """Takes CONNECT, as the proxy of an office does; `asked`: to where."""

    def __init__(self, status: str = "200 Connection established") -> None:
        self.status = status
        self.asked: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer = self._listener.accept()[0]
                threading.Thread(target=self._pass_on, args=(peer,), daemon=True).start()

    def _pass_on(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError), peer:
            head = b""
            while b"\r\n\r\n" not in head:
                head += peer.recv(1000)
            method, to, _ = head.split(b"\r\n")[0].decode().split()
            self.asked.append(f"{method} {to}")
            peer.sendall(f"HTTP/1.1 {self.status}\r\n\r\n".encode())
            if not self.status.startswith("200"):
                return
            with socket.create_connection(("127.0.0.1", int(to.rsplit(":", 1)[1]))) as gateway:
                other = {peer: gateway, gateway: peer}
                while True:
                    for ready in select.select(list(other), [], [])[0]:
                        content = ready.recv(65536)
                        if not content:
                            return
                        other[ready].sendall(content)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.close()


def test_everything_goes_through_the_proxy_and_tls_ends_at_the_gateway(tls, proxy: Proxy, tmp_path: Path) -> None:
    strange, trusted = tls("localhost")
    office = office_at(tmp_path, f"https://localhost:{strange.port}")
    office.gateway |= {"ca_file": str(trusted), "proxy": f"http://127.0.0.1:{proxy.port}"}
    office.write({"name": "a", "file": "a.csv", "to": "a.csv", "every": "15m", "settle": "0s"})
    done = office.run("once")

    assert done.returncode == 0, done.stderr
    assert set(proxy.asked) == {f"CONNECT localhost:{strange.port}"}
    assert strange.asked == ["POST /oauth/token", "PUT /v1/agencies/dinkes/files/a.csv"]


def test_a_proxy_that_refuses_is_told(tls, tmp_path: Path) -> None:
    strange, trusted = tls("localhost")
    refusing = Proxy("407 Proxy Authentication Required")
    office = office_at(tmp_path, f"https://localhost:{strange.port}")
    office.gateway |= {"ca_file": str(trusted), "proxy": f"http://127.0.0.1:{refusing.port}"}
    office.write({"name": "a", "file": "a.csv", "to": "a.csv", "every": "15m", "settle": "0s"})
    done = office.run("once")
    refusing.close()

    fault = told(done.stderr)[-1]
    assert done.returncode == 1
    assert (fault["step"], "407" in fault["detail"]) == ("connect", True)
    assert strange.asked == []


def test_proxies_of_the_environment_do_not_count(tmp_path: Path) -> None:
    strange = Strange()
    content = b"kode,nama\nP1,Puskesmas Satu\n"
    strange.answers["PUT"] = (201, {}, stored(content))
    office = office_at(tmp_path, f"http://127.0.0.1:{strange.port}", content)
    nowhere = f"http://127.0.0.1:{free_port()}"
    environment = {"PATH": os.environ["PATH"], "http_proxy": nowhere, "HTTPS_PROXY": nowhere, "ALL_PROXY": nowhere}
    done = subprocess.run(
        [sys.executable, "-m", "app.agent", "once", str(office.config)],
        check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    strange.close()

    assert done.returncode == 0, done.stderr
