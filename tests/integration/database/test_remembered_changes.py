"""What is remembered of a dataset, on both stores: one look where nothing moved, a step with its time where something did."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import SecretStr
from sqlalchemy import insert

from app.catalog import changes, tables
from app.catalog.changes import Position
from app.database import Database, upgrade
from app.gateway.comparing import remember
from app.settings import Settings

NAME, SCOPE = "dinkes-faskes", "open"


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A store that knows one connector."""
    url = SecretStr(request.getfixturevalue("postgres_url")) if request.param == "postgresql" else None
    settings = Settings(dir=tmp_path, database_url=url)
    upgrade(settings)
    opened, now = Database.open(settings), datetime.now(UTC)
    times = {"created_at": now, "updated_at": now}
    async with opened.begin() as connection:
        lists = {"network_allow": [], "env_allow": [], "disabled": False}
        agency = {"id": "dinkes", "name": "Dinkes", "member_class": "GOV", **lists}
        await connection.execute(insert(tables.agency).values(**agency, **times))
        row = {"id": NAME, "agency": "dinkes", "state": "published", "latest_revision": 1}
        await connection.execute(insert(tables.connector).values(**row, **times))
    yield opened
    await opened.close()


class Dataset:
    """Contents of records by key, and how often they were gone through."""

    def __init__(self, **records: str) -> None:
        self.records, self.looks = records, 0

    async def now(self) -> AsyncGenerator[pa.RecordBatch]:
        self.looks += 1
        keys, contents = sorted(self.records), [self.records[key].encode().ljust(16) for key in sorted(self.records)]
        for start in range(0, len(keys), 3):
            part = slice(start, start + 3)
            arrays = [pa.array(keys[part], pa.string()), pa.array(contents[part], pa.binary(16))]
            yield pa.RecordBatch.from_arrays(arrays, ["_id", "_content"])


async def moved(
    database: Database, feed: int, position: Position, last: int, most: int = 100
) -> list[tuple[str, bool, str | None]]:
    async with database.read() as connection:
        found = await changes.moved_since(connection, feed, position, last, most)
    return [(one.key, one.present, one.new_key) for one in found]


async def test_a_look_at_what_did_not_move_is_one_and_writes_nothing(database: Database) -> None:
    dataset = Dataset(A="Satu", B="Dua")
    feed = await changes.feed_of(database, NAME, SCOPE)
    first = await remember(database, feed, dataset.now)
    dataset.looks = 0
    again = await remember(database, feed, dataset.now)
    assert (first, again, dataset.looks) == (1, 1, 1)

    dataset.records = {"A": "Satu", "C": "Dua"}
    assert await remember(database, feed, dataset.now) == 2
    assert await moved(database, feed, Position(1, 1, ""), 2) == [("B", False, "C"), ("C", True, None)]
    assert await remember(database, feed, dataset.now) == 2
    assert await changes.feed_of(database, NAME, SCOPE) == feed


async def test_what_moved_is_given_from_any_position_in_byte_order(database: Database) -> None:
    keys = ["A", "B", "Z", "a", "b", "é", "\U0001f600"]
    feed = await changes.feed_of(database, NAME, SCOPE)
    dataset = Dataset(**dict.fromkeys(keys, "x"))
    assert await remember(database, feed, dataset.now) == 1
    for index, key in enumerate(keys):
        found = await moved(database, feed, Position(0, 1, key), 1)
        assert [one[0] for one in found] == keys[index + 1 :]
    del dataset.records["Z"]
    dataset.records["a"] = "y"
    assert await remember(database, feed, dataset.now) == 2
    assert await moved(database, feed, Position(0, 1, "A"), 2, 4) == [
        ("B", True, None),
        ("b", True, None),
        ("é", True, None),
        ("\U0001f600", True, None),
    ]
    assert await moved(database, feed, Position(1, 2, "Z"), 2) == [("a", True, None)]
    assert await moved(database, feed, Position(0, 1, "\U0001f600"), 1) == []


async def test_what_a_broken_comparison_left_is_seen_when_the_next_one_ends(database: Database) -> None:
    dataset = Dataset(A="Satu", B="Dua", C="Tiga")
    feed = await changes.feed_of(database, NAME, SCOPE)
    await remember(database, feed, dataset.now)
    dataset.records |= {"B": "lain", "D": "Empat"}
    await changes.write(database, feed, [("B", True, b"lain".ljust(16))])
    assert await changes.last_step(database, feed) == 1
    assert await moved(database, feed, Position(1, 1, ""), 1) == []

    del dataset.records["D"]  # nothing else has moved
    assert await remember(database, feed, dataset.now) == 2
    assert await moved(database, feed, Position(1, 1, ""), 2) == [("B", True, None)]


async def test_a_time_is_the_last_step_that_was_found_by_then(database: Database) -> None:
    async def at(moment: datetime) -> int | None:
        return (await changes.step_at(database, NAME, SCOPE, moment))[0]

    assert await changes.step_at(database, NAME, SCOPE, datetime.now(UTC)) == (None, None)
    assert await at(datetime.now(UTC) - timedelta(days=1)) == 0  # it was registered since: it had no records then
    before, dataset = datetime.now(UTC), Dataset()
    feed = await changes.feed_of(database, NAME, SCOPE)
    times = list[datetime]()
    for content in ("Satu", "Dua", "Tiga"):
        await remember(database, feed, dataset.now)
        times.append(datetime.now(UTC))
        dataset.records["A"] = content
    assert await at(before) is None
    assert [await at(moment) for moment in times] == [1, 2, 3]
    first = (await changes.step_at(database, NAME, SCOPE, before))[1]
    assert first is not None
    assert before <= first <= times[0]
    assert await at(first) == 1


async def test_a_clock_that_went_back_hides_no_step(database: Database) -> None:
    feed = await changes.feed_of(database, NAME, SCOPE)
    now = datetime.now(UTC)
    async with database.begin() as connection:
        for seq, minutes in ((1, 1), (2, 10), (3, 5)):
            row = {"feed": feed, "seq": seq, "found_at": now + timedelta(minutes=minutes)}
            await connection.execute(insert(tables.change_step).values(**row))
    found = [(await changes.step_at(database, NAME, SCOPE, now + timedelta(minutes=at)))[0] for at in (1, 6, 11)]

    assert found == [1, 1, 3]
