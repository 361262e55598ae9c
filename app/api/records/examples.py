"""The OpenAPI side of the typed record routes: parameters, bodies, answers and examples of each shared schema."""

from __future__ import annotations

import re
from typing import Any, Literal

from app.api.layer.headers import LONGEST
from app.api.shared import named
from app.schemas.json_schema import wire_json_schema
from app.schemas.registry import SchemaDef
from app.settings import Settings

_TEXT = {"type": "string", "maxLength": 2048}
_AGENCY = "[a-z0-9][a-z0-9-]{1,62}"
AGENCIES = {"type": "string", "maxLength": 2048, "pattern": f"^{_AGENCY}( *, *{_AGENCY})*$"}
"""The parameter `agencies`: ids, separated by commas."""
_TIME = {"type": "string", "format": "date-time", "maxLength": 40}
_FILES = (
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "Sheets Data and Keterangan"),
    ("application/vnd.apache.parquet", "Typed columns, then _agency and _dataset"),
    ("application/vnd.apache.arrow.stream", "Typed columns, then _agency and _dataset"),
)
_EXAMPLE_TIME = "2026-11-20T03:15:00Z"


def component_name(schema: SchemaDef) -> str:
    """`FasilitasKesehatan` for `fasilitas_kesehatan`."""
    return _camel(schema.name)


def _camel(name: str) -> str:
    return "".join(part.title() for part in name.split("_"))


def record_components(schema: SchemaDef) -> dict[str, Any]:
    """The record and the page of one schema as component schemas."""
    record = dict(wire_json_schema(schema))
    record["properties"] = {
        **record["properties"],
        "_source": {"$ref": "#/components/schemas/RecordSource"},
        "_warnings": {
            "type": "array",
            "maxItems": 100,
            "items": {"$ref": "#/components/schemas/RecordWarning"},
            "description": "Soft findings about this record; absent when there are none.",
        },
        "_sources": {
            "type": "array",
            "maxItems": 1000,
            "items": {"$ref": "#/components/schemas/RecordSource"},
            "description": "Only with `view=merged`, instead of `_source`: the records that this one was put together from.",
        },
        "_provenance": {
            "type": "object",
            "additionalProperties": {"$ref": "#/components/schemas/FieldProvenance"},
            "description": "Only with `view=merged`: whose value each field is, and by which rule.",
        },
    }
    record.pop("examples", None)
    record["example"] = example_record(schema)
    name = component_name(schema)
    record["title"] = name
    parts = _part_components(name, record["properties"])
    page = {
        "type": "object",
        "description": f"Records of {schema.name} from all agencies that answered.",
        "required": ["items", "next_cursor", "sources", "complete", "meta"],
        "properties": {
            "items": {"type": "array", "maxItems": 1000, "items": {"$ref": f"#/components/schemas/{name}"}},
            "next_cursor": {"type": ["string", "null"], "maxLength": 8192, "pattern": "^[A-Za-z0-9_-]*$"},
            "sources": {"type": "array", "maxItems": 1000, "items": {"$ref": "#/components/schemas/SourceStatus"}},
            "complete": {"type": "boolean", "description": "Every source that this caller may ask answered."},
            "meta": {
                "type": "object",
                "additionalProperties": True,
                "description": "Schema, and notes on the answer.",
                # Every member: generators that make a model of it lose those that are not named.
                "properties": {
                    "schema": {"type": "string", "maxLength": 128},
                    "view": {"type": "string", "enum": ["merged"]},
                    "overlap": {"$ref": "#/components/schemas/RecordOverlap"},
                    "count": {"$ref": "#/components/schemas/RecordCount"},
                },
            },
        },
        "example": example_page(schema),
    }
    return {name: record, f"{name}Page": page, **parts}


def _part_components(name: str, properties: dict[str, Any]) -> dict[str, Any]:
    """The objects within a record as components of their own, which its properties then refer to: clients name them so."""
    parts = {}
    for field, member in properties.items():
        if "properties" in member.get("items", {}):
            part = f"{name}{_camel(field)}"
            parts[part] = {"title": part, **member["items"]}
            properties[field] = {**member, "items": {"$ref": f"#/components/schemas/{part}"}}
    return parts


