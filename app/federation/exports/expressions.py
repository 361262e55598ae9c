"""Values of Arrow columns as SQL expressions that give their text: JSON, CSV cells, sheet cells. Pure text, no engine.

The form is that of `writers.py`: decimals as text without trailing zeros, times RFC 3339 in UTC, null explicit.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

DANGEROUS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes as the start of a formula."""
DANGEROUS_SQL = "('=', '+', '-', '@', chr(9), chr(13))"


def quoted(name: str) -> str:
    """An identifier."""
    return '"' + name.replace('"', '""') + '"'


def json_value(sql: str, kind: Any) -> str:
    """An expression whose `to_json` is the value on the wire."""
    if pa.types.is_decimal(kind):
        return decimal_text(sql, kind)
    if pa.types.is_timestamp(kind):
        return instant_text(sql)
    if pa.types.is_list(kind) and not _plain(kind.value_type):
        return f"list_transform({sql}, lambda item: {json_value('item', kind.value_type)})"
    if pa.types.is_struct(kind):
        parts = ", ".join(
            f"{quoted(part.name)} := {json_value(f'{sql}.{quoted(part.name)}', part.type)}" for part in kind
        )
        return f"CASE WHEN {sql} IS NULL THEN NULL ELSE struct_pack({parts}) END"
    if not _known(kind):
        return f"CAST({sql} AS VARCHAR)"
    return sql


def decimal_text(sql: str, kind: Any) -> str:
    """A decimal without exponent and trailing zeros."""
    text = f"CAST({sql} AS VARCHAR)"
    return f"rtrim(rtrim({text}, '0'), '.')" if kind.scale > 0 else text


def instant_text(sql: str) -> str:
    """RFC 3339 in UTC; a fraction only where there is one."""
    return f"replace(strftime({sql}, '%Y-%m-%dT%H:%M:%S.%fZ'), '.000000Z', 'Z')"


def neutral(text: str) -> str:
    """A leading apostrophe keeps a spreadsheet from running the text as a formula (OWASP: CSV injection)."""
    return f"CASE WHEN left({text}, 1) IN {DANGEROUS_SQL} THEN '''' || {text} ELSE {text} END"


def csv_text(sql: str, kind: Any, *, json: bool, comma: bool) -> str:
    """The text of a cell of a CSV file, null for null, before it is quoted; `comma`: decimals as Indonesia writes them."""
    text = plain_text(sql, kind, json=json)
    if comma and (pa.types.is_decimal(kind) or pa.types.is_floating(kind)):
        return f"replace({text}, '.', ',')"
    if pa.types.is_list(kind) and _scalar(kind.value_type):
        return _joined(sql, kind, comma=comma, safe=True)
    return text


def plain_text(sql: str, kind: Any, *, json: bool = False) -> str:
    """A value as text, null for null; nested values as JSON."""
    if pa.types.is_decimal(kind) or pa.types.is_timestamp(kind):
        return json_value(sql, kind)
    if pa.types.is_struct(kind) or (pa.types.is_list(kind) and not _scalar(kind.value_type)):
        return f"CASE WHEN {sql} IS NULL THEN NULL ELSE CAST(to_json({json_value(sql, kind)}) AS VARCHAR) END"
    if pa.types.is_list(kind):
        return _joined(sql, kind, comma=False, safe=False)
    return sql if pa.types.is_string(kind) and not json else f"CAST({sql} AS VARCHAR)"


def csv_head(name: str, separator: str) -> str:
    """A cell of the header row, as `csv_cell` writes a text."""
    text = f"'{name}" if name.startswith(DANGEROUS) else name
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in (separator, '"', "\r", "\n")) else text


def _joined(sql: str, kind: Any, *, comma: bool, safe: bool) -> str:
    """The items of a list joined by ` | `, each neutral where the cell's format has no mark of its own for text."""
    item = plain_text("item", kind.value_type)
    if comma and (pa.types.is_decimal(kind.value_type) or pa.types.is_floating(kind.value_type)):
        item = f"replace({item}, '.', ',')"
    elif safe and pa.types.is_string(kind.value_type):
        item = neutral(item)
    return f"array_to_string(list_transform({sql}, lambda item: coalesce({item}, '')), ' | ')"


def _scalar(kind: Any) -> bool:
    return not (pa.types.is_list(kind) or pa.types.is_struct(kind))


def _plain(kind: Any) -> bool:
    """Whether a value's own JSON is its JSON on the wire."""
    return _scalar(kind) and _known(kind) and not (pa.types.is_decimal(kind) or pa.types.is_timestamp(kind))


def _known(kind: Any) -> bool:
    tests = (pa.types.is_string, pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_date)
    return not _scalar(kind) or any(test(kind) for test in tests) or pa.types.is_decimal(kind)
