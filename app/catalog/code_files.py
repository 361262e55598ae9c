"""Reading the files of `simpul codes load`: region lists (CSV, JSON, SQL dump), BPS lists, crosswalks made by hand.

Gives rows or one `ValidationFailed` that names every bad line (at most 20). Does not live here: storing (`codes.py`),
matching (`crosswalk.py`).
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from app.catalog.code_validity import COLUMNS, validity_of
from app.catalog.crosswalk import BPS, BPS_LEVELS, MANUAL, CrosswalkEntry, RegionEntry, region_level
from app.errors import FieldError, ValidationFailed

FILE_BYTES = 64 * 1024 * 1024
ERRORS_SHOWN = 20
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SYSTEM = re.compile(r"[a-z][a-z0-9_]{0,31}")
_Row = tuple[int, Any, Any, Mapping[str, Any]]
"""Number, code and name as they stand, and the cells that may tell of validity."""
_LEVELS = ("provinsi", "kabupaten", "kecamatan", "kelurahan", "desa")
_EXPECTED = (
    "expected one of: a CSV with the header kode,nama (and, where known, valid_from,valid_to,pengganti);"
    " a JSON list of {kode, nama}; a MySQL dump of a table with the"
    " columns kode and nama; a BPS list without a header (code, parent code, name); a crosswalk CSV with the header"
    " sistem,kode_asal,tingkat,nama_asal,kode_kemendagri"
)


@dataclass(frozen=True, slots=True)
class CodeFile:
    """What a file holds: regions, or crosswalk entries of one or more systems. `ignored` names columns not used."""

    name: str
    regions: tuple[RegionEntry, ...] = ()
    crosswalk: tuple[CrosswalkEntry, ...] = ()
    ignored: tuple[str, ...] = ()
    dated: bool = False
    """Whether the file speaks of validity; what is known of it stays where it does not."""


def read_code_file(path: Path, *, most_bytes: int = FILE_BYTES) -> CodeFile:
    """The rows of a file; `ValidationFailed` when it is missing, too large or not understood."""
    try:
        size_bytes = path.stat().st_size
        if size_bytes > most_bytes:
            raise _refused(path.name, f"the file has {size_bytes} bytes, the most is {most_bytes}: split it")
        return parse_code_file(path.name, path.read_bytes())
    except OSError as error:
        raise _refused(path.name, f"the file cannot be read: {error.strerror}") from None


def parse_code_file(name: str, content: bytes) -> CodeFile:
    """The rows of `content`; the suffix of `name` says the format (`.csv`, `.json`, `.sql`), the header the rest."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _refused(name, "the file is not UTF-8: save it as UTF-8 and load it again", line) from None
    suffix = Path(name).suffix.lower()
    if suffix == ".sql":
        return CodeFile(name, regions=_regions(name, _sql_rows(name, text)))
    if suffix == ".json":
        rows = list(_json_rows(name, text))
        dated = any(column in member for _, _, _, member in rows for column in COLUMNS)
        return CodeFile(name, regions=_regions(name, rows), dated=dated)
    if suffix in {".csv", ".txt"}:
        return _csv_file(name, text)
    raise _refused(name, _EXPECTED)


# --- SQL and JSON ---------------------------------------------------------------------------------------------------


