"""Around a federated read: what is refused by name, which datasets stand in the intent, to which grants a cursor is bound."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from app.access.decisions import Decision, Refusal
from app.audit.entry.record import DatasetUse
from app.catalog.agencies import Agency
from app.catalog.snapshot import CatalogSnapshot
from app.errors import AgreementMissing, FieldForbidden, LookupOnly, SourceFailed, ValidationFailed
from app.federation.question.query import Answer, Query, SortKey, SourceStatus
from app.filters.tree import Compare, Literal, Property
from app.gateway.access import dataset_ref
from app.gateway.records import _legs, _needed, _refuse, known_agencies, note_answer, note_datasets, policy_of
from app.schemas import registry
from tests.support.memory import FACILITIES
from tests.unit.gateway.making import make_exchange, open_dataset

DENIED = Decision(allow=False, rule="x", refusal=Refusal("no_agreement", AgreementMissing, "none"))
PERSONS = registry.get("penduduk_verifikasi")


def allowed(*fields: str, agreement: str | None = None) -> Decision:
    return Decision(allow=True, rule="x", fields=frozenset(fields), agreement=agreement)


@dataclass(frozen=True)
class Known:
    """Services that know agencies and nothing else."""

    catalog: CatalogSnapshot = field(
        default_factory=lambda: CatalogSnapshot(1, {name: Agency(name, name) for name in ("dinkes", "disdik", "bps")})
    )


def test_known_agencies_pass_and_a_mistyped_one_is_named_with_its_pointer_and_its_neighbour():
    known_agencies(Known(), ["bps", "dinkes"])  # type: ignore[arg-type]
    with pytest.raises(ValidationFailed) as caught:
        known_agencies(Known(), ["bps", "dinkse"])  # type: ignore[arg-type]

    (error,) = caught.value.errors
    assert (error.pointer, error.code) == ("agencies/1", "agency_unknown")
    assert "did you mean dinkes" in error.detail


def test_an_agency_like_no_other_is_answered_with_where_they_are_listed():
    with pytest.raises(ValidationFailed, match="GET /v1/agencies"):
        known_agencies(Known(), ["zzzz"])  # type: ignore[arg-type]


def test_a_cursor_holds_under_the_same_grants_in_any_order_and_under_no_others():
    first, second = allowed("a", "b"), allowed("a", agreement="pks-1")

    assert policy_of([first, second]) == policy_of([second, DENIED, first, first])
    assert policy_of([first, second]) != policy_of([first])
    assert policy_of([second]) != policy_of([allowed("a", agreement="pks-2")])
    assert policy_of([allowed("a")]) != policy_of([allowed("a", "b")])


def test_fields_of_filter_sort_and_groups_are_all_needed():
    query = Query(
        FACILITIES,
        fields=("nama",),
        filter=Compare("=", Property("kelas"), Literal("B")),
        sort=(SortKey("jenis"),),
        also_needed=frozenset({"kode_wilayah"}),
    )

    assert _needed(query) == {"kelas", "jenis", "kode_wilayah"}


def test_a_personal_schema_that_nobody_provides_is_still_never_listed():
    with pytest.raises(LookupOnly, match="/v1/records/penduduk-verifikasi/verify"):
        _refuse(PERSONS, [], frozenset())
    with pytest.raises(AgreementMissing):
        _refuse(PERSONS, [DENIED], frozenset())


def test_an_open_schema_that_nobody_provides_is_an_empty_answer_and_a_hidden_field_none():
    _refuse(FACILITIES, [], frozenset({"nama"}))
    _refuse(FACILITIES, [allowed("nama")], frozenset({"nama"}))
    with pytest.raises(FieldForbidden, match="telepon"):
        _refuse(FACILITIES, [allowed("nama")], frozenset({"telepon"}))


def test_the_intent_names_only_the_datasets_that_may_be_asked():
    exchange, grant = make_exchange(), allowed("nama")
    datasets = [(open_dataset("dinkes"), grant), (open_dataset("rsud"), DENIED), (open_dataset("bps"), grant)]
    note_datasets(exchange, [dataset_ref(opened, decision) for opened, decision in datasets])

    assert exchange.providers == ("dinkes", "bps")
    assert exchange.datasets == (DatasetUse("dinkes-set", 1), DatasetUse("bps-set", 1))


def test_an_empty_answer_is_noted_as_nought_records():
    exchange, legs = make_exchange(), [SourceStatus("dinkes", "dinkes-set", "ok", rejected_rows=4)]
    note_answer(exchange, Answer(FACILITIES, ("nama",), [], legs, complete=True))

    assert (exchange.rows, exchange.fields, exchange.complete) == (0, ("nama",), True)
    assert (exchange.sources, exchange.rejected) == (legs, 4)


def test_what_each_source_did_is_noted_of_a_refused_answer_too():
    error, leg = SourceFailed("x"), SourceStatus("dinkes", "dinkes-set", "unavailable")
    assert _legs(error) == []
    error.legs = ["no leg", leg]

    assert _legs(error) == [leg]
