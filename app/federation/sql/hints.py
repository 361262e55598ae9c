"""What to write instead of what an analyst would expect and the guard does not take. Only words of the grammar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_MIDDLE = "median(x) gives the middle value; other quantiles are computed on your side"
_LIKE = "write x LIKE '%text%', or contains(x, 'text'), starts_with(x, 'text')"
_PARTS = "write extract(year FROM x), extract(month FROM x) or date_trunc('month', x)"
_NOW = "write current_date or current_timestamp"
_LISTS = "write string_agg(x, ', ' ORDER BY x)"
_SERIES = "tables are names of schemas; join a schema, or make the series on your side"

FUNCTION_HINTS: Final[Mapping[str, str]] = {
    "quantile_cont": _MIDDLE, "quantile": _MIDDLE, "quantile_disc": _MIDDLE, "percentile_cont": _MIDDLE,
    "percentile_disc": _MIDDLE, "approx_quantile": _MIDDLE, "mode": "group by x and order by count(*) DESC",
    "regexp_like": _LIKE, "regexp_matches": _LIKE, "regexp_extract": "write split_part(x, '-', 1) or substring(x, 1, 4)",
    "regexp_replace": "write replace(x, 'old', 'new')", "translate": "write replace(x, 'old', 'new')",
    "date_part": _PARTS, "datepart": _PARTS, "time_to_str": _PARTS, "strftime": _PARTS, "to_char": _PARTS, "hour": _PARTS,
    "minute": _PARTS, "second": _PARTS, "str_to_time": "write CAST(x AS DATE) or CAST(x AS TIMESTAMP)",
    "strptime": "write CAST(x AS DATE) or CAST(x AS TIMESTAMP)", "to_date": "write CAST(x AS DATE)",
    "now": _NOW, "today": _NOW, "getdate": _NOW, "sysdate": _NOW, "localtimestamp": _NOW, "current_time": _NOW,
    "array_agg": _LISTS, "list": _LISTS, "group_array": _LISTS,
    "unnest": "lists are read as they are; take them apart on your side", "explode": "lists are read as they are",
    "generate_series": _SERIES, "range": _SERIES, "log": "write ln(x), and ln(x) / ln(10) for base 10",
    "trunc": "write CAST(x AS BIGINT), or floor(x)", "truncate": "write CAST(x AS BIGINT), or floor(x)",
    "decode": "write CASE x WHEN … THEN … END", "to_number": "write CAST(x AS DECIMAL(18, 2))",
    "random": "order by a key instead", "rand": "order by a key instead", "uuid": "use the key of the schema",
    "rpad": "pad on your side", "lpad": "pad on your side", "format": "write 'text' || x", "printf": "write 'text' || x",
}  # fmt: skip
"""Name of a function -> advice."""

CONSTRUCT_HINTS: Final[Mapping[str, str]] = {
    "group all": "name the columns after GROUP BY",
    "group rollup": "write one SELECT a level and join them by UNION ALL",
    "group cube": "write one SELECT a level and join them by UNION ALL",
    "group grouping_sets": "write one SELECT a level and join them by UNION ALL",
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
    "star except": "name the columns", "star except_": "name the columns", "star replace": "name the columns",
    "columns": "name the columns", "parameter": "write the value itself", "placeholder": "write the value itself",
    "join method": "write JOIN … ON a.x = b.y", "jsonextract": "nested values come whole in the answer",
    "dot": "nested values come whole in the answer",
}  # fmt: skip
"""Construct, or construct and part, as the refusal names it -> advice."""


def advice(hints: Mapping[str, str], name: str) -> str:
    """What follows the refusal's own words, empty where nothing is known."""
    found = hints.get(name.lower())
    return f"; {found}" if found else ""
