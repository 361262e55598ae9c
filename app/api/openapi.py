"""The OpenAPI 3.1.0 document: what FastAPI derives from the routes, completed with problems, security and components."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api.audit.guardian_wire import GUARDIAN_BODIES
from app.api.layer.problems import PROBLEMS
from app.api.layer.wire import BODIES, documents
from app.api.records.examples import record_components
from app.api.records.match import MatchBody, MatchItem
from app.api.records.queries import QueryBody
from app.api.records.verify import VerifyAnswer, VerifyBody
from app.schemas.registry import all_schemas

VERSION = "1.0.0"
_METHODS = ("get", "post", "put", "patch", "delete")
_OPEN_PREFIXES = ("/health", "/oauth", "/.well-known", "/status", "/log")
_GUARDED = "/log/tile/entries"
_STATUSES = {
    "400": "The request cannot be read.",
    "401": "No valid token.",
    "403": "Not allowed; `rule` names the rule that denied.",
    "404": "No such thing.",
    "406": "The format asked for is not offered.",
    "413": "Body or answer larger than a limit.",
    "415": "The content type is not accepted.",
    "422": "The values do not fit; `errors` names each place.",
    "429": "Too many requests; wait for `Retry-After`.",
    "500": "A fault in the gateway.",
    "503": "A source, the log or the store is not available.",
    "504": "Sources or the request ran out of time.",
}

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457 problem.",
    "required": ["type", "title", "status", "detail", "code", "trace_id"],
    "additionalProperties": True,
    "properties": {
        "type": {
            "type": "string",
            "format": "uri",
            "maxLength": 500,
            "description": "A page that explains the problem",
        },
        "title": {"type": "string", "maxLength": 200},
        "status": {"type": "integer", "format": "int32", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "maxLength": 4000},
        "code": {"type": "string", "maxLength": 64, "pattern": "^[a-z_]+$", "description": "Stable code"},
        "trace_id": {"type": "string", "maxLength": 32, "pattern": "^[0-9a-f]{32}$"},
        "exchange_id": {"type": "string", "maxLength": 36},
        "retryable": {"type": "boolean"},
        "errors": {
            "type": "array",
            "maxItems": 100,
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {
                        "type": "string",
                        "maxLength": 500,
                        "description": "JSON pointer (RFC 6901) into the request; a parameter is a member by its name",
                    },
                    "line": {
                        "type": "integer",
                        "format": "int32",
                        "minimum": 1,
                        "description": "Line of an uploaded text, instead of a pointer",
                    },
                    "code": {"type": "string", "maxLength": 64},
                    "detail": {"type": "string", "maxLength": 2000},
                },
            },
        },
    },
}

_COMPONENTS: dict[str, Any] = {
    "Problem": _PROBLEM,
    "RecordSource": {
        "type": "object",
        "description": "Which agency gave this record, from which dataset, and as of when.",
        "required": ["agency", "dataset", "id", "as_of"],
        "properties": {
            "agency": {"type": "string", "maxLength": 64},
            "dataset": {"type": "string", "maxLength": 100},
            "id": {
                "type": "string",
                "maxLength": 2000,
                "description": "Key of the record: its parts in the order of the schema's key, each percent-encoded but for letters, "
                "digits, `-`, `.` and `_`, joined by `~`; it goes into the path of a look-up as it is",
            },
            "as_of": {"type": "string", "format": "date-time", "maxLength": 40},
        },
    },
    "RecordWarning": {
        "type": "object",
        "required": ["field", "code", "detail"],
        "properties": {
            "field": {"type": "string", "maxLength": 100},
            "code": {"type": "string", "maxLength": 64},
            "detail": {"type": "string", "maxLength": 500},
        },
    },
    "SourceStatus": {
        "type": "object",
        "description": "What one dataset did for this answer.",
        "required": ["agency", "dataset", "status", "rows"],
        "properties": {
            "agency": {"type": "string", "maxLength": 64},
            "dataset": {"type": "string", "maxLength": 100},
            "status": {
                "type": "string",
                "enum": [
                    "ok",
                    "stale",
                    "timeout",
                    "unavailable",
                    "rejected",
                    "open_circuit",
                    "schema_mismatch",
                    "denied",
                    "skipped",
                ],
            },
            "rows": {"type": "integer", "format": "int64", "minimum": 0, "maximum": 9007199254740991},
            "rejected_rows": {"type": "integer", "format": "int64", "minimum": 0, "maximum": 9007199254740991},
            "elapsed_ms": {"type": "number"},
            "as_of": {"type": ["string", "null"], "format": "date-time", "maxLength": 40},
            "pushed": {"type": "array", "maxItems": 10, "items": {"type": "string", "maxLength": 32}},
            "withheld": {"type": "array", "maxItems": 200, "items": {"type": "string", "maxLength": 100}},
            "problem": {"type": ["object", "null"], "additionalProperties": True},
        },
    },
    "Aggregate": {
        "type": "object",
        "additionalProperties": False,
        "required": ["aggregates"],
        "properties": {
            "filter": {
                "description": "CQL2 as text or as JSON",
                "oneOf": [{"type": "string", "maxLength": 2048}, {"type": "object", "additionalProperties": True}],
            },
            "group_by": {"type": "array", "maxItems": 10, "items": {"type": "string", "maxLength": 100}},
            "aggregates": {
                "type": "array",
                "minItems": 1,
                "maxItems": 50,
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["function"],
                    "properties": {
                        "function": {
                            "type": "string",
                            "enum": ["count", "sum", "min", "max", "avg", "count_distinct"],
                        },
                        "field": {"type": "string", "maxLength": 100},
                        "as": {"type": "string", "maxLength": 63, "pattern": "^[a-z][a-z0-9_]{0,62}$"},
                    },
                },
            },
            "having": {
                "description": "CQL2 over the members of the answer",
                "oneOf": [{"type": "string", "maxLength": 2048}, {"type": "object", "additionalProperties": True}],
            },
            "agencies": {"type": "array", "maxItems": 100, "items": {"type": "string", "maxLength": 64}},
            "view": {"type": "string", "enum": ["records", "merged"], "default": "records"},
            "overlap": {"type": "string", "enum": ["refuse", "accept"], "default": "refuse"},
            "purpose": {"type": "string", "maxLength": 64},
        },
    },
    "Explain": {
        "type": "object",
        "additionalProperties": False,
        "required": ["schema"],
        "properties": {
            "schema": {"type": "string", "maxLength": 100},
            "filter": {
                "description": "CQL2 as text or as JSON",
                "oneOf": [{"type": "string", "maxLength": 2048}, {"type": "object", "additionalProperties": True}],
            },
            "fields": {"type": "array", "maxItems": 200, "items": {"type": "string", "maxLength": 100}},
            "sort": {"type": "array", "maxItems": 20, "items": {"type": "string", "maxLength": 101}},
            "limit": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 1000, "default": 100},
            "agencies": {"type": "array", "maxItems": 100, "items": {"type": "string", "maxLength": 64}},
            "group_by": {"type": "array", "maxItems": 10, "items": {"type": "string", "maxLength": 100}},
            "aggregates": {
                "type": "array",
                "maxItems": 50,
                "items": {"type": "object", "additionalProperties": True},
            },
            "purpose": {"type": "string", "maxLength": 64},
        },
    },
    "Explanation": {
        "type": "object",
        "required": ["sources"],
        "properties": {
            "sources": {
                "type": "array",
                "maxItems": 1000,
                "items": {
                    "type": "object",
                    "required": ["agency", "dataset", "text", "pushed", "residual", "exact", "why"],
                    "additionalProperties": True,
                    "properties": {
                        "agency": {"type": "string", "maxLength": 64},
                        "dataset": {"type": "string", "maxLength": 64},
                        "status": {"type": "string", "maxLength": 32},
                        "text": {"type": ["string", "null"], "maxLength": 100000},
                        "pushed": {"type": "array", "maxItems": 10, "items": {"type": "string", "maxLength": 32}},
                        "residual": {"type": "array", "maxItems": 10, "items": {"type": "string", "maxLength": 32}},
                        "exact": {"type": "boolean"},
                        "why": {"type": "array", "maxItems": 100, "items": {"type": "string", "maxLength": 2000}},
                    },
                },
            },
        },
    },
    "Items": {
        "type": "object",
        "required": ["items", "sources", "complete", "meta"],
        "properties": {
            "items": {"type": "array", "maxItems": 10000, "items": {"type": "object", "additionalProperties": True}},
            "next_cursor": {"type": ["string", "null"], "maxLength": 8192, "pattern": "^[A-Za-z0-9_-]*$"},
            "has_more": {"type": "boolean"},
            "sources": {"type": "array", "maxItems": 1000, "items": {"$ref": "#/components/schemas/SourceStatus"}},
            "complete": {"type": "boolean", "description": "Every source that this caller may ask answered."},
            "meta": {"type": "object", "additionalProperties": True, "description": "Schema, and notes on the answer."},
        },
    },
    "QueryAnswer": {
        "type": "object",
        "required": ["columns", "items", "sources", "complete"],
        "properties": {
            "columns": {
                "type": "array",
                "maxItems": 2000,
                "items": {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string", "maxLength": 255},
                        "type": {"type": "string", "maxLength": 255},
                    },
                },
            },
            "items": {"type": "array", "maxItems": 100000, "items": {"type": "object", "additionalProperties": True}},
            "sources": {"type": "array", "maxItems": 1000, "items": {"$ref": "#/components/schemas/SourceStatus"}},
            "complete": {"type": "boolean"},
            "meta": {"type": "object", "additionalProperties": True},
        },
    },
    "Search": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "filter": {
                "description": "CQL2 as text or as JSON",
                "oneOf": [{"type": "string", "maxLength": 2048}, {"type": "object", "additionalProperties": True}],
            },
            "fields": {"type": "array", "maxItems": 200, "items": {"type": "string", "maxLength": 100}},
            "sort": {"type": "array", "maxItems": 20, "items": {"type": "string", "maxLength": 101}},
            "limit": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 1000, "default": 100},
            "cursor": {"type": "string", "maxLength": 8192, "pattern": "^[A-Za-z0-9_-]+$"},
            "agencies": {"type": "array", "maxItems": 100, "items": {"type": "string", "maxLength": 64}},
            "view": {"type": "string", "enum": ["records", "merged"], "default": "records"},
            "purpose": {"type": "string", "maxLength": 64},
        },
    },
}


def complete(app: FastAPI) -> dict[str, Any]:
    """The whole document; FastAPI calls this once and keeps it."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            openapi_version="3.1.0",
            summary=app.summary,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
            servers=app.servers,
            contact=app.contact,
            license_info=app.license_info,
        )
        _add_components(document)
        for path, item in document["paths"].items():
            for method in _METHODS:
                if method in item:
                    _complete_operation(path, method, item[method])
        app.openapi_schema = document
    return app.openapi_schema


