"""Registering connectors: faults with their pointers, states, quarantine, and that a broken one harms nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.api.conftest import facility_manifest
from tests.support.gateway import RunningGateway


def put(gateway: RunningGateway, manifest: dict[str, Any]) -> Any:
    return gateway.admin.put(f"/v1/connectors/{manifest['connector']}", json=manifest)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"sourc": {}}, "/sourc"),
        ({"schema": "fasilitas_kesehatn@1"}, "/schema"),
        ({"source": {"kind": "fil", "location": "inbox/a.csv"}}, "/source/kind"),
        ({"source": {"kind": "file", "location": "../a.csv"}}, "/source/location"),
        ({"source": {"kind": "file", "location": "inbox/a.csv", "refresh": "9" * 30 + "d"}}, "/source/refresh"),
        ({"source": {"kind": "file", "location": "inbox/a.csv", "refresh": 10**30}}, "/source/refresh"),
        ({"source": {"kind": "file", "location": "inbox/a.csv", "deadline": "soon"}}, "/source/deadline"),
        ({"source": {"kind": "file", "location": "inbox/a.csv", "deadline": "-PT1S"}}, "/source/deadline"),
        ({"source": {"kind": "file", "location": "inbox/a.csv", "delimitr": ";"}}, "/source/delimitr"),
        ({"fields": {"kode_faskes": "kode", "nama": {"from": "nama", "txt": "trim"}}}, "/fields/nama/txt"),
        ({"fields": {"kode_faskes": "kode", "nama": {"expr": "read_csv('x')"}}}, "/fields/nama/expr"),
        ({"fields": {"kode_faskes": "kode"}}, "/fields"),
        ({"fields": {"kode_faskes": "kode", "nama": "nama", "naam": "x"}}, "/fields/naam"),
    ],
)
def test_fault_of_a_manifest_names_its_pointer(gateway: RunningGateway, change: dict[str, Any], pointer: str) -> None:
    answer = put(gateway, facility_manifest("faulty", "dinkes") | change)

    assert answer.status_code == 422
    assert pointer in {place["pointer"] for place in answer.json()["errors"]}


def test_draft_discover_check_publish_rollback(gateway: RunningGateway) -> None:
    draft = {"connector": "steps", "agency": "dinkes", "source": {"kind": "file", "location": "inbox/faskes.csv"}}
    assert put(gateway, draft).json()["state"] == "draft"
    found = gateway.admin.post("/v1/connectors/steps/discover").json()
    assert [column["name"] for column in found["columns"]] == ["kode", "nama", "jenis"]
    assert gateway.admin.post("/v1/connectors/steps/publish").status_code == 409

    whole = facility_manifest("steps", "dinkes")
    assert put(gateway, whole).json()["revision"] == 2
    assert put(gateway, whole).json()["created"] is False
    assert gateway.admin.post("/v1/connectors/steps/check").json()["passed"] is True
    preview = gateway.admin.post("/v1/connectors/steps/preview").json()
    assert preview["summary"] == {"rows": 3, "mapped": 3, "rejected": 0, "rejects_by_rule": {}}
    assert gateway.admin.post("/v1/connectors/steps/publish").json()["active_revision"] == 2

    assert put(gateway, whole | {"title": "Changed"}).json()["revision"] == 3
    gateway.admin.post("/v1/connectors/steps/check")
    assert gateway.admin.post("/v1/connectors/steps/publish").json()["active_revision"] == 3
    assert gateway.admin.post("/v1/connectors/steps/rollback", json={"revision": 2}).json()["active_revision"] == 2
    assert gateway.admin.post("/v1/connectors/steps/suspend").json()["state"] == "suspended"
    assert gateway.admin.post("/v1/connectors/steps/retire").json()["state"] == "retired"


def test_stale_etag_is_refused(gateway: RunningGateway) -> None:
    manifest = facility_manifest("etag", "dinkes")
    first = put(gateway, manifest)
    put(gateway, manifest | {"title": "Second"})
    late = gateway.admin.put("/v1/connectors/etag", json=manifest, headers={"If-Match": first.headers["etag"]})

    assert late.status_code == 412


def test_messy_file_is_quarantined_with_lines(gateway: RunningGateway, tmp_path: Path) -> None:
    file = tmp_path / "kotor.csv"
    file.write_text(
        "kode,nama,jenis\nA1,Satu,puskesmas\nA2,Dua\nA1,Lagi,puskesmas\nA3,,puskesmas\nA4,Empat,warung\n", "utf-8"
    )
    gateway.upload("dinkes", file)
    gateway.publish({**facility_manifest("messy", "dinkes", "inbox/kotor.csv"), "accept_rejects": 0.8})
    reader = gateway.client("client", "rsud")
    page = reader.get("/v1/records/fasilitas-kesehatan", params={"agencies": "dinkes"}).json()
    source = next(source for source in page["sources"] if source["dataset"] == "messy")
    steward = gateway.client("steward", "dinkes")
    shown = steward.get("/v1/connectors/messy/quarantine").json()["items"]
    gateway.admin.post("/v1/connectors/messy/retire")

    assert source["rejected_rows"] == 4
    assert {(item["place"].rpartition("line ")[2], item["field"], item["rule"]) for item in shown} == {
        ("3", "", "ragged_row"),
        ("4", "kode_faskes", "duplicate_key"),
        ("5", "nama", "missing"),
        ("6", "jenis", "not_in_list"),
    }
    assert not any("warung" in item["masked"] for item in shown)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ({"kind": "file", "location": "inbox/nowhere.csv"}, "source_missing"),
        ({"kind": "rest", "url": "http://127.0.0.1:9/x"}, "source_unreachable"),
        ({"kind": "sql", "url": "postgresql://nobody@127.0.0.1:9/db", "table": "t"}, "source_unreachable"),
        ({"kind": "sql", "url": "sqlite:inbox/nowhere.db", "table": "t"}, "source_missing"),
    ],
)
def test_broken_source_is_told_and_harms_nobody(gateway: RunningGateway, source: dict[str, Any], code: str) -> None:
    manifest = facility_manifest("broken", "dinkes") | {"source": source}
    assert put(gateway, manifest).status_code in {200, 201}
    report = gateway.admin.post("/v1/connectors/broken/check").json()
    problem = next(step for step in report["steps"] if not step["ok"])
    gateway.admin.post("/v1/connectors/broken/publish", json={"unchecked": True})
    page = gateway.client("client", "rsud").get("/v1/records/fasilitas-kesehatan").json()
    gateway.admin.post("/v1/connectors/broken/suspend")

    assert problem["problem"]["code"] == code
    assert problem["field"].startswith("/source")
    assert {source["dataset"]: source["status"] for source in page["sources"]}["dinkes-faskes"] == "ok"
    assert page["complete"] is False


def test_steward_of_another_agency_may_not(gateway: RunningGateway) -> None:
    foreign = gateway.client("steward", "rsud")

    assert (
        foreign.put("/v1/connectors/dinkes-faskes", json=facility_manifest("dinkes-faskes", "dinkes")).status_code
        == 403
    )
    assert foreign.get("/v1/connectors/dinkes-faskes/quarantine").status_code == 403
    assert foreign.put("/v1/agencies/dinkes/files/a.csv", content=b"a").status_code == 403
    assert gateway.client("client", "dinkes").put("/v1/connectors/x1", json={}).status_code == 403


def test_secret_is_never_shown(gateway: RunningGateway) -> None:
    steward = gateway.client("steward", "rsud")
    stored = steward.put("/v1/secrets/db-pass", json={"value": "s3cr3t-value-77"})
    listed = steward.get("/v1/secrets")

    assert stored.status_code == 201
    assert [item["name"] for item in listed.json()["items"]] == ["db-pass"]
    assert "s3cr3t-value-77" not in listed.text + stored.text + (gateway.folder / "serve.log").read_text("utf-8")
