"""Lines of text, made by columns: constants and columns of text, joined row by row in Arrow.

What is text already is taken as it is where that is certain; all else the engine makes, each column once for a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute

from app.federation.exports.buffers import Texts, text_buffers, text_bytes
from app.federation.exports.expressions import DANGEROUS, csv_text, json_value, quoted
from app.federation.exports.writer import Columns, RowText
from app.federation.reading.batches import Batch

compute: Any = pyarrow.compute
Pieces = list[Any]
"""Parts of a line in order: a `str` is the same in every row, an array of text without nulls is of each row."""

MOST_BYTES: Final = 64 << 20
"""Of a batch that is made at once: an array of text holds 2 GiB, and escaped text can be six times as long."""


def _marked(marks: str) -> Any:
    found = np.zeros(256, bool)
    found[list(marks.encode())] = True
    return found


_ESCAPED: Final = _marked("".join(map(chr, range(32))) + '"\\')
"""What JSON escapes in a text."""
_FORMULA: Final = _marked("".join(DANGEROUS))


def parts_of(batch: pa.RecordBatch, most_bytes: int = MOST_BYTES) -> Iterator[pa.RecordBatch]:
    """The batch in parts of so many bytes, of one row at least."""
    if batch.num_rows < 2 or batch.nbytes <= most_bytes:
        yield batch
        return
    half = batch.num_rows // 2
    yield from parts_of(batch.slice(0, half), most_bytes)
    yield from parts_of(batch.slice(half), most_bytes)


def joined(pieces: Pieces, rows: int) -> memoryview:
    """The bytes of all lines, one behind the other."""
    merged: Pieces = []
    for piece in pieces:
        if isinstance(piece, str) and merged and isinstance(merged[-1], str):
            merged[-1] += piece
        else:
            merged.append(piece)
    if all(isinstance(piece, str) for piece in merged):
        return memoryview("".join(merged).encode() * rows)
    lines = compute.binary_join_element_wise(*(pa.scalar(p) if isinstance(p, str) else p for p in merged), "")
    if lines.null_count:
        raise ValueError("a piece of a line has no text")
    return text_bytes(lines)


def json_values(engine: RowText, columns: Columns, batch: Batch) -> dict[str, Pieces]:
    """The JSON of each field that this batch grants, and of `_id` where the records have one, by name."""
    made: dict[str, Pieces] = {}
    left: dict[str, str] = {}
    for column in _granted(columns, batch) + ([pa.field("_id", pa.string())] if columns.sourced else []):
        name, values = column.name, batch.columns.column(column.name)
        made[name] = ["null"]
        if values.null_count == len(values):
            continue
        if pa.types.is_string(column.type) and name not in columns.json and not _holds(values, _ESCAPED):
            made[name] = ['"', values, '"'] if values.null_count == 0 else [_joined('"', values, '"').fill_null("null")]
            continue
        sql = json_value(quoted(name), column.type)
        left[name] = f"CAST(to_json({f'CAST({sql} AS JSON)' if name in columns.json else sql}) AS VARCHAR)"
    for name, texts in engine.texts(batch.columns, left).items():
        made[name] = [texts.fill_null("null")]
    return made


def warnings_member(batch: Batch) -> Pieces:
    """The member `_warnings` and the comma before it, for the records that have any; they are JSON already."""
    told = batch.columns.column("_warnings")
    if told.null_count == len(told):
        return []
    if told.null_count == 0:
        return [',"_warnings":', told]
    return [_joined(',"_warnings":', told).fill_null("")]


def json_object(members: Sequence[tuple[str, Pieces]]) -> Pieces:
    """An object of these members, in their order."""
    made: Pieces = ["{"]
    for number, (name, value) in enumerate(members):
        made += [("," if number else "") + orjson.dumps(name).decode() + ":", *value]
    return [*made, "}"]


def csv_cells(engine: RowText, columns: Columns, batch: Batch, *, separator: str, comma: bool) -> list[Pieces]:
    """The cell of each column: empty for null, quoted where it must be (RFC 4180), none a formula to a spreadsheet."""
    granted = {column.name for column in _granted(columns, batch)}
    special = _marked(f'{separator}"\r\n')
    texts: dict[str, Texts] = {}
    left: dict[str, str] = {}
    for column in columns.schema:
        values = batch.columns.column(column.name)
        if column.name not in granted or values.null_count == len(values):
            continue
        is_json = column.name in columns.json
        if pa.types.is_string(column.type) and not is_json:
            texts[column.name] = _neutral(values)
        else:
            left[column.name] = csv_text(quoted(column.name), column.type, json=is_json, comma=comma)
    for name, made in engine.texts(batch.columns, left).items():
        texts[name] = _neutral(made) if pa.types.is_list(columns.schema.field(name).type) else made
    cells: list[Pieces] = []
    alone = len(columns.schema) == 1 and not columns.sourced
    for name in columns.names:
        cell = _quoted(texts[name], special) if name in texts else None
        if (
            cell is not None and alone
        ):  # null is an empty line, as a record of one empty cell is; an empty text is quoted
            cell = compute.if_else(compute.equal(cell, ""), '""', cell)
        cells.append([""] if cell is None else [cell.fill_null("")])
    return cells


def _granted(columns: Columns, batch: Batch) -> list[Any]:
    granted = set(batch.fields) if columns.sourced else set(columns.names)
    return [column for column in columns.schema if column.name in granted]


def _neutral(texts: Texts) -> Texts:
    """A leading apostrophe keeps a spreadsheet from running the text as a formula (OWASP: CSV injection)."""
    offsets, found = text_buffers(texts)
    filled = np.flatnonzero(np.diff(offsets))
    rows = filled[_FORMULA[found[offsets[filled]]]]
    return _replaced(texts, rows, lambda odd: _joined("'", odd))


def _quoted(texts: Texts, special: Any) -> Texts:
    offsets, found = text_buffers(texts)
    at = np.flatnonzero(special[found[offsets[0] : offsets[-1]]]) + offsets[0]
    rows = np.unique(np.searchsorted(offsets, at, side="right") - 1)
    return _replaced(texts, rows, lambda odd: _joined('"', compute.replace_substring(odd, '"', '""'), '"'))


def _replaced(texts: Texts, rows: Any, made: Any) -> Texts:
    """These rows made anew, which are few or all."""
    if len(rows) == 0:
        return texts
    chosen = np.zeros(len(texts), bool)
    chosen[rows] = True
    mask = pa.array(chosen)
    return compute.replace_with_mask(texts, mask, made(texts.filter(mask)))


def _holds(texts: Texts, marks: Any) -> bool:
    """Whether any of these bytes stands in any of the texts."""
    offsets, found = text_buffers(texts)
    return bool(marks[found[offsets[0] : offsets[-1]]].any())


def _joined(*pieces: Any) -> Any:
    return compute.binary_join_element_wise(*pieces, "")
