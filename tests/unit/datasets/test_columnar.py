"""By columns or by rows: the same records, findings and rejects, whatever the manifest and the cells."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connectors.cells import ErrorCell, LongNumber, Percent
from app.connectors.contract import JSON_COLUMN, RawBatch, RawReject
from app.datasets.columnar.first_keys import FirstKeys
from app.datasets.columnar.marks import KeyMarks
from app.datasets.columnar.page import ColumnPage
from app.datasets.columnar.selection import ColumnSelection, maps_by_columns
from app.datasets.columnar.trial import ColumnTrier
from app.datasets.keys_met import KeysMet
from app.datasets.manifest import parse_manifest
from app.datasets.mapping import CompiledMapping, compile_mapping
from app.datasets.mapping.codes import empty_code_book
from app.datasets.quality import QualityCounter, Yardstick
from app.datasets.records import ReadRequest, ReadResult
from app.datasets.selection import LAST_KEY, Selection
from app.datasets.trial import Trier
from app.errors import MappingInvalid
from app.federation.reading.batches import columns_of, shown_columns
from app.filters.cql2.parse import parse_filter
from app.filters.tree import TRUE, Filter
from app.filters.typing import typed
from app.schemas import registry

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BOX = (110.0, -7.0, 111.0, -6.0)

TEXTS = st.sampled_from(
    [
        "", " ", "\t", "\u00a0", "\x1c", "a", " a ", "P1", "P2", "P3", "33.20",
        "33.20.01", "99.99", "Puskesmas  Jepara", "klinik", "KLINIK",
        "12", "12,5", "1.234", "1e3", "-6,5", "0", "-0", "-0.0", "-0,50", "-0.05", "007", ".5", "5.", "+3",
        "-6.123456789012345678", "123456789012345", "1234567890123456", "1.999", "Jalan  Raya", "Jalan Raya ", "P3 ",
        "2024-05-06", "06/05/2024", "31/02/2024", "ya", "tidak", "é", "N/A", "08123456789",
        "a~b", "x" * 300, "nul\x00l", "\ue000", "(0291) 591175", "110.5", "20318001", "2024", "99.99.99",
    ]
)  # fmt: skip
CELLS = st.one_of(
    TEXTS,
    st.none(),
    st.integers(-5, 40),
    st.just(2024),
    st.sampled_from([2**31, 2**63, -(2**70), True, False]),
    st.sampled_from([0.0, -0.0, 0.1, 110.5, -6.5, 1e300, float("inf"), float("nan")]),
    st.sampled_from(
        [Decimal("1.50"), Decimal("1.5"), Decimal("12345678901234567890.123"), Decimal("NaN"), Decimal(-6)]
    ),
    st.sampled_from([date(2024, 5, 6), date(1, 1, 1), date(9999, 12, 31), MOMENT]),
    st.sampled_from([ErrorCell("#N/A"), LongNumber(1e15), Percent(Decimal("0.06"))]),
)
KINDS: dict[str, tuple[pa.Field[Any], st.SearchStrategy[Any]]] = {
    "string": (pa.field("x", pa.string()), st.none() | TEXTS),
    "int64": (pa.field("x", pa.int64()), st.none() | st.integers(-5, 40) | st.sampled_from([2024, 2**62])),
    "double": (pa.field("x", pa.float64()), st.none() | st.sampled_from([0.0, -0.0, 1.0, 110.5, -6.5, float("nan"), float("inf")])),
    "bool": (pa.field("x", pa.bool_()), st.none() | st.booleans()),
    "date": (pa.field("x", pa.date32()), st.none() | st.dates()),
    "instant": (pa.field("x", pa.timestamp("us", "UTC")), st.none() | st.just(MOMENT)),
    "decimal": (pa.field("x", pa.decimal128(20, 4)), st.none() | st.sampled_from([Decimal("1.5"), Decimal("1.2345"), Decimal(-7)])),
    "json": (pa.field("x", pa.string(), metadata=JSON_COLUMN), st.none() | st.sampled_from(['{"a": 1.50}', "[1]", '"t"', "3"])),
    "mixed": (pa.field("x", pa.string()), CELLS),
}  # fmt: skip
STEPS: list[dict[str, Any]] = [
    {},
    {"text": "squeeze"},
    {"text": ["trim", "lower"], "else": "null"},
    {"text": ["trim", "squeeze"]},
    {"number": {"decimal": ","}},
    {"number": {"decimal": ",", "thousands": "."}, "else": "null"},
    {"number": {"decimal": "."}, "else": "null"},
    {"as_text": {}},
    {"as_text": {"digits": 4}, "else": "null"},
    {"date": "DD/MM/YYYY"},
    {"date": "DD/MM/YYYY", "else": "null"},
    {"boolean": {"true": ["ya"], "false": ["tidak"]}},
    {"slice": [1, 2]},
]
FILTERS = {
    "fasilitas_kesehatan": (
        "TRUE",
        "nama > 'P'",
        "jenis = 'klinik' OR rawat_inap = TRUE",
        "NOT (alamat LIKE 'P%')",
        "lat < lng AND nama IS NOT NULL",
    ),
    "harga_komoditas": ("TRUE", "harga > 1", "tanggal < DATE('2024-06-01') AND komoditas = 'a'", "harga IS NULL"),
    "satuan_pendidikan": ("TRUE", "jumlah_siswa >= 12", "nama LIKE 'P%' AND lat IS NULL"),
    "realisasi_apbd": ("TRUE", "tahun = 2024", "anggaran > realisasi", "bulan IN (1, 2) AND anggaran > 0"),
}
GOOD: dict[str, tuple[Any, ...]] = {
    "kode_faskes": (*(f"P33200{number:02}" for number in range(40)), "K.1-2/3"),
    "tanggal": tuple(date(2024, 5, day) for day in range(1, 31)),
    "npsn": tuple(f"203180{number:02}" for number in range(40)),
    "kode_pemda": ("33.20", "bps:3320"),
    "kode_wilayah": ("33.20", "33.20.01", "99.01", "33.20.01.2001"),
    "komoditas": ("beras", "cabai", "Gula  pasir", "é"),
    "tahun": tuple(range(2010, 2026)),
    "lat": (-6.5, -6.58, 0.0, -0.0, 10.0),
    "lng": (110.5, 110.68, 95.0),
    "harga": (Decimal(12500), Decimal("1.50"), Decimal("1.5")),
}
SCHEMAS = ("fasilitas_kesehatan", "harga_komoditas", "satuan_pendidikan", "realisasi_apbd")
NESTED = ("list", "object", "geometry")


@st.composite
def mappings(draw: st.DrawFn) -> CompiledMapping:
    """A mapping to one of the schemas over the raw columns a to d."""
    schema = registry.get(draw(st.sampled_from(SCHEMAS)))
    found: dict[str, Any] = {}
    for name, spec in schema.fields.items():
        if spec.kind in NESTED or (not spec.required and draw(st.booleans())):
            continue
        if draw(st.integers(0, 19)) < 19:
            found[name] = name  # a column of its own, in which most cells are good
            continue
        column = draw(st.sampled_from("abcd"))
        form = draw(st.sampled_from(["plain", "plain", "from", "const", "expr", "when", "join"]))
        if form == "plain":
            found[name] = column
        elif form == "const":
            found[name] = {"const": draw(st.sampled_from(["klinik", "P1", 3, True, 110.5]))}
        elif form == "expr":
            found[name] = {"expr": draw(st.sampled_from(["upper(a)", "coalesce(a, b)", "concat(a, b)", "a"]))}
        elif form == "when":
            found[name] = {
                "when": [
                    {"if": "a = 'ya'", "from": "b", "else": "null"},
                    {"if": "c = 1", "const": "klinik"},
                    {"from": "d"},
                ]
            }
        elif form == "join":
            found[name] = {"from": ["a", "b"], "join": "-"}
        else:
            found[name] = {"from": column, **draw(st.sampled_from(STEPS))}
    read = draw(
        st.sampled_from(
            [
                {},
                {},
                {"where": "a = 'ya'"},
                {"where": "c > 1"},
                {"skip_blank_rows": True},
                {"rows_without": ["a"]},
                {"rows_without": ["a", "c"], "where": "c > 1"},
                {"missing": ["N/A", "P3"]},
            ]
        )
    )
    while True:
        document = {
            "connector": "uji-sumber", "agency": "uji", "schema": schema.meta.ref, "source": {"kind": "file", "location": "inbox/a.csv"},
            "fields": found, "read": read,
        }  # fmt: skip
        try:
            return compile_mapping(parse_manifest(document), schema, empty_code_book(), bbox=BOX)
        except MappingInvalid as fault:  # what cannot give the field's type: the column as it is, then
            found[str(fault.errors[0].pointer).split("/")[2]] = draw(st.sampled_from("abcd"))


def own_column(mapping: CompiledMapping, name: str, *, odd: bool) -> tuple[pa.Field[Any], st.SearchStrategy[Any]]:
    """A column for one field: its example and values like it, some nulls, some other cells."""
    spec, kind = mapping.schema.fields[name], mapping.schema.arrow.field(name).type
    example = spec.example if not isinstance(spec.example, str) or spec.kind == "text" else None
    good = GOOD.get(name) or (spec.enum or tuple(one for one in (example,) if one is not None))
    nulls = 2 if spec.required else 20

    def cells(share: int) -> st.SearchStrategy[Any]:
        if odd and share >= 97:
            return CELLS
        return st.none() if not good or share < nulls else st.sampled_from(good)

    return pa.field(name, kind), st.integers(0, 99).flatmap(cells)


async def by_rows(
    mapping: CompiledMapping, batches: list[RawBatch], wanted: Filter, *, findings: bool = True
) -> list[ReadResult]:
    selection, found = Selection(mapping, ReadRequest(filter=wanted, findings=findings), wanted), []
    for batch in batches:
        await selection.take(batch)
        found.append(await selection.drain((), MOMENT))
    return found


def one_by_one(mapping: CompiledMapping) -> CompiledMapping:
    """The same mapping for rows that are looked at one after the other."""
    found = replace(mapping)
    object.__setattr__(found, "plain", None)
    return found


async def by_columns(
    mapping: CompiledMapping, batches: list[RawBatch], wanted: Filter, *, findings: bool = True
) -> list[ReadResult]:
    selection, found = ColumnSelection(mapping, ReadRequest(filter=wanted, findings=findings)), []
    for batch in batches:
        await selection.take(batch)
        found.append(await selection.drain((), MOMENT))
    return found


def assert_same(
    mapping: CompiledMapping, batches: list[RawBatch], wanted: Filter = TRUE, *, findings: bool = True
) -> None:
    schema, names = mapping.schema, list(mapping.schema.fields)
    rows = asyncio.run(by_rows(mapping, batches, wanted, findings=findings))
    columns = asyncio.run(by_columns(mapping, batches, wanted, findings=findings))
    assert repr(rows) == repr(asyncio.run(by_rows(one_by_one(mapping), batches, wanted, findings=findings)))
    for row, column in zip(rows, columns, strict=True):
        assert column.columns is not None
        made, told = shown_columns(schema, column.columns, names), columns_of(schema, row.records, names)
        assert repr(made.to_pylist()) == repr(told.to_pylist())
        assert made.schema == told.schema
        assert column.rejects == row.rejects
        assert (column.rejected_rows, column.by_rule, column.skipped_blank) == (
            row.rejected_rows,
            row.by_rule,
            row.skipped_blank,
        )
        assert column.size == row.size


@given(data=st.data(), mapping=mappings())
def test_columns_say_what_rows_say(data: st.DataObject, mapping: CompiledMapping) -> None:
    assert maps_by_columns(mapping)
    condition = typed(mapping.schema, parse_filter(data.draw(st.sampled_from(FILTERS[mapping.schema.name]))))
    own = sorted(mapping.raw_columns - set("abcd"))
    in_arrow = data.draw(st.booleans())
    names = [name for name in sorted(KINDS) if name != "mixed" or not in_arrow]
    kinds = [KINDS[data.draw(st.sampled_from(names))] for _ in "abcd"]
    kinds += [own_column(mapping, name, odd=not in_arrow) for name in own]
    schema = pa.schema([field.with_name(name) for name, (field, _) in zip([*"abcd", *own], kinds, strict=True)])
    numbered, batches = data.draw(st.booleans()), []
    for first in (1, 100):
        rows = data.draw(st.lists(st.tuples(*[cells for _, cells in kinds]), max_size=15))
        numbers = list(range(first, first + len(rows))) if numbered else None
        faults = [RawReject("inbox/a.csv, line 9", "ragged_row", "3 cells")] if data.draw(st.booleans()) else []
        batch = RawBatch(
            schema, rows=rows, location="inbox/a.csv", numbers=numbers, rejects=faults, skipped_blank=len(faults)
        )
        if in_arrow:
            columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in kinds]
            arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            batch.rows, batch.arrow = None, pa.RecordBatch.from_arrays(arrays, schema=schema)
        elif "json" in {name for name, kind in KINDS.items() if kind in kinds}:
            batch.rows = [
                tuple(
                    {"a": 1} if field.metadata and cell is not None else cell
                    for field, cell in zip(schema, row, strict=True)
                )
                for row in rows
            ]
        batches.append(batch)
    assert_same(mapping, batches, condition, findings=data.draw(st.booleans()))


def batches_of(data: st.DataObject, mapping: CompiledMapping) -> list[RawBatch]:
    """Three batches of rows for a mapping, with odd cells."""
    own = sorted(mapping.raw_columns - set("abcd"))
    kinds = [
        *(KINDS[data.draw(st.sampled_from(sorted(KINDS)))] for _ in "abcd"),
        *(own_column(mapping, name, odd=True) for name in own),
    ]
    raw = pa.schema([field.with_name(name) for name, (field, _) in zip([*"abcd", *own], kinds, strict=True)])
    batches = []
    for _ in range(3):
        rows = data.draw(st.lists(st.tuples(*[cells for _, cells in kinds]), max_size=15))
        parsed = [
            tuple(
                {"a": 1} if field.metadata and cell is not None else cell for field, cell in zip(raw, row, strict=True)
            )
            for row in rows
        ]
        batches.append(RawBatch(raw, rows=parsed, location="inbox/a.csv", numbers=range(1, 1 + len(rows))))
    return batches


@given(data=st.data(), mapping=mappings())
def test_a_page_by_columns_is_the_page_by_rows(data: st.DataObject, mapping: CompiledMapping) -> None:
    """Any order, position, limit and key: the same records, findings, rejects, and whether there is more."""
    schema, batches = mapping.schema, batches_of(data, mapping)
    condition = typed(schema, parse_filter(data.draw(st.sampled_from(FILTERS[schema.name]))))
    every = [one for part in asyncio.run(by_rows(mapping, batches, TRUE)) for one in part.records]
    sortable = [name for name, spec in schema.fields.items() if spec.kind not in {"list", "object", "geometry"}]
    names = data.draw(st.lists(st.sampled_from(sortable), max_size=2, unique=True))
    order = tuple((name, data.draw(st.booleans())) for name in names)
    after, key = None, None
    if every and data.draw(st.booleans()):
        one = data.draw(st.sampled_from(every))
        after = (*(one.values[name] for name in names), data.draw(st.sampled_from([one.key, "", LAST_KEY])))
    elif every and data.draw(st.booleans()):
        key = data.draw(st.sampled_from([one.key for one in every]))
    asked = ReadRequest(filter=condition, order=order, after=after, key=key, limit=data.draw(st.integers(1, 6)))

    async def page(selection: Selection | ColumnPage) -> ReadResult:
        for batch in batches:
            await selection.take(batch)
        return await selection.result((), MOMENT)

    rows, columns = (asyncio.run(page(kind(mapping, asked, condition))) for kind in (Selection, ColumnPage))
    fields = list(schema.fields)
    assert repr(columns_of(schema, columns.records, fields).to_pylist()) == repr(
        columns_of(schema, rows.records, fields).to_pylist()
    )
    assert (columns.more, columns.rejected_rows, columns.by_rule) == (rows.more, rows.rejected_rows, rows.by_rule)
    assert (columns.rejects, columns.skipped_blank) == (rows.rejects, rows.skipped_blank)


@given(data=st.data(), mapping=mappings(), most=st.sampled_from([1_000, 1_000, 5, 20]))
def test_a_trial_by_columns_tells_what_one_by_rows_tells(
    data: st.DataObject, mapping: CompiledMapping, most: int
) -> None:
    """Counts, reasons with their locations, hints, quality; also where a bound of rows ends it."""
    schema, batches = mapping.schema, batches_of(data, mapping)
    fields = tuple(found.name for found in mapping.fields)
    manifest = parse_manifest(
        {
            "connector": "uji-sumber", "agency": "uji", "schema": schema.meta.ref, "source": {"kind": "file", "location": "inbox/a.csv"},
            "fields": {name: {"from": "a", "date": ["%d/%m/%Y"]} if schema.fields[name].kind == "date" else name for name in fields},
        }
    )  # fmt: skip
    dated = next((name for name in fields if schema.fields[name].kind == "date"), None)
    told = []
    for kind in (Trier, ColumnTrier):
        counter = QualityCounter(schema, fields, Yardstick(empty_code_book(), "33.20", BOX, dated))
        trier = kind(manifest, schema, mapping, most, 60.0, counter)
        for batch in batches:
            if not trier.take(batch):
                break
        trial = trier.done()
        blank = trial.bounded is not None  # counted to the end of the last batch, or not
        told.append(
            (
                replace(trial, skipped_blank=0 if blank else trial.skipped_blank),
                counter.document(trial.mapped, trial.nulls),
            )
        )
    assert told[1] == told[0]


def test_keys_are_met_once_also_over_many_batches() -> None:
    marks, met, seen, chance = KeyMarks(), KeysMet(), set[str](), np.random.default_rng(7)
    for _ in range(40):
        keys = [f"K{number}" for number in chance.integers(0, 4000, 300)]
        told = met.first_met(marks.of(pa.array(keys, pa.string())))
        for key, first in zip(keys, told.tolist(), strict=True):
            assert first is (key not in seen)
            seen.add(key)
    assert all(mark in met for mark in marks.of(pa.array(sorted(seen))).tolist())
    again, new, never = marks.of(pa.array(["again", "new", "never"])).tolist()
    assert never not in met
    met.take([never, again])
    assert met.first_met(np.array([again, new, never])).tolist() == [False, True, False]


@given(st.lists(st.lists(st.text("aé😀\uffff", max_size=3), max_size=5), max_size=8), st.booleans(), st.integers(0, 2))
def test_a_key_is_first_once_in_whatever_order_keys_come(batches: list[list[str]], ordered: bool, before: int) -> None:
    """`ordered`: all rise, but for those that come again; `before`: keys in the same buffers that are no part of a batch."""
    first, seen = FirstKeys(), set[str]()
    flat = [key for batch in batches for key in batch]
    turn = iter(sorted(flat) if ordered else flat)
    for batch in batches:
        keys = [next(turn) for _ in batch]
        told = first.of(pa.array(["zz"] * before + keys, pa.string()).slice(before)).tolist()
        for key, fresh in zip(keys, told, strict=True):
            assert fresh is (key not in seen)
            seen.add(key)


def test_a_key_behind_many_that_rise_is_found_again() -> None:
    first = FirstKeys()
    for start in range(0, 5000, 1000):
        assert first.of(pa.array([f"K{number:04d}" for number in range(start, start + 1000)])).all()
    assert first.of(pa.array(["K9999", "K0000", "K4999", "L", "K9999", "K4998"])).tolist() == [
        True,
        False,
        False,
        True,
        False,
        False,
    ]
    assert first.of(pa.array(["M", "N"])).tolist() == [True, True]
    assert first.of(pa.array(["L", "O", "K0001"])).tolist() == [False, True, False]


@given(st.lists(st.text(max_size=12) | st.text("ab", max_size=90), unique=True), st.integers(0, 3))
def test_marks_of_different_keys_differ_and_those_of_equal_keys_do_not(keys: list[str], cut: int) -> None:
    """In any order, whatever stands beside them: 64 bits of chance."""
    marks = KeyMarks()
    found = dict(zip(keys, marks.of(pa.array(keys, pa.string())).tolist(), strict=True))
    assert len(set(found.values())) == len(keys)
    again = pa.array([*keys, *keys[::-1]], pa.string()).slice(cut)
    assert marks.of(again).tolist() == [found[key] for key in again.to_pylist()]


def test_marks_differ_from_read_to_read() -> None:
    """Nobody can choose keys that have the same one."""
    keys = pa.array(["20318001", "", "a~b", "x" * 300])
    assert not set(KeyMarks().of(keys).tolist()) & set(KeyMarks().of(keys).tolist())


@given(data=st.data(), mapping=mappings())
def test_without_findings_the_rest_is_the_same(data: st.DataObject, mapping: CompiledMapping) -> None:
    """Records, keys and rejects, by columns and by rows."""
    names = sorted(mapping.raw_columns)
    rows = data.draw(st.lists(st.tuples(*[CELLS for _ in names]), max_size=15))
    batch = RawBatch(pa.schema([(name, pa.string()) for name in names]), rows=rows, location="inbox/a.csv")

    async def read(*, findings: bool) -> list[ReadResult]:
        asked = ReadRequest(findings=findings)
        selections = ColumnSelection(mapping, asked), Selection(mapping, asked, TRUE)
        for selection in selections:
            await selection.take(batch)
        return [await selection.drain((), MOMENT) for selection in selections]

    (columns, records), (noted, told) = asyncio.run(read(findings=False)), asyncio.run(read(findings=True))
    assert columns.columns is not None
    assert noted.columns is not None
    assert columns.columns.warnings == {}
    assert not any(record.warnings for record in records.records)
    assert (columns.columns.rows, columns.columns.keys) == (noted.columns.rows, noted.columns.keys)
    for record in told.records:
        record.warnings = ()
    noted.columns = columns.columns = None
    assert repr((columns, records)) == repr((noted, told))


def test_second_record_of_a_key_is_found_among_any_number_of_rows() -> None:
    document = {
        "connector": "uji-sumber", "agency": "uji", "schema": "fasilitas_kesehatan@1",
        "source": {"kind": "file", "location": "inbox/a.csv"}, "fields": {"kode_faskes": "a", "nama": "b"},
    }  # fmt: skip
    mapping = compile_mapping(parse_manifest(document), registry.get("fasilitas_kesehatan"), empty_code_book())
    rows = [(f"K{number % 9}", "Nama") for number in range(30)]
    schema = pa.schema([("a", pa.string()), ("b", pa.string())])

    async def read() -> ReadResult:
        selection = Selection(mapping, ReadRequest(), TRUE, keys_at_hand=2)
        await selection.take(RawBatch(schema, rows=rows, location="inbox/a.csv", numbers=list(range(2, 32))))
        return await selection.result((), MOMENT)

    result = asyncio.run(read())
    assert [record.key for record in result.records] == [f"K{number}" for number in range(9)]
    assert [reject.location for reject in result.rejects] == [f"inbox/a.csv, line {number}" for number in range(11, 32)]


@pytest.mark.parametrize(
    ("found", "read"),
    [
        ({"kode_faskes": "a", "nama": "b", "telepon": {"from": "c", "split": {"by": "/"}}}, {}),
        ({"kode_faskes": "a", "nama": "b"}, {"unpivot": {"keep": ["a"], "name": "b", "value": "c"}}),
    ],
)
def test_what_makes_several_records_of_a_row_is_mapped_by_rows(found: dict[str, Any], read: dict[str, Any]) -> None:
    document = {
        "connector": "uji-sumber", "agency": "uji", "schema": "fasilitas_kesehatan@1",
        "source": {"kind": "file", "location": "inbox/a.csv"}, "fields": found, "read": read,
    }  # fmt: skip
    mapping = compile_mapping(parse_manifest(document), registry.get("fasilitas_kesehatan"), empty_code_book())
    assert not maps_by_columns(mapping)
