"""A running gateway with two agencies, on each of the two stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.database import upgrade
from app.settings import load_settings
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

FACILITIES = "kode,nama,jenis\nP1,Puskesmas Satu,puskesmas\nP2,Puskesmas Dua,puskesmas\nR1,RSUD,rumah_sakit\n"
PEOPLE = "nik,nama,tanggal_lahir,status_dasar\n3320990101900001,Siti Contoh Aminah,1990-01-01,HIDUP\n"


def facility_manifest(connector: str, agency: str, location: str = "inbox/faskes.csv") -> dict[str, object]:
    return {
        "connector": connector,
        "agency": agency,
        "schema": "fasilitas_kesehatan@1",
        "source": {"kind": "file", "location": location},
        "fields": {"kode_faskes": "kode", "nama": "nama", "jenis": "jenis"},
    }


def furnish(gateway: RunningGateway, folder: Path, services: SourceServer) -> None:
    """Two agencies that provide facilities (a file, a service), one that keeps people, and an agreement."""
    (folder / "faskes.csv").write_text(FACILITIES, "utf-8")
    (folder / "penduduk.csv").write_text(PEOPLE, "utf-8")
    for agency in ("dinkes", "rsud", "disdukcapil"):
        gateway.agency(agency)
    gateway.upload("dinkes", folder / "faskes.csv")
    gateway.upload("disdukcapil", folder / "penduduk.csv")
    services.json("/rs", b'{"data": [{"kode": "R2", "nama": "RS Dua", "lat": -6.5}]}')
    gateway.publish(facility_manifest("dinkes-faskes", "dinkes"))
    gateway.publish(
        {
            "connector": "rsud-rs",
            "agency": "rsud",
            "schema": "fasilitas_kesehatan@1",
            "source": {"kind": "rest", "url": f"{services.url}/rs", "record_path": "$.data[*]"},
            "fields": {"kode_faskes": "kode", "nama": "nama", "jenis": {"const": "rumah_sakit"}, "lat": "lat"},
        }
    )
    gateway.publish(
        {
            "connector": "dukcapil-penduduk",
            "agency": "disdukcapil",
            "schema": "penduduk_verifikasi@1",
            "source": {"kind": "file", "location": "inbox/penduduk.csv"},
            "fields": {
                "nik": "nik",
                "nama": "nama",
                "tanggal_lahir": {"from": "tanggal_lahir", "date": "iso"},
                "status_dasar": "status_dasar",
            },
        }
    )
    agree(gateway, "pks-1", "disdukcapil")


def terms(provider: str, **more: Any) -> dict[str, Any]:
    """Terms under which rsud verifies and matches persons at a provider."""
    return {
        "provider": provider,
        "consumer": "rsud",
        "schema": "penduduk_verifikasi",
        "fields": ["*"],
        "purposes": ["pelayanan_kesehatan"],
        "basis": "UU 17/2023",
        "valid_from": "2026-01-01",
        "valid_until": "2030-12-31",
        "rights": ["match"],
        **more,
    }


def agree(gateway: RunningGateway, agreement: str, provider: str) -> None:
    """An active agreement under which rsud verifies persons at a provider."""
    gateway.agree(terms(provider, id=agreement))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, services: SourceServer
) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("gateway")
    environment = {}
    if request.param == "postgresql":
        environment["SIMPUL_DATABASE_URL"] = request.getfixturevalue("postgres_module_url")
    running = RunningGateway(folder / "instance", environment)
    with pytest.MonkeyPatch.context() as patched:
        for name, value in environment.items():
            patched.setenv(name, value)
        running.init()
        upgrade(load_settings(dir=running.folder))
    try:
        running.start()
        furnish(running, folder, services)
        yield running
    finally:
        code = running.stop()
    assert code == 0


@pytest.fixture(scope="module")
def services() -> Iterator[SourceServer]:
    server = SourceServer()
    yield server
    server.close()
