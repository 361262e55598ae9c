"""The change feed: each dataset is read as a list would be, compared with what is remembered, and what moved is given.

The records are cut to the grant before they are compared, and readers of the same cut share what is remembered: a hidden field
tells nothing, not that it changed and not by it which record goes on under another key.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from app.catalog import changes
from app.catalog.changes import Digests, Moved, Position, Seen
from app.errors import CursorInvalid, SimpulError
from app.federation.question import cursor
from app.federation.question.binder import RawQuery, query_hash
from app.federation.question.query import AnswerRecord, Grant, SourceStatus
from app.federation.reading.batches import Batch, answer_records
from app.federation.reading.whole import WholeRead
from app.federation.spilling import ExternalSort, OwnThread
from app.gateway import records
from app.gateway.exchange import Exchange, ReadOutcome
from app.gateway.services import Services
from app.lanes import in_bulk
from app.schemas.arrow import rows_of
from app.schemas.registry import SchemaDef

_ANSWERED = frozenset({"ok"})


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that moved. `record` is the record as it is now, None when it is gone."""

    agency: str
    dataset: str
    moved: Moved
    record: AnswerRecord | None


@dataclass(frozen=True, slots=True)
class Feed:
    """A page of changes; `since` goes on behind it, `more` says that there are some already."""

    items: list[Change]
    since: str
    more: bool
    sources: Sequence[SourceStatus]
    complete: bool


async def feed(state: Services, exchange: Exchange, schema: SchemaDef, raw_of: Callable[[], RawQuery]) -> Feed:
    """What moved since the cursor of `raw`; without one everything that is there."""
    asked = records.authorise(state, exchange, schema, "changes", raw_of)
    bound = query_hash(asked.query, records.policy_of(asked.decisions))
    positions = _positions(state, asked.raw.cursor, bound)
    whole = replace(asked.query, sort=(), fields=None)
    await exchange.intend(state.log)
    deadline = time.monotonic() + state.settings.request_seconds
    read = WholeRead(whole, asked.refs, state.runtime.until(deadline, exchange.principal.client_id))
    held = _Held(state, schema)
    try:
        await held.fill(read)
        complete = read.finish()
        items, more = await _items(state, asked, held, read, positions)
    except SimpulError as error:
        error.legs = error.legs or read.statuses
        exchange.answered(ReadOutcome(sources=read.statuses))
        raise
    finally:
        held.close()
        records.note_sources(state, read.statuses)
    since = cursor.make_token(
        state.cursor_key, "changes", bound, [[name, at.base, at.seq, at.key] for name, at in positions.items()]
    )
    exchange.answered(ReadOutcome(len(items), read.fields, complete, read.statuses))
    return Feed(items, since, more, read.statuses, complete)


async def _items(
    state: Services, asked: records.Authorised, held: _Held, read: WholeRead, positions: dict[str, Position]
) -> tuple[list[Change], bool]:
    """The visible changes of all datasets, and whether there are more. Moves the positions."""
    answered = {status.dataset for status in read.statuses if status.status in _ANSWERED}
    items, more = list[Change](), False
    for ref in asked.refs:
        if ref.grant is None or ref.dataset not in answered:
            continue  # its position stays: what it owes comes when it is back
        scope, room = _scope(asked.query.schema, ref.grant), asked.query.limit - len(items)
        last = await changes.remember(state.database, ref.dataset, scope, lambda name=ref.dataset: held.seen(name))  # type: ignore[misc]
        position = positions.get(ref.dataset, Position())
        moved, positions[ref.dataset], left = await _moved(state, ref.dataset, scope, position, room, last)
        now = await held.records(ref.dataset, {one.key for one in moved if one.present})
        items += [Change(ref.agency, ref.dataset, one, now.get(one.key)) for one in moved]
        more = more or left
    return items, more


async def _moved(
    state: Services, dataset: str, scope: str, position: Position, room: int, last: int
) -> tuple[list[Moved], Position, bool]:
    """What moved in one dataset, the position behind it, and whether there is more."""
    items: list[Moved] = []
    async with state.database.read() as connection:
        while True:
            found = await changes.moved_since(connection, dataset, scope, position, changes.BATCH_ROWS)
            for moved in found:
                if moved.seq > last:  # of a later comparison, which has read a later state
                    return items, position, True
                if not moved.present and position.base == 0:  # who starts now never had it
                    position = replace(position, seq=moved.seq, key=moved.key)
                    continue
                if len(items) >= room:
                    return items, position, True
                items.append(moved)
                position = replace(position, seq=moved.seq, key=moved.key)
            if len(found) < changes.BATCH_ROWS:
                return items, Position(last, last, ""), False


