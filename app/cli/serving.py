"""`simpul serve`: the gateway behind uvicorn; and the document of its API."""

from __future__ import annotations

import gc
import json
import math
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn

from app.api.layer.door import door
from app.api.openapi import ordered
from app.cli.instance import Folder, close_folder
from app.cli.output import BROKEN, fail, faults, say
from app.database import check_revision
from app.lanes import let_others_in
from app.main import build_openapi, create_app
from app.settings import INSTANCE_FILE, Settings, load_settings
from app.telemetry import configure_logging, quiet_server


def serve(
    folder: Folder = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one")] = None,
) -> None:
    """Run the gateway until it is told to stop; then requests under way are finished and recorded."""
    with faults():
        settings = load_settings(dir=folder, host=host, port=port)
        if not (settings.dir / INSTANCE_FILE).is_file():
            fail(f"{settings.dir} holds no instance; make one with: simpul init --dir {settings.dir}")
        close_folder(settings.dir)
        if not settings.embedded:
            check_revision(settings)
    configure_logging(settings.log_level)
    let_others_in()
    config = server_config(settings)
    app: Any = config.app
    # A set-up that is broken is told in one line below: the server's own account of it is a traceback.
    quiet_server(lambda: app.state.fault is not None)
    server = GatewayServer(config)
    try:
        server.run()
    except SystemExit:  # the server's own code of a start that failed
        if app.state.fault is None:
            raise
    if app.state.fault is not None:
        with faults():
            raise app.state.fault
    if not server.started:
        raise typer.Exit(BROKEN)


_COLLECT_AFTER_OBJECTS = 5_000
"""A collection looks at these, the next kind at four times as many: 2 ms, in which nobody else is answered."""


class GatewayServer(uvicorn.Server):
    """uvicorn, but a gateway that was asked to stop and has drained ends with 0 and not as if it had been killed."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """What stands after the start stays: the collector does not look at it again with every few requests."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(_COLLECT_AFTER_OBJECTS, 4, 100)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The signals are handled by then: they are not raised again."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()


def server_config(settings: Settings) -> uvicorn.Config:
    """Uvicorn as the gateway runs it: uvloop, httptools, no access log of its own, a bounded drain."""
    return uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=door(settings.read_seconds, settings.connections_per_address, settings.base_url),
        ws="none",
        lifespan="on",
        access_log=False,
        proxy_headers=False,  # the server would believe loopback; who is believed stands in the settings
        log_config=None,
        server_header=False,
        date_header=True,
        timeout_graceful_shutdown=math.ceil(settings.drain_seconds),
        timeout_keep_alive=30,
        h11_max_incomplete_event_size=settings.header_bytes,
    )


def write_openapi(
    file: Annotated[Path, typer.Argument(help="Where to write it")] = Path("openapi/simpul.json"),
) -> None:
    """Write the OpenAPI document of this version."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(ordered(build_openapi()), ensure_ascii=False, indent=1) + "\n", "utf-8")
    say(f"{file}")