def example_record(schema: SchemaDef) -> dict[str, Any]:
    """A record as it leaves, made of the examples of the fields."""
    properties = wire_json_schema(schema)["properties"]
    shown = {name: (part.get("examples") or [None])[0] for name, part in properties.items()}
    key = schema.key_of(shown)
    return {**shown, "_source": {"agency": "dinkes", "dataset": "dinkes-contoh", "id": key, "as_of": _EXAMPLE_TIME}}


def example_page(schema: SchemaDef) -> dict[str, Any]:
    """A page with one record and one source."""
    source = {
        "agency": "dinkes",
        "dataset": "dinkes-contoh",
        "status": "ok",
        "rows": 1,
        "rejected_rows": 0,
        "elapsed_ms": 12.5,
        "as_of": _EXAMPLE_TIME,
        "pushed": ["columns", "filter"],
        "problem": None,
    }
    return {
        "items": [example_record(schema)],
        "next_cursor": None,
        "sources": [source],
        "complete": True,
        "meta": {"schema": schema.meta.ref},
    }


def query_parameters(schema: SchemaDef) -> list[dict[str, Any]]:
    """Parameters of the list route: the general ones and one equality parameter per queryable field."""
    first = next(iter(schema.fields))
    general = [
        _parameter("filter", "CQL2 text", _TEXT, _filter(schema)),
        _parameter(
            "filter-lang",
            "Language of `filter`",
            {"type": "string", "enum": ["cql2-text", "cql2-json"], "default": "cql2-text"},
            "cql2-text",
            component="FilterLang",
        ),
        _parameter("fields", "Fields to return, separated by commas; all granted ones when absent", _TEXT, first),
        _parameter("sort", "Sort keys, separated by commas; `-` before a name sorts downwards", _TEXT, f"-{first}"),
        *paging_parameters(),
        agencies_parameter(),
        _parameter(
            "view",
            "`merged`: one record a key, put together from all agencies that hold it, as JSON",
            {"type": "string", "enum": ["records", "merged"], "default": "records"},
            "records",
            component="View",
        ),
        _parameter(
            "count",
            "How many records there are beyond the page, in `meta.count`: `exact` reads and counts all of them, `estimated` "
            "asks the sources",
            {"type": "string", "enum": ["none", "estimated", "exact"], "default": "none"},
            "estimated",
            component="Count",
        ),
        *format_parameters(on_a_map=True),
    ]
    taken = {parameter["name"] for parameter in general}
    for name, part in schema.queryables["properties"].items():
        if name not in taken and not str(part.get("format")).startswith("geometry-"):
            general.append(_parameter(name, f"Equality: {part.get('title', name)}", _equality(part), None))
    return general


def _equality(part: dict[str, Any]) -> dict[str, Any]:
    """The schema of `field=value`: the field's own type where it is one of a plain value, else a text.

    Values that no record can have may be asked for: none is found.
    """
    kind = part.get("type")
    kinds = [one for one in (kind if isinstance(kind, list) else [kind]) if one != "null"]
    if kinds == ["boolean"]:
        return {"type": "boolean"}
    if kinds in (["number"], ["integer"]):
        if kinds == ["number"]:
            return {"type": "number", "format": "double"}
        return {
            "type": "integer",
            "format": "int64",
            "minimum": -9_007_199_254_740_991,
            "maximum": 9_007_199_254_740_991,
        }
    kept = {"format": part["format"]} if "format" in part else {}
    return {"type": "string", "maxLength": 2048, **kept}


def look_up_parameters(schema: SchemaDef) -> list[dict[str, Any]]:
    """Parameters of a look-up beside the key."""
    return [found for found in query_parameters(schema) if found["name"] in {"fields", "agencies", "f", "csv"}]


def agencies_parameter() -> dict[str, Any]:
    """`agencies`."""
    return _parameter("agencies", "Only these agencies, separated by commas", AGENCIES, "dinkes", component="Agencies")


def format_parameters(*, on_a_map: bool) -> list[dict[str, Any]]:
    """`f` and `csv`; `on_a_map`: whether the answer can stand on a map."""
    forms = ["json", "ndjson", "csv", "xlsx", "parquet", "arrow", *(["geojson"] if on_a_map else [])]
    named_as = "FormatWithMap" if on_a_map else "Format"
    dialect = "CSV for Excel in Indonesian: BOM, `;`, decimal comma; only where CSV is asked for"
    return [
        _parameter(
            "f", "Format, instead of the Accept header", {"type": "string", "enum": forms}, "json", component=named_as
        ),
        _parameter("csv", dialect, {"type": "string", "enum": ["id"]}, None, component="Csv"),
    ]


