"""What of a read goes to the source: columns, filter, and (where the total order is the source's own) order, position, limit.

The residual runs in any case. A limit is pushed only with an order that is exactly the answer's; when too many of the rows
that come back are rejected or filtered out here, the read is made again with a larger limit, at last without one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from app.connectors.contract import Connector
from app.connectors.requests import After, Order, ScanRequest
from app.datasets.mapping import CompiledMapping
from app.datasets.preimages import preimages
from app.datasets.records import ReadRequest
from app.datasets.selection import LAST_KEY
from app.filters.tree import (
    TRUE,
    And,
    Compare,
    Filter,
    Intersects,
    IsNull,
    Literal,
    Not,
    Or,
    Property,
    all_of,
    conjuncts,
    properties,
    rename,
)
from app.schemas.base import FieldSpec
from app.schemas.registry import SchemaDef

_HAIR = Decimal("1e-9")
GROWTH = 8
MOST_PUSHED_ROWS = 50_000
_PROBES: dict[str, Any] = {
    "text": "x",
    "integer": 1,
    "decimal": 1,
    "number": 1,
    "boolean": True,
    "date": date(2000, 1, 1),
    "datetime": datetime(2000, 1, 1, tzinfo=UTC),
}


@dataclass(frozen=True, slots=True)
class Ordered:
    """A read whose total order the source gives: the scans that follow each other, each with an order of its own."""

    scans: tuple[ScanRequest, ...]
    limit: int

    def attempts(self) -> Iterator[int | None]:
        """Limits to try, the first a little above what is wanted (a few rejects cost no second read), the last one none."""
        size = self.limit + min(self.limit // 10, 100) + 1
        while size <= MOST_PUSHED_ROWS:
            yield size
            size *= GROWTH
        yield None


def pushed_filter(
    mapping: CompiledMapping, connector: Connector, wanted: Filter, fields: Mapping[str, Any]
) -> Filter | None:
    """The conjuncts that the source does by itself, over raw columns; None when there are none.

    Over plain renames, and over steps whose preimage is provable (`preimages.py`; `fields` as the manifest has them).
    The result may let too much through, never too little. `NOT` stays here: what a source that
    answers with a superset negates would be too little.
    """
    if connector.capabilities.filter_exactness == "none" or mapping.preparation.unpivot is not None:
        return None
    wanted = all_of(wanted, *(_around(part) for part in conjuncts(wanted) if isinstance(part, Intersects)))
    parts = [rename(part, mapping.renames.__getitem__) for part in conjuncts(wanted) if _renamed(mapping, part)]
    sent = [part for part in parts if connector.takes(part)]
    for part in conjuncts(wanted):
        forms = (form for form in preimages(part, fields) if connector.takes(form))
        sent += [form for form in (next(forms, None),) if form is not None]
    return all_of(*sent) if sent else None


def scan_request(
    mapping: CompiledMapping, connector: Connector, request: ReadRequest, wanted: Filter, fields: Mapping[str, Any]
) -> ScanRequest:
    """Columns and filter of a read."""
    columns = None
    if connector.capabilities.columns and not mapping.all_columns:
        columns = tuple(sorted(mapping.raw_columns))
    return ScanRequest(
        columns=columns,
        filter=pushed_filter(mapping, connector, wanted, fields),
        blank_is_null=True,
        deadline=request.deadline,
    )


def ordered_read(
    schema: SchemaDef, mapping: CompiledMapping, connector: Connector, request: ReadRequest, scan: ScanRequest
) -> Ordered | None:
    """The read in the source's order, None where that is not exactly the answer's or nothing is gained.

    Needed: sort fields and key fields are plain renames of columns that compare as the fields do, and the key's columns
    are unique at the source (else a second record of one key could stand on another page).
    """
    can = connector.capabilities
    keys = schema.meta.key
    if request.limit is None or request.key is not None or mapping.preparation.unpivot is not None:
        return None
    if not (can.order and can.limit and can.keyset):
        return None
    sort = [*request.order, *((name, False) for name in keys if name not in dict(request.order))]
    if not all(_same_order(schema.fields[name], mapping, connector) for name, _ in sort):
        return None
    raw_keys = {mapping.renames[name] for name in keys}
    if not any(key <= raw_keys for key in can.keys):
        return None
    orders = [  # a required field without a value is a reject, so those rows are not asked for
        Order(mapping.renames[name], descending, "absent" if schema.fields[name].required else "last")
        for name, descending in sort
    ]
    if request.after == (LAST_KEY,):  # all of this dataset stands before the position
        return Ordered((), request.limit)
    position = _position(schema, request, sort)
    return Ordered(tuple(_scans(scan, orders, position)), request.limit)


def _scans(scan: ScanRequest, orders: list[Order], after: After | None) -> Iterator[ScanRequest]:
    """One scan; two where the first key may be null: those with a value (an index gives them), then those without."""
    first = orders[0]
    if first.nulls == "absent":
        yield replace(scan, order=tuple(orders), after=after)
        return
    if after is None or after.values[0] is not None:
        yield replace(scan, order=(replace(first, nulls="absent"), *orders[1:]), after=after)
    behind = None
    if after is not None and after.values[0] is None:
        behind = After(after.values[1:], after.inclusive) if len(after.values) > 1 else None
        if behind is None and not after.inclusive:
            return
    yield replace(
        scan, filter=all_of(scan.filter, IsNull(Property(first.column))), order=tuple(orders[1:]), after=behind
    )


def _position(schema: SchemaDef, request: ReadRequest, sort: list[tuple[str, bool]]) -> After | None:
    """`after` of a read in the order of the scan."""
    if request.after is None:
        return None
    values, key = request.after[:-1], request.after[-1]
    if key in ("", LAST_KEY):
        return After(tuple(values), inclusive=key == "") if values else None
    parts = schema.key_values(key)
    return After((*values, *(parts[name] for name, _ in sort[len(values) :])))


def _same_order(spec: FieldSpec, mapping: CompiledMapping, connector: Connector) -> bool:
    """Whether the column behind a field sorts as the field does: it compares with literals of the field's own type."""
    column, probe = mapping.renames.get(spec.name), _PROBES.get(spec.kind)
    columns = connector.capabilities.order_columns
    if column is None or probe is None or (columns is not None and column not in columns):
        return False
    nullable = not spec.required
    return connector.takes(Compare(">=", Property(column), Literal(probe))) and (
        not nullable or connector.takes(IsNull(Property(column)))
    )


def _renamed(mapping: CompiledMapping, node: Filter) -> bool:
    """Whether a conjunct speaks of plain renames only and holds neither NOT nor an empty part."""
    if isinstance(node, And | Or):
        return bool(node.parts) and all(_renamed(mapping, part) for part in node.parts)
    return not isinstance(node, Not) and bool(properties(node)) and properties(node) <= mapping.renames.keys()


def _around(node: Intersects) -> Filter:
    """What every point in a geometry fulfils: the bounds of its longitude and latitude, a hair wider than a double is exact."""
    if len(node.coordinates) != 2:
        return TRUE
    from app.filters.geometry import bounds  # noqa: PLC0415 - GEOS and numpy are loaded by the first question about coordinates

    lng, lat = node.coordinates
    west, south, east, north = (Decimal(repr(edge)) for edge in bounds(node.geometry))
    return And(
        (
            Compare(">=", lng, Literal(west - _HAIR)),
            Compare("<=", lng, Literal(east + _HAIR)),
            Compare(">=", lat, Literal(south - _HAIR)),
            Compare("<=", lat, Literal(north + _HAIR)),
        )
    )