def _sql_rows(name: str, text: str) -> Iterator[_Row]:
    """(row number, kode, nama, no validity) of every INSERT into a table that has both columns."""
    try:
        statements = sqlglot.parse(text, read="mysql")
    except SqlglotError as error:
        raise _refused(name, f"the dump is not SQL that can be read: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise _refused(name, "the SQL is nested too deeply") from None
    columns = {
        statement.this.this.name: [
            column.name.lower() for column in statement.this.expressions if isinstance(column, exp.ColumnDef)
        ]
        for statement in statements
        if isinstance(statement, exp.Create) and isinstance(statement.this, exp.Schema)
    }
    number = 0
    for statement in statements:
        if not isinstance(statement, exp.Insert) or not isinstance(statement.expression, exp.Values):
            continue
        target = statement.this
        named = [column.name.lower() for column in target.expressions] if isinstance(target, exp.Schema) else []
        table = target.this if isinstance(target, exp.Schema) else target
        order = named or columns.get(table.name, [])
        if not {"kode", "nama"} <= set(order):
            continue
        code_at, name_at = order.index("kode"), order.index("nama")
        for row in statement.expression.expressions:
            number += 1
            values = row.expressions if isinstance(row, exp.Tuple) else []
            whole = len(values) == len(order)
            yield number, _literal(values[code_at]) if whole else None, _literal(values[name_at]) if whole else None, {}


def _literal(value: exp.Expr) -> str | None:
    return str(value.this) if isinstance(value, exp.Literal) and value.is_string else None


def _json_rows(name: str, text: str) -> Iterator[_Row]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise _refused(name, f"the file is not JSON: {error.msg}", error.lineno) from None
    except RecursionError:
        raise _refused(name, "the JSON is nested too deeply") from None
    except ValueError:
        raise _refused(name, "the JSON holds a number of too many digits") from None
    if not isinstance(document, list):
        raise _refused(name, _EXPECTED)
    for number, item in enumerate(document, 1):
        member = item if isinstance(item, dict) else {}
        yield number, member.get("kode"), member.get("nama"), member


# --- CSV ------------------------------------------------------------------------------------------------------------


def _csv_file(name: str, text: str) -> CodeFile:
    first = text.split("\n", 1)[0]
    delimiter = next((mark for mark in (";", "\t") if mark in first and "," not in first), ",")
    try:
        lines = [(number, row) for number, row in _csv_rows(text, delimiter) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise _refused(name, f"the CSV cannot be read: {error}") from None
    if not lines:
        raise _refused(name, "the file is empty")
    header = [cell.strip().lower() for cell in lines[0][1]]
    if {"sistem", "kode_asal", "kode_kemendagri"} <= set(header):
        return _crosswalk_file(name, header, lines[1:])
    if {"kode", "nama"} <= set(header):
        code_at, name_at = header.index("kode"), header.index("nama")
        rows: Iterator[_Row] = (
            (number, row[code_at], row[name_at], dict(zip(header, row, strict=True)))
            if len(row) == len(header)
            else (number, None, None, {})
            for number, row in lines[1:]
        )
        ignored = tuple(column for column in header if column not in {"kode", "nama", *COLUMNS})
        dated = any(column in header for column in COLUMNS)
        return CodeFile(name, regions=_regions(name, rows), ignored=ignored, dated=dated)
    if lines[0][1][0].strip().isdigit():
        return CodeFile(name, crosswalk=_bps(name, lines))
    raise _refused(name, _EXPECTED, 1)


def _csv_rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
    for row in reader:
        yield reader.line_num, row


def _crosswalk_file(name: str, header: Sequence[str], lines: Iterable[tuple[int, list[str]]]) -> CodeFile:
    errors = _Errors(name)
    found: dict[tuple[str, str], CrosswalkEntry] = {}
    for number, row in lines:
        if len(row) != len(header):
            errors.add(number, "ragged_row", f"{len(row)} cells under a header of {len(header)}")
            continue
        cells = {column: cell.strip() for column, cell in zip(header, row, strict=True)}
        entry = CrosswalkEntry(
            sistem=cells["sistem"],
            kode_asal=cells["kode_asal"],
            tingkat=cells.get("tingkat", ""),
            nama_asal=cells.get("nama_asal") or None,
            kode_kemendagri=cells["kode_kemendagri"] or None,
            metode=MANUAL,
            sumber=name,
        )
        try:
            entry = replace(entry, **validity_of(entry.kode_asal, cells))
        except ValueError as error:
            errors.add(number, "validity", str(error))
            continue
        if _sound(errors, number, entry) and found.setdefault((entry.sistem, entry.kode_asal), entry) != entry:
            errors.add(number, "duplicate", f"{entry.sistem} {entry.kode_asal} stands twice with different content")
    errors.check()
    used = {"sistem", "kode_asal", "tingkat", "nama_asal", "kode_kemendagri", *COLUMNS}
    ignored, dated = tuple(c for c in header if c not in used), any(c in header for c in COLUMNS)
    return CodeFile(name, crosswalk=tuple(found.values()), ignored=ignored, dated=dated)


def _sound(errors: _Errors, number: int, entry: CrosswalkEntry) -> bool:
    before = errors.count
    if not _SYSTEM.fullmatch(entry.sistem):
        errors.add(number, "sistem", "a system is named by a-z, 0-9 and _, for example bps, dapodik, pihps")
    if not _CODE.fullmatch(entry.kode_asal):
        errors.add(number, "kode_asal", "1 to 64 of letters, digits, dot, dash and underscore")
    if entry.tingkat not in _LEVELS:
        errors.add(number, "tingkat", f"one of {', '.join(_LEVELS)}")
    if entry.kode_kemendagri is not None:
        try:
            region_level(entry.kode_kemendagri)
        except ValueError as error:
            errors.add(number, "kode_kemendagri", str(error))
    return errors.count == before


def _bps(name: str, lines: Sequence[tuple[int, list[str]]]) -> tuple[CrosswalkEntry, ...]:
    """Lines `code,parent code,name` (a province: `code,name`) as the BPS master files have them."""
    errors = _Errors(name)
    found: dict[str, CrosswalkEntry] = {}
    for number, row in lines:
        cells = [cell.strip() for cell in row]
        code, label = cells[0], cells[-1]
        if not code.isascii() or not code.isdigit() or len(code) not in BPS_LEVELS:
            errors.add(number, "kode_bps", "a BPS code has 2, 4, 7 or 10 digits")
        elif len(cells) != (2 if len(code) == 2 else 3):
            errors.add(number, "ragged_row", "expected code, parent code, name (a province: code, name)")
        elif len(cells) == 3 and cells[1] != code[: {4: 2, 7: 4, 10: 7}[len(code)]]:
            errors.add(number, "parent", f"the second cell must be the first digits of {code}")
        elif not label or not label.isprintable():
            errors.add(number, "nama", "the name is empty or holds control characters")
        else:
            entry = CrosswalkEntry(BPS, code, BPS_LEVELS[len(code)], label, None, "nama", name)
            if found.setdefault(code, entry) != entry:
                errors.add(number, "duplicate", f"{code} stands twice with different names")
    errors.check()
    return tuple(found.values())


# --- regions, and what is wrong with a file -------------------------------------------------------------------------


def _regions(name: str, rows: Iterable[_Row]) -> tuple[RegionEntry, ...]:
    errors = _Errors(name)
    found: dict[str, RegionEntry] = {}
    for number, kode, nama, cells in rows:
        if not isinstance(kode, str) or not isinstance(nama, str):
            errors.add(number, "row", "kode and nama must both stand here, as text, in a row as long as the header")
            continue
        code, label = kode.strip(), " ".join(nama.split())
        if not label or not label.isprintable():
            errors.add(number, "nama", f"the name of {code[:20]} is empty or holds control characters")
            continue
        try:
            entry = RegionEntry(code, label, *region_level(code), name)
        except ValueError as error:
            errors.add(number, "kode", str(error))
            continue
        try:
            entry = replace(entry, **validity_of(code, cells))
        except ValueError as error:
            errors.add(number, "validity", str(error))
            continue
        if found.setdefault(code, entry) != entry:
            errors.add(number, "duplicate", f"{code} stands twice, as {found[code].nama} and {label}")
    errors.check()
    if not found:
        raise _refused(name, f"the file holds no region; {_EXPECTED}")
    return tuple(found.values())


class _Errors:
    """The faults of one file, the first 20 kept, all counted. Pointers are `file:line` (CSV) or `file:row`."""

    def __init__(self, name: str) -> None:
        self.name, self.count, self.kept = name, 0, list[FieldError]()

    def add(self, number: int, code: str, detail: str) -> None:
        self.count += 1
        if self.count <= ERRORS_SHOWN:
            self.kept.append(FieldError(f"{self.name}:{number}", code, detail))

    def check(self) -> None:
        if self.count:
            shown = f" (the first {ERRORS_SHOWN} are listed)" if self.count > ERRORS_SHOWN else ""
            message = f"{self.name} was not loaded: {self.count} lines are wrong{shown}; correct them and load it again"
            raise ValidationFailed(message, errors=self.kept)


def _refused(name: str, detail: str, line: int | None = None) -> ValidationFailed:
    pointer = f"{name}:{line}" if line else name
    return ValidationFailed(f"{name} was not loaded: {detail}", errors=[FieldError(pointer, "file", detail)])
