"""Which conditions a server takes, by what it states of itself, and how they are written: as parameters, or as CQL2 in text.

Only conditions of which a server gives all that meet them, whatever its collation is: equality of texts, comparisons of numbers, what is
joined of them by AND and OR. What it gives beyond that is left out here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

from app.filters.tree import And, Compare, Filter, In, Or, Property, conjuncts
from app.filters.tree import Literal as Value

_FEATURES: Final = "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/"
_CQL2: Final = "http://www.opengis.net/spec/cql2/1.0/conf/"
_BY_PARAMETER: Final = f"{_FEATURES}queryables-query-parameters"
_BY_FILTER: Final = frozenset(
    {f"{_FEATURES}filter", f"{_FEATURES}features-filter", f"{_CQL2}cql2-text", f"{_CQL2}basic-cql2"}
)
_LISTS: Final = f"{_CQL2}advanced-comparison-operators"
CORE: Final = "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core"
_RESERVED: Final = frozenset(
    {"limit", "bbox", "bbox-crs", "datetime", "crs", "filter", "filter-lang", "filter-crs", "offset", "sortby"}
)
"""Parameters with a meaning of their own; a property of such a name cannot be asked for by one."""
_RESERVED_ELSEWHERE: Final = frozenset(
    {"f", "lang", "q", "ids", "properties", "resulttype", "skipgeometry", "startindex", "token"}
)
MOST_KEYS: Final = 100
_MOST_CHARACTERS: Final = 6_000
Kind = Literal["text", "number"]


@dataclass(frozen=True, slots=True)
class Filtering:
    """What a server filters by. `columns`: name -> kind of its values."""

    columns: Mapping[str, Kind]
    language: bool = False
    """CQL2 is taken, not parameters alone."""
    lists: bool = False

    @property
    def operators(self) -> frozenset[str]:
        """In the words of `Capabilities`."""
        if not self.columns:
            return frozenset()
        if not self.language:
            return frozenset({"=", "and"})
        return frozenset({"=", "<", "<=", ">", ">=", "and", "or"} | ({"in"} if self.lists else set()))

    def takes(self, node: Filter) -> bool:
        """Whether every comparison is one that the server gives all of, and all together fit into an address."""
        if not all(map(self._takes, [node] if self.language else conjuncts(node))):
            return False
        return not self.language or len(written(node)) <= _MOST_CHARACTERS

    def parameters(self, node: Filter) -> dict[str, str]:
        """The condition as parameters of a request."""
        if self.language:
            return {"filter": written(node), "filter-lang": "cql2-text"}
        found: dict[str, str] = {}
        for part in conjuncts(node):
            match part:
                case Compare("=", Property(name), Value(value)):
                    found.setdefault(
                        name, str(value)
                    )  # of two for one name the first: more comes than is asked for, never less
                case _:
                    raise TypeError(type(part).__name__)
        return found

    def _takes(self, node: Filter) -> bool:
        match node:
            case And(parts) | Or(parts) if self.language:
                return bool(parts) and all(map(self._takes, parts))
            case In(Property(name)) if self.language and self.lists:
                return len(node.plain) <= MOST_KEYS and all(self._of(name, value) for value in node.plain)
            case Compare("=", Property(name), Value(value)):
                return self._of(name, value) and (self.language or value != "")
            case Compare("<" | "<=" | ">" | ">=", Property(name), Value(value)) if self.language:
                return self.columns.get(name) == "number" and self._of(name, value)
            case _:
                return False

    def _of(self, name: str, value: Any) -> bool:
        kind = self.columns.get(name)
        if kind == "text":
            return isinstance(value, str) and value.isprintable()
        number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        return self.language and kind == "number" and number


def filtering(conformance: frozenset[str], queryables: Any) -> Filtering:
    """What a server filters by, from its classes of conformance and the queryables of a collection (a JSON Schema)."""
    properties = queryables.get("properties") if isinstance(queryables, Mapping) else None
    language = conformance >= _BY_FILTER
    if not isinstance(properties, Mapping) or not (language or _BY_PARAMETER in conformance):
        return Filtering({})
    kinds = {str(name): kind for name, told in properties.items() if (kind := _kind(told)) is not None}
    if not language:
        kinds = {
            name: kind
            for name, kind in kinds.items()
            if kind == "text" and name.lower() not in _RESERVED | _RESERVED_ELSEWHERE
        }
    return Filtering(kinds, language, language and _LISTS in conformance)


def written(node: Filter) -> str:
    """A condition that is taken, as CQL2 in text (OGC 21-065r2, annex B)."""
    match node:
        case And(parts):
            return "(" + " AND ".join(map(written, parts)) + ")"
        case Or(parts):
            return "(" + " OR ".join(map(written, parts)) + ")"
        case In(Property(name)):
            return f"{_name(name)} IN ({', '.join(map(_value, node.plain))})"
        case Compare(op, Property(name), Value(value)):
            return f"{_name(name)} {op} {_value(value)}"
        case _:
            raise TypeError(type(node).__name__)


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _value(value: Any) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return format(value, "f") if isinstance(value, Decimal) else repr(value)


def _kind(told: Any) -> Kind | None:
    """The kind of a queryable that can be compared; None for times, geometries, lists and what is not told."""
    if not isinstance(told, Mapping):
        return None
    stated = told.get("type")
    if stated in ("number", "integer"):
        return "number"
    return "text" if stated == "string" and told.get("format") is None and "x-ogc-role" not in told else None
