"""The answer of each key, window by window: the records found, and how their values agree with those given."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal

import pyarrow as pa

from app.federation.match.found import Found
from app.federation.match.question import Question, Window
from app.schemas.wire import wire_value

Status = Literal["matched", "unmatched", "unknown", "ambiguous", "invalid"]
Agreement = Literal["exact", "normalised", "different", "absent"]
Answer = dict[str, Any]
Records = dict[int, list[dict[str, Any]]]
_UNKNOWN = "no answer from "
_SEVERAL = "{} records have this key"


def answers(
    question: Question, found: Found, shown: Sequence[str], missing: Collection[str] = ()
) -> Iterator[list[Answer]]:
    """The answers of one window after the other, one a given key in the order of the question.

    `shown` are the fields to show, `missing` the agencies that could not say whether they have a key.
    """
    nobody = _UNKNOWN + ", ".join(sorted(missing)) if missing else None
    hidden = set(question.compared) - set(shown)
    for number, window in enumerate(question.windows()):
        records: Records = {}
        for piece in found.of(number):
            _gather(records, piece, found)
        yield _answers(window, records, hidden, nobody)


def agreement(given: str, held: Any) -> Agreement:
    """Exactly; else without regard to case, width, punctuation and repeated blanks."""
    if held is None:
        return "absent"
    text = str(held)
    if given == text:
        return "exact"
    return "normalised" if _plain(given) == _plain(text) else "different"


def _answers(window: Window, records: Records, hidden: Collection[str], nobody: str | None) -> list[Answer]:
    compared = list(window.values.items())
    lost: tuple[Status, str] = ("unmatched", "not_found") if nobody is None else ("unknown", nobody)
    made: list[Answer] = []
    for row, (given, reason, key) in enumerate(
        zip(window.given, window.reasons, window.index.to_pylist(), strict=True)
    ):
        found = records.get(key) if key is not None else None
        if key is None:
            answer = _said(given, "invalid", reason)
        elif found is None:
            answer = _said(given, *lost)
        else:
            values = {name: column[row] for name, column in compared if column[row] is not None}
            answer = _of_records(given, found, values, hidden)
        made.append(answer)
    return made


def _of_records(given: Any, found: list[dict[str, Any]], values: Mapping[str, Any], hidden: Collection[str]) -> Answer:
    compared: list[dict[str, Agreement]] = []
    if values:
        compared = [{name: agreement(value, row.get(name)) for name, value in values.items()} for row in found]
        fitting = [row for row, each in enumerate(compared) if not {"different", "absent"} & set(each.values())]
        if not fitting:
            return {**_said(given, "unmatched", "fields_differ"), "compared": compared[0]}
        found, compared = [found[row] for row in fitting], [compared[row] for row in fitting]
    several = len(found) > 1
    answer = _said(given, *(("ambiguous", _SEVERAL.format(len(found))) if several else ("matched", None)))
    answer["records"] = found
    if hidden:
        answer["records"] = [{name: value for name, value in row.items() if name not in hidden} for row in found]
    if values:
        answer["compared"] = compared[0]
    return answer


def _said(given: Any, status: Status, reason: str | None) -> Answer:
    return {"key": given, "status": status, "reason": reason, "records": []}


def _gather(records: Records, piece: pa.RecordBatch, found: Found) -> None:
    """The rows of a piece as they leave, to the key of each."""
    names = [name for name in piece.schema.names if name not in {"_id", "_key", "_from"}]
    columns = [_wire(piece.column(name)) for name in names]
    ids, keys, origins = (_wire(piece.column(name)) for name in ("_id", "_key", "_from"))
    rows = zip(*columns, strict=True) if names else ((),) * len(ids)
    for row, identifier, key, origin in zip(rows, ids, keys, origins, strict=True):
        record = dict(zip(names, row, strict=True))
        record["_source"] = {**found.source(origin), "id": identifier}
        if key in records:
            records[key].append(record)
        else:
            records[key] = [record]


def _wire(column: Any) -> list[Any]:
    values: list[Any] = column.to_pylist()
    plain = pa.types.is_string(column.type) or pa.types.is_integer(column.type) or pa.types.is_boolean(column.type)
    return values if plain else [wire_value(value) for value in values]


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(letter if letter.isalnum() else " " for letter in folded).split())
