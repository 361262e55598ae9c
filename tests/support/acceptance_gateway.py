"""A gateway with the thirteen files of the acceptance tests, each registered through the HTTP API by a manifest alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.datasets.yaml_text import load_yaml
from tests.support.dumps import load_dump
from tests.support.gateway import RunningGateway
from tests.support.programs import simpul
from tests.support.sources import SourceServer

MANIFESTS = Path(__file__).resolve().parents[1] / "acceptance" / "manifests"
UNREADABLE = "13-sumberdaya-png"
"""The manifest of a resource that is no table, which no check passes."""
AGENCIES = {
    "dinpermades": [],
    "dpupr": [],
    "dinkes": ["dinkes_faskes_jateng.csv", "dinkes_faskes_indonesia_2019.xlsx"],
    "rsud-kartini": [],
    "bappeda": ["bappeda_ekonomi_jateng.db"],
    "disparbud": ["disparbud_20_destinasi.json"],
    "disdikpora": ["disdikpora_sekolah.csv"],
    "bpkad": ["bpkad_apbd_bulanan.csv"],
    "disperindag": [],
    "bpbd": [],
    "diskominfo": ["bps_kecamatan_3320.csv"],
}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


def manifests(server: SourceServer) -> Iterator[tuple[str, dict[str, Any]]]:
    """The manifests by the name of their file, with the address of the services in them."""
    for file in sorted(MANIFESTS.glob("*.yaml")):
        yield file.stem, load_yaml(file.read_text("utf-8").replace("${BASE}", server.url))


@contextmanager
def gateway_with_files(data: Path, folder: Path) -> Iterator[tuple[RunningGateway, SourceServer]]:
    """All files registered, checked and published; and the server that stands for the agencies' services."""
    gateway = RunningGateway(folder / "instance")
    gateway.init()
    for name in ("dinpermades_wilayah_jepara.sql", "bps_kecamatan_3320.csv"):
        done = simpul("codes", "load", str(data / name), "--dir", str(gateway.folder))
        if done.returncode:
            raise RuntimeError(done.stderr)
    server = SourceServer()
    _portal(server, data)
    try:
        gateway.start()
        load_dump(data / "dinpermades_wilayah_jepara.sql", folder / "wilayah.db")
        load_dump(data / "dpupr_batas_kecamatan_jepara.sql", folder / "batas.db")
        for agency, files in AGENCIES.items():
            gateway.agency(agency)
            for file in files:
                gateway.upload(agency, data / file)
        gateway.upload("dinpermades", folder / "wilayah.db")
        gateway.upload("dpupr", folder / "batas.db")
        gateway.admin.patch("/v1/agencies/diskominfo", json={"network_allow": ["127.0.0.0/8"]})
        for name, manifest in manifests(server):
            if name != UNREADABLE:
                gateway.publish(manifest)
        yield gateway, server
    finally:
        gateway.stop()
        server.close()


def _portal(server: SourceServer, data: Path) -> None:
    """The captures, as the services gave them; and a CKAN resource whose CSV is a PNG."""
    server.json("/rumahsakit", (data / "dinkes_rumahsakit_api.json").read_bytes())
    server.json("/pihps", (data / "disperindag_pihps_provinsi.json").read_bytes())
    server.json("/autogempa", (data / "bpbd_bmkg_autogempa.json").read_bytes())
    server.json("/ckan/api/3/action/package_search", (data / "diskominfo_ckan_package_search.json").read_bytes())
    refusal = json.dumps({"success": False, "error": {"__type": "Not Found Error"}}).encode()
    server.routes["/ckan/api/3/action/datastore_search"] = lambda _q, _h: (404, "application/json", refusal)
    shown = {"success": True, "result": {"id": "hasil-akip", "format": "CSV", "url": f"{server.url}/hasil-akip.png"}}
    server.json("/ckan/api/3/action/resource_show", json.dumps(shown).encode())
    server.routes["/hasil-akip.png"] = lambda _q, _h: (200, "text/csv", PNG)
