"""Terms of a proposal: every wrong place is named; states by day; the checks of administrative routes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from app.access.agreements import Agreement, Terms
from app.access.principals import Principal, require_agency
from app.access.purposes import SEED
from app.access.quotas import Quota
from app.access.terms import check_renewal, check_terms
from app.errors import AgencyForbidden, ValidationFailed
from tests.unit.access.making import FACILITIES, RESIDENTS, make_agreement, make_state

TODAY = date(2026, 6, 15)
CODES = [purpose.code for purpose in SEED]
GOOD = Terms(
    provider="dukcapil",
    consumer="rsud",
    schema="penduduk_verifikasi",
    fields=("nik", "nama"),
    purposes=("pelayanan_kesehatan",),
    basis="UU 17/2023",
    valid_from=date(2026, 6, 1),
    valid_until=date(2026, 12, 31),
)


def test_good_terms_pass():
    check_terms(GOOD, RESIDENTS, CODES, TODAY, agreement_id="pks-rsud-1")
    check_terms(replace(GOOD, fields=("*",)), RESIDENTS, CODES, TODAY)
    check_terms(replace(GOOD, consumer="dukcapil"), RESIDENTS, CODES, TODAY)
    open_key = replace(GOOD, schema="fasilitas_kesehatan", fields=("telepon",), masks={"telepon": "last4"})
    check_terms(open_key, FACILITIES, CODES, TODAY)


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"provider": "Dinas Kesehatan"}, "/provider", "pattern"),
        ({"consumer": ""}, "/consumer", "pattern"),
        ({"consumer_client": "a/b"}, "/consumer_client", "pattern"),
        ({"schema": "wilayah"}, "/schema", "choice"),
        ({"basis": ""}, "/basis", "text"),
        ({"basis": "a\x00b"}, "/basis", "text"),
        ({"basis": "x" * 501}, "/basis", "text"),
        ({"fields": ()}, "/fields", "empty"),
        ({"fields": ("*", "nik")}, "/fields", "choice"),
        ({"fields": ("nik", "nmaa")}, "/fields/1", "field_unknown"),
        ({"fields": ("nama",)}, "/fields", "key_missing"),
        ({"purposes": ()}, "/purposes", "empty"),
        ({"purposes": ("pelayanan_kesehatn",)}, "/purposes/0", "purpose_unknown"),
        ({"valid_until": date(2026, 5, 31)}, "/valid_until", "order"),
        ({"valid_until": date(2026, 6, 14)}, "/valid_until", "past"),
        ({"valid_until": date(2036, 1, 1)}, "/valid_until", "range"),
        ({"masks": {"alamat": "hide"}}, "/masks/alamat", "field_unknown"),
        ({"masks": {"nama": "blur"}}, "/masks/nama", "choice"),
        ({"rights": ("join",)}, "/rights/0", "choice"),
        ({"rights": ("match", "match")}, "/rights/1", "repeated"),
        ({"quota": Quota()}, "/quota", "empty"),
        ({"quota": Quota(requests=0)}, "/quota/requests", "range"),
        ({"quota": Quota(rows=10**13)}, "/quota/rows", "range"),
        ({"quota": Quota(subjects=-1)}, "/quota/subjects", "range"),
        ({"formats": ("pdf",)}, "/formats/0", "choice"),
        ({"formats": ("json", "json")}, "/formats/1", "repeated"),
        ({"formats": ("csv",)}, "/formats", "json_missing"),
        ({"data_life_days": 0}, "/data_life_days", "range"),
        ({"data_life_days": 36_501}, "/data_life_days", "range"),
        ({"detail_days": 0}, "/detail_days", "range"),
        ({"detail_days": 36_501}, "/detail_days", "range"),
        ({"dpia": ""}, "/dpia", "text"),
        ({"dpia": "x" * 501}, "/dpia", "text"),
    ],
)
def test_each_wrong_place_is_named(changes: dict[str, Any], pointer: str, code: str):
    with pytest.raises(ValidationFailed) as caught:
        check_terms(replace(GOOD, **changes), RESIDENTS, CODES, TODAY)
    assert (pointer, code) in [(error.pointer, error.code) for error in caught.value.errors]
    assert all(error.detail for error in caught.value.errors)


def test_a_schema_that_is_not_about_persons_has_no_subjects():
    terms = replace(GOOD, schema="fasilitas_kesehatan", fields=("telepon",), quota=Quota(subjects=5))
    with pytest.raises(ValidationFailed) as caught:
        check_terms(terms, FACILITIES, CODES, TODAY)
    assert [(error.pointer, error.code) for error in caught.value.errors] == [("/quota/subjects", "choice")]
    check_terms(replace(terms, quota=Quota(1, 2), rights=("aggregate", "join", "match")), FACILITIES, CODES, TODAY)


@pytest.mark.parametrize(
    ("renewed", "changes", "pointer"),
    [
        (None, {}, "/renews"),
        (make_agreement(schema="wilayah"), {}, "/renews"),
        (make_agreement(consumer_client="rsud-app"), {}, "/renews"),
        (make_agreement(state="proposed"), {}, "/renews"),
        (make_agreement(), {}, "/valid_from"),
        (make_agreement(valid_until=date(2026, 6, 1)), {}, ""),
        (make_agreement(state="revoked"), {}, ""),
        (make_agreement(), {"valid_from": date(2027, 1, 1)}, ""),
    ],
)
def test_a_renewal_is_of_the_same_and_begins_after(renewed: Agreement | None, changes: dict[str, Any], pointer: str):
    terms = replace(GOOD, **changes)
    if not pointer:
        check_renewal(terms, renewed, TODAY)
        return
    with pytest.raises(ValidationFailed) as caught:
        check_renewal(terms, renewed, TODAY)
    assert [error.pointer for error in caught.value.errors] == [pointer]


def test_all_of_them_at_once_and_the_closest_name():
    bad = replace(GOOD, provider="X", purposes=("pelayanan_kesehatn",), fields=("nik", "namaa"))
    with pytest.raises(ValidationFailed) as caught:
        check_terms(bad, RESIDENTS, CODES, TODAY, agreement_id="No!")
    found = {error.pointer: error.detail for error in caught.value.errors}
    assert set(found) == {"/id", "/provider", "/purposes/0", "/fields/1"}
    assert "pelayanan_kesehatan" in found["/purposes/0"]
    assert "nama" in found["/fields/1"]


@pytest.mark.parametrize(
    ("stored", "day", "state"),
    [
        ("active", date(2025, 12, 31), "not_yet_valid"),
        ("active", date(2026, 1, 1), "active"),
        ("active", date(2026, 12, 31), "active"),
        ("active", date(2027, 1, 1), "expired"),
        ("proposed", date(2027, 1, 1), "expired"),
        ("approved", date(2025, 12, 31), "approved"),
        ("revoked", date(2027, 1, 1), "revoked"),
        ("ended", date(2025, 12, 31), "ended"),
    ],
)
def test_the_state_follows_the_day(stored, day: date, state: str):
    assert make_agreement(state=stored).state_on(day) == state


def test_usable_agreements_are_the_callers_active_ones():
    mine, foreign = make_agreement("pks-1"), make_agreement("pks-2", consumer="puskesmas")
    snapshot = make_state(mine, foreign, make_agreement("pks-3", state="revoked"))
    app = Principal("rsud-app", "rsud", "client", "t")
    assert snapshot.usable(app, TODAY) == [mine]
    assert snapshot.usable(replace(app, role="steward"), TODAY) == []


def test_agencies_of_administrative_routes():
    steward = Principal("s", "dinkes", "steward", "t")
    require_agency(steward, "dinkes")
    require_agency(replace(steward, role="admin"), "rsud")
    with pytest.raises(AgencyForbidden, match="rsud"):
        require_agency(steward, "rsud")
