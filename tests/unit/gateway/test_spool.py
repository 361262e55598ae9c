"""Bytes of an answer before their release: in memory while few, else unreadable on disk; bounded; gone when closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from app.audit.entry.commitments import commit_body
from app.errors import AnswerTooLarge, QuotaExceeded
from app.gateway.answers import AnswerForm, FinishedAnswer
from app.gateway.spool import KEY_BYTES, Spool, read_spooled
from app.gateway.storage import Storage

TEXT = b"NIK 3320010101800001\n" * 40
Made = Callable[..., Spool]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    """Makes spools of few bytes that go to disk at once, and closes them."""
    spools: list[Spool] = []

    def make(folder: Path = tmp_path, **means: Any) -> Spool:
        spools.append(Spool(folder, **{"memory_bytes": 0, "most_bytes": 10_000, **means}))
        return spools[-1]

    yield make
    for spool in spools:
        spool.close()


def spooled(spool: Spool) -> bytes:
    return b"".join(spool.chunks())


def test_few_bytes_stay_in_memory_and_touch_no_disk(made: Made, tmp_path: Path):
    spool = made(tmp_path / "absent", memory_bytes=len(TEXT))
    assert spool.write(TEXT) == len(TEXT)

    assert spooled(spool) == TEXT
    assert spool.tell() == len(TEXT)


def test_hostile_58_more_bytes_go_to_disk_in_the_order_they_came_with_those_before(made: Made, tmp_path: Path):
    storage = Storage(tmp_path, reserve_bytes=0, spool_bytes=1_000_000)
    spool = made(memory_bytes=10, room=storage.room("a"))
    spool.write(b"first ")
    assert storage.used == 0
    for part in (b"second ", b"", memoryview(b"third")):
        spool.write(part)

    assert spooled(spool) == b"first second third"
    assert storage.used == spool.size == 18


def test_an_answer_can_be_read_twice_and_written_on_in_between(made: Made):
    spool = made()
    spool.write(b"a")
    assert spooled(spool) == b"a"
    spool.write(b"b")

    assert [spooled(spool), spooled(spool)] == [b"ab", b"ab"]


def test_a_file_without_name_shows_in_no_folder(made: Made, tmp_path: Path):
    spool = made()
    spool.write(TEXT)
    spool.flush()

    assert list(tmp_path.iterdir()) == []


def test_the_bytes_on_disk_tell_nothing(made: Made, tmp_path: Path):
    path = tmp_path / "job.bin"
    spool = made(memory_bytes=10_000, path=path)
    spool.write(TEXT)
    spool.flush()

    written = path.read_bytes()
    assert len(written) == len(TEXT)
    assert b"NIK" not in written
    assert written[:20] != written[21:41]


def test_a_named_file_stays_when_closed_and_its_key_alone_reads_it(made: Made, tmp_path: Path):
    path = tmp_path / "job.bin"
    spool = made(memory_bytes=10_000, path=path)
    spool.write(TEXT)
    spool.close()

    assert b"".join(read_spooled(path, spool.key)) == TEXT
    assert b"".join(read_spooled(path, bytes(KEY_BYTES))) != TEXT


def test_two_answers_never_share_a_key(made: Made):
    spools = [made() for _ in range(20)]

    assert len({spool.key for spool in spools}) == 20
    assert all(len(spool.key) == KEY_BYTES and spool.key is spool.key for spool in spools)


def test_the_same_text_looks_different_in_every_file(made: Made, tmp_path: Path):
    for name in ("a", "b"):
        spool = made(path=tmp_path / name)
        spool.write(TEXT)
        spool.close()

    assert (tmp_path / "a").read_bytes() != (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("memory_bytes", [0, 100])
def test_an_answer_at_its_limit_passes_and_one_byte_more_does_not(made: Made, memory_bytes: int):
    spool = made(memory_bytes=memory_bytes, most_bytes=20)
    spool.write(b"x" * 20)
    with pytest.raises(AnswerTooLarge) as caught:
        spool.write(b"y")

    assert caught.value.facts["limit_bytes"] == 20
    assert spooled(spool) == b"x" * 20


def test_a_client_without_room_is_told_and_what_it_took_is_given_back_when_the_answer_is_closed(
    made: Made, tmp_path: Path
):
    storage = Storage(tmp_path, reserve_bytes=0, spool_bytes=100)
    spool = made(room=storage.room("a"))
    spool.write(b"x" * 75)
    with pytest.raises(QuotaExceeded):
        spool.write(b"x")
    spool.close()

    assert storage.used == 0


def test_a_closed_answer_is_forgotten_and_closing_twice_is_no_fault(made: Made):
    answer = FinishedAnswer(made(), True, 1, AnswerForm("csv"))
    answer.spool.write(TEXT)
    answer.spool.close()
    answer.spool.close()

    assert answer.spool.closed
    assert (answer.spool.size, spooled(answer.spool)) == (0, b"")
    assert not answer.form.indonesian


@pytest.mark.parametrize("memory_bytes", [0, 5, 1000])
def test_hostile_58_digest_and_commitment_are_those_of_all_that_was_written(made: Made, memory_bytes: int) -> None:
    spool = made(memory_bytes=memory_bytes)
    for part in (b"abc", b"", b"defghi", b"j"):
        spool.write(part)
    digest, commitment = spool.sealed()
    assert digest == sha256(b"abcdefghij").digest()
    assert commitment.hexdigest() == commit_body(commitment.salt, b"abcdefghij")
    assert spool.sealed()[0] == digest


@pytest.mark.parametrize("memory_bytes", [0, 5_000])
@pytest.mark.parametrize("kind", ["B", "b", "q"])
def test_whatever_holds_bytes_is_taken(made: Made, memory_bytes: int, kind: str) -> None:
    spool, held = made(memory_bytes=memory_bytes), memoryview(bytearray(TEXT)).cast("B").cast(kind)

    assert spool.write(held) == len(TEXT) == spool.tell()
    held.cast("B")[:3] = b"..."  # the writer may use its memory again
    assert spooled(spool) == TEXT
