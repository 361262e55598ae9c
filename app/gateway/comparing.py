"""Comparing a whole dataset with what is remembered of it: key by key, in bounded memory, writing only what moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from app.catalog import changes
from app.database import Database
from app.lanes import in_bulk

MOST_MOVED = 100_000
"""Where more records of a dataset move at once, nobody says under which key one that is gone goes on."""
_RUN_ROWS = 256

Now = Callable[[], AsyncGenerator[pa.RecordBatch]]
"""Gives the whole dataset (`_id`, `_content`) in the order of the keys' bytes, each time that it is called."""


class Piece(NamedTuple):
    """Some records of one side in key order. What is remembered of a record that is gone has no content."""

    keys: list[str]
    contents: list[bytes | None]


class Move(NamedTuple):
    """A record that moved: its content before and now, None where it was or is not there."""

    key: str
    before: bytes | None
    now: bytes | None


async def remember(database: Database, feed: int, now: Now) -> int:
    """Compares the whole dataset with what is remembered; returns the last step.

    What moved is written in pieces that no reader sees before the step ends: the store is never held for long. What a broken
    comparison left is given by the next one.
    """
    last = await changes.last_step(database, feed)
    moves = Moves()
    async with aclosing(_known(database, feed, last, moves)) as marks, aclosing(_seen(now)) as given:
        known, current = Ahead(marks), Ahead(given)
        await known.fill()
        await current.fill()
        waiting: list[Move] = []
        while known.left or current.left:
            found = await in_bulk(moves_of, known, current)
            moves.take(found)
            waiting += found
            if len(waiting) >= changes.PIECE_ROWS:
                await _write(database, feed, waiting)
                waiting = []
            await known.fill()
            await current.fill()
        await _write(database, feed, waiting)
    if last and not moves.any:  # the first step is one also where there is nothing
        return last
    if moves.gone:
        async with aclosing(now()) as blocks:
            async for block in blocks:
                await in_bulk(moves.count, block)
        await changes.name_heirs(database, feed, moves.heirs())
    return await changes.end_step(database, feed)


async def _write(database: Database, feed: int, moved: list[Move]) -> None:
    """What is gone keeps the digest that it had."""
    await changes.write(database, feed, [(key, there is not None, there or was or b"") for key, was, there in moved])


async def _known(database: Database, feed: int, last: int, moves: Moves) -> AsyncGenerator[Piece]:
    async with aclosing(changes.remembered(database, feed)) as parts:
        async for part in parts:
            moves.any = moves.any or max(seq for _, _, seq in part) > last  # a broken comparison left it
            yield Piece([key for key, _, _ in part], [content for _, content, _ in part])


async def _seen(now: Now) -> AsyncGenerator[Piece]:
    async with aclosing(now()) as blocks:
        async for block in blocks:
            yield await in_bulk(_piece, block)


def _piece(block: pa.RecordBatch) -> Piece:
    keys: list[Any] = block.column("_id").to_pylist()
    return Piece(keys, block.column("_content").to_pylist())


class Ahead:
    """The next of one side, in key order."""

    def __init__(self, parts: AsyncGenerator[Piece]) -> None:
        self._parts = parts
        self.piece, self.at, self.ended = Piece([], []), 0, False

    @property
    def left(self) -> int:
        """How many records are held."""
        return len(self.piece.keys) - self.at

    async def fill(self) -> None:
        """Reads on where nothing is held."""
        while not self.left and not self.ended:
            part = await anext(self._parts, None)
            self.piece, self.at, self.ended = part or Piece([], []), 0, part is None

    def run(self, rows: int) -> Piece:
        """The next so many records."""
        end = self.at + rows
        return Piece(self.piece.keys[self.at : end], self.piece.contents[self.at : end])


def moves_of(known: Ahead, current: Ahead) -> list[Move]:
    """What moved of the keys that neither side can add to any more; both sides go on behind them."""
    found: list[Move] = []
    while (known.left or known.ended) and (current.left or current.ended) and (known.left or current.left):
        both = min(known.left, current.left, _RUN_ROWS)
        if both and known.run(both) == current.run(both):
            known.at, current.at = known.at + both, current.at + both
        else:
            _step_by_step(known, current, both or _RUN_ROWS, found)
    return found


def _step_by_step(known: Ahead, current: Ahead, steps: int, found: list[Move]) -> None:
    (old_keys, old_contents), (new_keys, new_contents) = known.piece, current.piece
    one, other = known.at, current.at
    for _ in range(steps):
        old = old_keys[one] if one < len(old_keys) else None
        new = new_keys[other] if other < len(new_keys) else None
        if (old is None and not known.ended) or (new is None and not current.ended) or (old is None and new is None):
            break
        before = now = None
        if new is None or (old is not None and old <= new):
            before, one = old_contents[one], one + 1
        if old is None or (new is not None and new <= old):
            now, other = new_contents[other], other + 1
        if before != now:
            found.append(Move(old if now is None else new, before, now))  # type: ignore[arg-type]
    known.at, current.at = one, other


class Moves:
    """What moved in a step, and the keys under which gone records go on: exactly one record held this content before, and exactly
    one, a new one, does now.

    What a reader sees of few fields is often the same for many records: then nobody can say which of them goes on where.
    """

    def __init__(self, most: int = MOST_MOVED) -> None:
        self.any = False
        self._most, self._many = most, False
        self._moves: list[Move] = []
        self._now, self._values = Counter[bytes](), pa.array([], pa.binary())

    @property
    def gone(self) -> bool:
        """Whether it may be said of any record that is gone where it goes on."""
        return any(move.now is None for move in self._moves)

    def take(self, moves: list[Move]) -> None:
        """Notes what moved; where it is too much, only that something did."""
        self.any = self.any or bool(moves)
        if not self._many:
            self._moves += moves
        if len(self._moves) > self._most:
            self._moves, self._many = [], True

    def count(self, block: pa.RecordBatch) -> None:
        """Counts who holds the contents of what is gone now."""
        contents = block.column("_content")
        if not len(self._values):
            self._values = pa.array(sorted({move.before for move in self._moves if move.now is None}), contents.type)  # type: ignore[type-var]
        found: list[Any] = contents.filter(pc.is_in(contents, value_set=self._values)).to_pylist()
        self._now.update(found)

    def heirs(self) -> dict[str, str]:
        """By the key of what is gone."""
        before, heirs = self._now.copy(), dict[bytes, str]()
        for move in self._moves:
            if move.now is not None:
                before[move.now] -= 1
                if move.before is None:
                    heirs[move.now] = move.key
            if move.before is not None:
                before[move.before] += 1
        return {
            move.key: heirs[move.before]
            for move in self._moves
            if move.before is not None
            and move.now is None
            and move.before in heirs
            and before[move.before] == self._now[move.before] == 1
        }
