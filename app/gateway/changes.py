"""The change feed: each dataset is read as a list would be, compared with what is remembered, and what moved is given.

The records are cut to the grant before they are compared, and readers of the same cut share what is remembered: a hidden field
tells nothing, not that it changed and not by it which record goes on under another key.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from app.catalog import changes
from app.catalog.changes import Moved, Position
from app.errors import AggregateTooLarge, CursorInvalid
from app.federation.question import cursor
from app.federation.question.binder import RawQuery, query_hash
from app.federation.question.query import Answer, AnswerRecord, DatasetRef, Grant
from app.gateway import records
from app.gateway.exchange import Exchange, ReadOutcome
from app.gateway.services import Services
from app.schemas.registry import SchemaDef

MOST_RECORDS = 100_000
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
    answer: Answer


async def feed(state: Services, exchange: Exchange, schema: SchemaDef, raw_of: Callable[[], RawQuery]) -> Feed:
    """What moved since the cursor of `raw`; without one everything that is there."""
    asked = records.authorise(state, exchange, schema, "changes", raw_of)
    bound = query_hash(asked.query, records.policy_of(asked.decisions))
    positions = _positions(state, asked.raw.cursor, bound)
    whole = replace(asked.query, limit=MOST_RECORDS, sort=(), fields=None)
    answer = await records.run(state, exchange, whole, asked.refs)
    if answer.after is not None:
        detail = f"more than {MOST_RECORDS} records would have to be compared; name agencies"
        raise AggregateTooLarge(detail, limit_rows=MOST_RECORDS)
    held: dict[str, dict[str, AnswerRecord]] = {}
    for found in answer.records:
        held.setdefault(found.dataset, {})[found.record.key] = found
    answered = {status.dataset for status in answer.sources if status.status in _ANSWERED}
    items, more, secret = list[Change](), False, hmac.digest(state.cursor_key, b"changes", "sha256")
    for ref in asked.refs:
        if ref.grant is None or ref.dataset not in answered:
            continue  # its position stays: what it owes comes when it is back
        room, mine = asked.query.limit - len(items), held.get(ref.dataset, {})
        given, positions[ref.dataset], left = await _of_dataset(
            state, ref, ref.grant, mine, positions.get(ref.dataset, Position()), room, secret
        )
        items += given
        more = more or left
    since = cursor.make_token(
        state.cursor_key, "changes", bound, [[name, at.base, at.seq, at.key] for name, at in positions.items()]
    )
    exchange.answered(ReadOutcome(len(items)))
    return Feed(items, since, more, answer)


async def _of_dataset(
    state: Services,
    ref: DatasetRef,
    grant: Grant,
    held: Mapping[str, AnswerRecord],
    position: Position,
    room: int,
    secret: bytes,
) -> tuple[list[Change], Position, bool]:
    """The visible changes of one dataset, the position behind them, and whether there are more."""
    schema = ref.source.schema
    scope, values = _scope(schema, grant), {key: found.record.values for key, found in held.items()}
    key_fields = schema.meta.key
    items: list[Change] = []
    async with state.database.begin() as connection:
        last = await changes.remember(connection, ref.dataset, scope, values, key_fields=key_fields, secret=secret)
        while True:
            found = await changes.moved_since(connection, ref.dataset, scope, position, changes.BATCH_ROWS)
            for moved in found:
                if not moved.present and position.base == 0:  # who starts now never had it
                    position = replace(position, seq=moved.seq, key=moved.key)
                    continue
                if len(items) >= room:
                    return items, position, True
                items.append(Change(ref.agency, ref.dataset, moved, held.get(moved.key) if moved.present else None))
                position = replace(position, seq=moved.seq, key=moved.key)
            if len(found) < changes.BATCH_ROWS:
                return items, Position(last, last, ""), False


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
