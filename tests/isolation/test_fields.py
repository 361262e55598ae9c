"""Door x state of the agreement x role and agency x class of the field: what is shown of a field, and what is told instead."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from app.schemas import registry
from tests.isolation.rows import UNAUTHORISED
from tests.isolation.test_routes import of_records, served, told
from tests.isolation.world import CALLERS, CONSUMER, NIK, NOBODY, PROVIDER, STATES, WHY, Caller, World, terms

LIST = "/v1/records/fasilitas-kesehatan"
PERSONS = "/v1/records/penduduk-verifikasi"
SHOWN = "kode_faskes,email_kontak"
ONE, TWO, THREE = "rahasia-satu@faskes.example", "rahasia-dua@faskes.example", "rahasia-tiga@faskes.example"
_SQL = "SELECT kode_faskes, email_kontak FROM fasilitas_kesehatan"
_COUNT = [{"function": "count", "as": "n"}]
Ask = tuple[str, str, dict[str, Any]]

# Each door with a question that shows the closed field, or decides by it.
SHOWING: Mapping[str, Ask] = {
    "GET": ("GET", LIST, {"params": {"fields": SHOWN}}),
    "GET ndjson": ("GET", LIST, {"params": {"fields": SHOWN, "f": "ndjson"}}),
    "GET csv": ("GET", LIST, {"params": {"fields": SHOWN, "f": "csv"}}),
    "GET merged": ("GET", LIST, {"params": {"fields": SHOWN, "view": "merged"}}),
    "GET /{key:path}": ("GET", f"{LIST}/F1", {"params": {"fields": SHOWN}}),
    "POST /search": ("POST", f"{LIST}/search", {"json": {"fields": SHOWN.split(",")}}),
    "POST /match": ("POST", f"{LIST}/match", {"json": {"keys": ["F1", "F2", "F3"], "fields": SHOWN.split(",")}}),
    "POST /v1/queries": ("POST", "/v1/queries", {"json": {"sql": _SQL}}),
    "GET job": ("GET", LIST, {"params": {"fields": SHOWN, "f": "csv"}, "headers": {"Prefer": "respond-async"}}),
    "POST /v1/queries job": ("POST", "/v1/queries", {"json": {"sql": _SQL}, "headers": {"Prefer": "respond-async"}}),
}
DECIDING: Mapping[str, Ask] = {
    "GET filter": ("GET", LIST, {"params": {"filter": f"email_kontak = '{ONE}'", "fields": "kode_faskes"}}),
    "GET sort": ("GET", LIST, {"params": {"sort": "email_kontak", "fields": "kode_faskes"}}),
    "GET count": ("GET", LIST, {"params": {"filter": "email_kontak IS NOT NULL", "count": "exact", "fields": "kode_faskes"}}),
    "POST /search filter": ("POST", f"{LIST}/search", {"json": {"filter": f"email_kontak = '{ONE}'"}}),
    "POST /aggregate": ("POST", f"{LIST}/aggregate", {"json": {"group_by": ["email_kontak"], "aggregates": _COUNT}}),
    "POST /aggregate distinct": (
        "POST", f"{LIST}/aggregate", {"json": {"aggregates": [{"function": "count_distinct", "field": "email_kontak", "as": "n"}]}},
    ),
    "POST /aggregate min": (
        "POST", f"{LIST}/aggregate", {"json": {"aggregates": [{"function": "min", "field": "email_kontak", "as": "n"}]}},
    ),
    "POST /aggregate filter": (
        "POST", f"{LIST}/aggregate", {"json": {"filter": f"email_kontak = '{ONE}'", "aggregates": _COUNT}},
    ),
    "POST /match": ("POST", f"{LIST}/match", {"json": {"keys": [{"key": "F1", "values": {"email_kontak": ONE}}]}}),
    "POST /v1/queries": ("POST", "/v1/queries", {"json": {"sql": f"{_SQL} WHERE email_kontak = '{ONE}'"}}),
    "POST /v1/queries order": ("POST", "/v1/queries", {"json": {"sql": "SELECT kode_faskes FROM fasilitas_kesehatan ORDER BY email_kontak"}}),
    "POST /v1/queries case": (
        "POST", "/v1/queries", {"json": {"sql": "SELECT CASE WHEN email_kontak LIKE 'r%' THEN 1 ELSE 0 END AS x FROM fasilitas_kesehatan"}},
    ),
    "POST /v1/queries cast": ("POST", "/v1/queries", {"json": {"sql": "SELECT CAST(email_kontak AS INTEGER) AS x FROM fasilitas_kesehatan"}}),
    "POST /v1/explain": (
        "POST", "/v1/explain", {"json": {"schema": "fasilitas_kesehatan", "filter": f"email_kontak = '{ONE}'"}},
    ),
}  # fmt: skip
NAMING_NONE: Mapping[str, Ask] = {
    # Doors that take no fields: all that is granted, or the open fields where nothing more is.
    "GET all": ("GET", LIST, {}),
    "GET /{key:path}": ("GET", f"{LIST}/F1", {}),
    "GET /changes": ("GET", f"{LIST}/changes", {}),
    "GET /conflicts": ("GET", f"{LIST}/conflicts", {}),
}
PERSONAL: Mapping[str, Ask] = {
    "POST /verify": ("POST", f"{PERSONS}/verify", {"json": {"nik": NIK, "nama": "Siti Contoh Aminah", "tanggal_lahir": "1985-07-05"}}),
    "POST /match": (
        "POST", f"{PERSONS}/match", {"json": {"keys": [{"key": NIK, "values": {"nama": "Siti Contoh Aminah", "tanggal_lahir": "1985-07-05"}}]}},
    ),
}  # fmt: skip
MASKS = {"hide": "email_kontak", "hash": "email_kontak", "last4": "email_kontak", "region-only": "kode_wilayah"}
FORBIDDEN = (403, "field_not_granted", "field_not_granted")
REFUSED = {
    "proposed": (403, "agreement_not_active", "agreement_not_approved"),
    "approved": (403, "agreement_not_active", "agreement_not_approved"),
    "expired": (403, "agreement_not_active", "agreement_expired"),
    "revoked": (403, "agreement_not_active", "agreement_revoked"),
    "ended": (403, "agreement_not_active", "agreement_ended"),
    "later": (403, "agreement_not_active", "agreement_not_yet_valid"),
    "client": (403, "agreement_missing", "agreement_unknown"),
}


def answer(session: httpx.Client, ask: Ask, agreement: str | None) -> httpx.Response:
    """What a door says; of a job its result, or the problem it ended with."""
    method, path, more = ask
    named = {} if agreement is None else {"Simpul-Agreement": agreement}
    headers = {**WHY, **named, **more.get("headers", {})}
    found = session.request(method, path, **{**more, "headers": headers})
    if found.status_code != httpx.codes.ACCEPTED:
        return found
    address, ends = found.headers["location"].removeprefix(str(session.base_url).rstrip("/")), time.monotonic() + 30
    while session.get(address).json()["state"] in {"queued", "running"} and time.monotonic() < ends:
        time.sleep(0.02)
    result = session.get(f"{address}/result", headers=named)
    session.delete(address)
    return result


@pytest.fixture(scope="module")
def agreed(world: World) -> Iterator[World]:
    """Agreements for each mask, for some rows and for some fields; each is chosen by its name."""
    for mask, field in MASKS.items():
        world.gateway.agree(terms(f"mask-{mask}", masks={field: mask}))
    world.gateway.agree(terms("some-rows", row_filter="jenis = 'puskesmas'"))
    world.gateway.agree(terms("some-fields", fields=["kode_faskes", "nama", "jenis"]))
    persons = {"schema": "penduduk_verifikasi", "rights": ["match"]}
    world.gateway.agree(terms("persons", **persons))
    world.gateway.agree(terms("persons-year-only", masks={"tanggal_lahir": "year-only"}, **persons))
    world.gateway.agree(terms("persons-hidden", masks={"nama": "hide"}, **persons))
    world.gateway.agree(terms("persons-some", fields=["nik", "nama"], **persons))
    return world


def reader(world: World) -> httpx.Client:
    return world.sessions[Caller("client", CONSUMER)]


def test_every_operation_on_records_has_a_door_here() -> None:
    doors = {
        " ".join(name.split()[:2]) if "/" in name else "GET"
        for name in {**SHOWING, **DECIDING, **NAMING_NONE, **PERSONAL}
    }
    operations = {operation for route in served() if (operation := of_records(route)) is not None}
    assert sorted((operations | {"POST /v1/queries", "POST /v1/explain"}) - doors) == []
    assert sorted(doors - operations - {"POST /v1/queries", "POST /v1/explain"}) == []


@pytest.mark.parametrize("door", [*SHOWING, *(f"by {name}" for name in DECIDING)])
def test_an_agreement_grants_only_while_it_is_in_force(world: World, door: str) -> None:
    ask = DECIDING[door[3:]] if door.startswith("by ") else SHOWING[door]
    for state in STATES:
        found = answer(reader(world), ask, f"pks-{state}")
        if state == "active":
            cast = "cast" in door
            assert found.status_code == (422 if cast else 200), found.text
        else:
            assert told(found) == REFUSED[state], (state, found.text)
            assert "rahasia-" not in found.text.replace(ONE, ""), state


@pytest.mark.parametrize("door", [*SHOWING, *(f"by {name}" for name in DECIDING)])
def test_only_clients_of_the_consumer_read_under_its_agreement(world: World, door: str) -> None:
    ask = DECIDING[door[3:]] if door.startswith("by ") else SHOWING[door]
    for caller in CALLERS:
        if caller == Caller("client", CONSUMER):
            continue
        named, unnamed = (answer(world.sessions[caller], ask, agreement) for agreement in ("pks-active", None))
        if caller == NOBODY:
            assert told(named) == told(unnamed) == UNAUTHORISED
            continue
        reads = (
            (403, "agreement_missing", "no_agreement")
            if caller.role == "client"
            else (403, "role_forbidden", "role_cannot_read")
        )
        assert told(unnamed) == reads, (caller, unnamed.text)
        of_consumer = caller.agency == CONSUMER
        assert told(named) == (reads if of_consumer else (403, "agreement_missing", "agreement_unknown")), (
            caller,
            named.text,
        )


@pytest.mark.parametrize("door", SHOWING)
def test_what_is_shown_of_a_field_of_each_class(agreed: World, door: str) -> None:
    session, ask = reader(agreed), SHOWING[door]
    granted = answer(session, ask, "pks-active")
    assert ONE in granted.text
    for mask in ("hash", "last4"):
        masked = answer(session, ask, f"mask-{mask}")
        if "queries" in door:  # SQL takes no column that everybody masks
            assert told(masked) == FORBIDDEN, masked.text
            continue
        assert masked.status_code == 200, masked.text
        assert "rahasia-" not in masked.text, mask
    for agreement in ("mask-hide", "some-fields"):
        refused = answer(session, ask, agreement)
        assert "rahasia-" not in refused.text, agreement
        if agreement == "some-fields":
            assert told(refused) == FORBIDDEN, refused.text
    filtered = answer(session, ask, "some-rows")
    assert filtered.status_code == 200, filtered.text
    assert THREE not in filtered.text
    assert ONE in filtered.text


@pytest.mark.parametrize("door", DECIDING)
@pytest.mark.parametrize("agreement", ["mask-hide", "mask-hash", "mask-last4", "some-fields"])
def test_what_is_not_seen_decides_nothing(agreed: World, door: str, agreement: str) -> None:
    found = answer(reader(agreed), DECIDING[door], agreement)
    if door == "POST /v1/explain" and found.status_code == 200:
        assert {source["status"] for source in found.json()["sources"]} == {"skipped"}
        return
    assert told(found)[:2] == FORBIDDEN[:2], found.text
    assert "rahasia-" not in found.text.replace(ONE, "")


@pytest.mark.parametrize("door", NAMING_NONE)
def test_a_question_that_names_no_fields_shows_no_more_than_is_granted(agreed: World, door: str) -> None:
    ask, session = NAMING_NONE[door], reader(agreed)
    shown = answer(session, ask, "pks-active")
    assert shown.status_code == 200, shown.text
    assert (ONE in shown.text) == (door != "GET /conflicts"), "one provider has no conflicts"
    for agreement in [
        *(f"pks-{state}" for state in STATES if state != "active"),
        *(f"mask-{mask}" for mask in ("hide", "hash", "last4")),
        "some-fields",
    ]:
        found = answer(session, ask, agreement)
        assert found.status_code == 200 or told(found) in {*REFUSED.values(), FORBIDDEN}, (agreement, found.text)
        assert "rahasia-" not in found.text, agreement
    assert THREE not in answer(session, ask, "some-rows").text
    for caller in CALLERS[1:]:
        if caller != Caller("client", CONSUMER):
            assert "rahasia-" not in answer(agreed.sessions[caller], ask, None).text, caller


def test_a_region_is_shown_to_its_regency_and_decides_nothing(agreed: World) -> None:
    session, ask = reader(agreed), ("GET", LIST, {"params": {"fields": "kode_faskes,kode_wilayah,email_kontak"}})
    items = answer(session, ask, "mask-region-only").json()["items"]
    assert {item["kode_wilayah"] for item in items} == {"33.20"}
    by_region = {"fields": "kode_faskes,email_kontak", "filter": "kode_wilayah = '33.20.01.2001'"}
    assert told(answer(session, ("GET", LIST, {"params": by_region}), "mask-region-only"))[:2] == FORBIDDEN[:2]


@pytest.mark.parametrize("door", PERSONAL)
def test_persons_are_compared_by_what_is_granted_as_it_is(agreed: World, door: str) -> None:
    session, ask = reader(agreed), PERSONAL[door]
    found = answer(session, ask, "persons")
    assert found.status_code == 200, found.text
    for agreement in ("persons-year-only", "persons-hidden", "persons-some"):
        refused = answer(session, ask, agreement)
        assert told(refused) == FORBIDDEN, (agreement, refused.text)
    for caller in CALLERS[1:]:
        if caller.agency != CONSUMER:
            assert told(answer(agreed.sessions[caller], ask, "persons")) == (
                403,
                "agreement_missing",
                "agreement_unknown",
            ), caller
        if caller.role != "client":
            assert told(answer(agreed.sessions[caller], ask, None)) == (403, "role_forbidden", "role_cannot_read"), (
                caller
            )


def test_schemas_that_nobody_provides_tell_everybody_the_same(world: World) -> None:
    """No schema has records for somebody by another way: each operation of each schema, for a stranger and an auditor."""
    callers = (NOBODY, Caller("client", "lain"), Caller("auditor", "lain"))
    provided = {"fasilitas_kesehatan", "penduduk_verifikasi"}
    for schema in registry.all_schemas():
        if schema.name in provided:
            continue
        path = f"/v1/records/{schema.meta.slug}"
        for method, tail in (("GET", ""), ("GET", "/changes"), ("GET", "/conflicts"), ("POST", "/search")):
            answers = [
                told(world.sessions[caller].request(method, path + tail, json={} if method == "POST" else None))
                for caller in callers
            ]
            assert answers == [UNAUTHORISED, (200, None, None), (200, None, None)], (schema.name, tail, answers)


def test_a_provider_does_not_read_of_its_consumer(world: World) -> None:
    assert told(answer(world.sessions[Caller("client", PROVIDER)], SHOWING["GET"], "pks-active")) == (
        403, "agreement_missing", "agreement_unknown",
    )  # fmt: skip
