"""The change feed: each dataset is read as a list would be, compared with what is remembered, and what moved is given.

The records are cut to the grant before they are compared, and readers of the same cut share what is remembered: a hidden field
tells nothing, not that it changed and not by it which record goes on under another key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.catalog import changes
from app.catalog.changes import Moved, Position
from app.catalog.digests import DIGEST_VERSION, content_digests
from app.errors import CursorInvalid, FieldError, SimpulError, ValidationFailed
from app.federation.question import cursor
from app.federation.question.binder import RawQuery, query_hash
from app.federation.question.query import AnswerRecord, Grant, SourceStatus
from app.federation.reading.batches import Batch, answer_records
from app.federation.reading.whole import WholeRead
from app.federation.spilling import ExternalSort, OwnThread, Spool
from app.gateway import records
from app.gateway.comparing import remember
from app.gateway.exchange import Exchange, ReadOutcome
from app.gateway.services import Services
from app.gateway.under import begin
from app.schemas.registry import SchemaDef

_ANSWERED = frozenset({"ok"})
_PURPOSE = f"changes/{DIGEST_VERSION}"
_MOST_AHEAD = timedelta(minutes=5)


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
    """What moved since the cursor or time of `raw`; without one everything that is there.

    Raises `CursorInvalid`, and `ValidationFailed` for a time that no answer can be given for.
    """
    asked = records.authorise(state, exchange, schema, "changes", raw_of)
    bound = query_hash(asked.query, records.holder_of(exchange, asked.decisions))
    positions = await _positions(state, asked, bound)
    whole = replace(asked.query, sort=(), fields=None)
    await begin(state, exchange, asked.refs)
    deadline = time.monotonic() + state.settings.request_seconds
    read = WholeRead(whole, asked.refs, state.runtime.until(deadline, exchange.principal.client_id))
    held = _Held(state, schema, exchange.principal.client_id)
    try:
        await held.fill(read)
        complete = read.finish()
        items, more = await _items(state, asked, held, read, positions)
        since = cursor.make_token(state.cursor_key, _PURPOSE, bound, packed_positions(positions))
    except SimpulError as error:
        error.legs = error.legs or read.statuses
        exchange.answered(ReadOutcome(complete=read.complete, sources=read.statuses))
        raise
    finally:
        held.close()
        records.note_sources(state, read.statuses)
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
        feed = await changes.feed_of(state.database, ref.dataset, _scope(asked.query.schema, ref.grant))
        last = await remember(state.database, feed, lambda name=ref.dataset: held.blocks(name))  # type: ignore[misc]
        position = positions.pop(ref.dataset, None) or positions.get(short_name(ref.dataset), Position())
        room = asked.query.limit - len(items)
        moved, behind, left = await _moved(state, feed, position, room, last)
        now = await held.records(ref.dataset, {one.key for one in moved if one.present})
        known = known_of(moved, now)
        if len(known) < len(moved):
            moved, left = known, True
            behind = replace(position, seq=known[-1].seq, key=known[-1].key) if known else position
        positions[short_name(ref.dataset)] = behind
        items += [Change(ref.agency, ref.dataset, one, now.get(one.key)) for one in moved]
        more = more or left
    return items, more


async def _moved(
    state: Services, feed: int, position: Position, room: int, last: int
) -> tuple[list[Moved], Position, bool]:
    """What moved in one dataset, the position behind it, and whether there is more."""
    items: list[Moved] = []
    async with state.database.read() as connection:
        while True:
            found = await changes.moved_since(connection, feed, position, last, changes.BATCH_ROWS)
            for moved in found:
                told = moved.present or position.base > 0  # who starts now never had what is gone
                if told and len(items) >= room:
                    return items, position, True
                position = replace(position, seq=moved.seq, key=moved.key)
                if told:
                    items.append(moved)
            if len(found) < changes.BATCH_ROWS:
                return items, Position(last, last, ""), False


def known_of(moved: list[Moved], now: Collection[str]) -> list[Moved]:
    """The changes before the first one whose record this reading does not hold.

    A comparison of another reading, made at the same time, has remembered it. The next call compares again, and tells what holds then.
    """
    missing = (index for index, one in enumerate(moved) if one.present and one.key not in now)
    return moved[: next(missing, len(moved))]


class _Held:
    """All records of a reading in an encrypted file, and by dataset in key order their digests (on disk where there are many)."""

    def __init__(self, state: Services, schema: SchemaDef, client: str) -> None:
        self._space, self._schema = state.space(client), schema
        self._secret = hmac.digest(state.cursor_key, b"changes", "sha256")
        self._thread = OwnThread()
        self._sorts: dict[str, ExternalSort] = {}
        self._spools: dict[str, Spool] = {}
        self._origins: dict[str, Batch] = {}

    async def fill(self, read: WholeRead) -> None:
        """Takes every record."""
        async with aclosing(read.batches()) as batches:
            async for batch in batches:
                if batch.dataset not in self._sorts:
                    for sort in self._sorts.values():
                        await self._thread.run(sort.settle)
                    self._sorts[batch.dataset] = ExternalSort(self._space, [("_id", False)])
                    self._spools[batch.dataset] = Spool(self._space)
                self._origins[batch.dataset] = replace(batch, columns=batch.columns.slice(0, 0))
                await self._thread.run(self._take, batch)

    async def blocks(self, dataset: str) -> AsyncGenerator[pa.RecordBatch]:
        """Key and digest of every record of a dataset."""
        sort = self._sorts.get(dataset)
        if sort is not None:
            blocks = sort.blocks()
            while (block := await self._thread.run(next, blocks, None)) is not None:
                yield block

    async def records(self, dataset: str, keys: Collection[str]) -> dict[str, AnswerRecord]:
        """The records of these keys."""
        found: dict[str, AnswerRecord] = {}
        if not keys or dataset not in self._spools:
            return found
        wanted = pa.array(sorted(keys), pa.string())
        blocks = self._spools[dataset].blocks()
        while len(found) < len(keys) and (block := await self._thread.run(next, blocks, None)) is not None:
            rows = block.filter(pc.is_in(block.column("_id"), value_set=wanted))
            if rows.num_rows:
                for one in answer_records(self._schema, replace(self._origins[dataset], columns=rows)):
                    found[one.record.key] = one
        return found

    def close(self) -> None:
        """Forgets everything."""
        self._thread.end(self._forget)

    def _forget(self) -> None:
        for sort in self._sorts.values():
            sort.close()
        for spool in self._spools.values():
            spool.close()

    def _take(self, batch: Batch) -> None:
        rows = batch.columns
        digests = content_digests(self._schema, rows, batch.fields, self._secret)
        self._sorts[batch.dataset].add(pa.RecordBatch.from_arrays([rows.column("_id"), digests], ["_id", "_content"]))
        self._spools[batch.dataset].add(rows)


def _scope(schema: SchemaDef, grant: Grant) -> str:
    """Readers of the same rows and fields under the same masks share what is remembered."""
    if grant.row_filter is None and not grant.masks and grant.fields >= schema.fields.keys():
        return "open"
    cut = (sorted(grant.fields), sorted(grant.masks.items()), grant.agreement if grant.masks else None)
    text = repr((grant.row_filter, cut))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


async def _positions(state: Services, asked: records.Authorised, bound: str) -> dict[str, Position]:
    """Where the reader is in each dataset; nowhere where it starts."""
    since = asked.raw.cursor
    if since is None:
        return {}
    if ":" not in since:  # no character of a cursor
        return cursor_positions(state.cursor_key, since, bound)
    moment, found = moment_of(since, datetime.now(UTC)), dict[str, Position]()
    unknown, first = list[str](), list[datetime]()
    for ref in asked.refs:
        if ref.grant is not None:
            scope = _scope(asked.query.schema, ref.grant)
            step, began = await changes.step_at(state.database, ref.dataset, scope, moment)
            found[ref.dataset] = Position(step or 0, step or 0)
            if step is None:
                unknown.append(ref.dataset)
                first += [began] if began is not None else []
    if unknown:
        raise _too_early(unknown, max(first) if len(first) == len(unknown) else None)
    return found


def moment_of(text: str, now: datetime) -> datetime:
    """The time of a `since`; raises `ValidationFailed` where it is none, or lies ahead."""
    try:
        moment: datetime | None = datetime.fromisoformat(
            text.upper().replace(" ", "+")
        )  # an unescaped + of an address is a space
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise _wrong("since_malformed", "a time has its date and zone: 2026-11-20T08:00:00+07:00, or Z at its end")
    if moment > now + _MOST_AHEAD:
        raise _wrong("since_ahead", f"this time is still to come; it is {now:%Y-%m-%dT%H:%M:%SZ}")
    return moment


def _too_early(datasets: Sequence[str], first: datetime | None) -> ValidationFailed:
    """Nothing was read then: what has moved since cannot be told, least of all what is gone."""
    known = (
        f"the first reading for you ended at {first:%Y-%m-%dT%H:%M:%S.%fZ}" if first else "none was read for you yet"
    )
    advice = "ask since a later time, or without since for everything that is there"
    return _wrong("since_too_early", f"what moved since then is not known of {', '.join(datasets)}: {known}; {advice}")


def _wrong(code: str, detail: str) -> ValidationFailed:
    return ValidationFailed(f"since: {detail}", errors=[FieldError("since", code, detail)])


def short_name(dataset: str) -> str:
    """How a cursor calls a dataset. No dataset's own name begins with a dot: those of older cursors are still known."""
    return "." + base64.urlsafe_b64encode(hashlib.sha256(dataset.encode()).digest()[:6]).decode()


def packed_positions(positions: Mapping[str, Position]) -> list[list[Any]]:
    """The positions as they stand in a cursor, short: most readers are behind a whole step of each dataset."""
    return [
        [name, at.base] if (at.seq, at.key) == (at.base, "") else [name, at.base, at.seq, at.key]
        for name, at in positions.items()
    ]


def cursor_positions(key: bytes, token: str, bound: str) -> dict[str, Position]:
    """The positions that a feed gave as `next_cursor`; raises `CursorInvalid`."""
    found: list[Any] = cursor.open_token(key, _PURPOSE, bound, token)
    try:
        return dict(_position(*one) for one in found)
    except (TypeError, ValueError):
        raise CursorInvalid("this is no `since` of a change feed; start again without one") from None


def _position(name: str, base: int, seq: int | None = None, key: str = "") -> tuple[str, Position]:
    return name, Position(base, base if seq is None else seq, key)