def paging_parameters() -> list[dict[str, Any]]:
    """`limit` and `cursor`."""
    limit = {"type": "integer", "format": "int32", "minimum": 1, "maximum": 1000}
    cursor = {"type": "string", "maxLength": 8192, "pattern": "^[A-Za-z0-9_-]+$"}
    return [
        _parameter(
            "limit",
            "Records on the page, 100 when absent; without it only JSON is paged, all other formats hold the whole answer",
            limit,
            10,
            component="Limit",
        ),
        _parameter("cursor", "`next_cursor` of the page before", cursor, None, component="Cursor"),
    ]


Preference = Literal["partial=never", "partial=allow", "respond-async"]
_PREFERENCES: dict[Preference, str] = {
    "partial=never": "refuses an answer that lacks a source",
    "partial=allow": "takes an answer that lacks a source",
    "respond-async": "makes a job of a whole answer",
}


_MODE = {"$ref": "#/components/parameters/SimpulMode"}
_ROAD_CLIENT = {"$ref": "#/components/parameters/XRoadClient"}
_ASSERTED = tuple({"$ref": f"#/components/parameters/{name}"} for name in ("XRoadUserId", "XRoadIssue"))
_REPRESENTED = {"$ref": "#/components/parameters/XRoadRepresentedParty"}
MODE_PARAMETERS: list[dict[str, Any]] = [_MODE, _ROAD_CLIENT]
"""Which data are meant, and who the caller says it is."""


def shared_parameters() -> dict[str, Any]:
    """The headers that many operations have, as components that they refer to."""
    text = "Officer behind the call; schemas about persons need it"
    case = "Case number; schemas about persons need it"
    party = "For whom the caller asks, as X-Road writes it; recorded as asserted"
    return {
        "SimpulMode": _parameter(
            "Simpul-Mode",
            "`uji`: practice. Synthetic records answer, no source is asked, no agreement is needed; answer and entry say so",
            {"type": "string", "maxLength": LONGEST["Simpul-Mode"], "enum": ["uji"]},
            None,
            within="header",
        ),
        "XRoadClient": _parameter(
            "X-Road-Client",
            "The caller's own member or client, as X-Road writes it; any other name is refused",
            {"type": "string", "maxLength": LONGEST["X-Road-Client"]},
            None,
            within="header",
        ),
        "XRoadUserId": _parameter(
            "X-Road-UserId", text, {"type": "string", "maxLength": LONGEST["X-Road-UserId"]}, None, within="header"
        ),
        "XRoadIssue": _parameter(
            "X-Road-Issue", case, {"type": "string", "maxLength": LONGEST["X-Road-Issue"]}, None, within="header"
        ),
        "XRoadRepresentedParty": _parameter(
            "X-Road-Represented-Party",
            party,
            {"type": "string", "maxLength": LONGEST["X-Road-Represented-Party"]},
            None,
            within="header",
        ),
    }


def header_parameters(*prefer: Preference, personal: bool = False) -> list[dict[str, Any]]:
    """The headers by which a caller says why, under which agreement, and who is behind the call; `prefer`: what may be preferred here."""
    code = {"type": "string", "maxLength": 64}
    headers = [
        _parameter(
            "Simpul-Purpose",
            "Purpose code (GET /v1/purposes)",
            code,
            "pelayanan_kesehatan",
            within="header",
            component="SimpulPurpose",
        ),
        _parameter(
            "Simpul-Agreement",
            "Chooses one of several fitting agreements",
            code,
            None,
            within="header",
            component="SimpulAgreement",
        ),
    ]
    if not personal:
        text = "`no-cache` asks the sources themselves, `max-age=60` takes a snapshot that is at most 60 seconds old"
        length = {"type": "string", "maxLength": LONGEST["Cache-Control"]}
        headers.append(_parameter("Cache-Control", text, length, None, within="header", component="CacheControl"))
    if prefer:
        text = "; ".join(f"`{name}` {_PREFERENCES[name]}" for name in prefer)
        text += ". `respond-async` that was heeded stands in Preference-Applied" if "respond-async" in prefer else ""
        length = {"type": "string", "maxLength": LONGEST["Prefer"]}
        component = "Prefer" + "".join(word.capitalize() for name in prefer for word in re.split("[=-]", name))
        headers.append(_parameter("Prefer", text, length, prefer[0], within="header", component=component))
    if personal:
        code = {"type": "string", "minLength": 1, "maxLength": LONGEST["X-Road-Issue"], "pattern": r"\S"}
        headers += [
            _parameter(
                "X-Road-UserId", "Officer behind the call", code, "ID198609262015051001", within="header", need=True
            ),
            _parameter("X-Road-Issue", "Case number", code, "RM-2026-000123", within="header", need=True),
        ]
    return [*headers, *MODE_PARAMETERS, *(() if personal else _ASSERTED), _REPRESENTED]


