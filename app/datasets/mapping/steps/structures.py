"""The options of each step as JSON Schema: what an editor completes and what `/v1/manifest-schema` shows.

A test holds that a step takes just the options named here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

_TEXT: Schema = {"type": "string", "minLength": 1}
_FORMATS: Schema = {
    "anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}],
    "examples": ["%d/%m/%Y", "iso"],
}
_WORD: Schema = {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]}
_WORDS: Schema = {"anyOf": [*_WORD["anyOf"], {"type": "array", "items": _WORD}]}
_LEVEL: Schema = {"enum": ["provinsi", "kabupaten", "kecamatan", "desa"]}
_CASES: Schema = {"enum": ["trim", "squeeze", "upper", "lower", "title"]}
_NOTHING: Schema = {"type": ["null", "boolean", "object"], "const": True}
_PARENT: Schema = {
    "description": "Code of the region in which the name is looked for, in quotes, or a list of them",
    "anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}],
}


def _options(*required: str, **properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **({"required": list(required)} if required else {}),
    }


_NUMBER = _options(
    decimal={
        "type": "string",
        "minLength": 1,
        "maxLength": 1,
        "description": "The decimal mark; a point where it is left out",
    },
    thousands={"type": "string", "maxLength": 1, "description": "The mark between groups of three digits"},
    prefix={"type": "string", "description": "A text before the number, such as Rp"},
    suffix={"type": "string", "description": "A text behind it, such as km or %"},
)
_AS_TEXT = _options(digits={"type": "integer", "minimum": 1, "description": "Zero-padded to so many digits"})
STRUCTURES: Mapping[str, Schema] = {
    "text": {"anyOf": [_CASES, {"type": "array", "items": _CASES, "minItems": 1}]},
    "slice": {
        "type": "array",
        "items": {"type": "integer"},
        "minItems": 2,
        "maxItems": 2,
        "description": "First and last character, from 1",
    },
    "split": _options(
        "by", by=_TEXT, part={"type": "integer", "description": "From 1, or from -1 at the end; else a list"}
    ),
    "join": {"type": "string", "description": "The text between the columns of `from: [a, b]`"},
    "as_text": {"anyOf": [_AS_TEXT, {"const": True}, {"type": "null"}]},
    "boolean": _options(true=_WORDS, false=_WORDS),
    "number": {"anyOf": [_NUMBER, {"const": True}, {"type": "null"}]},
    "multiply": {"anyOf": [{"type": "number"}, _TEXT]},
    "unit": _options(
        "from",
        "to",
        **{"from": {"enum": ["m2", "ha", "m", "ribu", "juta", "miliar"]}, "to": {"enum": ["km2", "km", "satuan"]}},
    ),
    "date": _FORMATS,
    "datetime": {
        "anyOf": [
            *_FORMATS["anyOf"],
            _options(formats=_FORMATS, zone={"type": "string", "description": "IANA name, such as Asia/Jakarta"}),
        ]
    },
    "codes": {"type": "object", "minProperties": 1, "description": "The source's value to the schema's"},
    "crosswalk": _options("from", "level", **{"from": _TEXT, "level": _LEVEL}),
    "lookup": _options(
        "level",
        level=_LEVEL,
        parent=_PARENT,
        parent_from={**_TEXT, "description": "Raw column that holds the parent's code"},
        strip={"type": "array", "items": _TEXT, "description": "Texts taken off the beginning of the name"},
        blanks={"enum": ["count", "ignore"]},
        search={"type": "boolean", "description": "Find the one name that stands in a text"},
    ),
    "hemisphere": {"const": True},
    "position": _options(
        "notation", "part", notation={"enum": ["wkt", "lnglat", "latlng"]}, part={"enum": ["lat", "lng"]}
    ),
    "geometry": {
        "anyOf": [
            _options(
                notation={"enum": ["geojson", "coordinates", "wkt", "columns"]},
                axis={"enum": ["lnglat", "latlng"]},
                by={**_TEXT, "description": "The text between the coordinates of a column"},
                decimal={"enum": [".", ","], "description": "The decimal mark; a point where it is left out"},
                hemisphere={"const": True, "description": "Coordinates such as 6.61 LS"},
            ),
            {"const": True},
            {"type": "null"},
        ]
    },
    "list": {"anyOf": [{"enum": ["first", "keep"]}, _options("join", join={"type": "string"})]},
    "prices": _options("currency", currency={"const": "rupiah"}),
    "felt": {"const": "mmi"},
}
