"""How many rows the planners of database servers expect: their plans as they tell them, read as estimates. Pure.

Sure is only what a server holds of a whole table that it has counted once: of conditions, views and joins planners guess.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_SCANS = frozenset({"Seq Scan", "Index Only Scan", "Index Scan"})
_GATHERING = frozenset({"Gather", "Append"})
_CONDITIONS = ("Filter", "Index Cond", "One-Time Filter")
_WHOLE_READS = frozenset({"ALL", "index"})
"""MySQL: every row of the table or of one of its indexes."""

POSTGRES_COUNTED = """
SELECT coalesce(bool_and(c.reltuples > 0), false) FROM unnest($1::text[], $2::text[]) AS named(space, relation)
LEFT JOIN (pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace) ON n.nspname = space AND c.relname = relation
"""
"""Whether all these tables were counted once: of others PostgreSQL knows no more than their bytes."""


@dataclass(frozen=True, slots=True)
class PostgresPlan:
    """What the planner expects. `tables`: those that are read whole, (schema, name); None where anything else is done."""

    rows: int
    tables: tuple[tuple[str, str], ...] | None


def postgres_plan(told: str) -> PostgresPlan:
    """From the JSON of `EXPLAIN (VERBOSE, FORMAT JSON)`."""
    plan = json.loads(told)[0]["Plan"]
    nodes = list(_nodes(plan))
    plain = all(
        node["Node Type"] in _SCANS | _GATHERING and not any(name in node for name in _CONDITIONS) for node in nodes
    )
    scans = [node for node in nodes if node["Node Type"] in _SCANS]
    tables = tuple((str(node.get("Schema", "")), str(node["Relation Name"])) for node in scans)
    return PostgresPlan(_whole(plan["Plan Rows"]), tables if plain and tables else None)


def mysql_rows(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> tuple[int | None, bool]:
    """From the table that `EXPLAIN` gives: the rows of the outermost SELECT's joins, and whether it reads one table whole."""
    steps = [dict(zip(names, row, strict=True)) for row in rows]
    outer = [step for step in steps if step.get("id") == 1]
    if not outer or any(step.get("rows") is None for step in outer):
        return (0, False) if _impossible(steps) else (None, False)
    found = math.prod(float(step["rows"]) * _share(step) for step in outer)
    whole = len(steps) == 1 and steps[0].get("type") in _WHOLE_READS and "where" not in _told(steps[0])
    return _whole(found), whole


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


def _share(step: Mapping[str, Any]) -> float:
    told = step.get("filtered")
    return 1.0 if told is None else min(float(told), 100.0) / 100


def _impossible(steps: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the server knows that no row fits."""
    return bool(steps) and _told(steps[0]).startswith(("impossible", "no matching", "select tables optimized"))


def _told(step: Mapping[str, Any]) -> str:
    return str(step.get("Extra") or "").lower()


def _whole(rows: float) -> int:
    return max(0, math.ceil(min(rows, 2**53)))
