"""Names and literals of a question: bound to the schema, every fault with its pointer."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.errors import (
    FieldUnknown,
    FilterMalformed,
    KeyMalformed,
    LimitOutOfRange,
    OperatorUnsupported,
    SimpulError,
    TypeMismatch,
)
from app.federation.question.binder import RawQuery, bind, query_hash, query_structure
from app.federation.question.query import SortKey
from app.filters.tree import TRUE, Compare, Literal, Property
from app.schemas import registry
from tests.support.memory import FACILITIES

QUAKES = registry.get("kejadian_bencana")
PRICES = registry.get("harga_komoditas")


def test_nothing_asked_is_the_first_hundred_of_all() -> None:
    query = bind(FACILITIES, RawQuery())

    assert (query.limit, query.fields, query.filter, query.sort, query.agencies) == (100, None, TRUE, (), None)


def test_fields_come_in_the_order_of_the_schema_and_once() -> None:
    assert bind(FACILITIES, RawQuery(fields=("nama", "kode_faskes", "nama"))).fields == ("kode_faskes", "nama")


def test_sort_takes_directions_and_the_first_of_two_of_one_name() -> None:
    query = bind(FACILITIES, RawQuery(sort=("-nama", "+jenis", "nama")))

    assert query.sort == (SortKey("nama", descending=True), SortKey("jenis"))


@pytest.mark.parametrize("limit", [0, -1, 1001, "0", "1e3", "", "١٢", True, 1.0, "9" * 50, [1]])
def test_limit_out_of_range_is_refused(limit: Any) -> None:
    with pytest.raises(LimitOutOfRange) as caught:
        bind(FACILITIES, RawQuery(limit=limit))
    assert caught.value.facts["limit_rows"] == 1000


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        (RawQuery(fields=("kode_faskes", "nma")), "fields/1"),
        (RawQuery(sort=("-nma",)), "sort/0"),
        (RawQuery(filter="nma = 'x'"), "filter"),
        (RawQuery(equals=(("nma", "x"),)), "nma"),
    ],
)
def test_unknown_name_is_told_with_place_and_closest_name(raw: RawQuery, pointer: str) -> None:
    with pytest.raises(FieldUnknown) as caught:
        bind(FACILITIES, raw)
    assert caught.value.errors[0].pointer == pointer
    assert "nama" in caught.value.detail


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (FACILITIES, "nama = 3"),
        (FACILITIES, "rawat_inap = 'ya'"),
        (FACILITIES, "lat = '1'"),
        (FACILITIES, "jenis = 'hospital'"),
        (FACILITIES, "nama = lat"),
        (FACILITIES, "lat LIKE '1%'"),
        (FACILITIES, "CASEI(lat) = 1"),
        (PRICES, "tanggal = TIMESTAMP('2026-11-20T00:00:00Z')"),
        (QUAKES, "waktu > DATE('2026-11-20')"),
    ],
)
def test_literal_of_another_type_is_refused_not_turned(schema: registry.SchemaDef, text: str) -> None:
    with pytest.raises(TypeMismatch):
        bind(schema, RawQuery(filter=text))


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (RawQuery(filter="nama = "), FilterMalformed),
        (RawQuery(filter="telepon = 'x'"), OperatorUnsupported),
        (RawQuery(sort=("telepon",)), OperatorUnsupported),
        (RawQuery(equals=(("telepon", "x"),)), OperatorUnsupported),
        (RawQuery(filter="nama = 'x'", filter_lang="sql"), OperatorUnsupported),
        (RawQuery(key="a~b"), KeyMalformed),
        (RawQuery(fields=("nama",) * 201), LimitOutOfRange),
    ],
)
def test_other_faults_have_their_own_errors(raw: RawQuery, kind: type[SimpulError]) -> None:
    with pytest.raises(kind):
        bind(FACILITIES, raw)


@pytest.mark.parametrize(
    ("schema", "name", "text", "value"),
    [
        (FACILITIES, "nama", "3", "3"),
        (FACILITIES, "rawat_inap", "true", True),
        (FACILITIES, "lat", "-6.5", Decimal("-6.5")),
        (PRICES, "tanggal", "2026-11-20", date(2026, 11, 20)),
        (QUAKES, "waktu", "2026-11-20T07:00:00+07:00", datetime(2026, 11, 20, tzinfo=UTC)),
        (QUAKES, "waktu", "2026-11-20T07:00:00 07:00", datetime(2026, 11, 20, tzinfo=UTC)),
    ],
)
def test_parameter_becomes_the_type_of_its_field(schema: registry.SchemaDef, name: str, text: str, value: Any) -> None:
    bound = bind(schema, RawQuery(equals=((name, text),))).filter

    assert bound == Compare("=", Property(name), Literal(value))


@pytest.mark.parametrize(
    ("schema", "name", "text"),
    [
        (FACILITIES, "rawat_inap", "ya"),
        (FACILITIES, "lat", "nan"),
        (FACILITIES, "lat", "satu"),
        (PRICES, "tanggal", "20-11-2026"),
        (QUAKES, "waktu", "2026-11-20T07:00:00"),
        (FACILITIES, "jenis", "puskesmasx"),
    ],
)
def test_parameter_that_is_no_value_of_its_field_is_refused(schema: registry.SchemaDef, name: str, text: str) -> None:
    with pytest.raises(TypeMismatch):
        bind(schema, RawQuery(equals=((name, text),)))


def test_structure_holds_no_literal() -> None:
    secret = "Siti-Rahasia"
    raw = RawQuery(
        filter=f"nama = '{secret}' OR (nama LIKE '{secret}%' AND jenis IN ('klinik','posyandu')) AND NOT lat > 1.25",
        equals=(("kelas", secret),),
        sort=("-nama",),
        fields=("nama",),
        key=secret,
    )

    structure = query_structure(bind(FACILITIES, raw))

    assert secret not in structure
    assert "1.25" not in structure
    assert "klinik" not in structure
    assert "sort=-nama" in structure


def test_hash_moves_with_question_and_policy_but_not_with_the_page() -> None:
    def hashed(policy: str = "p", **raw: Any) -> str:
        return query_hash(bind(FACILITIES, RawQuery(**raw)), policy)

    same = hashed(filter="nama = 'a'")
    assert hashed(filter="nama = 'a'", limit=3) == same
    others = [
        hashed(filter="nama = 'b'"),
        hashed(filter="nama = 'a'", sort=("nama",)),
        hashed(filter="nama = 'a'", fields=("nama",)),
        hashed(filter="nama = 'a'", agencies=("rsud",)),
        hashed("q", filter="nama = 'a'"),
    ]
    assert len({same, *others}) == len(others) + 1
