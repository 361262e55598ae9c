"""Terms of a proposal: every wrong place is named; states by day; the checks of administrative routes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from app.access.agreements import Terms
from app.access.principals import Principal, require_agency
from app.access.purposes import SEED
from app.access.terms import check_terms
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
    ],
)
def test_each_wrong_place_is_named(changes: dict[str, Any], pointer: str, code: str):
    with pytest.raises(ValidationFailed) as caught:
        check_terms(replace(GOOD, **changes), RESIDENTS, CODES, TODAY)
    assert (pointer, code) in [(error.pointer, error.code) for error in caught.value.errors]
    assert all(error.detail for error in caught.value.errors)


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
