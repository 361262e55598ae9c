"""From what a caller wrote to a `Query`: every name exists, every literal has its field's type, every fault is named."""

from __future__ import annotations

import difflib
import hashlib
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.errors import FieldError, FieldUnknown, LimitOutOfRange, OperatorUnsupported, ValidationFailed
from app.federation.question.query import CountMode, Partial, Query, SortKey
from app.filters.cql2.parse import parse_json, parse_text
from app.filters.redaction import filter_structure
from app.filters.tree import (
    And,
    Compare,
    Filter,
    Literal,
    Property,
    all_of,
    properties,
)
from app.filters.typing import mismatch, typed, typed_value
from app.schemas.base import FieldSpec
from app.schemas.numbers import NumberBeyond, exact_number
from app.schemas.registry import SchemaDef

MOST_ROWS = 1000
DEFAULT_ROWS = 100
MOST_NAMES = {"fields": 200, "sort": 20, "agencies": 100}
"""How many names each list holds at most."""
_MOST_CHARACTERS = 2048
_WIDEST = 9_007_199_254_740_991
"""Largest whole number of JSON that every language reads exactly."""
_AGENCY = re.compile(r"[a-z0-9][a-z0-9-]{1,62}")
_NOT_SORTABLE = frozenset({"list", "object", "geometry"})
_TRUE_WORDS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class RawQuery:
    """A question as it was written. `equals` are `field=value` parameters; texts stand for themselves."""

    filter: Any = None
    filter_lang: str = "cql2-text"
    fields: tuple[str, ...] | None = None
    sort: tuple[str, ...] | None = None
    limit: Any = None
    cursor: str | None = None
    agencies: tuple[str, ...] | None = None
    equals: tuple[tuple[str, str], ...] = ()
    key: str | None = None
    partial: Partial = "allow"
    view: str = "records"
    count: CountMode = "none"
    needed: frozenset[str] = frozenset()

    def told(self) -> dict[str, Any]:
        """What was asked for, as the log's detail keeps it; what was not given is left out."""
        found = {name: getattr(self, name) for name in ("filter", "fields", "sort", "limit", "agencies", "key")}
        given = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in found.items()
            if value is not None
        }
        return {**given, **({"equals": dict(self.equals)} if self.equals else {})}


def bind(schema: SchemaDef, raw: RawQuery, most_rows: int = MOST_ROWS) -> Query:
    """The bound question, without its cursor; a page holds at most `most_rows` records.

    Raises the leaf of `RequestError` that fits, with the pointer of each fault.
    """
    limit = _limit(raw.limit, most_rows)
    fields = _fields(schema, raw.fields)
    sort = _sort(schema, raw.sort)
    equals = [_equality(schema, name, value) for name, value in raw.equals]
    written = _written(schema, raw)
    if raw.key is not None:
        schema.split_key(raw.key)
    return Query(
        schema=schema,
        fields=fields,
        filter=all_of(*equals, written),
        sort=sort,
        limit=limit,
        agencies=_agencies(raw.agencies),
        key=raw.key,
        partial=raw.partial,
        operation="lookup" if raw.key is not None else "list",
        count=raw.count,
        also_needed=raw.needed,
    )


def query_structure(query: Query) -> str:
    """The question as text with every literal replaced by `?`: what stands in the log."""
    parts = [query.schema.meta.ref]
    if query.key is not None:
        parts.append("key=?")
    if query.filter != And(()):
        parts.append(f"filter={filter_structure(query.filter)}")
    if query.fields is not None:
        parts.append(f"fields={','.join(query.fields)}")
    if query.sort:
        parts.append("sort=" + ",".join(f"{'-' if key.descending else ''}{key.field}" for key in query.sort))
    parts.append("limit=?")
    if query.count != "none":
        parts.append(f"count={query.count}")
    return " ".join(parts)


def query_hash(query: Query, policy: str) -> str:
    """What a cursor is bound to: the question without its page, and the policy it was answered under."""
    text = repr((query.schema.meta.ref, query.fields, query.filter, query.sort, query.agencies, policy))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def unknown_field(schema: SchemaDef, name: str, pointer: str) -> FieldUnknown:
    """The error of a name that the schema does not have, with the closest names."""
    near = difflib.get_close_matches(name[:100], schema.fields, n=3)
    hint = f"did you mean {', '.join(near)}?" if near else f"fields: {', '.join(schema.fields)}"
    detail = f"{schema.name} has no field {name[:100]!r}; {hint}"
    return FieldUnknown(detail, errors=[FieldError(pointer, "field_unknown", detail)], closest=near)


