"""The table of rejects for the office: one line a fault, columns of the source, no formula, what is not kept is told."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

from app.catalog.quarantine import QuarantinedRecord
from app.gateway.corrections import HEAD, written

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def record(location: str, *faults: tuple[str, str, str], revision: int = 2) -> QuarantinedRecord:
    told = [{"field": field, "rule": rule, "detail": "do this", "masked": masked} for field, rule, masked in faults]
    return QuarantinedRecord(1, revision, location, *faults[0][:2], "do this", faults[0][2], told, NOW, NOW)


def lines(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode())))


def test_each_fault_is_a_line_with_the_columns_of_its_own_revision():
    items = [
        record("a.csv, line 3", ("nama", "missing", ""), ("alamat", "too_long", "J****")),
        record("a.csv, line 9", ("nama", "missing", ""), ("", "duplicate_key", ""), revision=1),
    ]
    columns = {1: {"nama": {"NAMA LAMA"}}, 2: {"nama": {"Nama"}, "alamat": {"Jalan", "Blok"}}}
    head, *found = lines(written(items, columns, 0))

    assert head == list(HEAD)
    assert [line[:4] for line in found] == [
        ["a.csv, line 3", "Nama", "nama", "missing"],
        ["a.csv, line 3", "Blok, Jalan", "alamat", "too_long"],
        ["a.csv, line 9", "NAMA LAMA", "nama", "missing"],
        ["a.csv, line 9", "", "", "duplicate_key"],
    ]
    assert {line[6] for line in found} == {""}


def test_no_cell_is_a_formula_and_a_cell_with_lines_stays_one():
    items = [record('=cmd"x",\n1', ("nama", "missing", "+62***"))]
    (_, line) = lines(written(items, {2: {"nama": {"@kolom"}}}, 0))

    assert (line[0], line[1], line[5]) == ('\'=cmd"x",\n1', "'@kolom", "'+62***")


def test_a_last_line_tells_how_many_more_were_rejected():
    *_, last = lines(written([record("a", ("nama", "missing", ""))], {}, 201))
    assert last == ["(201 catatan lain ditolak dan tidak disimpan)", *[""] * 6]
    assert len(lines(written([], {}, 0))) == 1
