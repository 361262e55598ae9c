"""From a checked tree to what runs: names resolved against granted columns, `*` written out, literals bound, filters for sources.

`SELECT *` means the granted fields; `_agency` and `_dataset` are there when they are named.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlglot import exp
from sqlglot.errors import OptimizeError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope

from app.errors import FieldError, FieldUnknown
from app.federation.question.query import Enough
from app.federation.sql.deciding import deciding_fields, orders_by_all
from app.federation.sql.enough import rows_enough
from app.federation.sql.exact import write_exactly
from app.federation.sql.expansion import check_expansion
from app.federation.sql.joins import check_joins
from app.federation.sql.left_out import check_left_out
from app.federation.sql.names import note_spelling, output_names
from app.federation.sql.naming import name_columns
from app.federation.sql.overlaps import question, table_checks
from app.federation.sql.parsing import readable
from app.federation.sql.pushed import where_filter
from app.federation.sql.refusals import SqlConstructForbidden
from app.federation.sql.stars import write_stars
from app.federation.sql.structure import SOURCE_COLUMNS
from app.filters.tree import TRUE, Filter, Or
from app.schemas.registry import SchemaDef

_BOUND_IN = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Between, exp.Like, exp.ILike)
_NAMED = re.compile(r"[Cc]olumn:? '?\"?([\w.]+)")


@dataclass(frozen=True, slots=True)
class TableUse:
    """One schema in a statement: the fields it reads, those written by name, and a filter that loses no row of the answer.

    `also` are fields of its key that only the check for keys of several agencies reads: no answer holds them. `deciding` are
    those that rows are filtered, joined, grouped or ordered by: a dataset that masks one of them is left out. `sourced`: whether it
    names `_agency` or `_dataset`. `enough`: how many of its rows are all that is needed.
    """

    schema: SchemaDef
    fields: tuple[str, ...]
    named: frozenset[str]
    filter: Filter
    uses: int
    also: tuple[str, ...] = ()
    deciding: frozenset[str] = frozenset()
    sourced: bool = True
    enough: Enough | None = None


@dataclass(frozen=True, slots=True)
class KeyLink:
    """Rows of `target` matter only where `target_field` is a value of `field` in `source`."""

    source: str
    field: str
    target: str
    target_field: str


@dataclass(frozen=True, slots=True)
class OverlapCheck:
    """A question to the engine: how many keys of a schema do several agencies hold, and which agencies."""

    schema: str
    text: str
    parameters: tuple[Any, ...]
    adds_up: bool


@dataclass(frozen=True, slots=True)
class Bound:
    """The statement as it runs: text, parameters, names of its columns, tables, links for semi-joins, checks before it."""

    text: str
    parameters: tuple[Any, ...]
    names: tuple[str, ...]
    tables: tuple[TableUse, ...]
    links: tuple[KeyLink, ...]
    checks: tuple[OverlapCheck, ...] = ()


def schemas_of(tree: exp.Query) -> tuple[str, ...]:
    """The schemas that a checked statement reads, in order of first mention."""
    made = {found.alias.lower() for found in tree.find_all(exp.CTE)}
    names = [table.name.lower() for table in tree.find_all(exp.Table)]
    return tuple(dict.fromkeys(name for name in names if name not in made))


def bound(tree: exp.Query, schemas: Mapping[str, SchemaDef], granted: Mapping[str, frozenset[str]]) -> Bound:
    """The statement over granted columns. Raises `FieldUnknown` naming the column and the closest ones."""
    with readable("the statement cannot be put together"):
        return _bound(tree, schemas, granted)


def _bound(tree: exp.Query, schemas: Mapping[str, SchemaDef], granted: Mapping[str, frozenset[str]]) -> Bound:
    written = {column.name.lower() for column in tree.find_all(exp.Column)}
    for join in tree.find_all(exp.Join):
        written |= {found.name.lower() for found in join.args.get("using") or ()}
    catalogue: dict[str, object] = {
        name: {
            **{field: "VARCHAR" for field in schemas[name].fields if field in granted[name]},
            **dict.fromkeys(SOURCE_COLUMNS, "VARCHAR"),
        }
        for name in schemas
    }
    check_expansion(tree, {name: len(granted[name]) + len(SOURCE_COLUMNS) for name in schemas})
    check_left_out(tree, schemas)
    written_out = tree.copy()
    write_stars(written_out, frozenset(schemas))
    name_columns(written_out)
    note_spelling(written_out)
    try:
        whole = qualify(written_out, dialect="duckdb", schema=catalogue)
        scopes = list(traverse_scope(whole))
    except OptimizeError as error:
        raise _unresolved(str(error), granted) from None
    _check_whole_rows(whole)
    _check_resolved(scopes, granted)
    for scope in scopes:
        if isinstance(scope.expression, exp.Select):
            check_joins(scope.expression)
    checks = _checks(scopes, schemas)
    deciding = deciding_fields(scopes)
    tables = tuple(_table_use(name, schemas[name], scopes, written, checks, deciding) for name in schemas)
    if not checks:
        enough = rows_enough(scopes, schemas)
        tables = tuple(replace(table, enough=enough.get(table.schema.name)) for table in tables)
    links = _links(scopes, {table.schema.name: table for table in tables})
    names = output_names(whole, scopes)
    write_exactly(whole)
    text, parameters = _parameters(whole)
    return Bound(text, parameters, names, tables, links, checks)


def _checks(scopes: Sequence[Scope], schemas: Mapping[str, SchemaDef]) -> tuple[OverlapCheck, ...]:
    found = []
    for check in table_checks(scopes, schemas):
        rows, parameters = _parameters(check.rows)
        found.append(OverlapCheck(check.schema, question(rows, check.keys), parameters, check.adds_up))
    return tuple(found)


def _check_whole_rows(whole: exp.Query) -> None:
    """`SELECT w FROM wilayah w` would be a row with whatever the engine holds of it."""
    found = whole.find(exp.TableColumn)
    if found is not None:
        said = found.name[:64]
        raise SqlConstructForbidden(
            f"a whole row ({said}) is no value in a statement; name its columns, or write {said}.*", construct="row"
        )


def _check_resolved(scopes: Sequence[Scope], granted: Mapping[str, frozenset[str]]) -> None:
    """Behind HAVING, QUALIFY and ORDER BY `qualify` leaves a name that it does not know as it is: it might be one of the query's own."""
    for scope in scopes:
        query: Any = scope.expression
        own = set(query.named_selects) if isinstance(query, exp.Query) else set[str]()
        for column in scope.find_all(exp.Column):
            if not column.table and column.name not in own and not orders_by_all(column):
                raise _unresolved(f"Column '{column.name}' could not be resolved", granted)


