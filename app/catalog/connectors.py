"""Connectors: numbered revisions of their manifests, which one is active, and the acts that move a connector's state.

Does not live here: what a manifest means (`app/connectors`), check and discovery reports (`reports.py`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.catalog import tables
from app.catalog.agencies import SLUG, STAMP, get_agency
from app.catalog.states import Action, State, require
from app.conditions import UNCONDITIONAL, Precondition
from app.database import bump_stamp
from app.errors import (
    AgencyForbidden,
    Conflict,
    ConnectorUnknown,
    FieldError,
    NotFound,
    StateConflict,
    ValidationFailed,
)
from app.schemas import registry


@dataclass(frozen=True, slots=True)
class Submission:
    """An accepted manifest on its way into the store.

    `manifest` is canonical JSON, `original` the text as it was sent, `digest` that of the canonical form;
    `schema_ref` (`name@version`) is None for a draft that has only a source.
    """

    connector: str
    agency: str
    kind: str
    title: str
    schema_ref: str | None
    manifest: str
    original: str
    digest: str
    author: str


@dataclass(frozen=True, slots=True)
class ConnectorRecord:
    """A connector as it stands. The active revision answers queries while the state is published."""

    id: str
    agency: str
    state: State
    latest_revision: int
    active_revision: int | None
    created_at: datetime
    updated_at: datetime
    joined: str | None = None
    """The schema that the walidata let it join; it answers for that one alone."""

    @property
    def known(self) -> bool:
        """Whether everybody may know of it: it is published and has joined."""
        return self.state.serves and self.joined is not None

    @property
    def etag(self) -> str:
        """Changes with every revision and every act (RFC 9110, a strong validator)."""
        return f'"{self.latest_revision}-{self.active_revision or 0}-{self.state}"'


@dataclass(frozen=True, slots=True)
class Revision:
    """One immutable manifest. `checked_at`: last passed check; `published_at`: when it first became active."""

    connector: str
    revision: int
    schema_ref: str | None
    kind: str
    title: str
    manifest: str
    original: str
    digest: str
    author: str
    created_at: datetime
    checked_at: datetime | None = None
    published_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PutOutcome:
    """What `put_manifest` did: `created` is False when the latest revision says the same already."""

    connector: ConnectorRecord
    revision: int
    created: bool


async def put_manifest(
    connection: AsyncConnection, submission: Submission, *, condition: Precondition = UNCONDITIONAL
) -> PutOutcome:
    """A new revision, unless the latest one has the same digest. The active revision goes on serving.

    Raises `AgencyUnknown`, `AgencyForbidden` (another agency's connector), `StateConflict` (retired),
    `PreconditionRequired` (a change that names no state), `PreconditionFailed` (one that names another).
    """
    row = await _row(connection, submission.connector, lock=True)
    if row is None:
        return await _first_revision(connection, submission, condition)
    record = _record(row)
    if record.agency != submission.agency:
        message = f"connector {record.id} belongs to another agency; choose another id"
        raise AgencyForbidden(message, connector=record.id)
    require(record.id, record.state, Action.PUT)
    latest = await get_revision(connection, record.id, record.latest_revision)
    same = latest.digest == submission.digest
    replace(condition, required=condition.required and not same).stands(f"connector {record.id}", record.etag)
    if same:
        return PutOutcome(record, latest.revision, created=False)
    number = record.latest_revision + 1
    await _insert_revision(connection, submission, number)
    state = State.DRAFT if record.state is State.CHECKED else record.state
    fresh = await _change(connection, record, latest_revision=number, state=state)
    return PutOutcome(fresh, number, created=True)


async def _first_revision(connection: AsyncConnection, submission: Submission, condition: Precondition) -> PutOutcome:
    if not SLUG.fullmatch(submission.connector):
        error = FieldError("/connector", "slug", "2 to 63 of a-z, 0-9 and -, the first a letter or digit")
        raise ValidationFailed("the id of the connector is not valid", errors=[error])
    condition.absent(f"connector {submission.connector}")
    await get_agency(connection, submission.agency)
    moment = datetime.now(UTC)
    record = ConnectorRecord(submission.connector, submission.agency, State.DRAFT, 1, None, moment, moment)
    try:
        await connection.execute(insert(tables.connector).values(**asdict(record) | {"state": record.state.value}))
    except IntegrityError:  # two first submissions at once: the second must see the first one's revision
        raise Conflict(f"connector {record.id} was created at the same moment; send the manifest again") from None
    await _insert_revision(connection, submission, 1)
    await bump_stamp(connection, STAMP)
    return PutOutcome(record, 1, created=True)


async def _insert_revision(connection: AsyncConnection, submission: Submission, number: int) -> None:
    names = ("connector", "schema_ref", "kind", "title", "manifest", "original", "digest", "author")
    values = {name: getattr(submission, name) for name in names}
    moment = datetime.now(UTC)
    await connection.execute(insert(tables.connector_revision).values(**values, revision=number, created_at=moment))


async def publish(
    connection: AsyncConnection,
    connector_id: str,
    *,
    revision: int | None = None,
    condition: Precondition = UNCONDITIONAL,
    unchecked: bool = False,
    join: bool = False,
) -> ConnectorRecord:
    """Makes a revision (default: the latest) the active one; ends a suspension; does nothing when it serves already.

    The revision needs a schema (a draft that is only a source cannot be published) and a passed check, unless the
    caller asks for `unchecked`: an agency's source may be down on the day. `join`: the caller may let datasets join schemas.
    """
    record = await get_connector(connection, connector_id, lock=True)
    condition.stands(f"connector {record.id}", record.etag)
    require(record.id, record.state, Action.PUBLISH)
    chosen = await get_revision(connection, record.id, revision or record.latest_revision)
    if record.state is State.PUBLISHED and record.active_revision == chosen.revision:
        return await _join(connection, record, chosen) if join and record.joined != _schema(chosen) else record
    if chosen.schema_ref is None:
        message = f"revision {chosen.revision} of {record.id} has no schema and fields: send a whole manifest first"
        raise StateConflict(message, connector=record.id, state=str(record.state))
    if chosen.checked_at is None and not unchecked:
        message = f"revision {chosen.revision} of {record.id} has passed no check: run the check, then publish"
        raise StateConflict(message, connector=record.id, state=str(record.state), allowed=(Action.CHECK,))
    record = await _activate(connection, record, chosen, State.PUBLISHED)
    return await _join(connection, record, chosen) if join or _by_agreement(chosen) else record


async def join(
    connection: AsyncConnection, connector_id: str, *, condition: Precondition = UNCONDITIONAL
) -> ConnectorRecord:
    """Lets a published connector's dataset take part in the answers of its schema; once, for all later revisions of that schema.

    Until then a dataset that is dead or false would be missing, or wrong, in everybody's answers.
    """
    record = await get_connector(connection, connector_id, lock=True)
    condition.stands(f"connector {record.id}", record.etag)
    if not record.state.serves or record.active_revision is None:
        message = f"connector {record.id} is {record.state}: it is published before it joins"
        raise StateConflict(message, connector=record.id, state=str(record.state), allowed=(Action.PUBLISH,))
    return await _join(connection, record, await get_revision(connection, record.id, record.active_revision))


async def _join(connection: AsyncConnection, record: ConnectorRecord, chosen: Revision) -> ConnectorRecord:
    return await _change(connection, record, joined=_schema(chosen))


def _schema(revision: Revision) -> str:
    return (revision.schema_ref or "").partition("@")[0]


def _by_agreement(revision: Revision) -> bool:
    """Personal data is read under an agreement alone, which the walidata has approved: nothing joins anybody's answer."""
    return registry.get(_schema(revision)).meta.lookup_only


async def rollback(
    connection: AsyncConnection, connector_id: str, revision: int, *, condition: Precondition = UNCONDITIONAL
) -> ConnectorRecord:
    """Activates an older revision that was active before; the state stays (a suspended connector stays suspended)."""
    record = await get_connector(connection, connector_id, lock=True)
    condition.stands(f"connector {record.id}", record.etag)
    require(record.id, record.state, Action.ROLLBACK)
    chosen = await get_revision(connection, record.id, revision)
    if chosen.published_at is None:
        message = f"revision {revision} of {record.id} was never active: publish it instead"
        raise StateConflict(message, connector=record.id, state=str(record.state), allowed=(Action.PUBLISH,))
    return await _activate(connection, record, chosen, record.state)


async def suspend(
    connection: AsyncConnection, connector_id: str, *, condition: Precondition = UNCONDITIONAL
) -> ConnectorRecord:
    """Stops serving; the active revision is kept for `resume`."""
    return await _move(connection, connector_id, Action.SUSPEND, State.SUSPENDED, condition)


async def resume(
    connection: AsyncConnection, connector_id: str, *, condition: Precondition = UNCONDITIONAL
) -> ConnectorRecord:
    """Serves the active revision again."""
    return await _move(connection, connector_id, Action.RESUME, State.PUBLISHED, condition)


async def retire(
    connection: AsyncConnection, connector_id: str, *, condition: Precondition = UNCONDITIONAL
) -> ConnectorRecord:
    """Ends the connector for good; its revisions stay readable."""
    return await _move(connection, connector_id, Action.RETIRE, State.RETIRED, condition)


async def mark_checked(connection: AsyncConnection, connector_id: str, revision: int, *, passed: bool) -> None:
    """Notes the outcome of a check of one revision: draft <-> checked while nothing is published yet."""
    record = await get_connector(connection, connector_id, lock=True)
    require(record.id, record.state, Action.CHECK)
    table = tables.connector_revision
    chosen = (table.c.connector == record.id) & (table.c.revision == revision)
    moment = datetime.now(UTC) if passed else None
    await connection.execute(update(table).where(chosen).values(checked_at=moment))
    wanted = State.CHECKED if passed else State.DRAFT
    unpublished = record.state in {State.DRAFT, State.CHECKED}
    if unpublished and revision == record.latest_revision and record.state is not wanted:
        await _change(connection, record, state=wanted)


async def get_connector(connection: AsyncConnection, connector_id: str, *, lock: bool = False) -> ConnectorRecord:
    """The connector; `ConnectorUnknown` when there is none. `lock` keeps its row until the transaction ends."""
    row = await _row(connection, connector_id, lock=lock)
    if row is None:
        raise unknown(connector_id)
    return _record(row)


def unknown(connector_id: str) -> ConnectorUnknown:
    """The same words for one that is not there and one that the caller is not to know of."""
    message = f"no connector has the id {connector_id[:63]}; GET /v1/connectors lists them"
    return ConnectorUnknown(message, connector=connector_id)


async def list_connectors(connection: AsyncConnection, agency: str | None = None) -> list[ConnectorRecord]:
    """All connectors, or those of one agency, in every state, by id."""
    statement = select(tables.connector)
    if agency is not None:
        statement = statement.where(tables.connector.c.agency == agency)
    rows = await connection.execute(statement)
    return sorted((_record(row) for row in rows.mappings()), key=lambda record: record.id)


async def get_revision(connection: AsyncConnection, connector_id: str, revision: int) -> Revision:
    """One revision with its texts; `NotFound` when the number does not exist."""
    table = tables.connector_revision
    chosen = (table.c.connector == connector_id) & (table.c.revision == revision)
    row = (await connection.execute(select(table).where(chosen))).mappings().one_or_none()
    if row is None:
        message = f"connector {connector_id} has no revision {revision}"
        raise NotFound(message, connector=connector_id, revision=revision)
    return Revision(**row)


async def list_revisions(connection: AsyncConnection, connector_id: str) -> list[Revision]:
    """All revisions, the newest first."""
    table = tables.connector_revision
    statement = select(table).where(table.c.connector == connector_id).order_by(table.c.revision.desc())
    return [Revision(**row) for row in (await connection.execute(statement)).mappings()]


async def _move(
    connection: AsyncConnection, connector_id: str, action: Action, state: State, condition: Precondition
) -> ConnectorRecord:
    record = await get_connector(connection, connector_id, lock=True)
    condition.stands(f"connector {record.id}", record.etag)
    require(record.id, record.state, action)
    return await _change(connection, record, state=state)


async def _activate(
    connection: AsyncConnection, record: ConnectorRecord, chosen: Revision, state: State
) -> ConnectorRecord:
    if chosen.published_at is None:
        table = tables.connector_revision
        here = (table.c.connector == record.id) & (table.c.revision == chosen.revision)
        await connection.execute(update(table).where(here).values(published_at=datetime.now(UTC)))
    return await _change(connection, record, state=state, active_revision=chosen.revision)


async def _change(connection: AsyncConnection, record: ConnectorRecord, **changes: Any) -> ConnectorRecord:
    table = tables.connector
    values = {**changes, "state": str(changes.get("state", record.state)), "updated_at": datetime.now(UTC)}
    await connection.execute(update(table).where(table.c.id == record.id).values(**values))
    await bump_stamp(connection, STAMP)
    return await get_connector(connection, record.id)


async def _row(connection: AsyncConnection, connector_id: str, *, lock: bool = False) -> RowMapping | None:
    statement = select(tables.connector).where(tables.connector.c.id == connector_id)
    found = await connection.execute(statement.with_for_update() if lock else statement)
    return found.mappings().one_or_none()


def _record(row: RowMapping) -> ConnectorRecord:
    return ConnectorRecord(**{**row, "state": State(row["state"])})
