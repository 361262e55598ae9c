"""A real pygeoapi (https://pygeoapi.io) on loopback in a process of its own, which ends with the process that started it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.support.ports import free_port

START_SECONDS = 60
_SERVES = """
import sys
from werkzeug.serving import run_simple
from pygeoapi.flask_app import APP
run_simple("127.0.0.1", int(sys.argv[1]), APP, threaded=True)
"""
WORLD = {"spatial": {"bbox": [-180, -90, 180, 90], "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}}


def collection(file: Path, **more: Any) -> dict[str, Any]:
    """A collection of a GeoJSON file; `more`: other members of its description."""
    provider = {"type": "feature", "name": "GeoJSON", "data": str(file), "id_field": "id"}
    own = {"type": "collection", "title": file.stem, "description": file.stem, "keywords": [], "extents": WORLD}
    return {**own, "providers": [{**provider, **more.pop("provider", {})}], **more}


@contextlib.contextmanager
def running_pygeoapi(folder: Path, collections: Mapping[str, Any]) -> Iterator[str]:
    """Its address. The most features of one page: 50."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    words = {"title": "uji", "description": "uji", "keywords": ["uji"], "terms_of_service": url, "url": url}
    config = {
        "server": {
            "bind": {"host": "127.0.0.1", "port": port},
            "url": url,
            "mimetype": "application/json; charset=UTF-8",
            "encoding": "utf-8",
            "language": "en-US",
            "limits": {"default_items": 10, "max_items": 50},
            "map": {"url": "", "attribution": ""},
        },
        "logging": {"level": "ERROR"},
        "metadata": {
            "identification": words,
            "license": {"name": "CC-BY 4.0", "url": url},
            "provider": {"name": "uji", "url": url},
            "contact": {"name": "uji"},
        },
        "resources": dict(collections),
    }
    (folder / "pygeoapi.yml").write_text(json.dumps(config))
    (folder / "openapi.yml").write_text(json.dumps({"openapi": "3.0.2", "info": {}, "paths": {}}))
    known = {"PYGEOAPI_CONFIG": str(folder / "pygeoapi.yml"), "PYGEOAPI_OPENAPI": str(folder / "openapi.yml")}
    command = ["setpriv", "--pdeathsig=TERM", sys.executable, "-c", _SERVES, str(port)]
    with (folder / "pygeoapi.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **known})
        try:
            _wait(url, server, folder / "pygeoapi.log")
            yield url
        finally:
            server.terminate()
            server.wait(30)


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and server.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/conformance?f=json", timeout=10) as answer:
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"pygeoapi did not start:\n{log.read_text('utf-8', 'replace')[-3000:]}")
