"""Who may act, sign and see: erasures, legal holds, incidents, bundles of the log, receipts; over HTTP, on both stores."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.api.test_audit import PERSON, verify
from tests.support.gateway import RunningGateway


@pytest.fixture(scope="module")
def hands(gateway: RunningGateway) -> dict[str, httpx.Client]:
    """The provider's and the consumer's stewards, a stranger's, the supervisor, and two clients of the consumer."""
    verify(gateway, "RM-HANDS", PERSON["nik"])
    return {
        "provider": gateway.client("steward", "disdukcapil"),
        "consumer": gateway.client("steward", "rsud"),
        "stranger": gateway.client("steward", "dinkes"),
        "auditor": gateway.client("auditor", "rsud"),
        "supervisor": gateway.client("supervisor", "diskominfo"),
        "admin": gateway.admin,
    }


def refusal(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("rule")


def erasure(hand: httpx.Client) -> str:
    body = {"subject": {"id_type": "nik", "value": PERSON["nik"]}, "basis": "UU 27/2022 Ps. 8", "reference": "P-HANDS"}
    made = hand.post("/v1/erasures", json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def listed(hand: httpx.Client, path: str) -> set[str]:
    return {item["id"] for item in hand.get(path).json()["items"]}


def test_an_erasure_is_approved_by_a_provider_concerned_or_the_supervisor_alone(hands: dict[str, Any]) -> None:
    """Proposed by the consumer: two stewards that it does not concern cannot let others' details go."""
    made = erasure(hands["consumer"])
    path = f"/v1/erasures/{made}"

    assert hands["stranger"].post(f"{path}/approve").status_code == 404
    assert hands["stranger"].get(path).status_code == 404
    assert hands["stranger"].post(f"{path}/refuse").status_code == 404
    assert made not in listed(hands["stranger"], "/v1/erasures")
    assert hands["admin"].post(f"{path}/approve").status_code == 404
    assert refusal(hands["consumer"].post(f"{path}/approve")) == (403, "other_agency")
    for sees in ("consumer", "provider", "supervisor"):
        assert made in listed(hands[sees], "/v1/erasures")
        assert "credential" not in hands[sees].get(path).text
    assert hands["provider"].post(f"{path}/refuse").json()["state"] == "refused"


def test_the_provider_does_not_approve_what_it_proposed_itself(gateway: RunningGateway, hands: dict[str, Any]) -> None:
    path = f"/v1/erasures/{erasure(hands['provider'])}"
    colleague = gateway.client("steward", "disdukcapil")

    assert refusal(hands["provider"].post(f"{path}/approve")) == (403, "second_hand")
    assert refusal(colleague.post(f"{path}/approve")) == (403, "second_agency")
    assert colleague.post(f"{path}/refuse").json()["state"] == "refused"


def test_a_hold_is_released_by_who_placed_it_or_the_supervisor(hands: dict[str, Any]) -> None:
    body = {"range": {"provider": "disdukcapil"}, "basis": "Penyidikan", "reference": "B-HANDS"}
    for releases in ("consumer", "supervisor"):
        made = hands["consumer"].post("/v1/legal-holds", json=body).json()["id"]
        path = f"/v1/legal-holds/{made}/release"
        assert hands["stranger"].post(path).status_code == 404
        assert made not in listed(hands["stranger"], "/v1/legal-holds")
        assert made in listed(hands["provider"], "/v1/legal-holds")
        assert refusal(hands["provider"].post(path)) == (403, "other_agency")
        assert hands[releases].post(path).json()["state"] == "released"


def test_incidents_are_seen_and_moved_by_those_they_concern(hands: dict[str, Any]) -> None:
    body = {
        "title": "Kebocoran",
        "connector": "dukcapil-penduduk",
        "from": "2026-01-01",
        "to": "2031-01-01",
        "known_at": "2026-11-01T00:00:00Z",
    }
    made = hands["supervisor"].post("/v1/incident-scope", json=body)
    assert made.status_code == 201, made.text
    path = f"/v1/incident-scope/{made.json()['id']}"

    assert hands["stranger"].get(path).status_code == 404
    assert hands["stranger"].post(f"{path}/resolve").status_code == 404
    assert made.json()["id"] not in listed(hands["stranger"], "/v1/incident-scope")
    for sees in ("provider", "consumer", "supervisor"):
        assert hands[sees].get(path).status_code == 200
    assert hands["provider"].post(f"{path}/resolve").status_code == 200


def test_bundles_of_everybodys_entries_are_not_for_others_than_the_supervisor(hands: dict[str, Any]) -> None:
    """What the supervisor is given: `test_log.py`."""
    bundle = "/log/tile/entries/000"
    assert hands["auditor"].get(bundle).status_code == 403
    assert hands["admin"].get(bundle).status_code == 403


def test_a_receipt_is_for_the_client_that_asked_and_for_auditors(gateway: RunningGateway) -> None:
    """Not for other clients of its agency, whatever their role: it holds the salt of the body."""
    asked, other = gateway.client("client", "rsud"), gateway.client("client", "rsud")
    answer = asked.get("/v1/records/fasilitas-kesehatan", params={"limit": 1})
    path = f"/v1/exchanges/{answer.headers['exchange-id']}/receipt"

    assert asked.get(path).status_code == 200
    assert gateway.client("auditor", "rsud").get(path).status_code == 200
    assert gateway.client("supervisor", "diskominfo").get(path).status_code == 200
    told = other.get(path)
    assert (told.status_code, told.json()["code"]) == (404, "exchange_unknown")
    assert gateway.steward("rsud").get(path).status_code == 404
    absent = other.get("/v1/exchanges/01890000-0000-7000-8000-000000000000/receipt")
    assert absent.json()["detail"] == told.json()["detail"]
