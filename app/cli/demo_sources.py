"""The demo's small services: a REST service and a CKAN portal on the loopback, and SQLite registers made from the samples."""

from __future__ import annotations

import csv
import json
import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


def examples_folder() -> Path:
    """`examples/jepara` beside the package in a checkout, inside the package where the distribution is installed."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "examples" / "jepara"
    return installed if installed.is_dir() else package.parent / "examples" / "jepara"


class DemoService:
    """Fixed JSON documents at paths. `up` False refuses every request, as a service that is down does."""

    def __init__(self, documents: dict[str, bytes], port: int = 0) -> None:
        self.up = True
        service = self

        class _Requests(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = documents.get(urlsplit(self.path).path)
                status = 503 if not service.up else 404 if body is None else 200
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                answer = body if status == 200 and body is not None else b"{}"
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), _Requests)
        except OSError:
            self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Requests)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stops serving."""
        self._server.shutdown()
        self._server.server_close()


def open_rest(port: int = 0) -> DemoService:
    """The REST service of the hospital and of the disaster agency."""
    samples = examples_folder() / "data"
    documents = {
        "/rumah-sakit": (samples / "rumah_sakit.json").read_bytes(),
        "/gempa": (samples / "gempa.json").read_bytes(),
    }
    return DemoService(documents, port)


def open_ckan(port: int = 0) -> DemoService:
    """The CKAN portal of the walidata."""
    packages = json.loads((examples_folder() / "data" / "portal.json").read_text("utf-8"))
    answer = {"success": True, "result": {"count": len(packages), "results": packages}}
    return DemoService({"/api/3/action/package_search": json.dumps(answer).encode()}, port)


def register_database(samples: str, table: str, target: Path) -> bytes:
    """An SQLite register of one table made from a CSV sample; returns its bytes."""
    target.unlink(missing_ok=True)
    with (examples_folder() / "data" / samples).open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    connection = sqlite3.connect(target)
    names = ", ".join(f'"{name}" TEXT' for name in rows[0])
    connection.execute(f'CREATE TABLE "{table}" ({names})')
    marks = ", ".join("?" for _ in rows[0])
    connection.executemany(f'INSERT INTO "{table}" VALUES ({marks})', rows[1:])  # noqa: S608 - our own name
    connection.commit()
    connection.close()
    return target.read_bytes()
