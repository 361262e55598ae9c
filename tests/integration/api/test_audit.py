"""What auditors do over HTTP: search by case and text, count by time and dimension; on both stores."""

from __future__ import annotations

import httpx
import pytest

from app.audit.verify.stored_log import verify_settings
from app.settings import load_settings
from tests.support.gateway import RunningGateway

PERSON = {"nik": "3320990101900001", "nama": "Siti Contoh Aminah"}
HEADERS = {"Simpul-Purpose": "pelayanan_kesehatan", "X-Road-UserId": "198609262015051001"}


def verify(gateway: RunningGateway, case: str, nik: str = PERSON["nik"]) -> str:
    """A verification at the registry; its Exchange-Id."""
    reader = gateway.client("client", "rsud")
    answer = reader.post(
        "/v1/records/penduduk-verifikasi/verify",
        json={**PERSON, "nik": nik},
        headers={**HEADERS, "X-Road-Issue": case},
    )
    return answer.headers["exchange-id"]


def test_search_by_case_text_and_exchange(gateway: RunningGateway) -> None:
    exchange_id = verify(gateway, "RM-2026-000123")
    supervisor = gateway.client("supervisor", "diskominfo")

    def found(**wanted: str) -> list[tuple[str, str]]:
        items = supervisor.get("/v1/exchanges", params=wanted).json()["items"]
        return [(item["xid"], item["kind"]) for item in items]

    both = [(exchange_id, "outcome"), (exchange_id, "intent")]
    assert found(case="rm 2026 000123") == both
    assert found(text="RM-2026-000123") == both
    assert found(text="pelayanan_kes", case="RM-2026-000123") == both
    assert found(exchange_id=exchange_id, kind="intent") == both[1:]
    assert found(case="RM-2026-00012") == []
    assert supervisor.get("/v1/exchanges", params={"case": " "}).status_code == 422


def test_summary_counts_by_day_and_value_in_the_scope_of_the_caller(gateway: RunningGateway) -> None:
    for number in range(3):
        verify(gateway, f"RM-77-{number}")
    supervisor = gateway.client("supervisor", "diskominfo")
    params = {"bucket": "day", "by": "consumer", "schema": "penduduk_verifikasi", "kind": "outcome"}
    found = supervisor.get("/v1/exchanges/summary", params=params).json()
    foreign = gateway.client("auditor", "dinkes").get("/v1/exchanges/summary", params=params).json()

    assert found["total"]["entries"] >= 3
    assert sum(bucket["entries"] for bucket in found["buckets"]) == found["total"]["entries"]
    assert found["buckets"][0]["from"].endswith("T17:00:00Z")  # a day begins at midnight in Jepara
    assert [value["value"] for value in found["values"]] == ["ID-JEPARA/GOV/rsud"]
    assert foreign["total"]["entries"] == 0
    reads = supervisor.get("/v1/exchanges", params={"op": "exchange.summary", "limit": "1"}).json()["items"]
    assert reads[0]["kind"] == "audit_read"


@pytest.mark.parametrize(
    "params", [{"bucket": "minute"}, {"by": "facet"}, {"top": "0"}, {"bucket": "day", "colour": "x"}]
)
def test_summary_names_what_is_wrong(gateway: RunningGateway, params: dict[str, str]) -> None:
    answer = gateway.client("supervisor", "diskominfo").get("/v1/exchanges/summary", params=params)

    assert answer.status_code in {400, 422}


def usage(auditor: httpx.Client, nik: str, **more: object) -> httpx.Response:
    body = {"subject": {"id_type": "nik", "value": nik}, **more}
    return auditor.post("/v1/subject-usage", json=body, headers={"X-Road-Issue": "PERMOHONAN-12/2026"})


