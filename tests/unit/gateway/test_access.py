"""From decisions to what is asked and recorded: which decision an entry names, when nobody may be asked, what a grant cuts."""

from __future__ import annotations

from typing import Any

from app.access.decisions import Decision, Refusal
from app.access.rates import RateLimiter
from app.errors import AgreementMissing, FieldForbidden, PurposeRequired
from app.filters.tree import Compare, Literal, Property
from app.gateway.access import dataset_ref, facts_of, note_decisions, refusal_of
from app.gateway.exchange import Authority
from app.schemas import registry
from tests.unit.gateway.making import make_exchange, open_dataset

NONE = Refusal("no_agreement", AgreementMissing, "none with dinkes")
DENIED = Decision(allow=False, rule="no_agreement", refusal=NONE)
OPEN = Decision(allow=True, rule="open_data", fields=frozenset({"kode_faskes", "nama"}), purpose="audit")


def granted(agreement: str = "pks-1", **members: Any) -> Decision:
    usual: dict[str, Any] = {"fields": frozenset({"kode_faskes", "telepon"}), "purpose": "audit", "basis": "UU 17/2023"}
    return Decision(allow=True, rule="agreement", agreement=agreement, **usual | members)


def noted(*decisions: Decision) -> Authority:
    exchange = make_exchange()
    note_decisions(exchange, decisions, RateLimiter(60, policy="agreement"))
    return exchange.authority


def test_the_entry_names_the_agreement_wherever_one_is_used():
    assert noted(DENIED, OPEN, granted("pks-7")) == Authority(True, "agreement", "pks-7", "audit", "UU 17/2023")


def test_without_an_agreement_the_entry_names_the_first_that_is_allowed():
    assert noted(DENIED, OPEN) == Authority(True, "open_data", None, "audit", None)


def test_a_refusal_is_named_only_when_all_are_refused():
    other = Decision(allow=False, rule="agreement_expired", agreement="pks-9")

    assert noted(DENIED, other) == Authority(allow=False, rule="no_agreement")


def test_a_schema_that_nobody_provides_is_no_refusal():
    assert noted() == Authority(allow=True, rule="no_provider")
    assert refusal_of([], frozenset({"nama"})) is None


def test_where_all_are_refused_the_first_reason_is_told():
    later = Decision(allow=False, rule="x", refusal=Refusal("purpose_required", PurposeRequired, "name it"))
    error = refusal_of([DENIED, later], frozenset())

    assert isinstance(error, AgreementMissing)
    assert (error.detail, error.facts["rule"]) == ("none with dinkes", "no_agreement")


def test_each_refusal_is_an_error_of_its_own():
    assert refusal_of([DENIED], frozenset()) is not refusal_of([DENIED], frozenset())


def test_a_field_that_any_provider_grants_may_be_asked_of_all():
    assert refusal_of([DENIED, OPEN, granted()], frozenset({"nama", "telepon"})) is None


def test_a_field_that_no_provider_grants_is_named():
    error = refusal_of([OPEN], frozenset({"nama", "telepon", "kelas"}))

    assert isinstance(error, FieldForbidden)
    assert error.facts == {"rule": "field_not_granted", "fields": ["kelas", "telepon"]}


def test_a_field_withheld_for_want_of_a_purpose_says_what_is_wanted():
    shortfall = Refusal("purpose_required", PurposeRequired, "name the purpose", {"allowed": ["audit"]})
    short = Decision(allow=True, rule="open_data", fields=OPEN.fields, shortfall=shortfall)
    error = refusal_of([OPEN, short], frozenset({"telepon"}))

    assert isinstance(error, PurposeRequired)
    assert error.facts["allowed"] == ["audit"]


def test_a_dataset_of_a_refusing_provider_has_no_grant_and_says_why():
    ref = dataset_ref(open_dataset("dinkes"), DENIED)

    assert ref.grant is None
    assert isinstance(ref.denied, AgreementMissing)
    assert (ref.agency, ref.dataset, ref.revision) == ("dinkes", "dinkes-set", 1)


def test_a_grant_carries_fields_masks_and_the_bound_row_filter():
    decision = granted(row_filter="jenis = 'puskesmas'", masks={"telepon": "hash"})
    ref = dataset_ref(open_dataset("dinkes"), decision)

    assert ref.denied is None
    assert ref.grant is not None
    assert ref.grant.fields == {"kode_faskes", "telepon"}
    assert ref.grant.masks == {"telepon": "hash"}
    assert ref.grant.row_filter == Compare("=", Property("jenis"), Literal("puskesmas"))
    assert (ref.grant.agreement, ref.grant.basis) == ("pks-1", "UU 17/2023")


def test_a_schema_about_persons_is_open_in_no_field_and_others_in_their_open_ones():
    persons, facilities = facts_of(registry.get("penduduk_verifikasi")), facts_of(registry.get("fasilitas_kesehatan"))

    assert (persons.open_fields, persons.lookup_only, persons.subject) == (frozenset(), True, "nik")
    assert {"kode_faskes", "nama"} <= facilities.open_fields
    assert facts_of(registry.get("fasilitas_kesehatan")) is facilities
