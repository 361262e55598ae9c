"""XLSX: a sheet *Data* and a sheet *Keterangan* (question, time, sources, who did not answer), written as it goes.

Writers of others keep rows in plain temporary files; here they go compressed into the (encrypted) sink at once. Text
cells are inline strings, never formulas, and those that look like one carry Excel's own quote mark (`quotePrefix`).
"""

from __future__ import annotations

import zipfile
from typing import Any
from xml.sax.saxutils import escape

import pyarrow as pa

from app.errors import AnswerTooLarge
from app.federation.exports.expressions import DANGEROUS, DANGEROUS_SQL, plain_text, quoted
from app.federation.exports.writer import Columns, Sink, Summary, Writer, chosen, literal
from app.federation.reading.batches import Batch

MOST_ROWS = 1_048_576
MOST_CHARACTERS = 32_767
_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_RELS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_TYPES = (
    f'{_HEAD}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    '<Override PartName="/xl/workbook.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
    + "".join(
        f'<Override PartName="/xl/worksheets/sheet{number}.xml" '
        'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>'
        for number in (1, 2)
    )
    + '<Override PartName="/xl/styles.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml"/></Types>'
)
_ROOT = (
    f'{_HEAD}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    f'<Relationship Id="rId1" Type="{_RELS}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
)
_BOOK = (
    f'{_HEAD}<workbook {_MAIN} xmlns:r="{_RELS}"><sheets><sheet name="Data" sheetId="1" r:id="rId1"/>'
    '<sheet name="Keterangan" sheetId="2" r:id="rId2"/></sheets></workbook>'
)
_BOOK_RELS = (
    f'{_HEAD}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    f'<Relationship Id="rId1" Type="{_RELS}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{_RELS}/worksheet" Target="worksheets/sheet2.xml"/>'
    f'<Relationship Id="rId3" Type="{_RELS}/styles" Target="styles.xml"/></Relationships>'
)
# cell formats: 0 plain, 1 date, 2 text that looks like a formula, 3 head
_STYLES = (
    f'{_HEAD}<styleSheet {_MAIN}><numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/></numFmts>'
    '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="4"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0" quotePrefix="1"/>'
    '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)
_OPEN = f"{_HEAD}<worksheet {_MAIN}><sheetData>"
_CLOSE = "</sheetData></worksheet>"
_UNWRITABLE = r"[\x00-\x08\x0b\x0c\x0e-\x1f]"


class SheetWriter(Writer):
    """Rows beyond what a sheet can hold, and cells too long for one, are an error that says what to do."""

    def __init__(self, columns: Columns, sink: Sink) -> None:
        super().__init__(columns, sink)
        self._target = _Forward(sink)
        target: Any = self._target
        self._zip = zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=3)
        for name, text in (
            ("[Content_Types].xml", _TYPES),
            ("_rels/.rels", _ROOT),
            ("xl/workbook.xml", _BOOK),
            ("xl/_rels/workbook.xml.rels", _BOOK_RELS),
            ("xl/styles.xml", _STYLES),
        ):
            self._zip.writestr(name, text)
        self._rows = 1
        self._sheet: Any = self._zip.open("xl/worksheets/sheet1.xml", "w", force_zip64=True)
        names = [*columns.names, *(("_agency", "_dataset") if columns.sourced else ())]
        self._sheet.write((_OPEN + _row(names, style=3)).encode())

    def take(self, batch: Batch) -> None:
        """The rows of a batch."""
        self._rows += batch.columns.num_rows
        if self._rows > MOST_ROWS:
            detail = f"a sheet holds {MOST_ROWS - 1} records; narrow the question, or ask for CSV or Parquet"
            raise AnswerTooLarge(detail, limit_rows=MOST_ROWS - 1)
        self._check(batch)
        given = dict(chosen(self.columns, batch, lambda sql, _: sql))
        cells = [
            _cell(given[column.name], column.type, json=column.name in self.columns.json)
            if column.name in given
            else "'<c/>'"
            for column in self.columns.schema
        ]
        if self.columns.sourced:
            cells += [_text(literal(batch.agency)), _text(literal(batch.dataset))]
        self._sheet.write(self.engine.render(batch.columns, f"'<row>' || {' || '.join(cells)} || '</row>'"))

    def finish(self, summary: Summary) -> None:
        """The sheet *Keterangan*, and the directory of the archive."""
        self._sheet.write(_CLOSE.encode())
        self._sheet.close()
        rows = [
            ["Pertanyaan (query)", summary.question],
            ["Waktu (time)", summary.moment.isoformat()],
            ["Skema (schema)", self.columns.ref],
            ["Jumlah rekaman (rows)", str(summary.rows)],
            ["Lengkap (complete)", "ya" if summary.complete else "TIDAK: ada sumber yang tidak menjawab"],
            [],
            [
                "OPD (agency)",
                "dataset",
                "status",
                "rekaman (rows)",
                "ditolak (rejected)",
                "per (as_of)",
                "masalah (problem)",
            ],
        ]
        for source in summary.sources:
            problem = source.get("problem") or {}
            named = f"{problem.get('code', '')}: {problem.get('detail', '')}" if problem else ""
            facts = [source[name] for name in ("agency", "dataset", "status", "rows", "rejected_rows", "as_of")]
            rows.append(["" if fact is None else str(fact) for fact in facts] + [named])
        body = "".join(_row(row, style=0) for row in rows)
        self._zip.writestr("xl/worksheets/sheet2.xml", _OPEN + body + _CLOSE)
        self._zip.close()

    def close(self) -> None:
        """An archive that was given up is closed into nothing: its file objects insist on being closed."""
        self._target.gone = True
        if not self._sheet.closed:
            self._sheet.close()
        self._zip.close()
        super().close()

    def _check(self, batch: Batch) -> None:
        """Every cell that is text, lists and nested values too, in the units that a sheet counts (UTF-16)."""
        named = {
            column.name: plain_text(quoted(column.name), column.type, json=column.name in self.columns.json)
            for column in self.columns.schema
            if column.name in batch.columns.schema.names and not _short(column.type)
        }
        for name, longest in self.engine.longest(batch.columns, named).items():
            if longest > MOST_CHARACTERS:
                detail = f"a cell holds {MOST_CHARACTERS} characters and {name} has {longest}; leave the field out, or ask for CSV"
                raise AnswerTooLarge(detail, limit_characters=MOST_CHARACTERS, field=name)


