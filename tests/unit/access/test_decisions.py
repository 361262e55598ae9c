"""The table of cases of `decide`: who reads what, by which rule, and in which order refusals come."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.access.agreements import Agreement
from app.access.days import local_day
from app.access.decisions import AccessRequest, DecisionCache, decide
from app.access.facts import FieldFacts, SchemaFacts
from app.access.principals import Principal, Role
from app.errors import SimpulError
from tests.unit.access.making import FACILITIES, OTHER_ROLES, RESIDENTS, caller, make_agreement, make_client, make_state

TODAY = date(2026, 6, 15)
OPEN = frozenset({"kode", "nama"})

VERIFY = AccessRequest(
    "verify", RESIDENTS, "dukcapil", purpose="pelayanan_kesehatan", officer="ID198609262015051001", case="RM-2026-17"
)
LIST = AccessRequest("list", FACILITIES, "dinkes")
TERMS = {"provider": "dinkes", "schema": "fasilitas_kesehatan", "fields": ("kode", "nama", "telepon")}
PHONE = frozenset({"kode", "telepon"})


def facilities(agreement_id: str = "pks-f", **terms) -> Agreement:
    return make_agreement(agreement_id, **(TERMS | terms))


def refused(request: AccessRequest, *agreements: Agreement, principal: Principal | None = None) -> SimpulError:
    decision = decide(principal or caller(), request, make_state(*agreements), TODAY)
    assert not decision.allow
    assert decision.fields == frozenset()
    assert decision.error is not None
    assert decision.error.facts["rule"] == decision.rule
    return decision.error


class TestOpenData:
    @pytest.mark.parametrize("role", ["client", *OTHER_ROLES])
    def test_every_role_reads_open_fields_without_an_agreement(self, role: Role):
        decision = decide(caller(role), LIST, make_state(), TODAY)
        assert (decision.allow, decision.rule, decision.fields) == (True, "open_data", OPEN)
        assert decision.withheld == {"telepon", "catatan"}
        assert decision.agreement is None

    def test_a_purpose_is_optional_and_recorded(self):
        decision = decide(caller(), replace(LIST, fields=OPEN, purpose="statistik"), make_state(), TODAY)
        assert (decision.rule, decision.purpose, decision.withheld) == ("open_data", "statistik", frozenset())

    def test_an_unknown_purpose_is_refused_also_for_open_data_and_not_repeated(self):
        error = refused(replace(LIST, fields=OPEN, purpose="Budi 3320991505900001"))
        assert error.code == "purpose_unknown"
        assert "Budi" not in error.detail

    def test_a_misspelt_purpose_is_told_the_closest_code(self):
        assert "statistik" in refused(replace(LIST, purpose="statistic")).detail

    def test_a_field_that_is_not_open_is_withheld_with_the_reason(self):
        decision = decide(caller(), replace(LIST, fields=PHONE), make_state(), TODAY)
        assert (decision.allow, decision.withheld) == (True, {"telepon"})
        assert decision.shortfall is not None
        assert decision.shortfall.error().code == "agreement_missing"

    def test_only_fields_that_are_not_open_is_a_refusal(self):
        assert refused(replace(LIST, fields=frozenset({"telepon"}))).code == "agreement_missing"

    def test_a_filter_on_a_field_that_is_not_granted_is_a_refusal_not_an_oracle(self):
        request = replace(LIST, fields=OPEN, needed=frozenset({"telepon"}))
        assert refused(request).code == "agreement_missing"
        assert refused(request, facilities(fields=("kode", "catatan"))).code == "field_not_granted"

    def test_personal_data_is_never_open_whatever_its_access_class_says(self):
        facts = SchemaFacts("x", {"id": FieldFacts("terbuka"), "nama": FieldFacts("terbuka", "personal")}, key=("id",))
        assert facts.open_fields == {"id"}
        about_persons = SchemaFacts("y", {"id": FieldFacts("terbuka")}, key=("id",), subject="id")
        assert about_persons.open_fields == frozenset()

    def test_without_an_open_key_nothing_is_open(self):
        facts = SchemaFacts("x", {"id": FieldFacts("internal"), "nama": FieldFacts("terbuka")}, key=("id",))
        assert refused(AccessRequest("list", facts, "dinkes")).code == "agreement_missing"


class TestAgreement:
    def test_the_hospital_verifies_under_its_agreement(self):
        decision = decide(caller(), VERIFY, make_state(make_agreement()), TODAY)
        assert (decision.allow, decision.rule, decision.agreement) == (True, "agreement", "pks-1")
        assert decision.fields == {"nik", "nama"}
        assert (decision.purpose, decision.basis) == ("pelayanan_kesehatan", "UU 17/2023")
        assert decision.valid_until == date(2026, 12, 31)

    @pytest.mark.parametrize("role", OTHER_ROLES)
    def test_only_role_client_reads_under_an_agreement(self, role: Role):
        assert refused(VERIFY, make_agreement(), principal=caller(role)).code == "role_forbidden"

    @pytest.mark.parametrize(
        "terms",
        [
            {"provider": "dinkes"},
            {"consumer": "puskesmas"},
            {"schema": "fasilitas_kesehatan"},
            {"consumer_client": "rsud-other"},
        ],
    )
    def test_an_agreement_of_others_or_about_others_does_not_help(self, terms: dict[str, str]):
        error = refused(VERIFY, make_agreement(**terms))
        assert (error.code, error.facts["rule"]) == ("agreement_missing", "no_agreement")

    def test_an_agency_needs_one_for_its_own_personal_data_too(self):
        assert refused(replace(VERIFY, provider="rsud")).code == "agreement_missing"

    def test_an_agreement_may_name_the_client(self):
        agreement = make_agreement(consumer_client="rsud-app")
        assert decide(caller(), VERIFY, make_state(agreement), TODAY).allow

    @pytest.mark.parametrize(
        ("agreement", "rule"),
        [
            (make_agreement(state="proposed"), "agreement_not_approved"),
            (make_agreement(state="approved"), "agreement_not_approved"),
            (make_agreement(state="ended"), "agreement_ended"),
            (make_agreement(state="revoked"), "agreement_revoked"),
            (make_agreement(valid_until=date(2026, 6, 14)), "agreement_expired"),
            (make_agreement(valid_from=date(2026, 6, 16)), "agreement_not_yet_valid"),
        ],
    )
    def test_one_that_is_not_active_today_is_named_with_its_state(self, agreement: Agreement, rule: str):
        error = refused(VERIFY, agreement)
        assert (error.code, error.facts["rule"], error.facts["agreement"]) == ("agreement_not_active", rule, "pks-1")

    def test_its_last_day_ends_at_midnight_wib(self):
        snapshot = make_state(make_agreement(valid_until=date(2026, 6, 15)))
        last = datetime(2026, 6, 15, 16, 59, 59, tzinfo=UTC)
        after = datetime(2026, 6, 15, 17, 0, 0, tzinfo=UTC)
        assert decide(caller(), VERIFY, snapshot, local_day(last)).allow
        assert decide(caller(), VERIFY, snapshot, local_day(after)).rule == "agreement_expired"

    def test_its_first_day_begins_at_midnight_wib(self):
        snapshot = make_state(make_agreement(valid_from=date(2026, 6, 16)))
        assert not decide(caller(), VERIFY, snapshot, local_day(datetime(2026, 6, 15, 16, 59, tzinfo=UTC))).allow
        assert decide(caller(), VERIFY, snapshot, local_day(datetime(2026, 6, 15, 17, 0, tzinfo=UTC))).allow

    def test_fields_beyond_the_grant_are_withheld(self):
        request = replace(LIST, fields=frozenset({"kode", "telepon", "catatan"}), purpose="pelayanan_kesehatan")
        decision = decide(caller(), request, make_state(facilities()), TODAY)
        assert (decision.rule, decision.fields, decision.withheld) == ("agreement", OPEN | PHONE, {"catatan"})
        assert decision.shortfall is not None
        assert decision.shortfall.error().code == "field_not_granted"

    def test_without_the_key_of_the_schema_nothing_is_granted(self):
        assert refused(VERIFY, make_agreement(fields=("nama",))).code == "field_not_granted"

    def test_row_filter_and_masks_come_with_the_decision(self):
        agreement = make_agreement(row_filter="kode_wilayah = '33.20.01'", masks={"nama": "last4"})
        decision = decide(caller(), VERIFY, make_state(agreement), TODAY)
        assert (decision.row_filter, decision.masks) == ("kode_wilayah = '33.20.01'", {"nama": "last4"})


class TestPurposeOfficerChoice:
    def test_a_purpose_is_required_and_the_allowed_ones_are_named(self):
        error = refused(replace(VERIFY, purpose=None), make_agreement())
        assert error.code == "purpose_required"
        assert "pelayanan_kesehatan" in error.detail

    def test_a_known_purpose_must_be_in_the_agreement(self):
        error = refused(replace(VERIFY, purpose="statistik"), make_agreement())
        assert (error.code, error.facts["rule"]) == ("purpose_not_allowed", "purpose_not_in_agreement")

    @pytest.mark.parametrize("missing", [{"officer": None}, {"case": None}, {"officer": " "}, {"case": ""}])
    def test_officer_and_case_are_required_for_persons(self, missing: dict[str, str | None]):
        assert refused(replace(VERIFY, **missing), make_agreement()).code == "officer_required"

    def test_officer_and_case_are_not_required_elsewhere(self):
        request = replace(LIST, fields=PHONE, purpose="pelayanan_kesehatan")
        assert decide(caller(), request, make_state(facilities()), TODAY).rule == "agreement"

    def test_two_that_fit_are_listed_and_the_caller_chooses(self):
        two = (make_agreement("pks-1"), make_agreement("pks-2"))
        error = refused(VERIFY, *two)
        assert (error.code, error.facts["agreements"]) == ("agreement_ambiguous", ["pks-1", "pks-2"])
        chosen = decide(caller(), replace(VERIFY, agreement="pks-2"), make_state(*two), TODAY)
        assert chosen.agreement == "pks-2"

    def test_two_are_told_apart_by_purpose_and_by_fields(self):
        two = (make_agreement("pks-1"), make_agreement("pks-2", purposes=("bantuan_sosial",)))
        assert decide(caller(), VERIFY, make_state(*two), TODAY).agreement == "pks-1"
        fields = (facilities("pks-a"), facilities("pks-b", fields=("*",)))
        request = replace(LIST, fields=frozenset({"telepon", "catatan"}), purpose="pelayanan_kesehatan")
        assert decide(caller(), request, make_state(*fields), TODAY).agreement == "pks-b"

    def test_an_agreement_of_others_cannot_be_chosen_and_is_not_confirmed(self):
        foreign = make_agreement("pks-9", consumer="puskesmas")
        there = refused(replace(VERIFY, agreement="pks-9"), make_agreement(), foreign)
        absent = refused(replace(VERIFY, agreement="pks-10"), make_agreement(), foreign)
        assert there.detail == absent.detail
        assert there.code == absent.code == "agreement_missing"

    def test_a_personal_schema_is_never_listed(self):
        assert refused(replace(VERIFY, operation="list"), make_agreement()).code == "lookup_only"

    def test_the_default_list_stays_open_data_until_a_purpose_asks_for_more(self):
        snapshot = make_state(facilities())
        default = decide(caller(), LIST, snapshot, TODAY)
        assert (default.rule, default.fields) == ("open_data", OPEN)
        assert default.shortfall is not None
        assert default.shortfall.rule == "purpose_required"
        with_purpose = decide(caller(), replace(LIST, purpose="pelayanan_kesehatan"), snapshot, TODAY)
        assert (with_purpose.rule, with_purpose.agreement) == ("agreement", "pks-f")
        other = decide(caller(), replace(LIST, purpose="statistik"), snapshot, TODAY)
        assert (other.rule, other.purpose) == ("open_data", "statistik")
        assert refused(replace(LIST, fields=PHONE), facilities()).code == "purpose_required"


class TestOrder:
    """403 before 422: who may not ask at all learns nothing from how the question is malformed."""

    BARE = replace(VERIFY, purpose=None, officer=None, case=None)

    def test_a_missing_agreement_before_purpose_and_officer(self):
        assert refused(self.BARE).code == "agreement_missing"
        assert refused(replace(self.BARE, purpose="nonsense")).code == "agreement_missing"

    def test_an_expired_one_before_purpose(self):
        assert refused(self.BARE, make_agreement(valid_until=date(2026, 1, 2))).code == "agreement_not_active"

    def test_a_forbidden_purpose_before_the_officer(self):
        assert refused(replace(self.BARE, purpose="statistik"), make_agreement()).code == "purpose_not_allowed"

    def test_the_purpose_before_the_officer(self):
        assert refused(self.BARE, make_agreement()).code == "purpose_required"

    def test_a_disabled_or_removed_client_before_all(self):
        disabled = make_state(make_agreement(), clients=(make_client(disabled=True),))
        assert decide(caller(), VERIFY, disabled, TODAY).rule == "client_disabled"
        gone = make_state(make_agreement(), clients=(make_client("other"),))
        assert decide(caller(), LIST, gone, TODAY).rule == "client_disabled"


class TestErrors:
    def test_an_error_is_made_anew_each_time(self):
        decision = decide(caller(), VERIFY, make_state(), TODAY)
        assert decision.error is not decision.error

    def test_no_value_of_the_caller_stands_in_a_refusal(self):
        request = replace(VERIFY, agreement="3320991505900001", officer="3320991505900001", case="3320991505900001")
        for agreements in ((), (make_agreement(),)):
            assert "3320991505900001" not in refused(request, *agreements).detail


class TestCache:
    def test_the_same_object_until_stamp_or_day_moves(self):
        cache, snapshot = DecisionCache(), make_state(make_agreement())
        first = cache.decide(caller(), VERIFY, snapshot, TODAY)
        assert cache.decide(caller(), replace(VERIFY, officer="ID2", case="RM-2"), snapshot, TODAY) is first
        revoked = make_state(make_agreement(state="revoked"), stamp=2)
        assert cache.decide(caller(), VERIFY, revoked, TODAY).rule == "agreement_revoked"
        assert cache.decide(caller(), VERIFY, snapshot, date(2027, 1, 1)).rule == "agreement_expired"

    def test_a_missing_officer_is_not_answered_by_a_remembered_one(self):
        cache, snapshot = DecisionCache(), make_state(make_agreement())
        assert cache.decide(caller(), VERIFY, snapshot, TODAY).allow
        assert cache.decide(caller(), replace(VERIFY, officer=""), snapshot, TODAY).rule == "officer_required"

    def test_it_is_bounded_and_keeps_no_refusals(self):
        cache, snapshot = DecisionCache(entries=3), make_state()
        for number in range(10):
            cache.decide(caller(), replace(LIST, provider=f"agency-{number}"), snapshot, TODAY)
            cache.decide(caller(), replace(LIST, purpose=f"purpose-{number}"), snapshot, TODAY)
        assert len(cache._decisions) == 3


NAMES = ("kode", "nama", "telepon", "catatan")
SUBSETS = st.frozensets(st.sampled_from(NAMES))


@given(
    fields=st.none() | SUBSETS,
    needed=SUBSETS,
    granted=st.lists(SUBSETS, max_size=3),
    purpose=st.sampled_from([None, "pelayanan_kesehatan", "statistik", "nonsense"]),
    role=st.sampled_from(["client", *OTHER_ROLES]),
)
def test_no_field_beyond_open_data_and_the_one_agreement_is_ever_granted(fields, needed, granted, purpose, role):
    agreements = {
        f"pks-{number}": facilities(f"pks-{number}", fields=tuple(names)) for number, names in enumerate(granted)
    }
    request = replace(LIST, fields=fields, needed=needed, purpose=purpose)
    snapshot = make_state(*agreements.values())
    decision = decide(caller(role), request, snapshot, TODAY)
    if not decision.allow:
        assert decision.error is not None
        return
    allowed = OPEN | (frozenset(agreements[decision.agreement].terms.fields) if decision.agreement else frozenset())
    assert decision.fields <= allowed
    assert needed <= decision.fields
    if decision.agreement:
        assert role == "client"
        assert purpose in agreements[decision.agreement].terms.purposes
    assert DecisionCache().decide(caller(role), request, snapshot, TODAY) == decision
