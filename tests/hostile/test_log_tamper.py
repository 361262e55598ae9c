"""Clock set back, publishing that fails twice, entries taken away from the end, an old checkpoint shown as the newest."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.audit.entry.record import Entry, Record, utc_text, uuid7
from app.audit.keys.files import load_verifier
from app.audit.read.tile_service import served_tile
from app.audit.tlog.checkpoint import NoteError, Signer
from app.audit.tlog.cosignatures import Cosigner
from app.audit.tlog.merkle import Frontier
from app.audit.tlog.policy import Policy, parse_policy
from app.audit.tlog.tiles import tiles_of
from app.audit.verify.checks import Finding
from app.audit.verify.source import sqlite_source
from app.audit.verify.static_tiles import check_tiles, export_tiles
from app.errors import LogBroken, LogUnavailable
from tests.support.log_instance import GATEWAY, Instance, prepare_database


@pytest.fixture(params=["sqlite", "postgres"])
def instance(request: pytest.FixtureRequest, tmp_path: Path) -> Instance:
    if request.param == "sqlite":
        return Instance(tmp_path, None)
    url = request.getfixturevalue("postgres_url")
    prepare_database(url)
    return Instance(tmp_path, url)


def action(moment: datetime | None = None) -> Record:
    facts = {} if moment is None else {"t": utc_text(moment)}
    return Record(Entry(xid=uuid7(), kind="admin", gw=GATEWAY, op="connector.publish", **facts))


async def test_hostile_12_a_clock_set_back_is_flagged_and_stops_nothing(instance):
    now = datetime.now(UTC)
    async with instance.opened(checkpoint_seconds=60) as log:
        for moment in (now, now - timedelta(hours=1), now - timedelta(hours=1) + timedelta(seconds=1), now):
            await log.append(action(moment))
            await log.checkpoint(log.size())
    found = instance.verify()
    assert (found.ok, found.size, found.checkpoints_checked >= 4) == (True, 4, True)
    assert any("older than one before them; first 1" in warning for warning in found.warnings)


async def test_hostile_13_publishing_that_fails_twice_leaves_no_tile_out(instance, monkeypatch):
    async with instance.opened(checkpoint_seconds=0.03) as log:
        store, failures = log._store, 2
        save = store.save_checkpoint

        async def failing(checkpoint, at_us, cosigned=()):
            nonlocal failures
            if failures:
                failures -= 1
                raise LogUnavailable("injected")
            return await save(checkpoint, at_us, cosigned)

        monkeypatch.setattr(store, "save_checkpoint", failing)
        await log.append_many([action() for _ in range(300)])
        async with asyncio.timeout(20):
            while log.latest_checkpoint() is None or log.latest_checkpoint().size < 300:  # noqa: ASYNC110 - no event for it
                await asyncio.sleep(0.01)
        assert (failures, log.healthy()) == (0, True)
        for tile in tiles_of(300):
            assert await served_tile(log.reader, tile)
    assert instance.verify().ok


def put_head_back(instance: Instance, size: int) -> None:
    """The head, checkpoints and details of a log whose entries from `size` on were taken away: as if they had never been."""
    leaves = [bytes(leaf) for (leaf,) in instance.rows("SELECT leaf_hash FROM log_entry ORDER BY idx")]
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    instance.rows("DELETE FROM exchange_detail WHERE idx >= $1", size)
    instance.rows("DELETE FROM log_checkpoint WHERE size > $1", size)
    head = (size, frontier.root(), frontier.pack(), b"".join(leaves))
    instance.rows("UPDATE log_head SET size = $1, root = $2, frontier = $3, tail = $4", *head)


async def test_hostile_22_entries_taken_from_the_end_with_the_head_are_refused(instance):
    async with instance.opened(checkpoint_seconds=60) as log:
        await log.append_many([action() for _ in range(10)])
        await log.checkpoint(10)
    instance.disarm()
    instance.rows("DELETE FROM log_entry WHERE idx >= 7")
    put_head_back(instance, 7)
    with pytest.raises(LogBroken, match="entries were lost or removed"):
        async with instance.opened():
            pass
    found = instance.verify()
    assert (found.ok, found.first_broken_index) == (False, 7)


LOG = Signer("simpul.jepara.example/log", bytes(32))
WITNESS = Cosigner("inspektorat.example/w1", bytes([1]) * 32)


def test_hostile_26_an_old_checkpoint_shown_as_the_newest_is_found_out_by_the_time_of_its_cosignature():
    policy = parse_policy(f"log {LOG.verifier.text()}\nwitness w {WITNESS.key.text()}\nquorum w\n")
    note, now = LOG.checkpoint(5, bytes(32)).note, int(time.time())
    text = note.partition("\n\n")[0] + "\n"
    fresh, old = note + WITNESS.cosign(text, now - 60), note + WITNESS.cosign(text, now - 7200)
    assert policy.open(fresh, fresh_since=now - 3600).size == 5
    assert policy.open(old).size == 5
    with pytest.raises(NoteError, match=r"cosigned by w, but the last time at .*: this may be an old checkpoint"):
        policy.open(old, fresh_since=now - 3600)


async def test_a_log_with_a_missing_entry_is_not_exported(tmp_path, tmp_path_factory):
    instance = Instance(tmp_path, None)
    out, key = tmp_path_factory.mktemp("out"), load_verifier(instance.folder)
    async with instance.opened(checkpoint_seconds=60) as log:
        await log.append_many([action() for _ in range(300)])
    policy = Policy(logs={key.name: key})
    with sqlite_source(instance.folder, served=False) as fetch:
        assert export_tiles(fetch, policy, out / "good").size == 300
    assert check_tiles(out / "good", policy).size == 300
    instance.disarm()
    instance.rows("DELETE FROM log_entry WHERE idx = 130")
    with (
        sqlite_source(instance.folder, served=False) as fetch,
        pytest.raises(Finding, match="entry 130 is missing"),
    ):
        export_tiles(fetch, policy, out / "bad")
    assert not (out / "bad" / "checkpoint").exists()
