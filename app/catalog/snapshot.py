"""The catalogue that answering a query needs, in memory and immutable; loaded again when the stamp `catalog` moved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.catalog import tables
from app.catalog.agencies import STAMP, Agency, list_agencies
from app.catalog.states import State
from app.database import read_stamps


@dataclass(frozen=True, slots=True)
class ActiveConnector:
    """A connector with the revision that is active. `manifest` is canonical JSON; `schema` the name without version."""

    id: str
    agency: str
    state: State
    revision: int
    schema: str
    schema_ref: str
    kind: str
    title: str
    manifest: str
    digest: str
    joined: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CatalogSnapshot:
    """Agencies and connectors by id, and what is served: published and joined connectors of enabled agencies by schema name.

    `connectors` holds those with an active revision, suspended ones too. Datasets are ordered by agency, then id.
    """

    stamp: int
    agencies: Mapping[str, Agency] = field(default_factory=dict)
    connectors: Mapping[str, ActiveConnector] = field(default_factory=dict)
    datasets: Mapping[str, tuple[ActiveConnector, ...]] = field(default_factory=dict)
    paused: tuple[ActiveConnector, ...] = ()
    """Suspended connectors, and all of disabled agencies: not asked, but missing from every answer, which has to say so."""
    retired: tuple[ActiveConnector, ...] = ()
    """Retired connectors: missing from an answer only where the caller names their agency."""


async def load_snapshot(connection: AsyncConnection) -> CatalogSnapshot:
    """The present snapshot. The stamp is read first: a change in between makes the next look load it again."""
    stamp = (await read_stamps(connection)).get(STAMP, 0)
    agencies = {agency.id: agency for agency in await list_agencies(connection)}
    known = [connector for connector in await _active(connection) if connector.joined == connector.schema]
    connectors = {connector.id: connector for connector in known if connector.state is not State.RETIRED}
    paused = []
    served: defaultdict[str, list[ActiveConnector]] = defaultdict(list)
    for connector in connectors.values():
        if connector.state.serves and not agencies[connector.agency].disabled:
            served[connector.schema].append(connector)
        else:
            paused.append(connector)
    datasets = {schema: tuple(sorted(found, key=_order)) for schema, found in sorted(served.items())}
    retired = tuple(connector for connector in known if connector.state is State.RETIRED)
    return CatalogSnapshot(stamp, agencies, connectors, datasets, tuple(sorted(paused, key=_order)), retired)


def _order(connector: ActiveConnector) -> tuple[str, str]:
    return connector.agency, connector.id


async def _active(connection: AsyncConnection) -> list[ActiveConnector]:
    revision, connector = tables.connector_revision.c, tables.connector.c
    active = (revision.connector == connector.id) & (revision.revision == connector.active_revision)
    wanted = (revision.revision, revision.schema_ref, revision.kind, revision.title, revision.manifest, revision.digest)
    statement = (
        select(connector.id, connector.agency, connector.state, connector.joined, *wanted)
        .join_from(tables.connector, tables.connector_revision, active)
        .where(connector.state.in_([State.PUBLISHED.value, State.SUSPENDED.value, State.RETIRED.value]))
    )
    rows = await connection.execute(statement)
    found = [
        ActiveConnector(**{**row, "state": State(row["state"]), "schema": row["schema_ref"].partition("@")[0]})
        for row in rows.mappings()
    ]
    return sorted(found, key=lambda item: item.id)
