"""A dataset takes part in everybody's answers once the walidata has let it: a dead or false one of a steward harms nobody."""

from __future__ import annotations

from tests.integration.api.conftest import facility_manifest, gateway, services
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

__all__ = ["gateway", "services"]

LIST = "/v1/records/fasilitas-kesehatan"
STRICT = {"prefer": "partial=never"}


def test_a_dead_dataset_of_a_steward_stops_no_strict_answer(gateway: RunningGateway, services: SourceServer) -> None:
    gateway.agency("dprkp")
    steward, reader = gateway.client("steward", "dprkp"), gateway.client("client", "rsud")
    services.routes["/mati"] = lambda _query, _headers: (503, "text/plain", b"")
    manifest = {
        **facility_manifest("dprkp-mati", "dprkp"),
        "source": {"kind": "rest", "url": f"{services.url}/mati", "record_path": "$[*]"},
    }
    assert steward.put("/v1/connectors/dprkp-mati", json=manifest).status_code == 201
    published = steward.post("/v1/connectors/dprkp-mati/publish", json={"unchecked": True})
    assert (published.status_code, published.json()["state"], published.json()["joined"]) == (200, "published", None)

    answer = reader.get(LIST, headers=STRICT)
    assert answer.status_code == 200, answer.text
    assert "dprkp" not in answer.text
    count = {"aggregates": [{"function": "count", "as": "n"}]}
    assert reader.post(f"{LIST}/aggregate", json=count).status_code == 200
    assert "dprkp-mati" not in reader.get("/v1/datasets").text
    assert "dprkp-mati" not in reader.get("/v1/connectors").text
    assert steward.get("/v1/connectors/dprkp-mati").json()["joined"] is None
    assert gateway.client("steward", "rsud").get("/v1/connectors/dprkp-mati").status_code == 404

    for session in (steward, reader, gateway.client("steward", "rsud")):
        assert session.post("/v1/connectors/dprkp-mati/join").status_code == 403
    steward.post("/v1/connectors/dprkp-mati/suspend")
    assert reader.get(LIST, headers=STRICT).json()["complete"] is True  # nor does it by being suspended


def test_the_walidata_lets_it_once(gateway: RunningGateway, services: SourceServer) -> None:
    gateway.agency("bappeda")
    steward, reader = gateway.client("steward", "bappeda"), gateway.client("client", "rsud")
    services.json("/hidup", b'[{"kode": "B1", "nama": "Klinik Bappeda", "jenis": "klinik"}]')
    source = {"kind": "rest", "url": f"{services.url}/hidup", "record_path": "$[*]"}
    manifest = {**facility_manifest("bappeda-hidup", "bappeda"), "source": source}
    steward.put("/v1/connectors/bappeda-hidup", json=manifest)
    early = gateway.admin.post("/v1/connectors/bappeda-hidup/join")
    assert (early.status_code, early.json()["code"]) == (409, "state_conflict")
    steward.post("/v1/connectors/bappeda-hidup/publish", json={"unchecked": True})
    assert reader.get(f"{LIST}/B1").status_code == 404

    joined = gateway.admin.post("/v1/connectors/bappeda-hidup/join")
    assert (joined.status_code, joined.json()["joined"]) == (200, "fasilitas_kesehatan")
    assert reader.get(f"{LIST}/B1").status_code == 200
    steward.put("/v1/connectors/bappeda-hidup", json={**manifest, "title": "Klinik"})
    steward.post("/v1/connectors/bappeda-hidup/publish", json={"unchecked": True})
    assert reader.get(f"{LIST}/B1").status_code == 200  # a later revision of the same schema needs no second word

    other = {
        **manifest,
        "schema": "wilayah@1",
        "fields": {"kode": "kode", "nama": "nama", "tingkat": {"const": "desa"}},
    }
    steward.put("/v1/connectors/bappeda-hidup", json=other)
    steward.post("/v1/connectors/bappeda-hidup/publish", json={"unchecked": True})
    regions = reader.get("/v1/records/wilayah", headers=STRICT)
    assert "bappeda" not in regions.text


def test_personal_schemas_wait_for_their_agreement_alone(gateway: RunningGateway) -> None:
    steward = gateway.client("steward", "disdukcapil")
    people = {
        "connector": "dukcapil-baru",
        "agency": "disdukcapil",
        "schema": "penduduk_verifikasi@1",
        "source": {"kind": "file", "location": "inbox/penduduk.csv"},
        "fields": {"nik": "nik", "nama": "nama"},
    }
    steward.put("/v1/connectors/dukcapil-baru", json=people)
    published = steward.post("/v1/connectors/dukcapil-baru/publish", json={"unchecked": True})
    assert published.json()["joined"] == "penduduk_verifikasi"
    steward.post("/v1/connectors/dukcapil-baru/retire")
