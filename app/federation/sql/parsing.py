"""The parser of statements, which also keeps the text of every column of a SELECT: the engine names columns by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Final

import structlog
from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import SqlglotError
from sqlglot.parsers.duckdb import DuckDBParser
from sqlglot.tokenizer_core import Token

from app.federation.sql.refusals import SqlMalformed

log = structlog.get_logger("simpul.sql")

DIALECT: Final = "duckdb"
WRITTEN: Final = "written"
"""Key in the notes of a node: its text."""
_dialect: Final = DuckDB()
_AS_CALLED: Final = frozenset({"LOG2", "LOG10", "LIST_SORT"})


class _Parser(DuckDBParser):
    """The dialect's own, with notes. Some functions stay as they were called: written anew they would give another last digit."""

    FUNCTIONS: ClassVar = {name: made for name, made in DuckDBParser.FUNCTIONS.items() if name not in _AS_CALLED}

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


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Whatever the parser's own code cannot do with a statement is the statement's fault, and no fault of the gateway."""
    try:
        yield
    except (SqlglotError, RecursionError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        said = str(error)[:200]
        if not isinstance(error, SqlglotError):
            log.warning(
                "statement_not_read", kind=type(error).__name__, step=what
            )  # texts of it may quote the statement
            said = "it is written in a way that is not read"
        raise SqlMalformed(f"{what}: {said}; write it more plainly") from None
