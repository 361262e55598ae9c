"""A server of features as a source of a running gateway: the manifest that `discover` writes is sent back, and its records are asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.gateway import RunningGateway
from tests.support.gateways import started
from tests.support.pygeoapi import collection, running_pygeoapi
from tests.support.sources import Answer, SourceServer


def facility(at: int) -> dict[str, object]:
    point = {"type": "Point", "coordinates": [110.6 + at / 1000, -6.5]}
    properties = {
        "kode_faskes": f"P33200101{at:02}",
        "nama": f"Puskesmas {at}",
        "jenis": "puskesmas",
        "alamat": f"Jl. Raya {at}",
    }
    return {"type": "Feature", "id": f"p{at}", "geometry": point, "properties": properties}


@pytest.fixture(scope="module")
def geo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("pygeoapi")
    file = folder / "puskesmas.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [facility(at) for at in range(1, 81)]}))
    with running_pygeoapi(folder, {"puskesmas": collection(file, title="Puskesmas Kabupaten Jepara")}) as url:
        yield url


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    made = started(tmp_path_factory.mktemp("gateway") / "instance")
    made.agency("dinkes")
    yield made
    assert made.stop() == 0


@pytest.fixture(scope="module")
def written(gateway: RunningGateway, geo: str) -> dict[str, Any]:
    """The manifest that discover writes, published."""
    admin = gateway.admin
    draft = {"connector": "dinkes-puskesmas", "agency": "dinkes", "source": {"kind": "ogc", "url": geo}}
    made = admin.put("/v1/connectors/dinkes-puskesmas", json=draft)
    assert made.status_code == 201, made.text

    found = admin.post("/v1/connectors/dinkes-puskesmas/discover", params={"schema": "fasilitas_kesehatan"})
    assert found.status_code == 200, found.text
    written = yaml.safe_load(found.json()["manifest"])
    assert written["source"] == {"kind": "ogc", "url": geo, "collection": "puskesmas"}
    assert {written["fields"][name] if isinstance(written["fields"][name], str) else written["fields"][name]["from"] for name in ("kode_faskes", "nama")} == {"kode_faskes", "nama"}  # fmt: skip

    written["fields"] |= {"lng": "$.geometry.coordinates[0]", "lat": "$.geometry.coordinates[1]"}
    gateway.publish(written)
    return dict(written)


def test_the_manifest_that_discover_writes_is_published_and_answers(
    gateway: RunningGateway, written: dict[str, Any]
) -> None:
    admin = gateway.admin
    assert written["schema"]
    whole = admin.get("/v1/records/fasilitas-kesehatan", params={"limit": 1000}).json()
    assert whole["complete"] is True
    assert len(whole["items"]) == 80
    one = admin.get("/v1/records/fasilitas-kesehatan", params={"filter": "nama = 'Puskesmas 7'"}).json()
    assert [(item["kode_faskes"], item["lng"]) for item in one["items"]] == [("P3320010107", 110.607)]


@pytest.mark.usefixtures("written")
def test_the_number_of_records_is_the_servers_own_where_it_looks_at_the_whole_condition(
    gateway: RunningGateway,
) -> None:
    def estimated(**condition: str) -> object:
        told = gateway.admin.post("/v1/explain", json={"schema": "fasilitas_kesehatan", **condition}).json()
        return told["sources"][0]["rows_estimated"]

    assert estimated() == 80
    assert estimated(filter="alamat = 'Jl. Raya 7'") == 1
    assert estimated(filter="alamat = 'Jl. Raya 7' and lng > 110") is None


def test_a_portal_is_harvested_by_the_manifest_that_discover_writes(gateway: RunningGateway) -> None:
    resources = [
        {
            "name": "harga.csv",
            "format": "CSV",
            "mimetype": "image/png",
            "size": 12,
            "url": "https://data.example/harga.csv",
        }
    ]
    packages = [
        {
            "id": f"p{at:03}",
            "title": f"Harga {at}",
            "license_id": "cc-by",
            "organization": {"title": "Disperindag"},
            "resources": resources,
        }
        for at in range(130)
    ]
    packages[7] |= {"private": True}
    portal = SourceServer()
    try:

        def search(query: dict[str, str], _headers: dict[str, str]) -> Answer:
            at, size = int(query.get("start", "0")), int(query["rows"])
            answer = {"success": True, "result": {"count": len(packages), "results": packages[at : at + size]}}
            return 200, "application/json", json.dumps(answer).encode()

        portal.routes["/api/3/action/package_search"] = search
        draft = {
            "connector": "dinkes-portal",
            "agency": "dinkes",
            "source": {"kind": "ckan", "url": portal.url, "mode": "packages"},
        }
        assert gateway.admin.put("/v1/connectors/dinkes-portal", json=draft).status_code == 201
        found = gateway.admin.post(
            "/v1/connectors/dinkes-portal/discover", params={"schema": "metadata_dataset"}
        ).json()
        written = yaml.safe_load(found["manifest"])
        assert {name: written["fields"].get(name) for name in ("id", "judul")} == {
            "id": "id",
            "judul": {"from": "title", "text": "squeeze"},
        }
        assert any("in truth PNG" in note for note in found["notes"])

        each = {
            "nama": "name",
            "format_tercantum": "format",
            "format_terdeteksi": "detected_format",
            "ukuran": "size",
            "url": "url",
        }
        written["fields"] |= {
            "org": "$.organization.title",
            "lisensi": "license_id",
            "sumberdaya": {"from": "resources", "each": {"fields": each}},
        }
        gateway.publish(written)
        whole = gateway.admin.get("/v1/records/metadata-dataset", params={"limit": 1000}).json()
        assert whole["complete"] is True
        assert len(whole["items"]) == 129
        assert whole["items"][0]["sumberdaya"][0]["format_terdeteksi"] == "PNG"
        packages.insert(0, {"id": "a", "title": "Baru"})
        assert len(gateway.admin.get("/v1/records/metadata-dataset", params={"limit": 1000}).json()["items"]) == 130
    finally:
        portal.close()
