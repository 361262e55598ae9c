"""The parser of statements, which also keeps the text of every column of a SELECT: the engine names columns by it."""

from __future__ import annotations

from typing import Any, Final

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.parsers.duckdb import DuckDBParser
from sqlglot.tokenizer_core import Token

DIALECT: Final = "duckdb"
WRITTEN: Final = "written"
"""Key in the notes of a node: its text."""
_dialect: Final = DuckDB()


class _Parser(DuckDBParser):
    """The dialect's own, with notes."""

    def _parse_projections(self) -> tuple[list[exp.Expr], list[exp.Expr] | None]:
        return self._parse_csv(self._noted), None

    def _noted(self) -> exp.Expr | None:
        first: Any = self._curr
        found: exp.Expr | None = self._parse_expression()
        if found is not None:
            found.meta[WRITTEN] = self.sql[first.start : self._prev.end + 1]
        return found


def words(text: str) -> list[Token]:
    """Raises `TokenError`."""
    return _dialect.tokenize(text)


def trees(found: list[Token], text: str) -> list[exp.Expr | None]:
    """One tree a statement. Raises `ParseError`."""
    return _Parser(dialect=_dialect).parse(found, text)
