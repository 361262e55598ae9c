"""Who may use how much of the disk: a client has a share, all have a limit, the log's reserve is nobody's."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import QuotaExceeded, SourceFailed, SourceTooLarge
from app.gateway.storage import AgencyShare, Storage, StorageFull

MEBIBYTE = 1 << 20
MORE_THAN_ANY_DISK = 1 << 62


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path, reserve_bytes=0, spool_bytes=1000)


def test_one_client_takes_three_quarters_and_not_a_byte_more(storage: Storage):
    storage.take("a", 750)
    with pytest.raises(QuotaExceeded) as caught:
        storage.take("a", 1)

    assert (caught.value.facts["limit_bytes"], caught.value.retry_after_seconds) == (750, 5)
    assert storage.used == 750


def test_all_clients_together_take_what_there_is(storage: Storage):
    storage.take("a", 700)
    storage.take("b", 300)
    with pytest.raises(StorageFull) as caught:
        storage.take("c", 1)

    assert caught.value.code == "storage_full"
    assert caught.value.facts["limit_bytes"] == 1000


def test_what_is_given_back_may_be_taken_again_by_anybody(storage: Storage):
    storage.take("a", 700)
    storage.take("b", 300)
    storage.give("a", 700)
    storage.take("c", 700)

    assert storage.used == 1000


def test_the_reserve_of_the_log_is_not_for_answers(tmp_path: Path):
    storage = Storage(tmp_path, reserve_bytes=MORE_THAN_ANY_DISK, spool_bytes=1000)
    with pytest.raises(StorageFull) as caught:
        storage.room("a").take(1)

    assert caught.value.retryable
    assert caught.value.facts["limit_bytes"] == MORE_THAN_ANY_DISK
    assert storage.used == 0


def test_a_piece_that_would_reach_into_the_reserve_is_refused_before_it_is_counted(tmp_path: Path):
    storage = Storage(tmp_path, reserve_bytes=0, spool_bytes=MORE_THAN_ANY_DISK)
    storage.check_free(1)
    with pytest.raises(StorageFull):
        storage.check_free(MORE_THAN_ANY_DISK)
    with pytest.raises(StorageFull):
        storage.room("a").take(1 << 61)

    assert storage.used == 0


def test_the_disk_is_looked_at_again_after_a_mebibyte(tmp_path: Path):
    storage = Storage(tmp_path, reserve_bytes=0, spool_bytes=100 * MEBIBYTE)
    room = storage.room("a")
    room.take(1)
    storage._reserve_bytes = MORE_THAN_ANY_DISK
    room.take(MEBIBYTE - 1)
    with pytest.raises(StorageFull):
        room.take(1)

    assert storage.used == MEBIBYTE


class CountingStorage(Storage):
    """Counts how often the disk was looked at."""

    looks = 0

    def check_free(self, more: int) -> None:
        self.looks += 1
        super().check_free(more)


def test_small_pieces_look_at_the_disk_once_a_mebibyte_and_not_each(tmp_path: Path):
    storage = CountingStorage(tmp_path, reserve_bytes=0, spool_bytes=100 * MEBIBYTE)
    room = storage.room("a")
    for _ in range(4 * 16):
        room.take(MEBIBYTE // 16)

    assert storage.looks == 4


def test_two_answers_of_one_client_share_its_room_and_each_gives_back_its_own_once(storage: Storage):
    first, second = storage.room("a"), storage.room("a")
    first.take(400)
    second.take(300)
    with pytest.raises(QuotaExceeded):
        second.take(100)
    first.give_back()
    first.give_back()

    assert storage.used == 300
    second.give_back()
    assert storage.used == 0


def test_room_that_was_given_back_may_be_used_again(storage: Storage):
    room = storage.room("a")
    room.take(10)
    room.give_back()
    room.take(20)

    assert storage.used == 20


def test_copies_of_an_agency_take_its_share_and_nothing_of_the_logs_reserve(tmp_path: Path, storage: Storage):
    share = AgencyShare(storage, 1000)
    share.take(600)
    with pytest.raises(SourceTooLarge, match="take 600 of 1000 bytes") as caught:
        share.take(401)
    share.give(600)
    share.take(1000)

    assert (caught.value.facts["field"], share.used, storage.used) == ("/source/location", 1000, 0)
    full = AgencyShare(Storage(tmp_path, reserve_bytes=MORE_THAN_ANY_DISK, spool_bytes=1), 1000)
    with pytest.raises(SourceFailed, match="kept for the exchange log"):
        full.take(1)
    assert full.used == 0