def _add_components(document: dict[str, Any]) -> None:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas.update(_COMPONENTS)
    schemas.update(documents((*BODIES, *GUARDIAN_BODIES, VerifyBody, VerifyAnswer)))
    schemas.update(documents((QueryBody, MatchBody, MatchItem)))
    for schema in all_schemas():
        if not schema.meta.lookup_only:
            schemas.update(record_components(schema))
    components["responses"] = {
        f"Problem{status}": _problem_response(status, text) for status, text in _STATUSES.items()
    }
    components["securitySchemes"] = {
        "oauth2": {
            "type": "oauth2",
            "description": "Client credentials; tokens are at+jwt (EdDSA) and live 15 minutes at most.",
            "flows": {"clientCredentials": {"tokenUrl": "/oauth/token", "scopes": {}}},
        },
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    }
    document["security"] = [{"oauth2": []}, {"bearer": []}]


def _problem_response(status: str, text: str) -> dict[str, Any]:
    kind = next(kind for kind in PROBLEMS.values() if str(kind.status) == status)
    example = {
        "type": f"http://127.0.0.1:8000/problems/{kind.slug}",
        "title": kind.title_en,
        "status": kind.status,
        "detail": kind.advice_en,
        "code": kind.code,
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "retryable": False,
    }
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
    return {"description": text, "content": {"application/problem+json": content}}


def _complete_operation(path: str, method: str, operation: dict[str, Any]) -> None:
    responses = operation.setdefault("responses", {})
    old = responses.get("422", {})
    if "HTTPValidationError" in str(old):
        responses.pop("422")
    if path.startswith(_OPEN_PREFIXES) and not path.startswith(_GUARDED):
        operation["security"] = []
        statuses: tuple[str, ...] = ("400", "401", "500", "503") if path.startswith("/oauth") else ("500", "503")
        if path.startswith("/log"):
            statuses = ("404", *statuses)
    else:
        statuses = tuple(_STATUSES)
        if method == "get":
            statuses = tuple(status for status in statuses if status not in {"413", "415"} or "/records/" in path)
    for status in statuses:
        responses.setdefault(status, {"$ref": f"#/components/responses/Problem{status}"})
