"""What the change feed remembers of a dataset: of each record a keyed digest and the step in which it last moved. Never a value.

A feed is what readers of one cut see of one dataset. A comparison with what is remembered is one step; everything that moved in it
carries its number. What is written carries the number of the next step, and no reader sees it before that step has ended.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    Boolean,
    LargeBinary,
    Select,
    String,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.catalog.digests import DIGEST_VERSION
from app.catalog.tables import change_feed, change_mark, change_step
from app.catalog.tables import connector as tables_connector
from app.database import Database, upsert

BATCH_ROWS = 500
PIECE_ROWS = 5_000
"""What is read or written of a store at once, so that it is never held for long."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a reader is: all steps up to `base` were given; of the later ones those up to (`seq`, `key`)."""

    base: int = 0
    seq: int = 0
    key: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """One record that moved. `new_key`: it goes on under this key."""

    key: str
    seq: int
    present: bool
    new_key: str | None


Written = tuple[str, bool, bytes]
"""Key, whether it is there, digest of its content."""


async def feed_of(database: Database, connector: str, scope: str) -> int:
    """The number of a feed, which is made where there is none."""
    names = {"connector": connector, "scope": scope, "digest_version": DIGEST_VERSION}
    asked = select(change_feed.c.id).filter_by(**names)
    async with database.read() as connection:
        found = (await connection.execute(asked)).scalar_one_or_none()
    if found is not None:
        return int(found)
    async with database.begin() as connection:
        await upsert(connection, change_feed, [names], keys=list(names))
        return int((await connection.execute(asked)).scalar_one())


async def last_step(database: Database, feed: int) -> int:
    """The last step that has ended, 0 where there is none."""
    async with database.read() as connection:
        return await _last(connection, feed)


async def step_at(
    database: Database, connector: str, scope: str, moment: datetime
) -> tuple[int | None, datetime | None]:
    """The last step before everything that was found behind a moment: 0 for a dataset that was registered after it, None where
    nothing was remembered yet; and when the first step was found.
    """
    mine = (
        change_feed.c.connector == connector,
        change_feed.c.scope == scope,
        change_feed.c.digest_version == DIGEST_VERSION,
    )
    steps = select(change_step).join(change_feed, change_feed.c.id == change_step.c.feed).where(*mine).subquery()
    times = select(func.count(), func.min(steps.c.found_at), func.min(case((steps.c.found_at > moment, steps.c.seq))))
    async with database.read() as connection:
        registered = (
            await connection.execute(select(tables_connector.c.created_at).where(tables_connector.c.id == connector))
        ).scalar_one()
        count, first, later = (await connection.execute(times.select_from(steps))).one()
    if registered > moment:
        return 0, first
    known = count if later is None else later - 1  # steps are numbered from 1 without gaps
    return (known or None), first


async def remembered(database: Database, feed: int) -> AsyncGenerator[Sequence[tuple[str, bytes | None, int]]]:
    """Key, digest (None: it is gone) and step of every record, in the order of the keys' bytes.

    It may be written meanwhile, behind what was given.
    """
    columns = (change_mark.c.key, change_mark.c.content, change_mark.c.seq, change_mark.c.present)
    asked: Select[Any] = select(*columns).where(change_mark.c.feed == feed).order_by(change_mark.c.key)
    after = ""
    while (
        True
    ):  # piece by piece: who reads for long keeps everybody from writing to SQLite, and PostgreSQL from cleaning up
        async with database.read() as connection:
            rows = (await connection.execute(asked.where(change_mark.c.key > after).limit(PIECE_ROWS))).all()
        if not rows:
            return
        yield [(key, content if present else None, seq) for key, content, seq, present in rows]
        after = rows[-1][0]


async def write(database: Database, feed: int, rows: Sequence[Written]) -> None:
    """Remembers what moved in the step that is under way."""
    for piece in _pieces(rows, PIECE_ROWS):
        async with database.begin() as connection:
            seq = 1 + await _held(connection, feed)
            if database.dialect == "postgresql":
                await connection.execute(_WRITE, _columns(feed, seq, piece))
                continue
            given = [
                {"feed": feed, "key": key, "seq": seq, "present": present, "new_key": None, "content": content}
                for key, present, content in piece
            ]
            await upsert(connection, change_mark, given)


async def name_heirs(database: Database, feed: int, heirs: Mapping[str, str]) -> None:
    """Notes under which keys those that are gone in this step go on."""
    mine = and_(change_mark.c.feed == feed, change_mark.c.key == bindparam("gone"), ~change_mark.c.present)
    for piece in _pieces(list(heirs.items()), PIECE_ROWS):
        async with database.begin() as connection:
            statement = update(change_mark).where(mine).values(new_key=bindparam("heir"))
            await connection.execute(statement, [{"gone": key, "heir": heir} for key, heir in piece])


async def end_step(database: Database, feed: int) -> int:
    """Shows the step that is under way to readers; returns its number."""
    async with database.begin() as connection:
        seq = 1 + await _held(connection, feed)
        await connection.execute(insert(change_step).values(feed=feed, seq=seq, found_at=datetime.now(UTC)))
        return seq


async def moved_since(
    connection: AsyncConnection, feed: int, position: Position, last: int, most: int
) -> Sequence[Moved]:
    """The records that moved behind a position, up to the step `last`, by step and key; at most `most`."""
    seq, key = change_mark.c.seq, change_mark.c.key
    behind: Any = seq > position.base
    if position.seq > position.base:
        behind = tuple_(seq, key) > tuple_(literal(position.seq), literal(position.key))
    asked: Select[Any] = select(key, seq, change_mark.c.present, change_mark.c.new_key)
    asked = asked.where(change_mark.c.feed == feed, behind, seq <= last)
    found = await connection.execute(asked.order_by(seq, key).limit(most))
    return [Moved(row.key, row.seq, row.present, row.new_key) for row in found]


async def _held(connection: AsyncConnection, feed: int) -> int:
    """The last step. One comparison writes at a time: a step must not be visible before all of it."""
    await connection.execute(select(change_feed.c.id).where(change_feed.c.id == feed).with_for_update())
    return await _last(connection, feed)


async def _last(connection: AsyncConnection, feed: int) -> int:
    found = await connection.execute(select(func.max(change_step.c.seq)).where(change_step.c.feed == feed))
    return int(found.scalar_one() or 0)


def _pieces(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _write_statement() -> Any:
    """Many rows in one statement: PostgreSQL takes columns as arrays."""
    given = (
        func.unnest(
            bindparam("keys", type_=ARRAY(String)),
            bindparam("presents", type_=ARRAY(Boolean)),
            bindparam("contents", type_=ARRAY(LargeBinary)),
        )
        .table_valued("key", "present", "content")
        .render_derived()
    )
    feed, seq = bindparam("feed_id", type_=change_mark.c.feed.type), bindparam("step", type_=change_mark.c.seq.type)
    rows = select(feed, given.c.key, seq, given.c.present, literal(None, String), given.c.content)
    names = ["feed", "key", "seq", "present", "new_key", "content"]
    statement = postgresql_insert(change_mark).from_select(names, rows)
    changed = {name: statement.excluded[name] for name in names[2:]}
    return statement.on_conflict_do_update(index_elements=["feed", "key"], set_=changed)


_WRITE = _write_statement()


def _columns(feed: int, seq: int, rows: Sequence[Written]) -> dict[str, Any]:
    keys, presents, contents = zip(*rows, strict=True)
    return {
        "feed_id": feed,
        "step": seq,
        "keys": list(keys),
        "presents": list(presents),
        "contents": list(contents),
    }
