"""The log at its edges: a flush that fails over a tail that was changed, a clock set back, an entry that is one byte too large."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
import pytest

from app.access.keys import KeySet
from app.access.tokens import TokenIssuer
from app.audit.entry.record import ENTRY_BYTES, Record
from app.audit.store.sqlite import SqliteLogStore
from app.audit.write.prepare import prepare
from app.errors import EntryTooLarge, LogUnavailable, TokenInvalid
from tests.contract.audit.test_recovery_sqlite import Faults, action, faults, until_healthy
from tests.hostile.test_log_tamper import action as at
from tests.hostile.test_log_tamper import put_head_back
from tests.support.log_instance import ORIGIN, Instance, prepare_database
from tests.unit.access.making import make_client, make_state
from tests.unit.access.test_tokens import BASE, make_key

__all__ = ["faults"]


@pytest.fixture
def embedded(tmp_path: Path) -> Instance:
    return Instance(tmp_path, None)


@pytest.fixture(params=["sqlite", "postgres"])
def instance(request: pytest.FixtureRequest, tmp_path: Path) -> Instance:
    if request.param == "sqlite":
        return Instance(tmp_path, None)
    url = request.getfixturevalue("postgres_url")
    prepare_database(url)
    return Instance(tmp_path, url)


@pytest.mark.parametrize("lost", ["rows", "rows and head"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_hostile_04_after_a_failed_flush_nothing_is_acknowledged_until_the_tail_fits_the_checkpoint(
    embedded: Instance, faults: Faults, lost: str
) -> None:
    """Rows that are gone do not fit the head; gone with their head they make an older log, which only what was signed betrays."""
    store = SqliteLogStore(embedded.folder, ORIGIN, vfs="faulty")
    async with embedded.opened(store, checkpoint_seconds=0.02) as log:
        await log.append_many([action() for _ in range(5)])
        await log.checkpoint(5)
        faults.failing[("-wal", "sync")] = apsw.IOError
        for _ in range(10):
            with pytest.raises(LogUnavailable):
                await log.append(action())
            await asyncio.sleep(0.02)
        assert faults.hits
        assert not log.healthy()
        embedded.disarm()  # what the disk gives back is not what was flushed
        embedded.rows("DELETE FROM log_entry WHERE idx >= 3")
        if lost == "rows and head":
            put_head_back(embedded, 3)
        faults.failing.clear()
        for _ in range(20):
            with pytest.raises(LogUnavailable):
                await log.append(action())
            await asyncio.sleep(0.05)
        assert not log.healthy()
        assert str(log.last_error()).startswith("log_broken")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_hostile_04_a_tail_that_fits_goes_on_where_it_stood(embedded: Instance, faults: Faults) -> None:
    async with embedded.opened(SqliteLogStore(embedded.folder, ORIGIN, vfs="faulty")) as log:
        kept = [await log.append(action()) for _ in range(3)]
        faults.failing[("-wal", "sync")] = apsw.IOError
        with pytest.raises(LogUnavailable):
            await log.append(action())
        faults.failing.clear()
        await until_healthy(log)
        kept.append(await log.append(action()))
    stored = dict(embedded.rows("SELECT idx, id FROM log_entry"))
    assert all(stored[found.idx] == found.id for found in kept)
    assert embedded.verify().ok


def test_hostile_12_tokens_keep_their_windows_when_the_clock_goes_back_an_hour() -> None:
    now = [1_781_500_000.0]
    key = replace(make_key(), created_at=datetime.fromtimestamp(now[0], UTC) - timedelta(hours=3))
    client = make_client()
    issuer = TokenIssuer(BASE, clock=lambda: now[0])
    issuer.install(KeySet((key,)), make_state(clients=(client,)))
    before = issuer.issue(client)
    now[0] -= 3600.0
    with pytest.raises(TokenInvalid, match="future"):
        issuer.verify(before.text)
    during = issuer.issue(client)
    assert issuer.verify(during.text).client_id == client.id
    now[0] += 3600.0
    assert issuer.verify(before.text).client_id == client.id
    with pytest.raises(TokenInvalid, match="expired"):
        issuer.verify(during.text)


async def test_hostile_12_checkpoints_go_by_size_whatever_the_clock_says(instance: Instance) -> None:
    now = datetime.now(UTC)
    async with instance.opened(checkpoint_seconds=60) as log:
        signed = []
        for hours in (0, -1, 2, -30):
            await log.append(at(now + timedelta(hours=hours)))
            signed.append(await log.checkpoint(log.size()))
        assert [found.size for found in signed] == [1, 2, 3, 4]
        assert log.latest_checkpoint() == signed[-1]
    assert instance.verify(since=signed[0].note).ok


async def test_hostile_28_an_entry_that_is_a_byte_too_large_never_gets_into_the_log(instance: Instance) -> None:
    def sized(schemas: int, characters: int) -> Record:
        """Schemas cannot move into the detail, as longer lists of fields do."""
        made = action()
        names = tuple(f"skema_dengan_nama_{number:05}" for number in range(schemas))
        return replace(made, entry=replace(made.entry, schemas=names, basis="x" * characters))

    async with instance.opened(checkpoint_seconds=60) as log:
        await log.append(action())
        bytes_of = lambda made: len(prepare(made, log.subject_keys, log.seals).entry)  # noqa: E731
        many = (ENTRY_BYTES - bytes_of(sized(1, 1))) // (bytes_of(sized(2, 1)) - bytes_of(sized(1, 1)))
        fits = sized(many, 1 + ENTRY_BYTES - bytes_of(sized(many, 1)))
        assert bytes_of(fits) == ENTRY_BYTES
        beyond = replace(fits, entry=replace(fits.entry, basis=f"{fits.entry.basis}x"))
        for large in (beyond, sized(65_536 // 26, 1)):
            with pytest.raises(EntryTooLarge):
                await log.append_many([action(), large])
        assert log.healthy()
        assert log.size() == 1
        assert (await log.append(fits)).idx == 1
    assert [idx for (idx,) in instance.rows("SELECT idx FROM log_entry ORDER BY idx")] == [0, 1]
    assert instance.verify().ok
