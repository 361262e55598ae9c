"""What the change feed remembers of a dataset: a keyed digest of every field and when it last moved. Never a value.

A comparison with the remembered state is one step (`seq`); everything that moved in it carries its number.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Select, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.catalog import tables
from app.database import upsert

DIGEST_BYTES = 12
BATCH_ROWS = 500


@dataclass(frozen=True, slots=True)
class Place:
    """How far a reader is: all steps up to `base` were given; of the later ones those up to (`seq`, `key`)."""

    base: int = 0
    seq: int = 0
    key: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """One record that moved. `steps`: the last step of each field. `new_key`: it goes on under this key."""

    key: str
    seq: int
    present: bool
    new_key: str | None
    steps: Mapping[str, int]


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
    known = {row.key: row for row in await connection.execute(select(table).where(_mine(connector, scope)))}
    last = max((row.seq for row in known.values()), default=0)
    step, rows = last + 1, dict[str, dict[str, Any]]()
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
        rows[key] = _row(connector, scope, key, step, moved, _digest(secret, "", content), present=True)
    fresh: dict[str, list[str]] = {}
    for key, row in rows.items():
        if key not in known or not known[key].present:
            fresh.setdefault(row["content"], []).append(key)
    gone = [old for key, old in known.items() if old.present and key not in records]
    for old in gone:
        rows[old.key] = _row(connector, scope, old.key, step, old.fields, old.content, present=False)
        heirs = fresh.get(old.content, [])
        if len(heirs) == 1 and sum(one.content == old.content for one in gone) == 1:
            rows[old.key]["new_key"] = heirs[0]
    changed = list(rows.values())
    for start in range(0, len(changed), BATCH_ROWS):
        await upsert(connection, table, changed[start : start + BATCH_ROWS])
    return step if changed else last


async def moved_since(
    connection: AsyncConnection, connector: str, scope: str, place: Place, most: int
) -> Sequence[Moved]:
    """The records that moved behind a place, by step and key; at most `most`."""
    table = tables.change_mark
    behind = or_(table.c.seq > place.seq, and_(table.c.seq == place.seq, table.c.key > place.key))
    asked: Select[Any] = select(table).where(_mine(connector, scope), behind, table.c.seq > place.base)
    found = await connection.execute(asked.order_by(table.c.seq, table.c.key).limit(most))
    return [
        Moved(row.key, row.seq, row.present, row.new_key, {name: step for name, (_, step) in row.fields.items()})
        for row in found
    ]


def _mine(connector: str, scope: str) -> Any:
    return and_(tables.change_mark.c.connector == connector, tables.change_mark.c.scope == scope)


def _row(
    connector: str, scope: str, key: str, step: int, fields: Mapping[str, Any], content: str, *, present: bool
) -> dict[str, Any]:
    return {
        "connector": connector,
        "scope": scope,
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
