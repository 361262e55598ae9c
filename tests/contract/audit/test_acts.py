"""Acts of operators become entries once: by several replicas at once, after a kill in between, when a replica stopped."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.audit.acts import TAKEN_FOR, Act, ActsEntered, noted, operator_act
from app.audit.entry.record import Gateway
from app.audit.write.log import ExchangeLog
from app.database import STORE_FILE, Database
from app.errors import StoreUnavailable
from app.gateway.exchange import Names
from tests.support.log_instance import Instance

NAMES = Names("ID-JEPARA", Gateway("gw-1", "simpul 0.1.0"))
ACTS = 130


@pytest.fixture
async def store(instance: Instance) -> AsyncIterator[Database]:
    """The store beside the log, with the table of acts."""
    if instance.url is None:
        (instance.folder / STORE_FILE).touch()
    database = Database.open(instance.settings)
    async with database.begin() as connection:
        await connection.run_sync(operator_act.create)
    yield database
    await database.close()


async def note(store: Database, count: int, agency: str | None = "dinkes") -> None:
    async with store.begin() as connection:
        for number in range(count):
            await connection.execute(noted(Act("client.create", "simpul user create", {"number": number}, agency)))


async def left(store: Database) -> int:
    async with store.read() as connection:
        return int((await connection.execute(sa.select(sa.func.count()).select_from(operator_act))).scalar_one())


async def entries(log: ExchangeLog) -> Counter[tuple[str, str]]:
    return Counter((str(xid), str(kind)) for xid, kind in await log.reader.fetch("SELECT xid, kind FROM log_entry"))


async def enter_all(store: Database, log: ExchangeLog, replica: str) -> int:
    acts, count = ActsEntered(store, log, replica), 0
    while found := await acts.enter(NAMES):
        count += found
    return count


async def test_two_replicas_enter_each_act_once(instance: Instance, store: Database) -> None:
    await note(store, ACTS)
    async with instance.opened(gateway=Gateway("gw-1", "1")) as one:
        if instance.url is None:
            done = await asyncio.gather(enter_all(store, one, "gw-1"), enter_all(store, one, "gw-2"))
        else:
            async with instance.opened(gateway=Gateway("gw-2", "1")) as two:
                done = await asyncio.gather(enter_all(store, one, "gw-1"), enter_all(store, two, "gw-2"))
        found = await entries(one)

    assert sum(done) == ACTS
    assert await left(store) == 0
    assert Counter(kind for _, kind in found) == {"intent": ACTS, "admin": ACTS}
    assert set(found.values()) == {1}
    verified = instance.verify()
    assert (verified.ok, verified.warnings) == (True, ())


async def test_an_act_that_was_entered_and_not_forgotten_is_not_entered_again(
    instance: Instance, store: Database
) -> None:
    """As after a kill between the two: the store refuses to forget, then it does not any more."""
    await note(store, 3)
    async with store.begin() as connection:
        await keep_rows(connection)
    async with instance.opened() as log:
        with pytest.raises((StoreUnavailable, sa.exc.SQLAlchemyError)):
            await ActsEntered(store, log, "gw-1").enter(NAMES)
        assert (await left(store), len(await entries(log))) == (3, 2)
        async with store.begin() as connection:
            await let_rows_go(connection)
        assert await ActsEntered(store, log, "gw-1").enter(NAMES) == 3
        found = await entries(log)

    assert await left(store) == 0
    assert len(found) == 6
    assert set(found.values()) == {1}


async def keep_rows(connection: AsyncConnection) -> None:
    if connection.dialect.name == "sqlite":
        await connection.execute(
            sa.text("CREATE TRIGGER keep BEFORE DELETE ON operator_act BEGIN SELECT RAISE(ABORT, 'kept'); END")
        )
        return
    await connection.execute(
        sa.text("CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''kept''; END'")
    )
    await connection.execute(
        sa.text("CREATE TRIGGER keep BEFORE DELETE ON operator_act FOR EACH ROW EXECUTE FUNCTION keep()")
    )


async def let_rows_go(connection: AsyncConnection) -> None:
    on = "" if connection.dialect.name == "sqlite" else " ON operator_act"
    await connection.execute(sa.text(f"DROP TRIGGER keep{on}"))


@pytest.mark.parametrize(("ago", "entered"), [(timedelta(seconds=1), 0), (TAKEN_FOR + timedelta(seconds=5), 2)])
async def test_what_another_replica_took_is_its_own_until_it_must_have_stopped(
    instance: Instance, store: Database, ago: timedelta, entered: int
) -> None:
    await note(store, 2)
    async with store.begin() as connection:
        taken: dict[str, Any] = {"taken_by": "gw-dead", "taken_at": datetime.now(UTC) - ago}
        await connection.execute(sa.update(operator_act).values(**taken))
    async with instance.opened() as log:
        assert await ActsEntered(store, log, "gw-1").enter(NAMES) == entered
        assert len(await entries(log)) == 2 * entered


async def test_an_agency_that_no_entry_could_name_stands_in_the_detail_alone(
    instance: Instance, store: Database
) -> None:
    await note(store, 1, agency="dinas / kesehatan")
    async with instance.opened() as log:
        assert await ActsEntered(store, log, "gw-1").enter(NAMES) == 1
        assert len(await entries(log)) == 2
