"""What is refused, in the words that the caller wrote, and what to write instead. Advice holds only words of the grammar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.federation.sql.allowed import ZONES

_LIKE = "write x LIKE '%text%', or contains(x, 'text'), starts_with(x, 'text')"
_NOW = "write current_date or current_timestamp"
_LEVELS = "write GROUP BY ROLLUP (a, b) or GROUP BY CUBE (a, b)"
_NESTED = "nested values come whole in the answer"
_SERIES = "tables are names of schemas; join a schema, or make the series on your side"

FUNCTION_HINTS: Final[Mapping[str, str]] = {
    "to_char": "write strftime(x, '%Y-%m-%d')", "to_date": "write CAST(x AS DATE)", "getdate": _NOW, "sysdate": _NOW,
    "current_time": _NOW, "group_array": "write array_agg(x ORDER BY x)",
    "unnest": "lists are read as they are; take them apart on your side", "explode": "lists are read as they are",
    "generate_series": _SERIES, "range": _SERIES,
    "decode": "write CASE x WHEN … THEN … END", "to_number": "write CAST(x AS DECIMAL(18, 2))",
    "random": "order by a key instead", "rand": "order by a key instead", "uuid": "use the key of the schema",
    "repeat": "write lpad('', 10, x)",
    "json_extract": _NESTED, "columns": "name the columns", "format": "write 'text' || x", "printf": "write 'text' || x",
}  # fmt: skip
"""Name of a function -> advice."""

CONSTRUCT_HINTS: Final[Mapping[str, str]] = {
    "group rollup": _LEVELS, "group cube": _LEVELS,
    "attimezone": f"write the zone as one of {', '.join(repr(zone) for zone in ZONES)}, or x + INTERVAL 7 HOUR",
    "regexpilike": _LIKE, "glob": _LIKE, "collate": "texts compare by binary UTF-8 order",
    "unnest": "lists are read as they are; take them apart on your side",
    "pivot": "write sum(x) FILTER (WHERE …) once a column", "unpivot": "write SELECT … UNION ALL SELECT …",
    "tablesample": "write ORDER BY and LIMIT",
    "parameter": "write the value itself", "placeholder": "write the value itself",
    "join method": "write JOIN … ON a.x = b.y", "jsonextract": _NESTED, "jsonextractscalar": _NESTED, "dot": _NESTED, "struct": _NESTED,
    "bitwiseor": "texts are joined by ||", "select sample": "write ORDER BY and LIMIT",
}  # fmt: skip
"""Construct, or construct and part, as the refusal names it -> advice."""


_WRITTEN: Final[Mapping[str, str]] = {
    "bitwiseand": "&", "bitwiseor": "|", "bitwisenot": "~", "bitwiseleftshift": "<<", "bitwiserightshift": ">>",
    "withingroup": "WITHIN GROUP", "groupingsets": "GROUPING SETS", "similarto": "SIMILAR TO", "attimezone": "AT TIME ZONE with this zone",
    "regexplike": "~", "regexpilike": "~*", "trycast": "TRY_CAST", "collate": "COLLATE", "jsonextract": "->", "jsonextractscalar": "->>",
    "array": "[…]", "bracket": "x[…]", "struct": "{…}", "all": "ALL", "placeholder": "?", "parameter": "$1", "dot": "a.b.c.d",
    "star except_": "* EXCLUDE", "star replace": "* REPLACE", "star rename": "* RENAME", "group all": "GROUP BY ALL",
    "group rollup": "WITH ROLLUP", "group cube": "WITH CUBE", "distinct on": "DISTINCT ON", "select sample": "USING SAMPLE",
    "select locks": "FOR UPDATE or FOR SHARE", "select into": "SELECT … INTO", "limit limit_options": "LIMIT … PERCENT",
    "cte materialized": "AS MATERIALIZED", "join method": "NATURAL, ASOF or POSITIONAL JOIN", "between symmetric": "BETWEEN SYMMETRIC",
}  # fmt: skip
"""Construct, or construct and part, as the parser names it -> as SQL writes it, where the two differ."""
OPERATORS: Final = frozenset(
    {"regexplike", "regexpilike", "trycast", "collate", "jsonextract", "jsonextractscalar", "array", "struct", "all"}
)
"""What the parser takes for functions and SQL writes as signs or words of its own."""


def written(construct: str) -> str:
    """A construct as SQL writes it."""
    node, _, part = construct.partition(" ")
    return _WRITTEN.get(construct) or (f"{node.upper()} with {part}" if part else node.upper())


def advice(hints: Mapping[str, str], name: str) -> str:
    """What follows the refusal's own words, empty where nothing is known."""
    found = hints.get(name.lower())
    return f"; {found}" if found else ""