def test_who_received_data_about_a_person(gateway: RunningGateway) -> None:
    asked = verify(gateway, "RM-1", "3320990101900001")
    absent = verify(gateway, "RM-2", "3320990202900002")
    supervisor = gateway.client("supervisor", "diskominfo")
    found = usage(supervisor, " 33.20990101-900001 ", limit=2).json()
    other = usage(supervisor, "3320990202900002").json()
    foreign = usage(gateway.client("auditor", "dinkes"), "3320990202900002").json()

    assert [item["exchange_id"] for item in found["items"]] == [asked, asked]
    assert found["items"][0]["roles"] == ["asked", "compared"]
    assert found["items"][0]["receiver"] == "ID-JEPARA/GOV/rsud"
    assert [(item["exchange_id"], item["kind"]) for item in other["items"]] == [(absent, "outcome"), (absent, "intent")]
    assert foreign["items"] == []
    assert usage(supervisor, "3320990101900001", limit=1).json()["next_cursor"]
    again = usage(supervisor, "3320990202900002").json()
    assert [item["operation"] for item in again["items"]][:2] == ["subject.usage", "subject.usage"]


def test_questions_about_a_person_need_a_case_and_a_known_identifier(gateway: RunningGateway) -> None:
    supervisor = gateway.client("supervisor", "diskominfo")
    body = {"subject": {"id_type": "nik", "value": PERSON["nik"]}}

    assert supervisor.post("/v1/subject-usage", json=body).json()["code"] == "case_required"
    wrong = {"subject": {"id_type": "colour", "value": "x"}}
    headers = {"X-Road-Issue": "P-1"}
    assert supervisor.post("/v1/subject-usage", json=wrong, headers=headers).status_code == 422
    assert gateway.client("steward", "dinkes").post("/v1/subject-usage", json=body).status_code == 403


def test_erasure_takes_two_agencies_and_leaves_the_proof(gateway: RunningGateway) -> None:
    nik = "3320990303900003"
    exchange_id = verify(gateway, "RM-9", nik)
    steward, supervisor = gateway.client("steward", "disdukcapil"), gateway.client("supervisor", "diskominfo")
    colleague = gateway.client("steward", "disdukcapil")
    body = {"subject": {"id_type": "nik", "value": nik}, "basis": "UU 27/2022 Ps. 8", "reference": "P-12"}
    made = steward.post("/v1/erasures", json=body).json()
    path = f"/v1/erasures/{made['id']}"
    hospital = gateway.client("steward", "rsud")
    held = hospital.post(
        "/v1/legal-holds",
        json={"range": {"agreement": "pks-1"}, "basis": "Penyidikan", "reference": "B-120"},
    )

    assert made["entries"] == 2
    assert nik not in str(made)
    assert colleague.post(f"{path}/approve").status_code == 403
    refused = supervisor.post(f"{path}/approve")
    assert (refused.status_code, refused.json()["code"]) == (409, "held_by_law")
    assert supervisor.get(f"/v1/exchanges/{exchange_id}").json()["entries"][0]["detail"] is not None
    hold = f"/v1/legal-holds/{held.json()['id']}/release"
    assert steward.post(hold).status_code == 403
    assert hospital.post(hold).json()["state"] == "released"
    done = supervisor.post(f"{path}/approve").json()
    assert (done["state"], done["result"]["details"], done["result"]["tags"]) == ("done", 2, 0)
    assert done["result"]["copies"]["connectors"] == ["dukcapil-penduduk"]
    assert supervisor.post(f"{path}/approve").status_code == 409
    left = supervisor.get(f"/v1/exchanges/{exchange_id}").json()
    assert [entry["detail"] for entry in left["entries"]] == [None, None]
    assert [item["kind"] for item in usage(supervisor, nik).json()["items"]] == ["outcome", "intent"]
    verified = verify_settings(load_settings(dir=gateway.folder, **database(gateway)))
    assert verified.ok, verified.reason
    assert verified.erased_details == 2


def database(gateway: RunningGateway) -> dict[str, str]:
    url = gateway.environment.get("SIMPUL_DATABASE_URL")
    return {"database_url": url} if url else {}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"subject": {"id_type": "nik", "value": "1"}, "range": {"from": "2026-01-01"}},
        {"range": {}},
        {"range": {"agreement": "pks-1"}, "trail": True},
        {"subject": {"id_type": "nik", "value": "---"}},
    ],
)
def test_erasure_of_nothing_or_two_things_is_refused(gateway: RunningGateway, body: dict[str, object]) -> None:
    steward = gateway.client("steward", "disdukcapil")

    assert steward.post("/v1/erasures", json={**body, "basis": "b", "reference": "r"}).status_code == 422
