"""Terms of agreements at every door: rights, formats, quotas, the day on which they end. Each refusal names its rule and what to do."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from app.access.terms import FORMATS
from app.api.layer.problem_types import PROBLEMS
from app.api.layer.resource import RuleTable
from app.api.routes import RESOURCES, RULES
from app.federation.exports import FORMS
from tests.integration.api.test_jobs import ended
from tests.integration.api.test_recorded import LIST, PERSON, VERIFY, WHY, recorded, supervisor
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

__all__ = ["supervisor"]

FIELDS = "kode_faskes,email_kontak"
PURPOSE = "pelayanan_kesehatan"
PERSONS = "/v1/records/penduduk-verifikasi/match"
_COUNT = {"aggregates": [{"function": "count", "field": "email_kontak", "as": "n"}], "agencies": ["dinkes"]}
_SQL = "SELECT kode_faskes, email_kontak FROM fasilitas_kesehatan"
_MATCH = {"keys": ["P1"], "fields": ["kode_faskes", "email_kontak"]}
Door = tuple[str, str, dict[str, Any]]
DOORS: dict[str, Door] = {
    "list": ("GET", f"{LIST}?fields={FIELDS}&agencies=dinkes", {}),
    "merged": ("GET", f"{LIST}?view=merged&agencies=dinkes", {}),
    "export": ("GET", f"{LIST}?fields={FIELDS}&agencies=dinkes&f=csv", {}),
    "look-up": ("GET", f"{LIST}/P1?fields={FIELDS}&agencies=dinkes", {}),
    "search": ("POST", f"{LIST}/search", {"json": {"fields": FIELDS.split(","), "agencies": ["dinkes"]}}),
    "aggregate": ("POST", f"{LIST}/aggregate", {"json": _COUNT}),
    "sql": ("POST", "/v1/queries", {"json": {"sql": _SQL}, "headers": {"Prefer": "partial=allow"}}),
    "match": ("POST", f"{LIST}/match", {"json": _MATCH}),
    "changes": ("GET", f"{LIST}/changes?agencies=dinkes", {}),
    "conflicts": ("GET", f"{LIST}/conflicts?agencies=dinkes", {}),
    "explain": ("POST", "/v1/explain", {"json": {"schema": "fasilitas_kesehatan", "fields": FIELDS.split(",")}}),
    "verify": ("POST", VERIFY, {"json": PERSON, "headers": WHY}),
    "match persons": (
        "POST",
        PERSONS,
        {"json": {"keys": [{"key": PERSON["nik"], "values": {"nama": PERSON["nama"]}}]}, "headers": WHY},
    ),
}


def agreed(gateway: RunningGateway, agreement: str, **terms: Any) -> None:
    """An active agreement of rsud with dinkes over facilities, or over persons with their register."""
    persons = terms.get("schema") == "penduduk_verifikasi"
    body = {
        "id": agreement,
        "provider": "disdukcapil" if persons else "dinkes",
        "consumer": "rsud",
        "schema": "fasilitas_kesehatan",
        "fields": ["*"],
        "purposes": [PURPOSE],
        "basis": "PKS 7/2026",
        "valid_from": "2026-01-01",
        "valid_until": "2030-12-31",
        **terms,
    }
    gateway.agree(body)


@pytest.fixture(scope="module")
def reader(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("client", "rsud")


def asked(client: httpx.Client, door: Door, agreement: str, **headers: str) -> httpx.Response:
    method, path, more = door
    given = {"Simpul-Purpose": PURPOSE, "Simpul-Agreement": agreement, **more.get("headers", {}), **headers}
    return client.request(method, path, **{**more, "headers": given})


def schema_of(name: str) -> str:
    return "penduduk_verifikasi" if name in {"verify", "match persons"} else "fasilitas_kesehatan"


def test_every_operation_on_records_is_a_door_here() -> None:
    """A new one is counted, has its rights and formats and tells the end of an agreement, or this fails."""
    table = RuleTable(RESOURCES)
    known = {
        found.rule.op for method, path, _ in DOORS.values() if (found := table.find(method, path.partition("?")[0]))
    }
    reading = {
        found.rule.op for found in RULES if found.path.startswith(("/v1/records/", "/v1/queries", "/v1/explain"))
    }
    assert reading == known


def test_formats_of_agreements_are_those_of_answers() -> None:
    assert set(FORMATS) == set(FORMS)


def test_terms_are_shown_as_they_were_agreed(gateway: RunningGateway) -> None:
    terms: dict[str, Any] = {
        "quota": {"requests": 5, "rows": 10},
        "formats": ["csv", "json"],
        "rights": ["join"],
        "data_life_days": 30,
        "detail_days": 90,
        "dpia": "DPIA-2026-1",
    }
    agreed(gateway, "t-shown", **terms)
    shown = gateway.admin.get("/v1/agreements/t-shown").json()
    assert {name: shown[name] for name in terms} == {**terms, "quota": {"requests": 5, "rows": 10, "subjects": None}}
    agreed(gateway, "t-plain")
    plain = gateway.admin.get("/v1/agreements/t-plain").json()
    assert plain["rights"] == ["aggregate", "join", "match"], "of a listed schema, where nothing is said"
    assert [plain[name] for name in ("quota", "formats", "data_life_days", "detail_days", "dpia", "renews")] == [
        None,
        [],
        None,
        None,
        None,
        None,
    ]


def test_a_renewal_begins_when_the_other_ends(gateway: RunningGateway) -> None:
    agreed(gateway, "t-first", valid_until="2027-12-31")
    body = {**gateway.admin.get("/v1/agreements/t-first").json(), "id": "t-second", "valid_until": "2029-12-31"}
    for name in ("state", "signatories", "reason", "created_at", "changed_at"):
        body.pop(name)
    for changes, pointer in (
        ({"renews": "t-none"}, "/renews"),
        ({"renews": "t-first"}, "/valid_from"),
        ({"renews": "pks-1"}, "/renews"),
    ):
        refused = gateway.steward("rsud").post("/v1/agreements", json={**body, **changes})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer), refused.text
    made = gateway.steward("rsud").post(
        "/v1/agreements", json={**body, "renews": "t-first", "valid_from": "2028-01-01"}
    )
    assert (made.status_code, made.json()["renews"]) == (201, "t-first")


@pytest.mark.parametrize(
    ("name", "right"), [("aggregate", "aggregate"), ("match", "match"), ("match persons", "match")]
)
def test_what_an_agreement_does_not_grant_is_refused(
    gateway: RunningGateway, reader: httpx.Client, name: str, right: str
) -> None:
    known = {"aggregate", "join", "match"} if schema_of(name) == "fasilitas_kesehatan" else {"match"}
    slug = name.replace(" ", "-")
    agreed(gateway, f"t-{slug}-no", schema=schema_of(name), rights=sorted(known - {right}))
    agreed(gateway, f"t-{slug}-yes", schema=schema_of(name), rights=[right])
    refused = asked(reader, DOORS[name], f"t-{slug}-no")
    assert (refused.status_code, refused.json()["rule"]) == (403, "right_not_granted"), refused.text
    assert "propose one" in refused.json()["detail"]
    assert asked(reader, DOORS[name], f"t-{slug}-yes").status_code == 200


@pytest.mark.parametrize(
    ("right", "sql"),
    [
        ("join", "SELECT a.email_kontak FROM fasilitas_kesehatan a JOIN fasilitas_kesehatan b ON a.kode_faskes = b.kode_faskes"),
        ("join", "SELECT email_kontak FROM fasilitas_kesehatan WHERE kode_faskes IN (SELECT kode_faskes FROM fasilitas_kesehatan)"),
        ("aggregate", "SELECT count(email_kontak) AS n FROM fasilitas_kesehatan"),
        ("aggregate", "SELECT email_kontak FROM fasilitas_kesehatan GROUP BY email_kontak"),
        ("aggregate", "WITH f AS (SELECT email_kontak FROM fasilitas_kesehatan) SELECT max(email_kontak) AS m FROM f"),
    ],
)  # fmt: skip
def test_what_a_statement_does_needs_its_right(
    gateway: RunningGateway, reader: httpx.Client, right: str, sql: str
) -> None:
    if gateway.admin.get(f"/v1/agreements/t-sql-{right}").status_code == 404:
        others = {"aggregate", "join", "match"} - {right}
        agreed(gateway, f"t-sql-{right}", rights=sorted(others))
        agreed(gateway, f"t-sql-{right}-yes", rights=[right])
    door: Door = ("POST", "/v1/queries", {"json": {"sql": sql}, "headers": {"Prefer": "partial=allow"}})
    refused = asked(reader, door, f"t-sql-{right}")
    assert refused.status_code == 403, refused.text
    granted = asked(reader, door, f"t-sql-{right}-yes")
    assert granted.status_code == 200, granted.text


@pytest.mark.parametrize("name", ["list", "look-up", "search", "sql", "export"])
def test_only_agreed_formats_leave(
    gateway: RunningGateway, reader: httpx.Client, supervisor: httpx.Client, name: str
) -> None:
    agreement = f"t-form-{name}"
    agreed(gateway, agreement, formats=["ndjson"] if name == "export" else ["json"])
    method, path, more = DOORS[name]
    path = path.replace("&f=csv", "")
    other = f"{path}{'&' if '?' in path else '?'}f=csv"
    allowed = f"{path}&f=ndjson" if name == "export" else path
    for wish in ("partial=allow", "respond-async, partial=allow"):
        refused = asked(reader, (method, other, more), agreement, Prefer=wish)
        if refused.status_code == 202:
            found = ended(reader, refused.headers["location"])
            assert (found["state"], found["problem"]["code"]) == ("failed", "format_not_granted")
            continue
        assert (refused.status_code, refused.json()["rule"]) == (403, "format_not_granted"), refused.text
        assert "ask for one of these" in refused.json()["detail"]
    _, outcome = recorded(supervisor, asked(reader, (method, other, more), agreement))
    assert outcome["dec"] == {"effect": "deny", "rule": "format_not_granted"}
    assert asked(reader, (method, allowed, more), agreement).status_code == 200


@pytest.mark.parametrize("name", DOORS)
def test_requests_of_a_day_are_counted_at_every_door(
    gateway: RunningGateway, reader: httpx.Client, supervisor: httpx.Client, name: str
) -> None:
    agreement = f"t-requests-{name.replace(' ', '-')}"
    persons = {"rights": ["match"]} if schema_of(name) == "penduduk_verifikasi" else {}
    agreed(gateway, agreement, schema=schema_of(name), quota={"requests": 2}, **persons)
    for _ in range(2):
        answer = asked(reader, DOORS[name], agreement)
        assert answer.status_code == 200, answer.text
    spent = asked(reader, DOORS[name], agreement)
    assert (spent.status_code, spent.json()["code"]) == (429, "agreement_quota_spent"), spent.text
    assert (spent.json()["rule"], spent.json()["limit"], spent.json()["left"]) == ("quota_requests", 2, 0)
    assert 0 < int(spent.headers["retry-after"]) <= 86_400
    assert "tomorrow" in spent.json()["detail"]
    _, outcome = recorded(supervisor, spent)
    assert outcome["dec"] == {"effect": "deny", "rule": "quota_requests"}
    assert outcome["agreement"] == agreement


def test_another_agreement_and_open_data_are_not_spent(gateway: RunningGateway, reader: httpx.Client) -> None:
    agreed(gateway, "t-spent", quota={"requests": 1})
    assert asked(reader, DOORS["list"], "t-spent").status_code == 200
    assert asked(reader, DOORS["list"], "t-spent").status_code == 429
    agreed(gateway, "t-fresh")
    assert asked(reader, DOORS["list"], "t-fresh").status_code == 200
    assert reader.get(f"{LIST}?fields=kode_faskes").status_code == 200


def test_rows_never_leave_beyond_the_quota(gateway: RunningGateway, reader: httpx.Client) -> None:
    agreed(gateway, "t-rows", quota={"rows": 4})
    search: Door = ("POST", f"{LIST}/search", {})

    def page(limit: int) -> httpx.Response:
        body = {"fields": FIELDS.split(","), "agencies": ["dinkes"], "limit": limit}
        return asked(reader, (*search[:2], {"json": body}), "t-rows")

    assert len(page(2).json()["items"]) == 2
    assert len(asked(reader, DOORS["look-up"], "t-rows").json()["items"]) == 1
    refused = page(2)
    assert (refused.status_code, refused.json()["rule"], refused.json()["left"]) == (429, "quota_rows", 1), refused.text
    assert "at most 1" in refused.json()["detail"]
    assert "P1" not in refused.text
    assert len(page(1).json()["items"]) == 1
    for name in ("list", "export", "look-up", "match", "aggregate", "sql"):
        none = asked(reader, DOORS[name], "t-rows")
        assert (none.status_code, none.json()["rule"]) == (429, "quota_rows"), (name, none.text)


@pytest.mark.parametrize("name", ["list", "export", "search", "match", "changes", "sql"])
def test_an_answer_that_is_too_large_for_the_quota_leaves_nothing(
    gateway: RunningGateway, reader: httpx.Client, name: str
) -> None:
    agreement = f"t-large-{name}"
    agreed(gateway, agreement, quota={"rows": 2})
    door = DOORS[name]
    if name == "match":
        door = (*door[:2], {"json": {**_MATCH, "keys": ["P1", "P2", "R1"]}})
    refused = asked(reader, door, agreement)
    assert (refused.status_code, refused.json()["rule"], refused.json()["left"]) == (429, "quota_rows", 2), refused.text
    assert "P1" not in refused.text


def test_a_job_is_stopped_by_the_quota(gateway: RunningGateway, reader: httpx.Client, supervisor: httpx.Client) -> None:
    agreed(gateway, "t-job", quota={"rows": 2, "requests": 5})
    accepted = asked(reader, DOORS["export"], "t-job", Prefer="respond-async")
    found = ended(reader, accepted.headers["location"])
    assert (found["state"], found["problem"]["code"]) == ("failed", "agreement_quota_spent"), found
    assert reader.get(f"{accepted.headers['location']}/result").json()["code"] == "state_conflict"
    told = supervisor.get("/v1/exchanges", params={"agreement": "t-job"}).json()["items"]
    assert ("quota_rows", 429) in {(one.get("dec", {}).get("rule"), one.get("status")) for one in told}


def test_distinct_persons_of_a_day_are_counted(gateway: RunningGateway, reader: httpx.Client) -> None:
    agreed(gateway, "t-people", schema="penduduk_verifikasi", quota={"subjects": 2}, rights=["match"])
    numbers = ["3320990101900001", "3320990101900002", "3320990101900003"]

    def verify(number: str) -> httpx.Response:
        return asked(reader, ("POST", VERIFY, {"json": {"nik": number}, "headers": WHY}), "t-people")

    assert [verify(number).status_code for number in (numbers[0], numbers[0], numbers[1], numbers[0])] == [200] * 4
    refused = verify(numbers[2])
    assert (refused.status_code, refused.json()["rule"], refused.json()["left"]) == (429, "quota_subjects", 0)
    assert numbers[2] not in refused.text
    body = {"keys": [{"key": number, "values": {"nama": "X"}} for number in numbers]}
    many = asked(reader, ("POST", PERSONS, {"json": body, "headers": WHY}), "t-people")
    assert (many.status_code, many.json()["rule"]) == (429, "quota_subjects")
    assert verify(numbers[1]).status_code == 200, "who was asked about today counts once"


@pytest.mark.parametrize("name", DOORS)
def test_the_end_of_an_agreement_is_told_from_sixty_days_before(
    gateway: RunningGateway, reader: httpx.Client, name: str
) -> None:
    zone, slug = ZoneInfo("Asia/Jakarta"), name.replace(" ", "-")
    persons = {"rights": ["match"]} if schema_of(name) == "penduduk_verifikasi" else {}
    today = datetime.now(UTC).astimezone(zone).date()
    for days, near in ((60, True), (61, False)):
        last = today + timedelta(days=days)
        agreed(gateway, f"t-{slug}-{days}", schema=schema_of(name), valid_until=last.isoformat(), **persons)
        answer = asked(reader, DOORS[name], f"t-{slug}-{days}")
        assert answer.status_code == 200, answer.text
        assert ("sunset" in answer.headers) is near
        if near:
            told = parsedate_to_datetime(answer.headers["sunset"])
            assert told == datetime.combine(last + timedelta(days=1), datetime.min.time(), zone)
            assert answer.headers["sunset"].endswith("GMT")


def test_refusals_and_results_of_jobs_tell_the_end_too(gateway: RunningGateway, reader: httpx.Client) -> None:
    soon = (datetime.now(UTC).date() + timedelta(days=20)).isoformat()
    agreed(gateway, "t-soon", valid_until=soon)
    wrong = asked(reader, ("GET", f"{LIST}?fields={FIELDS}&agencies=dinkes&sort=tidak_ada", {}), "t-soon")
    assert (wrong.status_code, "sunset" in wrong.headers) == (422, True)
    accepted = asked(reader, DOORS["export"], "t-soon", Prefer="respond-async")
    ended(reader, accepted.headers["location"])
    assert "sunset" in accepted.headers
    assert "sunset" in reader.get(f"{accepted.headers['location']}/result").headers
    assert "sunset" not in reader.get(f"{LIST}?fields=kode_faskes").headers, "open data ends never"


@pytest.mark.parametrize("form", ["json", "csv"])
def test_what_is_under_way_does_not_leave_after_a_revocation(
    gateway: RunningGateway, reader: httpx.Client, services: SourceServer, supervisor: httpx.Client, form: str
) -> None:
    agreement = f"t-under-way-{form}"
    agreed(gateway, agreement, provider="rsud")
    route, asked_for, release = services.routes["/rs"], threading.Event(), threading.Event()

    def held(_query: dict[str, str], _headers: dict[str, str]) -> tuple[int, str, bytes]:
        asked_for.set()
        release.wait(20)
        return 200, "application/json", b'{"data": [{"kode": "R7", "nama": "RS Tujuh", "lat": -6.5}]}'

    services.routes["/rs"] = held
    door: Door = ("GET", f"{LIST}?fields={FIELDS}&agencies=rsud&f={form}", {"headers": {"Cache-Control": "no-cache"}})
    try:
        with ThreadPoolExecutor(1) as pool:
            under_way = pool.submit(asked, reader, door, agreement)
            assert asked_for.wait(20)
            revoked = gateway.admin.post(f"/v1/agreements/{agreement}/revoke", json={"reason": "Uji"})
            release.set()
            answer = under_way.result(20)
    finally:
        release.set()
        services.routes["/rs"] = route
    assert revoked.status_code == 200
    assert (answer.status_code, answer.json()["rule"]) == (403, "agreement_revoked"), answer.text
    assert "R7" not in answer.text
    _, outcome = recorded(supervisor, answer)
    assert outcome["dec"] == {"effect": "deny", "rule": "agreement_revoked"}


def test_each_refusal_is_a_problem_type() -> None:
    assert {PROBLEMS[code].status for code in ("agreement_quota_spent", "format_not_granted")} == {429, 403}
