"""Which tables of a statement count or add up records, so that a key of several agencies would count for each of them.

For each such use of a table one question goes to the engine: over the rows that its WHERE leaves, which keys do several
agencies hold? A table grouped by `_agency` or `_dataset`, or by its whole key before anything is added up, is added once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from app.federation.sql.structure import SOURCE_COLUMNS
from app.schemas.registry import SchemaDef

_ADDING = (exp.Sum, exp.Avg)
_Carriers = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class TableCheck:
    """The rows of one use of a table as a query of its key and `_agency`, and whether the statement adds them up."""

    schema: str
    rows: exp.Select
    keys: tuple[str, ...]
    adds_up: bool


def table_checks(scopes: Sequence[Scope], schemas: Mapping[str, SchemaDef]) -> list[TableCheck]:
    """The checks of a statement whose names are resolved; none where nothing is aggregated."""
    if not any(scope.expression.find(exp.AggFunc) for scope in scopes):
        return []
    found = []
    for scope in scopes:
        for alias, (_, source) in scope.selected_sources.items():
            if not isinstance(source, exp.Table) or source.name not in schemas:
                continue
            keys = schemas[source.name].meta.key
            carriers = frozenset((alias, name) for name in SOURCE_COLUMNS)
            adds = not _one_each(scope, alias, keys) and _adds_up(scope, carriers, scopes)
            found.append(TableCheck(source.name, _rows(scope, alias, source, keys), keys, adds))
    return found


def question(rows: str, keys: Sequence[str]) -> str:
    """The engine's question over the rows: how many keys several agencies hold, and these agencies."""
    names = ", ".join(f'"{key}"' for key in keys)
    held = (
        f'SELECT list(DISTINCT "_agency") AS held FROM ({rows}) GROUP BY {names} HAVING count(DISTINCT "_agency") > 1'  # noqa: S608 - regenerated text
    )
    return f"SELECT count(*), list_sort(list_distinct(flatten(list(held)))) FROM ({held})"  # noqa: S608 - as above


def _rows(scope: Scope, alias: str, source: exp.Table, keys: Sequence[str]) -> exp.Select:
    """The rows of a table that the conditions over it alone leave."""
    columns = [exp.column(name, table=alias, quoted=True) for name in (*keys, "_agency")]
    rows = exp.select(*columns).from_(source.copy())
    where = scope.expression.args.get("where")
    for part in (
        where.this.flatten() if where is not None and isinstance(where.this, exp.And) else [where and where.this]
    ):
        if part is None or part.find(exp.Query, exp.Window, exp.AggFunc):
            continue
        if all(column.table == alias for column in part.find_all(exp.Column)):
            rows = rows.where(part.copy(), copy=False)
    return rows


def _adds_up(scope: Scope, carriers: _Carriers, scopes: Sequence[Scope]) -> bool:
    """Whether this query, or one that reads it, sums rows of several agencies. `carriers` hold the agency of a row."""
    query = scope.expression
    passed: frozenset[str]
    if isinstance(query, exp.Select):
        group = query.args.get("group")
        if not _carried(_grouped(query, group), carriers) and _sums(scope, carriers):
            return True
        passed = frozenset(found.alias_or_name for found in query.selects if _carried([found.unalias()], carriers))
    else:
        passed = frozenset(name for _, name in carriers)
    return any(
        _adds_up(reader, frozenset((alias, name) for name in passed), scopes)
        for reader, alias in _readers(scope, scopes)
    )


def _grouped(query: exp.Select, group: Any) -> Sequence[Any]:
    """What its rows are grouped by; GROUP BY ALL means the columns without an aggregate."""
    if group is None:
        return ()
    if group.args.get("all"):
        return [found.unalias() for found in query.selects if not found.find(exp.AggFunc)]
    return group.expressions  # type: ignore[no-any-return]


def _sums(scope: Scope, carriers: _Carriers) -> bool:
    """Whether something is summed here other than within one agency (`OVER (PARTITION BY _agency)`)."""
    for found in scope.find_all(*_ADDING):
        window = found.find_ancestor(exp.Window)
        if not _carried(window.args.get("partition_by") or () if window is not None else (), carriers):
            return True
    return False


def _readers(scope: Scope, scopes: Sequence[Scope]) -> Iterator[tuple[Scope, str]]:
    """The queries that read this one by FROM, JOIN or UNION."""
    for reader in scopes:
        if isinstance(reader.expression, exp.SetOperation) and _is_branch(scope.expression, reader.expression):
            yield reader, ""
        for alias, (_, source) in reader.selected_sources.items():
            if source is scope:
                yield reader, alias


def _is_branch(query: exp.Expr, whole: exp.SetOperation) -> bool:
    parent = query.parent
    while isinstance(parent, exp.Subquery | exp.Paren):
        parent = parent.parent
    return parent is whole


def _carried(columns: Sequence[Any], carriers: _Carriers) -> bool:
    return any(isinstance(found, exp.Column) and (found.table, found.name) in carriers for found in columns)


def _one_each(scope: Scope, alias: str, keys: Sequence[str]) -> bool:
    """Whether the query makes one row of each key and sums nothing on the way."""
    group = scope.expression.args.get("group") if isinstance(scope.expression, exp.Select) else None
    if group is None or any(True for _ in scope.find_all(*_ADDING)):
        return False
    grouped = {found.name for found in group.expressions if isinstance(found, exp.Column) and found.table == alias}
    return set(keys) <= grouped
