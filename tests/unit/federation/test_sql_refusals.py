"""A refusal names what the caller wrote, not what the parser made of it, and every advice is one that somebody gets to see."""

from __future__ import annotations

import pytest

from app.federation.sql.guard import guarded
from app.federation.sql.hints import CONSTRUCT_HINTS, FUNCTION_HINTS
from app.federation.sql.refusals import SqlRefused
from app.schemas import registry

SCHEMAS = frozenset(schema.name for schema in registry.all_schemas())
ARGUMENTS = ("nama", "nama, 1", "", "nama, 1, 'x'", "'x', nama")


def refused(statement: str) -> SqlRefused:
    with pytest.raises(SqlRefused) as caught:
        guarded(statement, SCHEMAS)
    return caught.value


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("md5(nama)", "md5"), ("REPEAT(nama, 3)", "REPEAT"), ("chr(65)", "chr"), ("histogram(nama)", "histogram"),
        ("to_days(1)", "to_days"), ("bit_and(kode)", "bit_and"), ("json_valid(nama)", "json_valid"),
        ("ascii(nama)", "ascii"), ("sha256(nama)", "sha256"), ("json_extract(nama, '$.a')", "json_extract"),
        ("upper(nama) || md5(kode)", "md5"), ("coalesce(nama, unnest(nama))", "unnest"), ("make_time(1, 1, 1)", "make_time"),
    ],
)  # fmt: skip
def test_a_function_is_named_as_it_was_called(call: str, name: str) -> None:
    found = refused(f"SELECT kode, {call} FROM wilayah")

    assert found.code == "sql_function_forbidden"
    assert found.detail.startswith(f"the function {name!r} is not on the list")
    assert found.facts["function"] == name
    assert f"near it: {name}" not in found.detail


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("nama COLLATE de", "COLLATE"), ("nama -> '$.a'", "->"), ("nama ->> '$.a'", "->>"), ("nama ~* 'a'", "~*"),
        ("nama AT TIME ZONE 'x'", "AT TIME ZONE with this zone"), ("nama AT TIME ZONE kode", "AT TIME ZONE with this zone"), ("kode & 1", "&"),
        ("{'a': 1}", "{…}"),
    ],
)  # fmt: skip
def test_a_construct_is_named_as_sql_writes_it(part: str, said: str) -> None:
    found = refused(f"SELECT {part} FROM wilayah")

    assert found.code == "sql_construct_forbidden"
    assert found.detail.startswith(f"{said} is not taken in a statement")
    assert found.facts["construct"] == said


@pytest.mark.parametrize("name", FUNCTION_HINTS)
def test_advice_on_a_function_is_shown(name: str) -> None:
    details = []
    for arguments in ARGUMENTS:
        try:
            guarded(f"SELECT {name}({arguments}) FROM wilayah", SCHEMAS)
        except SqlRefused as error:
            details.append(error.detail)

    assert any(detail.endswith(f"; {FUNCTION_HINTS[name]}") for detail in details), details


SHOWN = {
    "group rollup": "SELECT kode FROM wilayah GROUP BY kode WITH ROLLUP",
    "group cube": "SELECT kode FROM wilayah GROUP BY kode WITH CUBE",
    "select sample": "SELECT kode FROM wilayah USING SAMPLE 10",
    "attimezone": "SELECT nama AT TIME ZONE 'x' FROM wilayah",
    "regexpilike": "SELECT nama ~* 'x' FROM wilayah",
    "glob": "SELECT nama GLOB 'x' FROM wilayah",
    "collate": "SELECT nama COLLATE de FROM wilayah",
    "unnest": "SELECT nama FROM wilayah JOIN unnest([1]) x ON true",
    "pivot": "SELECT * FROM wilayah PIVOT (count(*) FOR nama IN ('a'))",
    "unpivot": "SELECT * FROM wilayah UNPIVOT (x FOR y IN (nama))",
    "tablesample": "SELECT * FROM wilayah TABLESAMPLE 10%",
    "struct": "SELECT {'a': 1} FROM wilayah",
    "parameter": "SELECT $nama FROM wilayah",
    "placeholder": "SELECT ? FROM wilayah",
    "join method": "SELECT * FROM wilayah NATURAL JOIN satuan_pendidikan",
    "jsonextract": "SELECT nama -> '$.a' FROM wilayah",
    "jsonextractscalar": "SELECT nama ->> '$.a' FROM wilayah",
    "dot": "SELECT wilayah.kode.nama.x.y FROM wilayah",
    "bitwiseor": "SELECT kode | 1 FROM wilayah",
}


def test_every_advice_on_a_construct_has_a_statement() -> None:
    assert set(SHOWN) == set(CONSTRUCT_HINTS)


@pytest.mark.parametrize(("construct", "statement"), SHOWN.items())
def test_advice_on_a_construct_is_shown(construct: str, statement: str) -> None:
    assert refused(statement).detail.endswith(f"; {CONSTRUCT_HINTS[construct]}")


def test_a_call_without_its_arguments_names_no_class_of_the_parser() -> None:
    found = refused("SELECT left(nama) FROM wilayah")

    assert "an argument of left is missing" in found.detail
    assert "class" not in found.detail
