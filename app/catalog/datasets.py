"""What the catalogue tells about a dataset, in the terms of DCAT 3 and Satu Data (Perpres 39/2019).

A dataset is a connector that is or was published: its id is the connector's. Does not live here: who may read it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.catalog import tables
from app.catalog.agencies import Agency, list_agencies
from app.catalog.reports import Health, read_health
from app.catalog.states import State
from app.errors import NotFound, SchemaUnknown
from app.schemas import registry
from app.schemas.base import SchemaMeta


@dataclass(frozen=True, slots=True)
class DatasetQuality:
    """What the last reads showed. `rejected_rows` is None until something was read."""

    last_success_at: datetime | None
    last_error: str | None
    last_error_at: datetime | None
    rejected_rows: int | None
    counted_at: datetime | None


@dataclass(frozen=True, slots=True)
class DatasetDescription:
    """One dataset. `identifier` is dct:identifier (`agency/connector`); `issued`, `modified` are its revisions' times.

    `meta` is the schema's own metadata, None when this version of the software does not know the schema;
    `freshness` is the manifest's (`field`, `slo`).
    """

    id: str
    identifier: str
    publisher: Agency
    schema: str
    title: str
    description: str | None
    kind: str
    state: State
    revision: int
    licence: str | None
    issued: datetime
    modified: datetime
    freshness: dict[str, Any] | None
    meta: SchemaMeta | None
    quality: DatasetQuality


async def list_datasets(
    connection: AsyncConnection, *, schema: str | None = None, agency: str | None = None
) -> list[DatasetDescription]:
    """Published and suspended datasets of enabled agencies, by id; `schema` is a name without version."""
    found = await _describe(connection)
    return [
        dataset
        for dataset in found
        if schema in (None, dataset.schema.partition("@")[0]) and agency in (None, dataset.publisher.id)
    ]


async def get_dataset(connection: AsyncConnection, dataset_id: str) -> DatasetDescription:
    """One dataset; `NotFound` when there is none, or none that was ever published."""
    for dataset in await _describe(connection, dataset_id):
        return dataset
    message = f"no dataset has the id {dataset_id[:63]}; GET /v1/datasets lists them"
    raise NotFound(message, dataset=dataset_id)


async def _describe(connection: AsyncConnection, dataset_id: str | None = None) -> list[DatasetDescription]:
    agencies = {agency.id: agency for agency in await list_agencies(connection)}
    health = await read_health(connection)
    rows = await _rows(connection, dataset_id)
    return [
        _description(row, agencies[row.agency], health.get(row.id) or Health(row.id))
        for row in rows
        if not agencies[row.agency].disabled
    ]


async def _rows(connection: AsyncConnection, dataset_id: str | None) -> Sequence[Any]:
    connector, revision, total = tables.connector.c, tables.connector_revision.c, tables.quarantine_total.c
    first = tables.connector_revision.alias("first")
    issued = select(first.c.published_at).where(first.c.connector == connector.id).order_by(first.c.published_at.asc())
    statement = (
        select(
            connector.id,
            connector.agency,
            connector.state,
            revision.revision,
            revision.schema_ref,
            revision.kind,
            revision.title,
            revision.manifest,
            revision.published_at,
            issued.where(first.c.published_at.is_not(None)).limit(1).scalar_subquery().label("issued"),
            total.rejected_rows,
            total.at.label("counted_at"),
        )
        .join_from(
            tables.connector,
            tables.connector_revision,
            (revision.connector == connector.id) & (revision.revision == connector.active_revision),
        )
        .outerjoin(tables.quarantine_total, total.connector == connector.id)
        .where(connector.state.in_([State.PUBLISHED.value, State.SUSPENDED.value]))
        .where(revision.schema_ref.startswith(connector.joined + "@", autoescape=False))
    )
    if dataset_id is not None:
        statement = statement.where(connector.id == dataset_id)
    return sorted(await connection.execute(statement), key=lambda row: str(row.id))


def _description(row: Any, publisher: Agency, health: Health) -> DatasetDescription:
    manifest = json.loads(row.manifest)
    return DatasetDescription(
        id=row.id,
        identifier=f"{row.agency}/{row.id}",
        publisher=publisher,
        schema=row.schema_ref,
        title=row.title,
        description=manifest.get("description"),
        kind=row.kind,
        state=State(row.state),
        revision=row.revision,
        licence=manifest.get("licence"),
        issued=row.issued,
        modified=row.published_at,
        freshness=manifest.get("freshness"),
        meta=_meta(row.schema_ref),
        quality=DatasetQuality(
            health.last_success_at, health.last_error, health.last_error_at, row.rejected_rows, row.counted_at
        ),
    )


def _meta(schema_ref: str) -> SchemaMeta | None:
    try:
        return registry.get(schema_ref).meta
    except SchemaUnknown:  # one connector of a schema that is gone must not take the catalogue down
        return None