def limit_refused(most: int) -> LimitOutOfRange:
    """The error of a `limit` that is none."""
    detail = f"limit is a whole number between 1 and {most}; page on with cursor for more"
    return LimitOutOfRange(detail, errors=[FieldError("/limit", "limit_out_of_range", detail)], limit_rows=most)


def _limit(value: Any, most: int) -> int:
    if value is None:
        return min(DEFAULT_ROWS, most)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise limit_refused(most)
    return value


def _fields(schema: SchemaDef, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if names is None:
        return None
    _few(names, "fields")
    for index, name in enumerate(names):
        if name not in schema.fields:
            raise unknown_field(schema, name, f"fields/{index}")
    wanted = set(names)
    return tuple(name for name in schema.fields if name in wanted)


def _sort(schema: SchemaDef, names: tuple[str, ...] | None) -> tuple[SortKey, ...]:
    if names is None:
        return ()
    _few(names, "sort")
    keys: list[SortKey] = []
    for index, text in enumerate(names):
        name = text[1:] if text[:1] in {"-", "+"} else text
        spec = schema.fields.get(name)
        if spec is None:
            raise unknown_field(schema, name, f"sort/{index}")
        if spec.kind in _NOT_SORTABLE:
            raise OperatorUnsupported(f"{name} is a {spec.kind}: records cannot be sorted by it", field=name)
        if name not in {key.field for key in keys}:
            keys.append(SortKey(name, descending=text.startswith("-")))
    return tuple(keys)


def _agencies(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Ids of agencies, each once. Whether such an agency exists is not known here."""
    if names is None:
        return None
    _few(names, "agencies")
    for index, name in enumerate(names):
        if not _AGENCY.fullmatch(name):
            detail = "an agency's id: 2 to 63 of a-z, 0-9 and -, separated by commas" if name else "an empty name"
            raise ValidationFailed(
                f"agencies: {name[:63]!r} is no id of an agency; GET /v1/agencies lists them",
                errors=[FieldError(f"agencies/{index}", "agency_id", detail)],
            )
    return tuple(dict.fromkeys(names))


def _few(names: tuple[str, ...], what: str) -> None:
    most = MOST_NAMES[what]
    if len(names) > most:
        detail = f"{what} names at most {most}"
        raise LimitOutOfRange(detail, errors=[FieldError(f"/{what}", "limit_out_of_range", detail)], limit=most)


def _written(schema: SchemaDef, raw: RawQuery) -> Filter | None:
    parse = {"cql2-json": parse_json, "cql2-text": parse_text}.get(raw.filter_lang)
    if parse is None:
        raise OperatorUnsupported("filter-lang is cql2-text or cql2-json", parameter="filter-lang")
    if raw.filter is None:
        return None
    tree = parse(raw.filter)
    for name in sorted(properties(tree) - set(schema.coordinates)):
        if name not in schema.fields:
            raise unknown_field(schema, name, "filter")
    return typed(schema, tree)


def _equality(schema: SchemaDef, name: str, value: str) -> Filter:
    spec = schema.fields.get(name)
    if spec is None:
        raise unknown_field(schema, name, name)
    if spec.kind in _NOT_SORTABLE:
        raise OperatorUnsupported(f"{name} is a {spec.kind}: `{name}=` cannot be asked", field=name)
    if len(value) > _MOST_CHARACTERS:
        mismatch(spec, f"at most {_MOST_CHARACTERS} characters", name)
    return Compare("=", Property(name), Literal(_from_text(spec, value, name)))


def _from_text(spec: FieldSpec, text: str, pointer: str) -> Any:
    """The value of a `field=value` parameter."""
    if spec.kind in {"integer", "decimal", "number"}:
        try:
            number = exact_number(text)
        except NumberBeyond:
            mismatch(spec, "a number with a decimal point, without a long exponent", pointer)
        if spec.kind == "integer":
            whole = isinstance(number, int) and abs(number) <= _WIDEST
            return number if whole else mismatch(spec, f"a whole number between -{_WIDEST} and {_WIDEST}", pointer)
        return Decimal(number)
    if spec.kind == "boolean":
        return _TRUE_WORDS[text] if text in _TRUE_WORDS else mismatch(spec, "true or false", pointer)
    return typed_value(spec, text)