class _Held:
    """All records of a reading, dataset by dataset in key order, with their digests: in encrypted files where there are many."""

    def __init__(self, state: Services, schema: SchemaDef) -> None:
        self._root, self._schema = state.spool, schema
        self._secret = hmac.digest(state.cursor_key, b"changes", "sha256")
        self._thread = OwnThread()
        self._sorts: dict[str, ExternalSort] = {}
        self._origins: dict[str, Batch] = {}

    async def fill(self, read: WholeRead) -> None:
        """Takes every record."""
        async with aclosing(read.batches()) as batches:
            async for batch in batches:
                if batch.dataset not in self._sorts:
                    for sort in self._sorts.values():
                        await self._thread.run(sort.settle)
                    self._sorts[batch.dataset] = ExternalSort(self._root, [("_id", False)])
                self._origins[batch.dataset] = batch
                await self._thread.run(self._sorts[batch.dataset].add, await in_bulk(self._digested, batch))

    async def seen(self, dataset: str) -> AsyncGenerator[list[Seen]]:
        """What is compared of the records of a dataset."""
        async for block in self._blocks(dataset):
            yield await in_bulk(_seen, block)

    async def records(self, dataset: str, keys: Collection[str]) -> dict[str, AnswerRecord]:
        """The records of these keys."""
        found: dict[str, AnswerRecord] = {}
        if not keys:
            return found
        wanted = pa.array(sorted(keys), pa.string())
        origin = self._origins.get(dataset)
        async for block in self._blocks(dataset):
            rows = block.filter(pc.is_in(block.column("_id"), value_set=wanted))
            if rows.num_rows and origin is not None:
                for one in answer_records(self._schema, replace(origin, columns=rows)):
                    found[one.record.key] = one
        return found

    def close(self) -> None:
        """Forgets everything."""
        self._thread.end(self._forget)

    def _forget(self) -> None:
        for sort in self._sorts.values():
            sort.close()

    async def _blocks(self, dataset: str) -> AsyncGenerator[pa.RecordBatch]:
        sort = self._sorts.get(dataset)
        if sort is not None:
            blocks = sort.blocks()
            while (block := await self._thread.run(next, blocks, None)) is not None:
                yield block

    def _digested(self, batch: Batch) -> pa.RecordBatch:
        keys, rows = batch.columns.column("_id").to_pylist(), rows_of(self._schema, batch.columns)
        shown = [{name: row[name] for name in batch.fields} for row in rows]
        known = Digests(self._secret, self._schema.meta.key)
        found = [known.seen(str(key), row) for key, row in zip(keys, shown, strict=True)]
        digests = pa.array([orjson.dumps(one.fields).decode() for one in found], pa.string())
        contents = pa.array([one.content for one in found], pa.string())
        return batch.columns.append_column("_digests", digests).append_column("_content", contents)


def _seen(block: pa.RecordBatch) -> list[Seen]:
    columns = [block.column(name).to_pylist() for name in ("_id", "_digests", "_content")]
    return [Seen(key, orjson.loads(digests), content) for key, digests, content in zip(*columns, strict=True)]


def _scope(schema: SchemaDef, grant: Grant) -> str:
    """Readers of the same rows and fields under the same masks share what is remembered."""
    if grant.row_filter is None and not grant.masks and grant.fields >= schema.fields.keys():
        return "open"
    cut = (sorted(grant.fields), sorted(grant.masks.items()), grant.agreement if grant.masks else None)
    text = repr((grant.row_filter, cut))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _positions(state: Services, token: str | None, bound: str) -> dict[str, Position]:
    if token is None:
        return {}
    found: list[Any] = cursor.open_token(state.cursor_key, "changes", bound, token)
    try:
        return {name: Position(base, seq, key) for name, base, seq, key in found}
    except (TypeError, ValueError):
        raise CursorInvalid("this is no `since` of a change feed; start again without one") from None
