"""A table of the rejected records for the office that mends them: where each stands, which column, what to do. Values stay masked."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from app.catalog import connectors, quarantine
from app.catalog.quarantine import QuarantinedRecord, QuarantinePage
from app.datasets.manifest import parse_manifest
from app.datasets.mapping import compile_mapping
from app.federation.exports.expressions import DANGEROUS
from app.gateway.services import Services
from app.lanes import in_bulk
from app.schemas import registry

HEAD: Final = (
    "lokasi", "kolom_sumber", "field", "aturan", "yang_perlu_dilakukan", "nilai_tersamar", "nilai_perbaikan",
)  # fmt: skip
_MOST_RECORDS: Final = 100_000


async def template(state: Services, connector: str) -> tuple[bytes, QuarantinePage]:
    """The table as CSV (RFC 4180, UTF-8): one line a fault of each kept record, and the records that it is made of.

    A last line tells how many more were rejected than are kept, where that is so.
    """
    await state.notes.flush()
    async with state.database.read() as connection:
        page = await quarantine.read_quarantine(connection, connector, limit=_MOST_RECORDS)
        numbers = {item.revision for item in page.items}
        revisions = [await connectors.get_revision(connection, connector, number) for number in sorted(numbers)]
    columns = {}
    for revision in revisions:
        manifest = parse_manifest(revision.manifest)
        mapping = await in_bulk(compile_mapping, manifest, registry.get(revision.schema_ref or ""), state.codes)
        columns[revision.revision] = {field.name: field.columns for field in mapping.fields}
    return await in_bulk(written, page.items, columns, (page.rejected_rows or 0) - len(page.items)), page


def written(
    items: Sequence[QuarantinedRecord], columns: Mapping[int, Mapping[str, Collection[str]]], not_kept: int
) -> bytes:
    """The lines; `columns`: by revision, the columns at the source that a field is made of."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(HEAD)
    for item in items:
        for fault in item.faults:
            source = ", ".join(sorted(columns.get(item.revision, {}).get(fault["field"], ())))
            cells = [item.location, source, fault["field"], fault["rule"], fault["detail"], fault["masked"], ""]
            lines.writerow([_plain(cell) for cell in cells])
    if not_kept > 0:
        lines.writerow([f"({not_kept} catatan lain ditolak dan tidak disimpan)", *[""] * (len(HEAD) - 1)])
    return text.getvalue().encode()


def _plain(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula (OWASP: CSV injection)."""
    return f"'{cell}" if cell.startswith(DANGEROUS) else cell
