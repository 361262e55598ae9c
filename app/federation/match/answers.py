"""The answer of each key, window by window: the records found, and how their values agree with those given."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from app.federation.match.found import Found
from app.federation.match.question import Question, Window
from app.schemas.wire import wire_texts, wire_value

Status = Literal["matched", "unmatched", "unknown", "ambiguous", "invalid"]
Agreement = Literal["exact", "normalised", "different", "absent"]
_UNKNOWN = "no answer from "
_SEVERAL = "{} records have this key"
_OWN = frozenset({"_id", "_key", "_from"})


@dataclass(slots=True)
class Answers:
    """The answers of a window, a JSON text each, with their statuses; how many records stand in them."""

    texts: list[str] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    records: int = 0

    def add(self, status: Status, text: str) -> None:
        """The next one."""
        self.statuses.append(status)
        self.texts.append(text)


_Record = tuple[str, Mapping[str, Any]]
"""A record as it leaves, and its values that are compared."""
Records = dict[int, list[_Record]]


def answers(question: Question, found: Found, shown: Sequence[str], missing: Collection[str] = ()) -> Iterator[Answers]:
    """The answers of one window after the other, one a given key in the order of the question.

    `shown` are the fields to show, `missing` the agencies that could not say whether they have a key.
    """
    nobody = _UNKNOWN + ", ".join(sorted(missing)) if missing else None
    hidden = set(question.compared) - set(shown)
    for number, window in enumerate(question.windows()):
        records: Records = {}
        for piece in found.of(number):
            _gather(records, piece, found, hidden, window.values)
        yield _answers(window, records, nobody)


def agreement(given: str, held: Any) -> Agreement:
    """Exactly; else without regard to case, width, punctuation and repeated blanks."""
    if held is None:
        return "absent"
    text = str(held)
    if given == text:
        return "exact"
    return "normalised" if _plain(given) == _plain(text) else "different"


def _answers(window: Window, records: Records, nobody: str | None) -> Answers:
    compared = list(window.values.items())
    status: Status = "unmatched" if nobody is None else "unknown"
    lost = _said(status, "not_found" if nobody is None else nobody)
    made = Answers()
    rows = zip(window.given, window.reasons, window.index.to_pylist(), strict=True)
    for row, (given, reason, key) in enumerate(rows):
        found = records.get(key) if key is not None else None
        if key is None:
            made.add("invalid", f'{{"key":{given}{_said("invalid", reason)}')
        elif found is None:
            made.add(status, f'{{"key":{given}{lost}')
        else:
            values = {name: column[row] for name, column in compared if column[row] is not None}
            _of_records(made, given, found, values)
    return made


def _of_records(made: Answers, given: str, found: Sequence[_Record], values: Mapping[str, Any]) -> None:
    told = ""
    if values:
        each = [{name: agreement(value, held.get(name)) for name, value in values.items()} for _, held in found]
        fitting = [row for row, agreed in enumerate(each) if not {"different", "absent"} & set(agreed.values())]
        told = f',"compared":{orjson.dumps(each[fitting[0] if fitting else 0]).decode()}'
        if not fitting:
            made.add("unmatched", f'{{"key":{given}{_said("unmatched", "fields_differ", more=told)}')
            return
        found = [found[row] for row in fitting]
    made.records += len(found)
    status: Status = "matched" if len(found) == 1 else "ambiguous"
    reason = None if len(found) == 1 else _SEVERAL.format(len(found))
    texts = ",".join([text for text, _ in found])
    made.add(status, f'{{"key":{given}{_said(status, reason, texts, told)}')


def _said(status: Status, reason: str | None, records: str = "", more: str = "") -> str:
    """The members behind the key."""
    told = "null" if reason is None else orjson.dumps(reason).decode()
    return f',"status":"{status}","reason":{told},"records":[{records}]{more}}}'


def _gather(
    records: Records, piece: pa.RecordBatch, found: Found, hidden: Collection[str], compared: Collection[str]
) -> None:
    """The records of a piece to the key of each."""
    texts = _texts(piece, [name for name in piece.schema.names if name not in _OWN and name not in hidden], found)
    names = [name for name in piece.schema.names if name in compared]
    values = (
        ({},) * len(texts)
        if not names
        else [{name: wire_value(value) for name, value in row.items()} for row in piece.select(names).to_pylist()]
    )
    keys: list[Any] = piece.column("_key").to_pylist()
    for key, record in zip(keys, zip(texts, values, strict=True), strict=True):
        if key in records:
            records[key].append(record)
        else:
            records[key] = [record]


def _texts(piece: pa.RecordBatch, names: Sequence[str], found: Found) -> list[str]:
    """Each record as JSON text: its fields, then where it is from."""
    parts: list[Any] = ["{"]
    for name in names:
        parts += [f"{orjson.dumps(name).decode()}:", wire_texts(piece.column(name)), ","]
    origins: Any = piece.column("_from").dictionary_encode()
    sources = [orjson.dumps(found.source(number)).decode()[:-1] for number in origins.dictionary.to_pylist()]
    parts += ['"_source":', pa.array(sources, pa.string()).take(origins.indices), ',"id":']
    whole: Any = pc.binary_join_element_wise(*parts, wire_texts(piece.column("_id")), "}}", "")
    texts: list[str] = whole.to_pylist()
    return texts


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(letter if letter.isalnum() else " " for letter in folded).split())
