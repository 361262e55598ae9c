"""Digests of the content of records: the same however a record came, another for every other value, nothing without the secret."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from app.catalog.digests import DIGEST_BYTES, content_digests
from app.datasets.records import MappedRecord, RecordColumns
from app.federation.reading.batches import columns_of, shown_columns
from app.schemas.arrow import batch_of
from app.schemas.definition import SchemaDef
from app.schemas.registry import all_schemas
from tests.support.memory import FACILITIES

SECRET = b"s" * 32
PINNED = "12889eb0924a6c270b334e61cf9fbcd4"
BASE = {"kode_faskes": "K1", "nama": "Satu", "jenis": "klinik", "lat": -6.5, "rawat_inap": True}


def digests(schema: SchemaDef, *rows: dict[str, Any], fields: Any = None, secret: bytes = SECRET) -> list[bytes]:
    found: list[Any] = content_digests(schema, batch_of(schema, rows), fields or schema.fields, secret).to_pylist()
    return found


def value_of(kind: pa.DataType, chance: random.Random) -> Any:
    """Some value of an Arrow type."""
    if pa.types.is_list(kind):
        return [value_of(kind.value_type, chance) for _ in range(chance.randrange(3))]
    if pa.types.is_struct(kind):
        return {field.name: value_of(field.type, chance) for field in kind}
    if pa.types.is_string(kind):
        return chance.choice(["", "a", "é=1:x", "2:ab"])
    if pa.types.is_decimal(kind):
        return Decimal(chance.randrange(-9, 9)).scaleb(-1)
    if pa.types.is_floating(kind):
        return chance.choice([0.1, -7.25])
    if pa.types.is_boolean(kind):
        return chance.choice([True, False])
    if pa.types.is_date(kind):
        return date(1799 + chance.randrange(300), 1, 2)
    if pa.types.is_timestamp(kind):
        return datetime(1800 + chance.randrange(300), 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    return chance.randrange(-9, 9)


@pytest.mark.parametrize("schema", all_schemas(), ids=lambda schema: schema.name)
def test_rows_of_any_schema_are_digested_each_by_itself_in_whatever_batch(schema: SchemaDef):
    chance = random.Random(schema.name)
    columns = {
        field.name: [chance.choice([None, value_of(field.type, chance)]) for _ in range(40)] for field in schema.arrow
    }
    rows = pa.RecordBatch.from_pydict(columns, schema=schema.arrow)
    together = content_digests(schema, rows, schema.fields, SECRET).to_pylist()
    alone = [content_digests(schema, rows.slice(at, 1), schema.fields, SECRET).to_pylist()[0] for at in range(40)]
    apart = [
        str({name: values[at] for name, values in columns.items() if name not in schema.meta.key}) for at in range(40)
    ]

    assert together == alone
    assert len(set(together)) == len(set(apart))
    assert {len(one) for one in together} == {DIGEST_BYTES}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "more",
    [
        {"nama": "Dua"},
        {"nama": None},
        {"nama": ""},
        {"alamat": "Satu"},
        {"lat": -6.50001},
        {"rawat_inap": False},
        {"nama": None, "alamat": "Satu"},
        {"nama": "Satu3:x"},
    ],
)
def test_every_other_value_has_another_digest(more: dict[str, Any]):
    one, other = digests(FACILITIES, BASE, {**BASE, **more})

    assert one != other


def test_the_key_is_no_content_and_a_null_is_a_field_that_is_not_there():
    one, other = digests(FACILITIES, BASE, {**BASE, "kode_faskes": "K2"})
    without = digests(FACILITIES, BASE, fields=list(BASE))[0]

    assert one == other == without


def test_neither_order_of_fields_nor_form_of_the_batch_matters():
    names = list(FACILITIES.fields)
    record = MappedRecord("K1", {**dict.fromkeys(names), **BASE})
    rows = columns_of(FACILITIES, [record], names)
    columns = shown_columns(FACILITIES, RecordColumns(batch_of(FACILITIES, [BASE]), pa.array(["K1"]), {}), names)
    found = {
        content_digests(FACILITIES, given, fields, SECRET).to_pylist()[0]
        for given in (rows, columns, rows.select(rows.schema.names[::-1]))
        for fields in (names, names[::-1], set(names))
    }

    assert found == {digests(FACILITIES, BASE)[0]}


def test_no_digest_is_known_without_the_secret():
    assert digests(FACILITIES, BASE) != digests(FACILITIES, BASE, secret=b"o" * 32)


def test_bytes_that_are_digested_stay_the_same():
    assert digests(FACILITIES, BASE)[0].hex() == PINNED, "raise DIGEST_VERSION, in a migration that drops the old marks"


def with_field(kind: str) -> tuple[SchemaDef, str]:
    for schema in all_schemas():
        for name, spec in schema.fields.items():
            if spec.kind == kind and name not in schema.meta.key:
                return schema, name
    raise AssertionError(f"no schema has a field of kind {kind}: this test tries nothing")


def test_a_geometry_is_the_same_in_whatever_order_of_its_members():
    schema, name = with_field("geometry")
    ring = [[110.0, -6.0], [110.1, -6.0], [110.1, -6.1], [110.0, -6.0]]
    one = {"type": "Polygon", "coordinates": [ring]}
    other = {"coordinates": [ring], "type": "Polygon"}
    third = {"type": "Polygon", "coordinates": [[*ring[:2], [110.1, -6.2], ring[3]]]}
    found = digests(schema, {name: one}, {name: other}, {name: third}, {})

    assert found[0] == found[1]
    assert len(set(found)) == 3


def test_zero_has_one_sign():
    schema, name = with_field("number")
    one, other, third = digests(schema, {name: 0.0}, {name: -0.0}, {name: 5e-324})

    assert one == other != third
