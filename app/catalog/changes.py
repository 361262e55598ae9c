"""What the change feed remembers of a dataset: a keyed digest of every field and when it last moved. Never a value.

A comparison with the remembered state is one step (`seq`); everything that moved in it carries its number.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Select, Text, and_, cast, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.catalog import tables
from app.database import upsert
from app.lanes import in_bulk

DIGEST_BYTES = 12
BATCH_ROWS = 500
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


async def remember(
    connection: AsyncConnection,
    connector: str,
    scope: str,
    records: Mapping[str, Mapping[str, Any]],
    *,
    key_fields: Collection[str],
    secret: bytes,
) -> int:
    """Compares the whole dataset (values by key) with what is remembered; returns the last step."""
    table = tables.change_mark
    # one comparison at a time: the next step's number must not be visible before all of this one
    await connection.execute(select(tables.connector.c.id).where(tables.connector.c.id == connector).with_for_update())
    columns = (table.c.key, table.c.seq, table.c.present, table.c.content, cast(table.c.fields, Text))
    rows = list[Any]()
    found = await connection.stream(select(*columns).where(_mine(connector, scope)))
    async for part in found.partitions(_PIECE_ROWS):
        rows += part
    last = max((row[1] for row in rows), default=0)
    changed = await in_bulk(_compared, rows, records, last + 1, frozenset(key_fields), secret)
    for start in range(0, len(changed), BATCH_ROWS):
        batch = changed[start : start + BATCH_ROWS]
        await upsert(connection, table, [{"connector": connector, "scope": scope, **row} for row in batch])
    return last + 1 if changed else last


async def moved_since(
    connection: AsyncConnection, connector: str, scope: str, position: Position, most: int
) -> Sequence[Moved]:
    """The records that moved behind a position, by step and key; at most `most`."""
    table = tables.change_mark
    behind = or_(table.c.seq > position.seq, and_(table.c.seq == position.seq, table.c.key > position.key))
    columns = (table.c.key, table.c.seq, table.c.present, table.c.new_key)
    asked: Select[Any] = select(*columns).where(_mine(connector, scope), behind, table.c.seq > position.base)
    found = await connection.execute(asked.order_by(table.c.seq, table.c.key).limit(most))
    return [Moved(row.key, row.seq, row.present, row.new_key) for row in found]


@dataclass(slots=True)
class _Known:
    """A record as it is remembered. `fields`: for each field its digest and the last step in which it moved."""

    seq: int
    present: bool
    content: str
    fields: Mapping[str, Any]


def _compared(
    remembered: Sequence[Any],
    records: Mapping[str, Mapping[str, Any]],
    step: int,
    key_fields: frozenset[str],
    secret: bytes,
) -> list[dict[str, Any]]:
    """The rows that moved."""
    known = {row[0]: _Known(row[1], row[2], row[3], orjson.loads(row[4])) for row in remembered}
    rows = dict[str, dict[str, Any]]()
    for key, values in records.items():
        digests = {name: _digest(secret, name, value) for name, value in values.items()}
        before = known.get(key)
        held = before.fields if before is not None and before.present else {}
        if held and all(name in held and held[name][0] == digest for name, digest in digests.items()):
            continue
        moved = {
            name: held[name] if name in held and held[name][0] == digest else [digest, step]
            for name, digest in digests.items()
        }
        content = "".join(digest for name, digest in sorted(digests.items()) if name not in key_fields)
        rows[key] = _row(key, step, moved, _digest(secret, "", content), present=True)
    heirs = _heirs(known, records, rows)
    for key, old in known.items():
        if old.present and key not in records:
            rows[key] = _row(key, step, old.fields, old.content, present=False)
            rows[key]["new_key"] = heirs.get(key)
    return list(rows.values())


def _heirs(
    known: Mapping[str, Any], records: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]]
) -> dict[str, str]:
    """The keys under which gone records go on: exactly one record held this content before, and exactly one, a new one, does now.

    What a reader sees of few fields is often the same for many records: then nobody can say which of them goes on where.
    """
    before = Counter(old.content for old in known.values() if old.present)
    now: dict[str, list[str]] = {}
    for key in records:
        now.setdefault(rows[key]["content"] if key in rows else known[key].content, []).append(key)
    found = {}
    for key, old in known.items():
        if old.present and key not in records and before[old.content] == 1:
            match now.get(old.content):
                case [heir] if heir not in known or not known[heir].present:
                    found[key] = heir
    return found


def _mine(connector: str, scope: str) -> Any:
    return and_(tables.change_mark.c.connector == connector, tables.change_mark.c.scope == scope)


def _row(key: str, step: int, fields: Mapping[str, Any], content: str, *, present: bool) -> dict[str, Any]:
    return {
        "key": key,
        "seq": step,
        "present": present,
        "new_key": None,
        "content": content,
        "fields": dict(fields),
    }


def _digest(secret: bytes, name: str, value: Any) -> str:
    text = orjson.dumps([name, value], default=repr, option=orjson.OPT_SORT_KEYS)
    return hmac.digest(secret, text, "sha256")[:DIGEST_BYTES].hex()
