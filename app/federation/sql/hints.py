"""What is refused, in the words that the caller wrote, and what to write instead. Advice holds only words of the grammar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_MIDDLE = "median(x) gives the middle value; other quantiles are computed on your side"
_LIKE = "write x LIKE '%text%', or contains(x, 'text'), starts_with(x, 'text')"
_PARTS = "write extract(year FROM x), extract(month FROM x) or date_trunc('month', x)"
_NOW = "write current_date or current_timestamp"
_LISTS = "write string_agg(x, ', ' ORDER BY x)"
_LEVELS = "write one SELECT a level and join them by UNION ALL"
_NESTED = "nested values come whole in the answer"
_APART = "write date_diff('day', x, y), or x - INTERVAL 1 DAY"
_PAD = "write right('00000' || x, 5), or pad on your side"
_SERIES = "tables are names of schemas; join a schema, or make the series on your side"

FUNCTION_HINTS: Final[Mapping[str, str]] = {
    "quantile_cont": _MIDDLE, "quantile": _MIDDLE, "quantile_disc": _MIDDLE, "percentile_cont": _MIDDLE,
    "percentile_disc": _MIDDLE, "approx_quantile": _MIDDLE, "mode": "group by x and order by count(*) DESC",
    "regexp_like": _LIKE, "regexp_matches": _LIKE, "regexp_extract": "write split_part(x, '-', 1) or substring(x, 1, 4)",
    "regexp_replace": "write replace(x, 'old', 'new')", "translate": "write replace(x, 'old', 'new')",
    "date_part": _PARTS, "datepart": _PARTS, "time_to_str": _PARTS, "strftime": _PARTS, "to_char": _PARTS, "hour": _PARTS,
    "minute": _PARTS, "second": _PARTS, "str_to_time": "write CAST(x AS DATE) or CAST(x AS TIMESTAMP)",
    "strptime": "write CAST(x AS DATE) or CAST(x AS TIMESTAMP)", "to_date": "write CAST(x AS DATE)",
    "now": _NOW, "getdate": _NOW, "sysdate": _NOW, "localtimestamp": _NOW, "current_time": _NOW,
    "array_agg": _LISTS, "list": _LISTS, "group_array": _LISTS,
    "unnest": "lists are read as they are; take them apart on your side", "explode": "lists are read as they are",
    "generate_series": _SERIES, "range": _SERIES, "log": "write ln(x), and ln(x) / ln(10) for base 10",
    "trunc": "write CAST(x AS BIGINT), or floor(x)", "truncate": "write CAST(x AS BIGINT), or floor(x)",
    "decode": "write CASE x WHEN … THEN … END", "to_number": "write CAST(x AS DECIMAL(18, 2))",
    "random": "order by a key instead", "rand": "order by a key instead", "uuid": "use the key of the schema",
    "rpad": "pad on your side", "lpad": _PAD, "date_sub": _APART, "datesub": _APART, "isodow": "write dayofweek(x), 0 Sunday to 6 Saturday",
    "json_extract": _NESTED, "columns": "name the columns", "format": "write 'text' || x", "printf": "write 'text' || x",
}  # fmt: skip
"""Name of a function -> advice."""

CONSTRUCT_HINTS: Final[Mapping[str, str]] = {
    "group all": "name the columns after GROUP BY", "group rollup": _LEVELS, "group cube": _LEVELS, "rollup": _LEVELS, "cube": _LEVELS,
    "groupingsets": _LEVELS,
    "distinct on": "write row_number() OVER (PARTITION BY … ORDER BY …) in a subquery and keep 1",
    "withingroup": f"{_MIDDLE}; lists are string_agg(x, ', ' ORDER BY x)",
    "fetch": "write LIMIT n",
    "attimezone": "times are UTC; WIB is x + INTERVAL 7 HOUR",
    "similarto": _LIKE, "regexplike": _LIKE, "regexpilike": _LIKE, "glob": _LIKE, "collate": "texts compare by binary UTF-8 order",
    "values": "tables are names of schemas; write SELECT … UNION ALL SELECT …",
    "unnest": "lists are read as they are; take them apart on your side",
    "lateral": "write a subquery and join it by a key",
    "pivot": "write sum(x) FILTER (WHERE …) once a column", "unpivot": "write SELECT … UNION ALL SELECT …",
    "tablesample": "write ORDER BY and LIMIT", "any": "write x IN (…)", "all": "write x NOT IN (…), or compare with max(…)",
    "array": "write x IN (…)", "bracket": "write substring(x, 1, 4) or split_part(x, '-', 1)",
    "star except_": "name the columns", "star replace": "name the columns",
    "parameter": "write the value itself", "placeholder": "write the value itself",
    "join method": "write JOIN … ON a.x = b.y", "jsonextract": _NESTED, "jsonextractscalar": _NESTED, "dot": _NESTED, "struct": _NESTED,
    "trycast": "write CASE WHEN … THEN CAST(x AS …) END, with what makes the CAST safe behind WHEN",
    "bitwiseor": "texts are joined by ||", "select sample": "write ORDER BY and LIMIT",
}  # fmt: skip
"""Construct, or construct and part, as the refusal names it -> advice."""


_WRITTEN: Final[Mapping[str, str]] = {
    "bitwiseand": "&", "bitwiseor": "|", "bitwisenot": "~", "bitwiseleftshift": "<<", "bitwiserightshift": ">>",
    "withingroup": "WITHIN GROUP", "groupingsets": "GROUPING SETS", "similarto": "SIMILAR TO", "attimezone": "AT TIME ZONE",
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
