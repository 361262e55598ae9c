"""The thirteen files, real or look-alike, each registered through the HTTP API of a running gateway by a manifest alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.datasets.yaml_text import load_yaml
from tests.acceptance.facts import facts_of
from tests.support.acceptance_files import real_files, write_lookalikes
from tests.support.dumps import load_dump
from tests.support.gateway import RunningGateway
from tests.support.programs import simpul
from tests.support.sources import SourceServer

MANIFESTS = Path(__file__).parent / "manifests"
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


@pytest.fixture(scope="session")
def acceptance_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the files: the real ones where they are, else look-alikes."""
    return real_files() or write_lookalikes(tmp_path_factory.mktemp("lookalikes"))


@pytest.fixture(scope="session")
def facts() -> dict[str, Any]:
    """What is expected of the set in use."""
    return facts_of(real=real_files() is not None)


@pytest.fixture(scope="session")
def file_gateway(acceptance_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway with all thirteen files registered, checked and published."""
    data, folder = acceptance_data, tmp_path_factory.mktemp("acceptance")
    gateway = RunningGateway(folder / "instance")
    gateway.init()
    for name in ("dinpermades_wilayah_jepara.sql", "bps_kecamatan_3320.csv"):
        done = simpul("codes", "load", str(data / name), "--dir", str(gateway.folder))
        assert done.returncode == 0, done.stderr
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
        admin = gateway.admin
        admin.patch("/v1/agencies/diskominfo", json={"network_allow": ["127.0.0.0/8"]})
        for file in sorted(MANIFESTS.glob("*.yaml")):
            manifest = load_yaml(file.read_text("utf-8").replace("${BASE}", server.url))
            if file.stem != "13-sumberdaya-png":
                gateway.publish(manifest)
        yield gateway
    finally:
        gateway.stop()
        server.close()


@pytest.fixture(scope="session")
def reader(file_gateway: RunningGateway) -> httpx.Client:
    """An agency's application that reads open data."""
    return file_gateway.client("client", "bappeda")


@pytest.fixture(scope="session")
def source_url(file_gateway: RunningGateway) -> str:
    """Address of the server that stands for the agencies' services."""
    found = file_gateway.admin.get("/v1/connectors/bpbd-gempa").json()["manifest"]["source"]["url"]
    return str(found).rpartition("/")[0]
