"""What a read would give to its source and what would stay here, and why: for people. Asks the source for no record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from app.connectors.capabilities import Exactness
from app.connectors.contract import Connector, Explains
from app.connectors.requests import ScanRequest
from app.datasets.manifest import Manifest
from app.datasets.mapping import CompiledMapping
from app.datasets.pushdown import ordered_read, pushed_filter, scan_request
from app.datasets.records import ReadRequest
from app.filters.tree import Filter, Not, conjuncts, properties, rename, walk
from app.schemas.registry import SchemaDef


@dataclass(frozen=True, slots=True)
class Part:
    """One conjunct of the filter: whether the source does it, and how exactly (exact, superset, none)."""

    filter: Filter
    exactness: Exactness
    why: str


@dataclass(frozen=True, slots=True)
class Outline:
    """The read of one dataset. `texts` are what the source is sent, literals left out; `exact`: nothing but cutting stays.

    `own_text`: they hold a SELECT of the provider.
    """

    texts: tuple[str, ...]
    pushed: tuple[str, ...]
    residual: tuple[str, ...]
    parts: tuple[Part, ...]
    exact: bool
    why: tuple[str, ...]
    own_text: bool = False


async def outline(
    manifest: Manifest,
    schema: SchemaDef,
    mapping: CompiledMapping,
    connector: Connector,
    request: ReadRequest,
    *,
    kept: bool,
) -> Outline:
    """As a mapped dataset would read. Raises `SourceError` leaves where the source has to be looked at and cannot.

    `kept`: reads may be answered from memory.
    """
    await connector.learn()
    scan = scan_request(mapping, connector, request, request.filter, manifest.fields)
    ordered = ordered_read(schema, mapping, connector, request, scan)
    parts = tuple(_parts(manifest, mapping, connector, request.filter))
    pushed = [name for name, given in (("columns", scan.columns), ("filter", scan.filter)) if given is not None]
    residual = [] if all(part.exactness == "exact" for part in parts) else ["filter"]
    why = [f"{_said(part.filter)}: {part.why}" for part in parts if part.exactness != "exact"]
    scans: tuple[ScanRequest, ...] = (scan,)
    if ordered is not None:
        pushed += ["order", "limit"]
        scans = tuple(replace(one, limit=next(ordered.attempts())) for one in ordered.scans)
    else:
        residual += ["order", "limit"]
        why.append("order and limit stay here: " + _order_fault(connector))
    texts = tuple([await connector.text(one) for one in scans]) if isinstance(connector, Explains) else ()
    if not texts:
        texts = (f"{connector.kind}: read from the beginning" + (", filtered" if scan.filter is not None else ""),)
    if kept:
        why.insert(0, "small open data is kept here while its mark stands; the source is asked when it moved")
    return Outline(
        texts,
        tuple(pushed),
        tuple(residual),
        parts,
        exact=not residual,
        why=tuple(why),
        own_text=isinstance(getattr(manifest.source, "query", None), str),
    )


def _parts(manifest: Manifest, mapping: CompiledMapping, connector: Connector, wanted: Filter) -> Iterator[Part]:
    can = connector.capabilities
    for part in conjuncts(wanted):
        if pushed_filter(mapping, connector, part, manifest.fields) is not None:
            note = "the source may give too much; checked again here" if can.filter_exactness != "exact" else ""
            yield Part(part, can.filter_exactness, note)
            continue
        computed = sorted(properties(part) - mapping.renames.keys())
        if can.filter_exactness == "none":
            note = "the source cannot filter"
        elif mapping.preparation.unpivot is not None:
            note = "the source's columns become rows here"
        elif computed:
            note = f"{', '.join(computed)} is made by the mapping, not a column of the source"
        elif any(isinstance(node, Not) for node in walk(part)):
            note = "NOT stays here"
        elif not connector.takes(rename(part, mapping.renames.__getitem__)):
            note = "the source cannot compare these columns in this way"
        else:
            note = "an empty list of conditions"
        yield Part(part, "none", note)


def _order_fault(connector: Connector) -> str:
    can = connector.capabilities
    if not (can.order and can.limit and can.keyset):
        return "the source cannot sort, cut and go on"
    return "the sort fields or the key are not unique plain columns that sort as the schema does"


def _said(node: Filter) -> str:
    names = ", ".join(sorted(properties(node))) or "constant"
    return f"{type(node).__name__.lower()} on {names}"
