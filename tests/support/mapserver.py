"""A real MapServer (Debian: cgi-mapserver) behind a small HTTP server: WFS 2 of GeoJSON files, run as CGI for every request."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.support.sources import Answer, SourceServer

PATH = "/wfs"
_GEOJSON = """
  OUTPUTFORMAT
    NAME "geojson"
    DRIVER "OGR/GEOJSON"
    MIMETYPE "application/json; subtype=geojson"
    FORMATOPTION "STORAGE=stream"
    FORMATOPTION "FORM=SIMPLE"
    FORMATOPTION "LCO:ID_FIELD=kode"
  END
"""


def mapserver(folder: Path, files: Mapping[str, Path], *, geojson: bool = True) -> SourceServer:
    """Serves each file as a feature type; the server's address is that of the `SourceServer` with `PATH` behind it."""
    program = shutil.which("mapserv") or "/usr/lib/cgi-bin/mapserv"
    if not Path(program).exists():
        pytest.fail("MapServer is needed by this test: apt-get install cgi-mapserver")
    (folder / "mapserver.conf").write_text('CONFIG\n  ENV\n    MS_MAP_PATTERN "."\n  END\nEND\n')
    formats = "geojson" if geojson else "gml"
    layers = "".join(_layer(name, file, formats) for name, file in files.items())
    web = '"wfs_title" "uji" "wfs_onlineresource" "http://127.0.0.1/wfs?" "wfs_srs" "EPSG:4326 EPSG:3857" "wfs_enable_request" "*"'
    mapfile = folder / "uji.map"
    mapfile.write_text(
        f'MAP\n  NAME "uji"\n  EXTENT 110 -7 112 -5\n  PROJECTION "init=epsg:4326" END\n{_GEOJSON if geojson else ""}'
        f"  WEB METADATA {web} END END\n{layers}END\n"
    )
    base = {
        **os.environ,
        "REQUEST_METHOD": "GET",
        "MAPSERVER_CONFIG_FILE": str(folder / "mapserver.conf"),
        "MS_MAPFILE": str(mapfile),
    }

    def answer(query: dict[str, str], _headers: dict[str, str]) -> Answer:
        known = {**base, "QUERY_STRING": urlencode(query), "SCRIPT_NAME": PATH, "SERVER_NAME": "127.0.0.1"}
        said = subprocess.run([program], env=known, check=False, capture_output=True, timeout=60).stdout
        head, _, body = said.partition(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
        names = {name.lower(): value for name, value in lines.items()}
        return int(names.get("status", "200").split()[0]), names.get("content-type", "text/plain"), body

    server = SourceServer()
    server.routes[PATH] = answer
    return server


def _layer(name: str, file: Path, formats: str) -> str:
    told = f'"wfs_title" "Data {name}" "wfs_srs" "EPSG:4326 EPSG:3857" "gml_include_items" "all" "gml_featureid" "kode"'
    told += f' "wfs_getfeature_formatlist" "{formats}" "gml_types" "auto"'
    return (
        f'  LAYER\n    NAME "{name}"\n    TYPE POINT\n    STATUS ON\n    CONNECTIONTYPE OGR\n    CONNECTION "{file}"\n'
        f'    PROJECTION "init=epsg:4326" END\n    METADATA {told} END\n    TEMPLATE "x"\n  END\n'
    )