def _unresolved(said: str, granted: Mapping[str, frozenset[str]]) -> FieldUnknown:
    match = _NAMED.search(said)
    name = match[1].rpartition(".")[2] if match else ""
    known = sorted({field for fields in granted.values() for field in fields})
    near = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {', '.join(near)}?" if near else f"columns you may use: {', '.join(known)[:800]}"
    holders = [f"{schema}.{name}" for schema, fields in granted.items() if name in fields]
    if len(holders) > 1:
        hint = f"it is in several tables, write one of {', '.join(holders)}"
    detail = f"the column {name[:64]!r} is in no table named there, or not granted to you; {hint}"
    return FieldUnknown(detail, errors=[FieldError("/sql", "field_unknown", detail)], closest=near, column=name[:64])


def _base_tables(scope: Scope) -> list[tuple[str, exp.Table]]:
    return [(alias, source) for alias, source in scope.sources.items() if isinstance(source, exp.Table)]


def _table_use(
    name: str,
    schema: SchemaDef,
    scopes: Sequence[Scope],
    written: set[str],
    checks: Sequence[OverlapCheck],
    deciding: frozenset[tuple[str, str]],
) -> TableUse:
    fields: set[str] = set()
    filters: list[Filter] = []
    for scope in scopes:
        for alias, source in _base_tables(scope):
            if source.name == name:
                fields |= {column.name for column in scope.source_columns(alias)}
                filters.append(where_filter(scope, alias, schema))
    read = tuple(field for field in schema.fields if field in fields)
    wanted = TRUE if not filters or TRUE in filters else filters[0] if len(filters) == 1 else Or(tuple(filters))
    checked = any(check.schema == name for check in checks)
    also = tuple(key for key in schema.meta.key if key not in fields) if checked else ()
    decides = frozenset(field for field in read if (name, field) in deciding)
    sourced = not fields.isdisjoint(SOURCE_COLUMNS)
    return TableUse(schema, read, frozenset(written & set(read)), wanted, len(filters), also, decides, sourced)


def _links(scopes: Sequence[Scope], tables: Mapping[str, TableUse]) -> tuple[KeyLink, ...]:
    """Equalities of inner and left joins between schemas that stand once in the statement."""
    found: list[KeyLink] = []
    for scope in scopes:
        bases = dict(_base_tables(scope))
        for join in scope.expression.args.get("joins") or ():
            on, side = join.args.get("on"), join.side.upper()
            if on is None or side not in {"", "LEFT"} or join.kind.upper() not in {"", "INNER"}:
                continue
            joined = join.this.alias_or_name
            for part in on.flatten() if isinstance(on, exp.And) else [on]:
                found += _link(part, joined, bases, tables, both=side == "")
    return tuple(found) if not any(_outer(scope) for scope in scopes) else ()


def _outer(scope: Scope) -> bool:
    """Right and full joins keep rows that no key asks for."""
    return any(join.side.upper() in {"RIGHT", "FULL"} for join in scope.expression.args.get("joins") or ())


def _link(
    part: Any, joined: str, bases: Mapping[str, exp.Table], tables: Mapping[str, TableUse], *, both: bool
) -> list[KeyLink]:
    if not isinstance(part, exp.EQ) or not isinstance(part.left, exp.Column) or not isinstance(part.right, exp.Column):
        return []
    near, far = (part.left, part.right) if part.right.table == joined else (part.right, part.left)
    if far.table != joined or near.table not in bases or far.table not in bases or near.table == joined:
        return []
    left, right = tables.get(bases[near.table].name), tables.get(bases[far.table].name)
    if left is None or right is None or left is right or left.uses != 1 or right.uses != 1:
        return []
    if near.name not in left.schema.fields or far.name not in right.schema.fields:
        return []
    if left.schema.fields[near.name].kind != "text" or right.schema.fields[far.name].kind != "text":
        return []
    links = [KeyLink(left.schema.name, near.name, right.schema.name, far.name)]
    if both:
        links.append(KeyLink(right.schema.name, far.name, left.schema.name, near.name))
    return links


def _parameters(tree: exp.Expr) -> tuple[str, tuple[Any, ...]]:
    """Texts of comparisons become parameters, one a text: an expression that stands twice stays the same for the engine."""
    numbers: dict[str, int] = {}
    for node in list(tree.find_all(exp.Literal)):
        if node.is_string and isinstance(node.parent, _BOUND_IN):
            number = numbers.setdefault(str(node.this), len(numbers) + 1)
            node.replace(exp.Parameter(this=exp.Literal.number(number)))
    return tree.sql(dialect="duckdb", identify=True, comments=False), tuple(numbers)