def key_parameter(schema: SchemaDef) -> dict[str, Any]:
    """The key in the path."""
    expected = "~".join(schema.meta.key)
    json_schema = {"type": "string", "minLength": 1, "maxLength": 2000}
    found = _parameter(
        "key", f"Key of the record: {expected}", json_schema, example_record(schema)["_source"]["id"], within="path"
    )
    return {**found, "required": True}


def search_question(schema: SchemaDef) -> dict[str, Any]:
    """A body of `POST …/search`."""
    first = next(iter(schema.fields))
    return {"filter": _filter(schema), "fields": list(schema.fields)[:3], "sort": [first], "limit": 10}


def _filter(schema: SchemaDef) -> str:
    return schema.meta.example_filter or f"{next(iter(schema.fields))} IS NOT NULL"


def bulk(text: str, *, binary: bool = True) -> dict[str, Any]:
    """The schema of a whole answer in a form that is no JSON: at most what a gateway spools unless it is set otherwise."""
    most: int = Settings.model_fields["answer_spool_bytes"].default
    return {"type": "string", "description": text, "maxLength": most, **({"format": "binary"} if binary else {})}


def page_response(schema: SchemaDef) -> dict[str, Any]:
    """The 200 of list, search and lookup, in every format."""
    name = component_name(schema)
    return {
        "description": "Finished and recorded before it is released.",
        "content": {
            "application/json": {
                "schema": {"$ref": f"#/components/schemas/{name}Page"},
                "example": example_page(schema),
            },
            "application/x-ndjson": {"schema": bulk("One record a line", binary=False)},
            "text/csv": {"schema": bulk("One header row, then one record a row", binary=False)},
            **{media: {"schema": bulk(text)} for media, text in _FILES},
            "application/geo+json": {"schema": {"$ref": "#/components/schemas/FeatureCollection"}},
        },
    }


def _parameter(
    name: str,
    text: str,
    json_schema: dict[str, Any],
    example: Any,
    *,
    within: str = "query",
    need: bool = False,
    component: str = "",
) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "in": within, "description": text, "schema": json_schema}
    if need or within == "path":
        found["required"] = True
    if example is not None:
        found["example"] = example
    return named(component, found) if component else found


def aggregate_question(schema: SchemaDef) -> dict[str, Any]:
    """A body of `POST …/aggregate`."""
    return {"group_by": [_group(schema)], "aggregates": [{"function": "count", "as": "jumlah"}]}


def aggregate_example(schema: SchemaDef) -> dict[str, Any]:
    """An answer with one group."""
    group = _group(schema)
    item = {group: schema.fields[group].example, "jumlah": 1}
    return items_example(schema, item)


def _group(schema: SchemaDef) -> str:
    return _filter(schema).partition(" ")[0]


def conflict_example(schema: SchemaDef) -> dict[str, Any]:
    """An answer with one disagreement."""
    values = [{"agency": name, "dataset": f"{name}-contoh", "value": "…"} for name in ("dinkes", "rsud-kartini")]
    item = {
        "id": example_record(schema)["_source"]["id"],
        "fields": [{"field": list(schema.fields)[-1], "values": values}],
    }
    return items_example(schema, item, next_cursor=None)


def items_example(schema: SchemaDef, item: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An answer that is no page of records."""
    page = {**example_page(schema), "items": [item]}
    page.pop("next_cursor")
    return {**page, **more}


def change_example(schema: SchemaDef) -> dict[str, Any]:
    """An answer with one change."""
    record = example_record(schema)
    key = record["_source"]["id"]
    item = {
        "change": "upsert",
        "id": key,
        "new_id": None,
        "agency": "dinkes",
        "dataset": "dinkes-contoh",
        "record": record,
    }
    return items_example(schema, item, next_cursor="b3BhcXVl", has_more=False)
