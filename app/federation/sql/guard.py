"""The guard of callers' SQL: one SELECT made only of constructs and functions on a list. Everything else is refused by name.

The text that runs is generated anew from the checked tree (`regenerate.py`); what was written is never executed.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from sqlglot import exp
from sqlglot.errors import SqlglotError

from app.errors import FieldError
from app.federation.sql.allowed import CONSTRUCTS, FUNCTIONS, OTHER_FUNCTIONS, OWN_FUNCTIONS, TYPES, ZONES
from app.federation.sql.hints import CONSTRUCT_HINTS, FUNCTION_HINTS, OPERATORS, advice, written
from app.federation.sql.joins import check_joins
from app.federation.sql.names import LONGEST_NAME
from app.federation.sql.parsing import trees, words
from app.federation.sql.refusals import (
    SqlConstructForbidden,
    SqlFunctionForbidden,
    SqlMalformed,
    SqlNoTable,
    SqlNotSelect,
    SqlRecursive,
    SqlRefused,
    SqlSeveralStatements,
    SqlTableUnknown,
    SqlTooComplex,
    SqlTooLong,
)
from app.federation.sql.stars import with_query
from app.filters.calls import called, without_classes
from app.schemas.numbers import NumberBeyond, exact_number
from app.schemas.wilayah import LEVELS

TEXT_BYTES: Final = 16_384
MOST_TOKENS: Final = 4_000
MOST_NODES: Final = 2_000
DEEPEST: Final = 32
MOST_OWN_NESTED: Final = 3
LONGEST_PADDED: Final = 1_000
_OWN_CALLS = {"induk": "induk(kode_wilayah, 'kecamatan')", "tingkat": "tingkat(kode_wilayah)"}
_START = re.compile(r"(select|with)\b", re.IGNORECASE)
_BEFORE = re.compile(r"\s+|\(|--[^\n]*\n|/\*(?:[^*]|\*(?!/))*\*/")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]")
_TABLE_PARTS = frozenset({"this", "alias"})
_QUERIES = (exp.Select, exp.SetOperation)


def guarded(text: str, schemas: frozenset[str]) -> exp.Query:
    """The checked tree. Raises the leaf of `RequestError` that fits; its detail names what is refused and what is allowed."""
    _check_text(text)
    tree = _parsed(text)
    nodes = list(tree.walk())
    if len(nodes) > MOST_NODES:
        raise SqlTooComplex(
            f"the statement has more than {MOST_NODES} parts; split the question", limit_nodes=MOST_NODES
        )
    _check_depth(tree)
    tables = {found.alias.lower() for found in tree.find_all(exp.CTE)}
    if taken := sorted(tables & schemas):
        raise SqlConstructForbidden(f"a WITH query may not be called {taken[0]}: that is a schema", construct="CTE")
    read = False
    for node in nodes:
        _check_node(node, text)
        if isinstance(node, exp.Table):
            _check_table(node, schemas)
            read = read or node.name.lower() in schemas
    for select in (node for node in nodes if isinstance(node, exp.Select)):
        check_joins(select)
    if not read:
        raise SqlNoTable("the statement reads no schema: nothing is decided and nothing answered; name one behind FROM")
    return tree


def _check_text(text: str) -> None:
    if len(text.encode("utf-8", "surrogatepass")) > TEXT_BYTES:
        raise SqlTooLong(f"a statement has at most {TEXT_BYTES} bytes", limit_bytes=TEXT_BYTES)
    found = _CONTROL.search(text)
    if found is not None or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise SqlMalformed("the statement holds a control or invisible character; remove it")
    if "$$" in text or re.search(r"\$\w*\$", text):
        raise SqlConstructForbidden("dollar-quoted text is not taken; write 'text'", construct="$$")
    first = 0
    while (skipped := _BEFORE.match(text, first)) is not None:
        first = skipped.end()
    if not _START.match(text, first):
        raise SqlNotSelect("a statement starts with SELECT or WITH")


def _parsed(text: str) -> exp.Query:
    try:
        found_words = words(text)
        if len(found_words) > MOST_TOKENS:
            raise SqlTooComplex(f"the statement has more than {MOST_TOKENS} words", limit_tokens=MOST_TOKENS)
        _check_parentheses(text)
        found = [tree for tree in trees(found_words, text) if not isinstance(tree, exp.Semicolon | None)]
    except RecursionError:
        raise SqlTooComplex(f"the statement is nested deeper than {DEEPEST}", limit_depth=DEEPEST) from None
    except SqlglotError as error:
        fault: dict[str, Any] = next(iter(getattr(error, "errors", ())), {})
        where = f"line {fault.get('line')}, column {fault.get('col')}" if fault else "somewhere"
        what = without_classes(str(fault.get("description") or "the statement cannot be read"))[:200]
        raise SqlMalformed(f"{where}: {what}", errors=[FieldError("/sql", "sql_malformed", where)]) from None
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # the parser's own faults on odd texts
        raise SqlMalformed("the statement cannot be read; write it more plainly") from None
    if len(found) != 1:
        raise SqlSeveralStatements("send one statement")
    query: Any = found[0]
    while isinstance(query, exp.Subquery) and not {part for part, value in query.args.items() if value} - {"this"}:
        query = query.this.pop()
    if not isinstance(query, _QUERIES):
        wrapped = isinstance(query, exp.Subquery)
        raise SqlNotSelect(
            "write ORDER BY and LIMIT inside of the parentheses"
            if wrapped
            else f"only SELECT is taken, not {query.key.upper()}"
        )
    return query


def _check_parentheses(text: str) -> None:
    """Before parsing: the parser goes down once a parenthesis."""
    depth = 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if depth > DEEPEST:
            raise SqlTooComplex(f"the statement is nested deeper than {DEEPEST}", limit_depth=DEEPEST)


def _check_depth(tree: exp.Expr) -> None:
    """Chains of one operator are flat: `a AND b AND c` is as deep as `a AND b`."""
    waiting: list[tuple[exp.Expr, int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > DEEPEST:
            raise SqlTooComplex(f"the statement is nested deeper than {DEEPEST}", limit_depth=DEEPEST)
        for child in node.iter_expressions():
            waiting.append((child, depth if type(child) is type(node) and isinstance(node, exp.Binary) else depth + 1))


def _check_number(text: str) -> None:
    try:
        exact_number(text)
    except NumberBeyond as beyond:
        raise SqlMalformed(f"a number is not read: {beyond}") from None


def _check_node(node: exp.Expr, text: str) -> None:
    name = type(node).__name__
    check = _SPECIAL.get(type(node))
    if check is not None:
        check(node)
    if isinstance(node, exp.Anonymous):
        return
    if isinstance(node, exp.Func) and name not in CONSTRUCTS:
        if name not in FUNCTIONS:
            raise _func(node, text)
        return
    if name not in CONSTRUCTS:
        raise _construct(node.key)
    extra = CONSTRUCTS[name]
    if extra is not None:
        given = {part for part, value in node.args.items() if value not in (None, False, [], "")}
        if more := sorted(given - extra):
            raise _construct(f"{node.key} {more[0]}")


def _check_select(node: exp.Select) -> None:
    if not node.expressions:
        said = "SELECT names no column"
        raise SqlMalformed(said, errors=[FieldError("/sql", "sql_malformed", said)])


def _check_with(node: exp.With) -> None:
    if node.args.get("recursive"):
        raise SqlRecursive("WITH RECURSIVE is not taken")


def _check_literal(node: exp.Literal) -> None:
    if not node.is_string:
        _check_number(str(node.this))


def _check_alias(node: exp.Alias) -> None:
    if not 0 < len(node.alias) <= LONGEST_NAME:
        raise SqlMalformed(f"a name behind AS has 1 to {LONGEST_NAME} characters")


def _check_lateral(node: exp.Lateral) -> None:
    if not isinstance(node.this, exp.Subquery):
        raise _construct("unnest")


def _check_zone(node: exp.AtTimeZone) -> None:
    zone = node.args.get("zone")
    if not (isinstance(zone, exp.Literal) and zone.is_string and zone.this in ZONES):
        raise _construct(node.key)


def _check_dot(node: exp.Dot) -> None:
    if not isinstance(node.this, exp.Bracket | exp.Dot):
        raise _construct("dot")


def _check_type(node: exp.DataType) -> None:
    if node.this not in TYPES:
        raise SqlConstructForbidden(
            "CAST goes to text, number, boolean, date or timestamp types only; whole numbers beyond BIGINT as DECIMAL(38, 0)",
            construct="type",
        )


def _check_padding(node: exp.Pad) -> None:
    """One short call could make a text of any length."""
    length = node.expression
    written = length.name if isinstance(length, exp.Literal) and not length.is_string else ""
    if not (written.isascii() and written.isdigit() and len(written) < 10 and int(written) <= LONGEST_PADDED):
        raise SqlMalformed(f"lpad and rpad fill up to a written number of at most {LONGEST_PADDED} characters")


def _check_own(node: exp.Anonymous) -> None:
    """A call of `induk` or `tingkat`: its arguments, and that it is not nested so deep that its text grows without bound."""
    name = str(node.this).lower()
    if name in OTHER_FUNCTIONS:
        least, most = OTHER_FUNCTIONS[name]
        if not least <= len(node.expressions) <= most:
            raise SqlMalformed(f"{name} takes {least}{f' to {most}' if most > least else ''} arguments")
        return
    if name not in OWN_FUNCTIONS:
        raise _function(str(node.this))
    if len(node.expressions) != OWN_FUNCTIONS[name]:
        raise SqlMalformed(f"write {_OWN_CALLS[name]}")
    level = node.expressions[-1] if name == "induk" else None
    if isinstance(level, exp.Literal) and level.this not in LEVELS:
        raise SqlMalformed(f"the level in induk is one of {', '.join(LEVELS)} (a kota stands on level kabupaten)")
    above, deep = node.parent, 0
    while above is not None:
        deep += isinstance(above, exp.Anonymous) and str(above.this).lower() in OWN_FUNCTIONS
        above = above.parent
    if deep >= MOST_OWN_NESTED:
        raise SqlTooComplex(
            f"induk and tingkat stand in one another at most {MOST_OWN_NESTED} deep", limit_depth=MOST_OWN_NESTED
        )


def _construct(name: str) -> SqlConstructForbidden:
    said = written(name)
    return SqlConstructForbidden(f"{said} is not taken in a statement{advice(CONSTRUCT_HINTS, name)}", construct=said)


def _func(node: exp.Func, text: str) -> SqlRefused:
    """The refusal of a function by the word that it was called by, of an operator by its sign."""
    word = called(node, text)
    if word is None and node.key in OPERATORS:
        return _construct(node.key)
    own = node.sql_name().lower()
    return _function(word or own, advice(FUNCTION_HINTS, own) or advice(CONSTRUCT_HINTS, node.key))


def _function(name: str, hint: str = "") -> SqlFunctionForbidden:
    hint = advice(FUNCTION_HINTS, name) or hint or advice(CONSTRUCT_HINTS, name)
    near = difflib.get_close_matches(
        name.lower()[:64], sorted({*FUNCTIONS.values(), *OWN_FUNCTIONS, *OTHER_FUNCTIONS}), n=3
    )
    if not hint and near:
        hint = f"; near it: {', '.join(near)}"
    return SqlFunctionForbidden(f"the function {name[:64]!r} is not on the list{hint}", function=name[:64])


def _check_table(node: exp.Table, schemas: frozenset[str]) -> None:
    given = {part for part, value in node.args.items() if value not in (None, False, [])}
    name = node.name.lower()
    if not isinstance(node.this, exp.Identifier) or given - _TABLE_PARTS:
        hint = next((hint for part in _around(node) if (hint := advice(CONSTRUCT_HINTS, _key(part)))), "")
        raise SqlTableUnknown(
            f"FROM takes plain names of schemas: no catalogs, files, functions or samples{hint}", table=name[:64]
        )
    if name not in schemas and with_query(node) is None:
        near = difflib.get_close_matches(name[:64], sorted(schemas), n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "GET /v1/schemas lists the schemas"
        raise SqlTableUnknown(f"there is no schema {name[:64]!r}; {hint}", table=name[:64], closest=near)


def _around(node: exp.Table) -> Iterator[exp.Expr]:
    """What stands at a table beside its name."""
    for part in (value for name, value in node.args.items() if name not in _TABLE_PARTS):
        yield from (found for found in (part if isinstance(part, list) else [part]) if isinstance(found, exp.Expr))


def _key(part: exp.Expr) -> str:
    return "unpivot" if isinstance(part, exp.Pivot) and part.args.get("unpivot") else part.key


_SPECIAL: Final[Mapping[type[exp.Expr], Callable[[Any], None]]] = {
    exp.Select: _check_select, exp.With: _check_with, exp.Literal: _check_literal, exp.Alias: _check_alias, exp.Lateral: _check_lateral,
    exp.Dot: _check_dot, exp.AtTimeZone: _check_zone, exp.DataType: _check_type, exp.Pad: _check_padding, exp.Anonymous: _check_own,
}  # fmt: skip
