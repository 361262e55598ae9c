"""What auditors do over HTTP: search by case and text, count by time and dimension; on both stores."""

from __future__ import annotations

import pytest

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
    assert found["buckets"][0]["from"].endswith("T00:00:00+07:00")
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
