"""`simpul agent run`: what is due is pushed, missed times once, failures with pauses, in little memory, one agent a folder."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent import ROOT, Office, bare, ended, told, until
from tests.support.gateway import RunningGateway
from tests.support.ports import free_port

Inbox = Callable[[str], bytes]
MOST_KB = 50_000
"""Of resident memory: the goal is 60 MB with ten schedules."""
HEAVY = (
    "aiohttp", "duckdb", "fastapi", "httpx", "numpy", "orjson", "pandas", "psycopg", "pyarrow", "pydantic", "pymysql", "rich",
    "sqlalchemy", "starlette", "structlog", "typer", "asyncio", "logging", "email.mime", "urllib.request",
)  # fmt: skip


def remember(office: Office, schedule: str, **state: Any) -> None:
    folder = office.folder / "agen.state"
    folder.mkdir(exist_ok=True)
    (folder / f"{schedule}.json").write_text(json.dumps(state), "utf-8")


def memory_kb(pid: int, what: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(what)))


def test_ten_schedules_stay_small_and_push_what_changes(office: Office, inbox: Inbox) -> None:
    office.agent["piece"] = "256KiB"
    (office.folder / "besar.csv").write_bytes(b"kode\n" + b"x" * 3_000_000)
    schedules: list[dict[str, Any]] = [
        {"name": "besar", "file": "besar.csv", "to": "tetap/besar.csv", "every": "10s", "settle": "0s"}
    ]
    for number in range(5):
        (office.folder / f"f{number}.csv").write_text(f"kode\n{number}\n", "utf-8")
        schedules.append(
            {"name": f"f{number}", "file": f"f{number}.csv", "to": "tetap/{name}", "every": "10s", "settle": "0s"}
        )
    sqlite3.connect(office.folder / "ada.db").close()
    for number in range(4):
        query = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {20_000 + number}) SELECT i FROM n"
        schedules.append(
            {"name": f"q{number}", "database": "sqlite:///ada.db", "query": query, "to": "tetap/{name}", "every": "10s"}
        )
    office.write(*schedules)
    agent = office.start("run")
    try:
        until(lambda: len({line["to"] for line in office.lines() if line["event"] == "sent"}) == 10)
        assert [line for line in office.lines() if line["event"] == "failed"] == []
        (office.folder / "f3.csv").write_text("kode\nbaru\n", "utf-8")
        until(lambda: b"baru" in inbox("tetap/f3.csv"))
        highest, present = memory_kb(agent.pid, "VmHWM"), memory_kb(agent.pid, "VmRSS")
    finally:
        assert ended(agent) == 0

    assert len(schedules) == 10
    assert max(highest, present) < MOST_KB
    assert inbox("tetap/q3.csv").count(b"\n") == 20_004


@pytest.mark.parametrize(
    "start", ["from app.agent.commands import main; main(given)", "from app.cli.entry import main; main()"]
)
def test_nothing_of_the_gateway_is_loaded(office: Office, start: str) -> None:
    (office.folder / "faskes.csv").write_text("kode\n1\n", "utf-8")
    office.write({"name": "faskes", "file": "faskes.csv", "to": "muat.csv", "every": "1h", "settle": "0s"})
    code = (
        f"import sys\nsys.argv = ['simpul', 'agent', 'once', {str(office.config)!r}]\ngiven = sys.argv[2:]\n"
        f"try:\n    {start}\nexcept SystemExit:\n    pass\nprint(*sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=bare(), capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.splitlines()[-1].split())

    assert told(done.stderr)[0]["event"] == "sent"
    assert [name for name in HEAVY if name in loaded] == []
    own = {name for name in loaded if name.startswith("app.")}
    assert {name for name in own if not name.startswith("app.agent")} <= {"app.cli", "app.cli.entry"}


def test_times_that_were_missed_count_once(office: Office) -> None:
    (office.folder / "a.csv").write_text("kode\n1\n", "utf-8")
    one = {"file": "a.csv", "settle": "0s"}
    office.write(
        {"name": "harian", "to": "lewat/harian.csv", "at": "06:00", **one},
        {"name": "sering", "to": "lewat/sering.csv", "every": "1h", **one},
        {"name": "besok", "to": "lewat/besok.csv", "at": "06:00", **one},
        {"name": "jam", "to": "lewat/jam.csv", "every": "1h", **one},
    )
    now = time.time()
    remember(office, "harian", next_at=now - 9 * 86_400)
    remember(office, "sering", next_at=now - 9 * 86_400)
    remember(office, "jam", next_at=now + 40 * 86_400)  # a clock that was wrong
    agent = office.start("run")
    until(lambda: len([line for line in office.lines() if line["event"] == "sent"]) == 3)
    time.sleep(1.5)
    assert ended(agent) == 0

    sent = [line["schedule"] for line in office.lines() if line["event"] in {"sent", "unchanged"}]
    assert sorted(sent) == ["harian", "jam", "sering"]
    assert now + 3500 < office.remembered("sering")["next_at"] < now + 3700
    assert now < office.remembered("harian")["next_at"] < now + 86_400
    assert office.status()["besok"]["last"] is None


def test_failures_are_tried_again_with_pauses(office: Office) -> None:
    (office.folder / "a.csv").write_text("kode\n1\n", "utf-8")
    office.gateway["url"] = f"http://127.0.0.1:{free_port()}"
    office.write({"name": "a", "file": "a.csv", "to": "a.csv", "every": "15m", "settle": "0s"})
    began = time.time()
    agent = office.start("run")
    until(lambda: any(line["event"] == "failed" for line in office.lines()))
    time.sleep(2)
    assert ended(agent) == 0

    known = office.remembered("a")
    assert (known["error"]["step"], known["error"]["code"], known["failures"]) == ("connect", "unreachable", 1)
    assert began + 7 < known["retry_at"] < began + 40
    assert len([line for line in office.lines() if line["event"] == "failed"]) == 1


def test_a_credential_that_is_refused_is_not_tried_in_a_loop(gateway: RunningGateway, office: Office) -> None:
    (office.folder / "a.csv").write_text("kode\n1\n", "utf-8")
    (office.folder / "rahasia.txt").write_text("salah\n", "utf-8")
    office.write({"name": "a", "file": "a.csv", "to": "a.csv", "every": "10s", "settle": "0s"})
    began = time.time()
    agent = office.start("run")
    until(lambda: any(line["event"] == "failed" for line in office.lines()))
    assert ended(agent) == 0

    known = office.remembered("a")
    assert (known["error"]["step"], known["error"]["code"]) == ("token", "invalid_client")
    assert known["retry_at"] > began + 440
    assert [line["event"] for line in office.lines()] == ["started", "failed", "stopped"]


def test_what_the_gateway_refuses_waits_for_the_next_time(office: Office) -> None:
    (office.folder / "a.pdf").write_bytes(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    office.write({"name": "a", "file": "a.pdf", "to": "a.pdf", "every": "1h", "settle": "0s"})
    began = time.time()
    office.run("once")

    assert began + 3590 < office.remembered("a")["retry_at"] < began + 3630


def test_one_agent_a_folder(office: Office) -> None:
    (office.folder / "a.csv").write_text("kode\n1\n", "utf-8")
    office.write({"name": "a", "file": "a.csv", "to": "satu.csv", "every": "1h", "settle": "0s"})
    agent = office.start("run")
    until(lambda: any(line["event"] == "sent" for line in office.lines()))
    second = office.run("once")
    shown = office.run("status")
    assert ended(agent) == 0

    assert (second.returncode, shown.returncode) == (3, 0)
    assert "another agent" in second.stderr
    assert office.run("once").returncode == 0


def test_a_state_that_a_power_cut_broke_counts_as_none(office: Office, inbox: Inbox) -> None:
    (office.folder / "a.csv").write_text("kode\n1\n", "utf-8")
    office.write({"name": "a", "file": "a.csv", "to": "rusak.csv", "every": "1h", "settle": "0s"})
    for text in ('{"last": {', "", "[]", '{"x": 1}'):
        (office.folder / "agen.state").mkdir(exist_ok=True)
        (office.folder / "agen.state" / "a.json").write_text(text, "utf-8")
        assert office.run("status").returncode == 0
        done = office.run("once")
        assert told(done.stderr)[-1]["event"] == "sent", done.stderr
    assert inbox("rusak.csv") == b"kode\n1\n"


def test_its_folder_alone_sends_files_with_nothing_installed(office: Office, inbox: Inbox, tmp_path: Path) -> None:
    alone = tmp_path / "alone" / "app"
    shutil.copytree(ROOT / "app" / "agent", alone / "agent", ignore=shutil.ignore_patterns("__pycache__"))
    (alone / "__init__.py").write_text("", "utf-8")
    sqlite3.connect(office.folder / "ada.db").close()
    (office.folder / "a.csv").write_text("kode\n1\n", "utf-8")
    office.write(
        {"name": "a", "file": "a.csv", "to": "sendiri/a.csv", "every": "1h", "settle": "0s"},
        {
            "name": "b",
            "database": "sqlite:///ada.db",
            "query": "SELECT 1 AS kode",
            "to": "sendiri/b.csv",
            "every": "1h",
        },
    )
    done = subprocess.run(
        [sys.executable, "-S", "-m", "app.agent", "once", str(office.config)],
        check=False, cwd=alone.parent, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert inbox("sendiri/a.csv") == inbox("sendiri/b.csv") == b"kode\n1\n"
