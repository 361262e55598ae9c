"""An agent, or a gateway, that is killed in mid-upload: the upload goes on from its offset, and the bytes are equal."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent import Line, Office, ended, line_to, told, until
from tests.support.gateway import RunningGateway

Inbox = Callable[[str], bytes]
PIECE = 256 << 10
CONTENT = b"kode,nilai\n" + b"".join(b"%d,%s\n" % (number, os.urandom(40).hex().encode()) for number in range(24_000))


@pytest.fixture
def line(gateway: RunningGateway) -> Iterator[Line]:
    with line_to(gateway.port) as made:
        yield made


@pytest.fixture
def far(line: Line, client: dict[str, Any], tmp_path: Path) -> Office:
    """An office whose line to the gateway can be held, with a file of 2 MB to send."""
    made = Office(tmp_path / "jauh", line.url, client)
    made.agent["piece"] = "256KiB"
    (made.folder / "besar.csv").write_bytes(CONTENT)
    return made


def schedule(to: str) -> dict[str, str]:
    return {"name": "besar", "file": "besar.csv", "to": to, "every": "1h", "settle": "0s"}


def offset(gateway: RunningGateway, office: Office) -> int:
    """How much of the upload under way stands at the gateway."""
    upload = office.remembered("besar")["pending"]["upload"].rsplit("/", 1)[1]
    part = gateway.folder / "agencies" / "dinkes" / "inbox" / ".incoming" / f"{upload}.part"
    return part.stat().st_size


def test_an_agent_that_is_killed_goes_on_from_the_offset(
    gateway: RunningGateway, far: Office, line: Line, inbox: Inbox
) -> None:
    far.write(schedule("agen-mati.csv"))
    line.hold_after(5 * PIECE // 2)
    agent = far.start("once")
    until(lambda: line.held)
    ended(agent, signal.SIGKILL)
    line.open()
    until(lambda: offset(gateway, far) > PIECE)
    time.sleep(0.3)
    there, passed = offset(gateway, far), line.passed
    assert PIECE < there < len(CONTENT)
    done = far.run("once")

    assert done.returncode == 0, done.stderr
    lines = told(done.stderr)
    assert [one["event"] for one in lines] == ["upload_resumed", "sent"]
    assert lines[0]["offset"] == there
    assert line.passed - passed < len(CONTENT) - there + 20_000
    assert inbox("agen-mati.csv") == CONTENT


def test_a_gateway_that_is_killed_is_waited_for_and_gone_on_with(
    gateway: RunningGateway, far: Office, line: Line, inbox: Inbox
) -> None:
    far.write(schedule("gerbang-mati.csv"))
    line.hold_after(5 * PIECE // 2)
    agent = far.start("once")
    until(lambda: line.held)
    gateway.kill()
    there = offset(gateway, far)
    line.open()
    gateway.start()
    assert agent.wait(timeout=60) == 0, far.lines()

    assert PIECE < there < len(CONTENT)
    events = [one["event"] for one in far.lines()]
    assert "trying_again" in events
    assert events[-1] == "sent"
    assert line.passed < len(CONTENT) + 3 * PIECE
    assert inbox("gerbang-mati.csv") == CONTENT


def test_an_agent_that_is_asked_to_end_does_so_within_seconds_and_goes_on_later(
    gateway: RunningGateway, far: Office, line: Line, inbox: Inbox
) -> None:
    far.write(schedule("diminta.csv"))
    line.hold_after(5 * PIECE // 2)
    agent = far.start("run")
    until(lambda: line.held)
    began = time.monotonic()
    assert ended(agent) == 0
    assert time.monotonic() - began < 5
    assert far.lines()[-1]["event"] == "stopped"
    assert far.remembered("besar")["error"] is None
    line.open()
    done = far.run("once")

    assert told(done.stderr)[0]["event"] == "upload_resumed"
    assert inbox("diminta.csv") == CONTENT


def test_a_file_that_changes_while_it_is_sent_is_sent_anew_and_never_mixed(
    gateway: RunningGateway, far: Office, line: Line, inbox: Inbox
) -> None:
    far.write(schedule("berubah.csv"))
    line.hold_after(5 * PIECE // 2)
    agent = far.start("once")
    until(lambda: line.held)
    other = CONTENT[:11] + bytes(reversed(CONTENT[11:]))
    (far.folder / "besar.csv").write_bytes(other)
    line.open()
    assert agent.wait(timeout=60) == 0, far.lines()

    assert [one["event"] for one in far.lines()] == ["file_changed", "sent"]
    assert inbox("berubah.csv") == other
    assert (
        not (gateway.folder / "agencies/dinkes/inbox/.versions/berubah.csv").exists()
        or len(list((gateway.folder / "agencies/dinkes/inbox/.versions/berubah.csv").iterdir())) == 1
    )


def test_a_file_that_changed_between_two_runs_is_not_gone_on_with(
    far: Office, line: Line, inbox: Inbox, gateway: RunningGateway
) -> None:
    far.write(schedule("antara.csv"))
    line.hold_after(5 * PIECE // 2)
    agent = far.start("once")
    until(lambda: line.held)
    ended(agent, signal.SIGKILL)
    line.open()
    old = far.remembered("besar")["pending"]["upload"]
    (far.folder / "besar.csv").write_bytes(CONTENT[:-100])
    done = far.run("once")

    assert done.returncode == 0, done.stderr
    assert inbox("antara.csv") == CONTENT[:-100]
    incoming = gateway.folder / "agencies" / "dinkes" / "inbox" / ".incoming"
    assert not list(incoming.glob(f"{old.rsplit('/', 1)[1]}*"))


def test_an_upload_whose_last_answer_was_lost_is_not_sent_again(
    far: Office, line: Line, inbox: Inbox, gateway: RunningGateway
) -> None:
    far.write(schedule("jawaban.csv"))
    assert far.run("once").returncode == 0
    state = far.folder / "agen.state" / "besar.json"
    known = far.remembered("besar")
    incoming = gateway.folder / "agencies" / "dinkes" / "inbox" / ".incoming"
    uploads = {file.stem: file for file in incoming.glob("*.json") if '"jawaban.csv"' in file.read_text("utf-8")}
    name = next(iter(uploads))
    pending = {
        "to": "jawaban.csv", "sha256": known["last"]["sha256"], "size": len(CONTENT),
        "upload": f"/v1/agencies/dinkes/uploads/{name}",
    }  # fmt: skip
    state.write_text(json.dumps({"pending": pending}), "utf-8")
    passed = line.passed
    done = far.run("once")

    assert done.returncode == 0, done.stderr
    assert line.passed - passed < 10_000
    assert far.status()["besar"]["last"]["exchange"] == known["last"]["exchange"]
    uploads[name].unlink()
    state.write_text(json.dumps({"pending": pending}), "utf-8")
    done = far.run("once")
    assert [one["event"] for one in told(done.stderr)] == ["upload_lost", "sent"]
    assert line.passed - passed < 20_000
    assert inbox("jawaban.csv") == CONTENT


def test_the_result_of_a_query_goes_on_too_and_is_not_made_again(far: Office, line: Line, inbox: Inbox) -> None:
    with contextlib.closing(sqlite3.connect(far.folder / "isi.db")) as database:
        database.execute("CREATE TABLE isi (nomor INTEGER, teks TEXT)")
        database.executemany(
            "INSERT INTO isi VALUES (?, ?)", ((number, os.urandom(40).hex()) for number in range(24_000))
        )
        database.commit()
    query = {
        "database": "sqlite:///isi.db",
        "query": "SELECT * FROM isi ORDER BY nomor",
        "to": "kueri.csv",
        "every": "1h",
    }
    far.write({"name": "besar", **query})
    line.hold_after(5 * PIECE // 2)
    agent = far.start("once")
    until(lambda: line.held)
    result = (far.folder / "agen.state" / "results" / "besar.csv").read_bytes()
    ended(agent, signal.SIGKILL)
    line.open()
    with contextlib.closing(sqlite3.connect(far.folder / "isi.db")) as database:
        database.execute("DELETE FROM isi WHERE nomor > 10")
        database.commit()
    first, second = far.run("once"), far.run("once")

    assert [one["event"] for one in told(first.stderr)] == ["upload_resumed", "sent"]
    assert [one["event"] for one in told(second.stderr)] == ["query_done", "sent"]
    assert result.count(b"\n") == 24_001
    assert told(first.stderr)[1]["sha256"] == hashlib.sha256(result).hexdigest()
    assert inbox("kueri.csv").count(b"\n") == 12


def test_a_query_under_way_ends_with_its_agent(far: Office) -> None:
    sqlite3.connect(far.folder / "ada.db").close()
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS i FROM n"
    far.write({"name": "lama", "database": "sqlite:///ada.db", "query": endless, "to": "a.csv", "every": "1h"})
    agent = far.start("run")
    children = Path(f"/proc/{agent.pid}/task/{agent.pid}/children")
    until(lambda: children.read_text("utf-8").split())
    child = int(children.read_text("utf-8").split()[0])
    began = time.monotonic()
    assert ended(agent) == 0

    assert time.monotonic() - began < 5
    assert not Path(f"/proc/{child}").exists()
