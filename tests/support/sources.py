"""A small HTTP server that stands for agencies' services: documents at paths, with faults on demand."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, str, bytes]
Handler = Callable[[dict[str, str], dict[str, str]], Answer]
Posted = Callable[[Any, dict[str, str]], Answer]


def _document(sent: bytes) -> Any:
    """What was posted as JSON; a form as it is."""
    try:
        return json.loads(sent)
    except ValueError:
        return sent


class SourceServer:
    """Serves `routes`: path -> function of (query, headers) -> (status, content type, body); `more_headers` by path.

    `posts`: path -> function of (JSON document that was sent, headers); every other path refuses what is no GET.
    """

    def __init__(self) -> None:
        self.routes: dict[str, Handler] = {}
        self.posts: dict[str, Posted] = {}
        self.asked: list[str] = []
        self.more_headers: dict[str, dict[str, str]] = {}
        outer = self

        class _Requests(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = (
                True  # head and body are two writes: the second would wait for the reader's late acknowledgement
            )

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                outer.asked.append(self.path)
                query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
                headers = {name.lower(): value for name, value in self.headers.items()}
                route = outer.routes.get(parts.path)
                self._give(parts.path, route(query, headers) if route else (404, "text/plain", b"not here"))

            def do_POST(self) -> None:
                path = urlsplit(self.path).path
                outer.asked.append(self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                sent = self.rfile.read(int(headers.get("content-length", "0")))
                route = outer.posts.get(path)
                self._give(path, route(_document(sent), headers) if route else (405, "text/plain", b"only GET"))

            def _give(self, path: str, answer: Answer) -> None:
                status, kind, body = answer
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                for name, value in outer.more_headers.get(path, {}).items():
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
