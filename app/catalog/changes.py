"""What the change feed remembers of a dataset: a keyed digest of every field and when it last moved. Never a value.

A comparison with the remembered state is one step (`seq`); everything that moved in it carries its number.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson
from sqlalchemy import Select, Text, and_, cast, collate, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.catalog import tables
from app.database import Database, upsert
from app.lanes import in_bulk

DIGEST_BYTES = 12
BATCH_ROWS = 500
UNNUMBERED = 1 << 62
"""Above all steps: what a comparison under way has written."""
MOST_GONE = 100_000
_PIECE_ROWS = 2_000


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


@dataclass(slots=True)
class _Known:
    """A record as it is remembered: of each field its digest (older rows: in a list, with a number)."""

    key: str
    seq: int
    present: bool
    content: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """One record as it is now: of each field its digest, and the digest of all but the key."""

    key: str
    fields: Mapping[str, str]
    content: str


Keyed = TypeVar("Keyed")
Now = Callable[[], AsyncGenerator[Sequence[Seen]]]
"""Gives the whole dataset in the order of the keys' bytes, each time that it is called."""


class Digests:
    """Keyed digests of the values of some records. Most values of a dataset stand in many of its records: each is digested once."""

    def __init__(self, secret: bytes, key_fields: Collection[str]) -> None:
        self._secret, self._key_fields = secret, key_fields
        self._known: dict[bytes, str] = {}

    def seen(self, key: str, values: Mapping[str, Any]) -> Seen:
        """What is compared of a record."""
        digests = {name: self._of(name, value) for name, value in values.items()}
        content = "".join(digest for name, digest in sorted(digests.items()) if name not in self._key_fields)
        return Seen(key, digests, _digest(self._secret, _text("", content)))

    def _of(self, name: str, value: Any) -> str:
        text = _text(name, value)
        found = self._known.get(text)
        if found is None:
            found = self._known[text] = _digest(self._secret, text)
        return found


async def remember(database: Database, connector: str, scope: str, now: Now) -> int:
    """Compares the whole dataset with what is remembered; returns the last step.

    What moved is written in pieces that no reader sees before the last one, which gives all of them the number of the step:
    the store is never held for long. What a broken comparison left is given by the next one.
    """
    heirs: Mapping[str, str] = {}
    gone, moves = _Gone(), False
    async with aclosing(_pairs(database, connector, scope, now)) as parts:
        async for pairs in parts:
            gone.take(pairs)
            moves = moves or bool(await in_bulk(_moved, pairs, heirs))
    if not moves:
        return await _number(database, connector, scope, moved=False)
    if gone.by_content:
        async with aclosing(_pairs(database, connector, scope, now)) as parts:
            async for pairs in parts:
                gone.count(pairs)
        heirs = gone.heirs()
    moved = False
    async with aclosing(_pairs(database, connector, scope, now)) as parts:
        async for pairs in parts:
            rows = await in_bulk(_moved, pairs, heirs)
            moved = moved or bool(rows)
            await _write(database, connector, scope, rows)
    return await _number(database, connector, scope, moved=moved)


