"""The question of a match: keys as JSON or as a CSV upload, bound part by part, so that a million of them take little memory."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Annotated, Any

import orjson
from fastapi import Request
from pydantic import Field, SkipValidation

from app.api.layer.bodies import media_type, note_long, read_around, read_lines, read_model, read_text, validated
from app.api.layer.dependencies import only_parameters
from app.api.layer.long_lists import LongList
from app.api.layer.wire import Wire
from app.errors import FieldError, ValidationFailed
from app.federation.match.question import WINDOW, MatchKey, Question
from app.federation.question.binder import unknown_field
from app.gateway.matching import Asked
from app.schemas.registry import SchemaDef

MOST_KEYS = 1_000_000
_MOST_CHARACTERS = 2000
_MOST_NAME = 100
_Key = Annotated[str, Field(max_length=_MOST_CHARACTERS)]


class MatchItem(Wire):
    """One key, and values that its record should have."""

    key: _Key = Field(description="Key of the record", examples=["P3320010101"])
    values: dict[Annotated[str, Field(max_length=_MOST_NAME)], _Key] = Field(
        default_factory=dict,
        description="Field to value, compared exactly and normalised",
        examples=[{"nama": "Puskesmas Jepara"}],
    )


_Given = SkipValidation[_Key | MatchItem]
"""One key as it was sent. One that does not fit is answered as invalid; it does not refuse the others."""


class MatchBody(Wire):
    """Keys to look for."""

    keys: list[_Given] = Field(min_length=1, max_length=MOST_KEYS, examples=[["P3320010101", "P3320010102"]])
    fields: list[_Key] | None = Field(
        default=None, max_length=200, description="Fields to show; only the key when absent"
    )
    purpose: Annotated[str, Field(max_length=64)] | None = Field(default=None, description="Instead of Simpul-Purpose")


def read_question(request: Request, schema: SchemaDef, long: LongList | None) -> Asked:
    """The keys of the body, and the fields to show. `long`: where the keys stand in a large body."""
    only_parameters(request, "f", "fields")
    question = Question(schema)
    if media_type(request) == "text/csv":
        shown = request.query_params.get("fields")
        _add(question, _csv_keys(request, schema, question))
        fields = tuple(shown.split(",")) if shown else schema.meta.key
    else:
        given = None if long is None else _add_long(request, question, long)
        if given is None:
            question = Question(schema)
            given = read_model(request, MatchBody)
            _add(question, map(_wanted, given.keys))
        fields = tuple(given.fields) if given.fields is not None else schema.meta.key
    for name in (*fields, *question.compared):
        if name not in schema.fields:
            raise unknown_field(schema, name, f"/{name[:64]}")
    return Asked(question, fields)


def _add(question: Question, keys: Iterable[MatchKey]) -> None:
    left = iter(keys)
    while part := list(islice(left, WINDOW)):
        question.add(part)


def _add_long(request: Request, question: Question, long: LongList) -> MatchBody | None:
    """Reads the keys part by part; None when the body has to be read as a whole, because that tells what is wrong with it."""
    parts = long.parts(WINDOW)
    try:
        first = next(parts)
        document = read_around(request, long, first[0])
        body = validated(MatchBody, document)
        for part in chain((first,), parts):
            if all(type(item) is str and len(item) <= _MOST_CHARACTERS for item in part):
                question.add_texts(part)
            else:
                question.add([_wanted(item) for item in part])
            if question.size > MOST_KEYS:
                return None
    except orjson.JSONDecodeError:
        return None
    note_long(request, document, long, question.size)
    return body


def _wanted(item: Any) -> MatchKey:
    """One key; what does not fit is told beside it. Written out: a model of each of a million keys would take seconds."""
    if isinstance(item, str) and len(item) <= _MOST_CHARACTERS:
        return MatchKey(item)
    if not isinstance(item, dict):
        rule = f"a key is a text of at most {_MOST_CHARACTERS} characters, or an object of key and values"
        return MatchKey(item, problem=rule)
    key, values = item.get("key"), item.get("values", {})
    problem = None
    if not isinstance(key, str) or len(key) > _MOST_CHARACTERS:
        problem = f"/key: a text of at most {_MOST_CHARACTERS} characters is needed"
    elif not isinstance(values, dict):
        problem = "/values: an object of field to text is needed"
    elif unknown := next((name for name in item if name not in ("key", "values")), None):
        problem = f"/{unknown[:_MOST_NAME]}: only key and values are known"
    elif wrong := next((name for name, value in values.items() if not _fits(name, value)), None):
        problem = f"/values/{wrong[:_MOST_NAME]}: a text of at most {_MOST_CHARACTERS} characters is needed"
    return MatchKey(key, problem=problem) if problem else MatchKey(key, values)


def _fits(name: str, value: Any) -> bool:
    return len(name) <= _MOST_NAME and isinstance(value, str) and len(value) <= _MOST_CHARACTERS


def _csv_keys(request: Request, schema: SchemaDef, question: Question) -> Iterator[MatchKey]:
    """The rows of an upload: `key`, or the field of a simple key; every other column is compared."""
    lines = read_lines(request)
    try:
        head = lines.readline()
        delimiter = ";" if ";" in head and "," not in head else ","
        yield from _csv_rows(csv.reader(chain((head,), lines), delimiter=delimiter), schema, question)
    except UnicodeDecodeError:
        read_text(request)  # names the byte
        raise


def _csv_rows(rows: Iterator[list[str]], schema: SchemaDef, question: Question) -> Iterator[MatchKey]:
    names = [name.strip() for name in next(rows, [])]
    column = "key" if "key" in names else schema.meta.key[0]
    if column not in names or (column != "key" and len(schema.meta.key) > 1):
        raise ValidationFailed("the CSV needs a column `key`", errors=[FieldError("line 1", "missing", "key")])
    index = names.index(column)
    question.compares(name for name in names if name != column)
    count = 0
    for number, row in enumerate(rows, 2):
        if not row:
            continue
        if len(row) != len(names):
            detail = f"line {number} has {len(row)} cells, the header {len(names)}"
            raise ValidationFailed(detail, errors=[FieldError(f"line {number}", "ragged", detail)])
        count += 1
        if count > MOST_KEYS:
            raise ValidationFailed(
                f"at most {MOST_KEYS} keys", errors=[FieldError(f"line {number}", "too_long", "keys")]
            )
        values = {name: cell for name, cell in zip(names, row, strict=True) if name != column and cell != ""}
        yield MatchKey(row[index].strip(), values)
