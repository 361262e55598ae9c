"""How an expression's refusal names what was written, and what to write instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlglot import exp

from app.datasets.mapping.expression.functions import FUNCTIONS
from app.filters.calls import called

_LIKE = "write x LIKE '%text%', or starts_with(x, 'text')"
_LEAST = "write CASE WHEN a < b THEN a ELSE b END"
HINTS: Final[Mapping[str, str]] = {
    "concat_ws": "write concat(a, '-', b)", "least": _LEAST, "greatest": _LEAST.replace("<", ">"),
    "ltrim": "write trim(x)", "rtrim": "write trim(x)", "rpad": "write left(x || '0000000000', 10)",
    "regexp_matches": _LIKE, "regexp_replace": "write replace(x, 'old', 'new')", "contains": _LIKE, "ends_with": "write right(x, 2) = '01'",
    "if": "write CASE WHEN … THEN … ELSE … END", "iif": "write CASE WHEN … THEN … ELSE … END", "strftime": "use the steps date and as_text",
    "strptime": "use the step date or datetime",
    "trycast": 'write CAST: what it cannot convert rejects the record, and else: "null" makes the field null',
    "ilike": "write lower(x) LIKE '%text%'", "cast": "CAST goes to TEXT, VARCHAR, INT, BIGINT or DECIMAL; dates are read by the steps",
}  # fmt: skip
"""Word of a function, or the parser's key of a construct -> advice."""


class NotOffered(Exception):
    """A part of an expression that is not on the list. `variant`: of a function that is, in a form that is not."""

    def __init__(self, node: exp.Expr, *, variant: bool = False) -> None:
        super().__init__(node.key)
        self.node = node
        self.variant = variant

    def detail(self, text: str) -> str:
        """The refusal in the words of the text that was parsed."""
        node, written = self.node, self.node.sql(dialect="duckdb")[:60]
        word = str(node.this) if isinstance(node, exp.Anonymous) else None
        if word is None and isinstance(node, exp.Func) and not isinstance(node, exp.Cast):
            word = called(node, text)
        name = (word or node.key).lower()
        hint = f"; {HINTS[name]}" if name in HINTS else ""
        if word is not None and name not in FUNCTIONS:
            return f"the function {word[:60]} is not on the list{hint}; functions: {', '.join(sorted(FUNCTIONS))}"
        if self.variant and not hint:
            return f"{written} is not computed in this variant; write it with the functions listed"
        return f"{written} is not on the list{hint}; functions: {', '.join(sorted(FUNCTIONS))}"
