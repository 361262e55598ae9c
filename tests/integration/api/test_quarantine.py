"""Quarantine and health: true counts, one entry a record, of the current revision and version; the fault that opened a circuit."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.integration.api.conftest import facility_manifest
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

BAD = "".join(f"B{n},,klinik\n" for n in range(1_200))
LIST = "/v1/records/fasilitas-kesehatan"


def publish(gateway: RunningGateway, folder: Path, name: str, content: str | bytes, **more: Any) -> None:
    location = more.pop("location", f"{name}.csv")
    upload(gateway, folder, location, content)
    gateway.publish({**facility_manifest(name, "dinkes", f"inbox/{location}"), "accept_rejects": 0.9999, **more})


def upload(gateway: RunningGateway, folder: Path, location: str, content: str | bytes) -> None:
    (folder / location).write_bytes(content.encode() if isinstance(content, str) else content)
    gateway.upload("dinkes", folder / location)


def leg(gateway: RunningGateway, name: str, path: str = LIST, **params: str) -> dict[str, Any]:
    answer = gateway.client("client", "dinkes").get(path, params={"agencies": "dinkes", **params}).json()
    return next(source for source in answer["sources"] if source["dataset"] == name)


def quarantine(gateway: RunningGateway, name: str) -> dict[str, Any]:
    answer = gateway.admin.get(f"/v1/connectors/{name}/quarantine", params={"limit": 1000})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert isinstance(found, dict)
    return found


def health(gateway: RunningGateway, name: str) -> dict[str, Any]:
    found = gateway.admin.get(f"/v1/connectors/{name}/health").json()
    assert isinstance(found, dict)
    return found


def retire(gateway: RunningGateway, name: str) -> None:
    gateway.admin.post(f"/v1/connectors/{name}/retire")


def test_counts_are_those_of_what_was_rejected_not_of_the_kept_examples(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    publish(gateway, tmp_path, "uji-banyak", "kode,nama,jenis\nF1,Satu,klinik\nF2,Dua,warung\n" + BAD)
    assert leg(gateway, "uji-banyak")["rejected_rows"] == 1_201
    found = quarantine(gateway, "uji-banyak")
    assert (found["rejected_rows"], found["whole"], found["revision"], len(found["items"])) == (1_201, True, 1, 1_000)
    assert found["rules"] == [
        {"field": "nama", "rule": "missing", "records": 1_200},
        {"field": "jenis", "rule": "not_in_list", "records": 1},
    ]
    retire(gateway, "uji-banyak")


def test_a_record_with_several_faults_is_one_entry(gateway: RunningGateway, tmp_path: Path) -> None:
    publish(gateway, tmp_path, "uji-ganda", "kode,nama,jenis\nF1,Satu,klinik\nF2,,warung\n")
    leg(gateway, "uji-ganda")
    (item,) = quarantine(gateway, "uji-ganda")["items"]
    assert item["place"] == "inbox/uji-ganda.csv, line 3"
    assert [(fault["field"], fault["rule"]) for fault in item["faults"]] == [
        ("nama", "missing"),
        ("jenis", "not_in_list"),
    ]
    assert (item["field"], item["rule"]) == ("nama", "missing")
    retire(gateway, "uji-ganda")


def test_each_record_of_an_unpivoted_row_is_an_entry_of_its_own(gateway: RunningGateway, tmp_path: Path) -> None:
    upload(gateway, tmp_path, "uji-putar.csv", "Indikator,2021,2022,2023\nipm,71,x,y\nipm_x,1,2,3\n")
    gateway.publish(
        {
            "connector": "uji-putar",
            "agency": "dinkes",
            "schema": "statistik_indikator@1",
            "source": {"kind": "file", "location": "inbox/uji-putar.csv"},
            "read": {"unpivot": {"keep": ["Indikator"], "name": "tahun", "value": "nilai"}},
            "fields": {
                "kode_indikator": "Indikator",
                "kode_wilayah": {"const": "33.20"},
                "tahun": {"from": "tahun", "number": {}},
                "nilai": {"from": "nilai", "number": {}},
            },
            "accept_rejects": 0.5,
        }
    )
    assert leg(gateway, "uji-putar", "/v1/records/statistik-indikator")["rejected_rows"] == 2
    found = quarantine(gateway, "uji-putar")
    assert [item["place"] for item in found["items"]] == [
        f"inbox/uji-putar.csv, line 2, column {year}" for year in (2022, 2023)
    ]
    assert found["rules"] == [{"field": "nilai", "rule": "not_a_number", "records": 2}]
    retire(gateway, "uji-putar")


def test_entries_are_of_the_current_version_and_revision_and_a_clean_read_clears_them(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    name = "uji-versi"
    publish(gateway, tmp_path, name, "kode,nama,jenis\nF1,Satu,klinik\nF2,,klinik\nF3,,klinik\n")
    leg(gateway, name)
    first = quarantine(gateway, name)
    assert [item["place"].rpartition(" ")[2] for item in first["items"]] == ["3", "4"]
    upload(gateway, tmp_path, f"{name}.csv", "kode,nama,jenis\nF1,Satu,klinik\nF2,Dua,klinik\nF3,,klinik\nF4,,klinik\n")
    leg(gateway, name)
    second = quarantine(gateway, name)
    assert [item["place"].rpartition(" ")[2] for item in second["items"]] == ["4", "5"]
    assert second["rejected_rows"] == 2
    upload(gateway, tmp_path, f"{name}.csv", "kode,nama,jenis\nF1,Satu,klinik\n")
    leg(gateway, name)
    clean = quarantine(gateway, name)
    assert (clean["items"], clean["rejected_rows"], clean["rules"], clean["whole"]) == ([], 0, [], True)
    retire(gateway, name)


def test_a_rejected_row_of_a_database_stands_at_its_key(gateway: RunningGateway, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "asal.db")) as connection:
        connection.execute("CREATE TABLE f (kode TEXT PRIMARY KEY, nama TEXT, jenis TEXT, urut INTEGER)")
        connection.executemany(
            "INSERT INTO f VALUES (?, ?, 'klinik', ?)", [(f"F{n}", "K" if n % 5 else "", n) for n in range(1, 21)]
        )
        connection.execute("UPDATE f SET nama = X'00FF' WHERE kode = 'F7'")
        connection.commit()
    upload(gateway, tmp_path, "uji-kunci.db", (tmp_path / "asal.db").read_bytes())
    source = {"kind": "sql", "url": "sqlite:inbox/uji-kunci.db", "table": "f"}
    gateway.publish({**facility_manifest("uji-kunci", "dinkes"), "source": source, "accept_rejects": 0.5})
    leg(gateway, "uji-kunci", filter="kode_faskes > 'F3'", limit="3")
    leg(gateway, "uji-kunci")
    places = {item["place"] for item in quarantine(gateway, "uji-kunci")["items"]}
    assert places == {f"table f, kode F{n}" for n in (5, 7, 10, 15, 20)}
    retire(gateway, "uji-kunci")


def test_rows_of_a_database_that_are_rejected_for_their_key_or_by_where_are_entries_of_their_own(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "asal2.db")) as connection:
        connection.execute("CREATE TABLE f (kode TEXT, nama TEXT, jenis TEXT, urut TEXT)")
        rows = [(f"F{n}", "K", "klinik", str(n)) for n in range(1, 9)]
        connection.executemany(
            "INSERT INTO f VALUES (?, ?, ?, ?)",
            [*rows, *rows[:2], ("G1", "K", "klinik", "x"), ("G2", "K", "klinik", "y")],
        )
        connection.commit()
    upload(gateway, tmp_path, "uji-kembar.db", (tmp_path / "asal2.db").read_bytes())
    document = {**facility_manifest("uji-kembar", "dinkes"), "read": {"where": "urut > 0"}, "accept_rejects": 0.5}
    gateway.publish({**document, "source": {"kind": "sql", "url": "sqlite:inbox/uji-kembar.db", "table": "f"}})
    assert leg(gateway, "uji-kembar")["rejected_rows"] == 4
    found = {item["place"]: item["rule"] for item in quarantine(gateway, "uji-kembar")["items"]}
    assert found == {
        "table f, kode F1": "duplicate_key",
        "table f, kode F2": "duplicate_key",
        "table f, kode G1": "not_a_number",
        "table f, kode G2": "not_a_number",
    }
    shown = gateway.admin.post("/v1/connectors/uji-kembar/preview").json()["items"]
    assert [row["place"] for row in shown if row["mapped"] is not None] == [f"table f, kode F{n}" for n in range(1, 9)]
    retire(gateway, "uji-kembar")


def test_health_tells_when_a_source_last_answered(gateway: RunningGateway, tmp_path: Path) -> None:
    publish(gateway, tmp_path, "uji-sehat", "kode,nama,jenis\nF1,Satu,klinik\n")
    assert health(gateway, "uji-sehat")["last_success_at"] is None
    answered = leg(gateway, "uji-sehat")
    found = health(gateway, "uji-sehat")
    assert found["last_success_at"][:19] == answered["as_of"][:19]
    assert (found["circuit"], found["circuit_cause"], found["last_error"]) == ("closed", None, None)
    retire(gateway, "uji-sehat")


@pytest.mark.parametrize("mended_by", ["upload", "revision"])
def test_an_open_circuit_keeps_its_cause_and_closes_when_the_source_is_mended(
    gateway: RunningGateway, tmp_path: Path, mended_by: str
) -> None:
    name = f"uji-putus-{mended_by}"
    publish(gateway, tmp_path, name, "kode,nama,jenis\nF1,Satu,klinik\n")
    upload(gateway, tmp_path, f"{name}.csv", b"PAR1" + b"x" * 100)
    seen = [leg(gateway, name) for _ in range(7)]
    assert [found["status"] for found in seen][-1] == "open_circuit"
    assert seen[0]["problem"]["code"] == "source_format_error"
    assert "source_format_error, labelled csv, but the content is a Parquet file" in seen[-1]["problem"]["detail"]
    found = health(gateway, name)
    assert (found["circuit"], found["last_error"]) == ("open", "source_format_error")
    assert found["circuit_cause"] == {
        "code": "source_format_error",
        "detail": "labelled csv, but the content is a Parquet file; state format: parquet",
    }
    if mended_by == "upload":
        upload(gateway, tmp_path, f"{name}.csv", "kode,nama,jenis\nF1,Satu,klinik\n")
    else:
        upload(gateway, tmp_path, f"{name}-2.csv", "kode,nama,jenis\nF1,Satu,klinik\n")
        gateway.publish(facility_manifest(name, "dinkes", f"inbox/{name}-2.csv"))
    assert health(gateway, name)["circuit"] == "closed"
    assert leg(gateway, name)["status"] == "ok"
    retire(gateway, name)


def test_a_circuit_of_a_service_says_why(gateway: RunningGateway) -> None:
    services = SourceServer()
    services.json("/s", json.dumps([{"kode": "S1", "nama": "Satu", "jenis": "klinik"}]).encode())
    try:
        source = {"kind": "rest", "url": f"{services.url}/s", "record_path": "$[*]"}
        gateway.publish({**facility_manifest("uji-layanan", "dinkes"), "source": source})
        services.routes["/s"] = lambda *_: (500, "text/plain", b"down")
        seen = [leg(gateway, "uji-layanan") for _ in range(7)]
    finally:
        services.close()
    assert seen[-1]["problem"]["code"] == "source_circuit_open"
    assert "source_failed" in seen[-1]["problem"]["detail"]
    assert health(gateway, "uji-layanan")["circuit_cause"]["code"] == "source_failed"
    retire(gateway, "uji-layanan")
