"""A small HTTP server that stands for agencies' services: documents at paths, with faults on demand."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, str, bytes]
Handler = Callable[[dict[str, str], dict[str, str]], Answer]


class SourceServer:
    """Serves `routes`: path -> function of (query, headers) -> (status, content type, body); `more_headers` by path."""

    def __init__(self) -> None:
        self.routes: dict[str, Handler] = {}
        self.asked: list[str] = []
        self.more_headers: dict[str, dict[str, str]] = {}
        outer = self

        class _Requests(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                outer.asked.append(self.path)
                query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
                headers = {name.lower(): value for name, value in self.headers.items()}
                route = outer.routes.get(parts.path)
                status, kind, body = route(query, headers) if route else (404, "text/plain", b"not here")
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                for name, value in outer.more_headers.get(parts.path, {}).items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # a reader may leave in the middle
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Requests)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def json(self, path: str, body: bytes) -> None:
        """A fixed JSON document."""
        self.routes[path] = lambda _query, _headers: (200, "application/json", body)

    def close(self) -> None:
        """Stops serving."""
        self._server.shutdown()
        self._server.server_close()