class _Forward:
    """The sink as a file that only goes forward, so that the archive never seeks."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.gone = False

    def write(self, part: bytes) -> int:
        """Appends."""
        return len(part) if self.gone else self._sink.write(part)

    def flush(self) -> None:
        """Everything is handed on at once."""


def _short(kind: pa.DataType) -> bool:
    return not (pa.types.is_string(kind) or pa.types.is_list(kind) or pa.types.is_struct(kind))


def _cell(sql: str, kind: pa.DataType, *, json: bool) -> str:
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _number(sql, kind)
    if pa.types.is_date(kind):
        # Excel has no day before 1900-03-01 that all programs agree on.
        made = f"'<c s=\"1\"><v>' || CAST(date_diff('day', DATE '1899-12-30', {sql}) AS VARCHAR) || '</v></c>'"
        early = _text(f"CAST({sql} AS VARCHAR)")
        return f"CASE WHEN {sql} IS NULL THEN '<c/>' WHEN {sql} < DATE '1900-03-01' THEN {early} ELSE {made} END"
    if pa.types.is_boolean(kind):
        return f"CASE WHEN {sql} IS NULL THEN '<c/>' WHEN {sql} THEN '<c t=\"b\"><v>1</v></c>' ELSE '<c t=\"b\"><v>0</v></c>' END"
    return _text(plain_text(sql, kind, json=json))


def _number(sql: str, kind: pa.DataType) -> str:
    """A number that a spreadsheet holds exactly (15 digits), else its text."""
    text = plain_text(sql, kind)
    number = f"'<c><v>' || {text} || '</v></c>'"
    fits = (
        f"length(regexp_replace({text}, '[^0-9]', '', 'g')) <= 15"
        if not pa.types.is_floating(kind)
        else f"isfinite({sql})"
    )
    return f"CASE WHEN {sql} IS NULL THEN '<c/>' WHEN {fits} THEN {number} ELSE {_text(text)} END"


def _text(sql: str) -> str:
    clean = f"regexp_replace({sql}, '{_UNWRITABLE}', '�', 'g')"
    safe = f"replace(replace(replace({clean}, '&', '&amp;'), '<', '&lt;'), '>', '&gt;')"
    style = f"CASE WHEN left({sql}, 1) IN {DANGEROUS_SQL} THEN ' s=\"2\"' ELSE '' END"
    made = f"'<c t=\"inlineStr\"' || {style} || '><is><t xml:space=\"preserve\">' || {safe} || '</t></is></c>'"
    return f"coalesce({made}, '<c/>')"


def _row(cells: list[str], *, style: int) -> str:
    made = []
    for cell in cells:
        marked = 2 if cell.startswith(DANGEROUS) else style
        made.append(f'<c t="inlineStr" s="{marked}"><is><t xml:space="preserve">{escape(cell)}</t></is></c>')
    return f"<row>{''.join(made)}</row>"