async def _write(database: Database, connector: str, scope: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """What moved, without the number of a step; the last one is kept in its place, for no other row may hold it any more."""
    if rows:
        async with database.begin() as connection:
            at = UNNUMBERED + await _last(connection, connector, scope)
            given = [{"connector": connector, "scope": scope, "seq": at, **row} for row in rows]
            for start in range(0, len(given), BATCH_ROWS):
                await upsert(connection, tables.change_mark, given[start : start + BATCH_ROWS])


async def _number(database: Database, connector: str, scope: str, *, moved: bool) -> int:
    """Gives the number of the next step to what has none yet; the last step."""
    table = tables.change_mark
    async with database.begin() as connection:
        last = await _last(connection, connector, scope)
        if not moved:
            return last
        unnumbered = and_(_mine(connector, scope), table.c.seq >= UNNUMBERED)
        await connection.execute(update(table).where(unnumbered).values(seq=last + 1))
        return last + 1


async def _last(connection: AsyncConnection, connector: str, scope: str) -> int:
    """The last step. One comparison writes at a time: a step must not be visible before all of it."""
    table, mine = tables.change_mark, _mine(connector, scope)
    await connection.execute(select(tables.connector.c.id).where(tables.connector.c.id == connector).with_for_update())
    numbered = await connection.execute(select(func.max(table.c.seq)).where(mine, table.c.seq < UNNUMBERED))
    written = await connection.execute(select(func.max(table.c.seq)).where(mine, table.c.seq >= UNNUMBERED))
    return max(int(numbered.scalar_one() or 0), int(written.scalar_one() or UNNUMBERED) - UNNUMBERED)


async def _pairs(
    database: Database, connector: str, scope: str, now: Now
) -> AsyncGenerator[list[tuple[_Known | None, Seen | None]]]:
    """What is remembered beside what is there, key by key, many at a time."""
    async with aclosing(_known(database, connector, scope)) as remembered, aclosing(now()) as given:
        known, current = _Ahead[_Known](remembered), _Ahead[Seen](given)
        await known.fill()
        await current.fill()
        while known.held or current.held:
            yield await in_bulk(_paired, known, current)
            await known.fill()
            await current.fill()


async def _known(database: Database, connector: str, scope: str) -> AsyncGenerator[list[_Known]]:
    """What is remembered, in the order of the keys' bytes. It may be written meanwhile, behind what was given."""
    table = tables.change_mark
    columns = (table.c.key, table.c.seq, table.c.present, table.c.content, cast(table.c.fields, Text))
    asked: Select[Any] = select(*columns).where(_mine(connector, scope))
    if database.dialect == "postgresql":  # one state for as long as it takes; its index is in another order
        async with database.read() as connection:
            ordered = asked.order_by(collate(table.c.key, "C")).execution_options(yield_per=_PIECE_ROWS)
            found = await connection.stream(ordered)
            async for part in found.partitions(_PIECE_ROWS):
                yield [_as_known(row) for row in part]
        return
    after = ""
    while True:  # SQLite: who reads for long keeps everybody from writing
        async with database.read() as connection:
            rows = (
                await connection.execute(asked.where(table.c.key > after).order_by(table.c.key).limit(_PIECE_ROWS))
            ).all()
        if not rows:
            return
        yield [_as_known(row) for row in rows]
        after = rows[-1][0]


def _as_known(row: Any) -> _Known:
    return _Known(row[0], row[1], row[2], row[3], orjson.loads(row[4]))


class _Ahead(Generic[Keyed]):
    """The next of one side, in key order."""

    def __init__(self, parts: AsyncGenerator[Sequence[Keyed]]) -> None:
        self._parts = parts
        self.held: Sequence[Keyed] = ()
        self.ended = False

    async def fill(self) -> None:
        """Reads on where nothing is held."""
        while not self.held and not self.ended:
            part = await anext(self._parts, None)
            self.ended, self.held = part is None, part or ()


def _paired(known: _Ahead[_Known], current: _Ahead[Seen]) -> list[tuple[_Known | None, Seen | None]]:
    """What both sides hold of the keys that neither can add to any more."""
    pairs: list[tuple[_Known | None, Seen | None]] = []
    left, right, one, other = known.held, current.held, 0, 0
    while (one < len(left) or known.ended) and (other < len(right) or current.ended):
        old = left[one] if one < len(left) else None
        new = right[other] if other < len(right) else None
        if old is None and new is None:
            break
        if old is not None and new is not None and old.key != new.key:
            old, new = (old, None) if old.key < new.key else (None, new)
        pairs.append((old, new))
        one, other = one + (old is not None), other + (new is not None)
    known.held, current.held = left[one:], right[other:]
    return pairs


def _moved(pairs: Sequence[tuple[_Known | None, Seen | None]], heirs: Mapping[str, str]) -> list[dict[str, Any]]:
    """The rows that moved."""
    rows = []
    for old, new in pairs:
        if new is not None:
            held = old.fields if old is not None and old.present else {}
            same = held and all(name in held and _held(held[name]) == digest for name, digest in new.fields.items())
            if not same or (old is not None and old.seq >= UNNUMBERED):
                rows.append(_row(new.key, new.fields, new.content, present=True))
        elif old is not None and (old.present or old.seq >= UNNUMBERED):
            rows.append(_row(old.key, old.fields, old.content, present=False))
            rows[-1]["new_key"] = heirs.get(old.key)
    return rows


class _Gone:
    """The keys under which gone records go on: exactly one record held this content before, and exactly one, a new one, does now.

    What a reader sees of few fields is often the same for many records: then nobody can say which of them goes on where. Where
    very many are gone at once, it is not said either.
    """

    def __init__(self) -> None:
        self.by_content: dict[str, str] = {}
        self._before, self._now = Counter[str](), Counter[str]()
        self._heirs: dict[str, str] = {}
        self._many = False

    def take(self, pairs: Sequence[tuple[_Known | None, Seen | None]]) -> None:
        """Notes what is gone."""
        for old, new in pairs:
            if old is not None and old.present and new is None and not self._many:
                self.by_content[old.content] = old.key
        if len(self.by_content) > MOST_GONE:
            self.by_content, self._many = {}, True

    def count(self, pairs: Sequence[tuple[_Known | None, Seen | None]]) -> None:
        """Counts who holds the contents of what is gone, before and now."""
        for old, new in pairs:
            if old is not None and old.present and old.content in self.by_content:
                self._before[old.content] += 1
            if new is not None and new.content in self.by_content:
                self._now[new.content] += 1
                if old is None or not old.present:
                    self._heirs[new.content] = new.key

    def heirs(self) -> dict[str, str]:
        """By the key of what is gone."""
        return {
            key: self._heirs[content]
            for content, key in self.by_content.items()
            if self._before[content] == self._now[content] == 1 and content in self._heirs
        }


async def moved_since(
    connection: AsyncConnection, connector: str, scope: str, position: Position, most: int
) -> Sequence[Moved]:
    """The records that moved behind a position, by step and key; at most `most`."""
    table = tables.change_mark
    behind = or_(table.c.seq > position.seq, and_(table.c.seq == position.seq, table.c.key > position.key))
    columns = (table.c.key, table.c.seq, table.c.present, table.c.new_key)
    mine = and_(_mine(connector, scope), table.c.seq < UNNUMBERED)
    asked: Select[Any] = select(*columns).where(mine, behind, table.c.seq > position.base)
    found = await connection.execute(asked.order_by(table.c.seq, table.c.key).limit(most))
    return [Moved(row.key, row.seq, row.present, row.new_key) for row in found]


def _mine(connector: str, scope: str) -> Any:
    return and_(tables.change_mark.c.connector == connector, tables.change_mark.c.scope == scope)


def _row(key: str, fields: Mapping[str, Any], content: str, *, present: bool) -> dict[str, Any]:
    return {
        "key": key,
        "present": present,
        "new_key": None,
        "content": content,
        "fields": dict(fields),
    }


def _held(digest: Any) -> Any:
    return digest[0] if isinstance(digest, list) else digest


def _digest(secret: bytes, text: bytes) -> str:
    return hmac.digest(secret, text, "sha256")[:DIGEST_BYTES].hex()


def _text(name: str, value: Any) -> bytes:
    return orjson.dumps([name, value], default=repr, option=orjson.OPT_SORT_KEYS)
