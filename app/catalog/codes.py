"""The code store: `region_code` and `code_crosswalk`, loaded by `simpul codes load`, read as a whole by code books.

Loading is idempotent and in any order: whenever regions or BPS codes change, all BPS codes are matched anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import pyarrow as pa
from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.catalog import tables
from app.catalog.code_files import CodeFile
from app.catalog.code_validity import COLUMNS
from app.catalog.crosswalk import BPS, CrosswalkEntry, RegionEntry, match_bps
from app.database import bump_stamp, upsert
from app.errors import FieldError, ValidationFailed

STAMP = "codes"
ERRORS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What loading changed in the table, and how the crosswalk of the loaded systems stands now.

    `matched` and `unmatched` speak of the codes of the file (after a load of regions: of all BPS codes).
    """

    rows: int
    created: int
    updated: int
    unchanged: int
    matched: int = 0
    unmatched: tuple[CrosswalkEntry, ...] = ()


async def load_codes(connection: AsyncConnection, file: CodeFile) -> LoadReport:
    """Stores what a file holds, regions or crosswalk."""
    if file.regions:
        return await load_regions(connection, file.regions, dated=file.dated)
    return await load_crosswalk(connection, file.crosswalk, dated=file.dated)


async def load_regions(connection: AsyncConnection, rows: Sequence[RegionEntry], *, dated: bool = False) -> LoadReport:
    """Adds regions and renames known ones; removes none (a list of one regency leaves the others).

    Rows that are not `dated` leave what is known of validity as it is.
    """
    known = {region.kode: region for region in await _regions(connection)}
    if not dated:
        rows = [_dated_as(row, known.get(row.kode)) for row in rows]
    created, updated = await _write(connection, tables.region_code, rows, [known.get(row.kode) for row in rows])
    matched = [entry for entry in await _rematch(connection, ()) if entry.sistem == BPS]
    if created or updated:
        await bump_stamp(connection, STAMP)
    return _report(len(rows), created, updated, matched)


async def load_crosswalk(
    connection: AsyncConnection, rows: Sequence[CrosswalkEntry], *, dated: bool = False
) -> LoadReport:
    """Adds codes of other systems. BPS codes are matched by name; codes matched by hand must name loaded regions."""
    regions = {region.kode for region in await _regions(connection)}
    missing = [row for row in rows if row.kode_kemendagri is not None and row.kode_kemendagri not in regions]
    if missing:
        detail = "this region is not loaded: load the region list that holds it first"
        errors = [FieldError(f"{row.sumber}:{row.kode_asal}", "region_unknown", detail) for row in missing]
        raise ValidationFailed(f"{len(missing)} codes name regions that are not loaded", errors=errors[:ERRORS_SHOWN])
    known = {(entry.sistem, entry.kode_asal): entry for entry in await _crosswalk(connection)}
    if not dated:
        rows = [_dated_as(row, known.get((row.sistem, row.kode_asal))) for row in rows]
    final = {(entry.sistem, entry.kode_asal): entry for entry in await _rematch(connection, rows)}
    stored = [final[row.sistem, row.kode_asal] for row in rows]
    before = [known.get((row.sistem, row.kode_asal)) for row in rows]
    created = sum(old is None for old in before)
    updated = sum(old is not None and old != new for old, new in zip(before, stored, strict=True))
    return _report(len(rows), created, updated, stored)


Entry = TypeVar("Entry", RegionEntry, CrosswalkEntry)


def _dated_as(row: Entry, known: Entry | None) -> Entry:
    return row if known is None else replace(row, **{name: getattr(known, name) for name in COLUMNS})


async def _rematch(connection: AsyncConnection, fresh: Sequence[CrosswalkEntry]) -> list[CrosswalkEntry]:
    """Writes the fresh entries and every BPS code whose match changed; the crosswalk as it now stands."""
    known = {(entry.sistem, entry.kode_asal): entry for entry in await _crosswalk(connection)}
    merged = known | {(entry.sistem, entry.kode_asal): entry for entry in fresh}
    others = [entry for entry in merged.values() if entry.sistem != BPS]
    matched = match_bps((entry for entry in merged.values() if entry.sistem == BPS), await _regions(connection))
    final = [*others, *matched]
    before = [known.get((entry.sistem, entry.kode_asal)) for entry in final]
    created, updated = await _write(connection, tables.code_crosswalk, final, before)
    if created or updated:
        await bump_stamp(connection, STAMP)
    return final


async def _write(
    connection: AsyncConnection, table: Table, rows: Sequence[Any], before: Sequence[Any]
) -> tuple[int, int]:
    """Writes the rows that differ from what stood there; how many are new, how many changed."""
    changed = [(row, old) for row, old in zip(rows, before, strict=True) if row != old]
    await upsert(connection, table, [asdict(row) for row, _ in changed])
    created = sum(old is None for _, old in changed)
    return created, len(changed) - created


def _report(rows: int, created: int, updated: int, entries: Sequence[CrosswalkEntry]) -> LoadReport:
    unmatched = tuple(entry for entry in entries if entry.kode_kemendagri is None)
    unchanged = rows - created - updated
    return LoadReport(rows, created, updated, unchanged, len(entries) - len(unmatched), unmatched)


async def _regions(connection: AsyncConnection) -> list[RegionEntry]:
    rows = await connection.execute(select(tables.region_code))
    return sorted((RegionEntry(**row) for row in rows.mappings()), key=lambda region: region.kode)


async def _crosswalk(connection: AsyncConnection) -> list[CrosswalkEntry]:
    rows = await connection.execute(select(tables.code_crosswalk))
    entries = (CrosswalkEntry(**row) for row in rows.mappings())
    return sorted(entries, key=lambda entry: (entry.sistem, entry.kode_asal))


async def code_tables(connection: AsyncConnection) -> tuple[pa.Table, pa.Table]:
    """Both tables as Arrow text columns, ordered by key; the columns are those of `tables.region_code` and `tables.code_crosswalk`.

    Load them with the stamp `codes`.
    """
    regions, crosswalk = await _regions(connection), await _crosswalk(connection)
    return _arrow(tables.region_code, regions), _arrow(tables.code_crosswalk, crosswalk)


def _arrow(table: Table, rows: Sequence[Any]) -> pa.Table:
    schema = pa.schema([pa.field(column.name, pa.string(), nullable=bool(column.nullable)) for column in table.columns])
    arrays = [pa.array([getattr(row, name) for row in rows], pa.string()) for name in schema.names]
    return pa.Table.from_arrays(arrays, schema=schema)
