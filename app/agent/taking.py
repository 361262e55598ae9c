"""What a schedule sends now: the files that its pattern names, or the result of its query, made by a process of its own."""

from __future__ import annotations

import glob
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.agent.config import Query, Schedule
from app.agent.faults import AgentFault, Stopping
from app.agent.state import StateFolder

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "APPDATA")
_SETTLE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Taken:
    """A file on this machine and the path of the inbox that it goes to."""

    file: Path
    to: str


def files_of(schedule: Schedule) -> list[Taken]:
    """The files of a schedule now; raises `AgentFault` where there is none."""
    pattern = str(schedule.file)
    if glob.has_magic(pattern):
        matching = glob.glob(pattern, recursive=True)  # noqa: PTH207 - the pattern may be absolute, on any drive
        found = [Path(name) for name in sorted(matching) if Path(name).is_file()]
        if not found:
            raise AgentFault(
                "file", "file_missing", f"no file matches {pattern}", "check the schedule's file, or who writes it"
            )
        if schedule.pick == "newest":
            found = [max(found, key=lambda file: (file.stat().st_mtime_ns, file.name))]
    else:
        found = [Path(pattern)]
    return [Taken(file, schedule.to.replace("{name}", file.name)) for file in found]


def settled(file: Path, seconds: float, sleep: Callable[[float], None], stopping: Callable[[], bool]) -> None:
    """Waits until a file was not written to for so long; raises `AgentFault` (`file_busy`) when that takes more than a minute."""
    ends = time.monotonic() + _SETTLE_SECONDS + seconds
    while True:
        try:
            age = time.time() - file.stat().st_mtime
        except OSError:
            return  # who takes its digest tells why
        if not 0 <= age < seconds:
            return
        if stopping():
            raise Stopping
        if time.monotonic() > ends:
            raise AgentFault(
                "file",
                "file_busy",
                f"{file} is written to all the time",
                'send a copy that is written once, or set settle = "0s"',
            )
        sleep(min(seconds - age, 1.0))


def result_of(
    schedule: Schedule, state: StateFolder, stopping: Callable[[], bool], *, most: int | None = None
) -> tuple[Taken, int]:
    """The result of a schedule's query as a file, and its rows. `most`: only so many rows, to see whether it works."""
    query = schedule.query
    if query is None:
        raise AssertionError
    target = state.result(schedule.name, query.format if most is None else "trial")
    rows = run_query(query, target, stopping, most)
    return Taken(target, schedule.to.replace("{name}", f"{schedule.name}.{query.format}")), rows


def run_query(query: Query, target: Path, stopping: Callable[[], bool], most: int | None) -> int:
    """Runs a query in a process of its own, which is ended with this one or when its time is over."""
    password = None if query.password is None else query.password.read()
    asked = json.dumps(
        {
            "database": query.database,
            "password": password,
            "query": query.text,
            "format": query.format,
            "target": str(target),
            "most": most,
        }
    )
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(entry for entry in sys.path if entry)
    command = [sys.executable, "-m", "app.agent.query"]
    with subprocess.Popen(  # noqa: S603 - this program
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
    ) as child:
        try:
            said = _said(child, asked, time.monotonic() + query.timeout, stopping)
        except BaseException:
            child.kill()
            raise
    if child.returncode != 0 or "rows" not in said:
        code, detail = str(said.get("code", "query_failed")), str(said.get("detail", "the process of the query ended"))
        advice = str(said.get("advice", "see whether this machine has memory left; try the query by hand"))
        raise AgentFault("query", code, detail, advice)
    return int(said["rows"])


def _said(child: subprocess.Popen[str], asked: str, ends: float, stopping: Callable[[], bool]) -> dict[str, Any]:
    given: str | None = asked
    while True:
        try:
            out, _ = child.communicate(given, timeout=0.5)
            found = json.loads(out) if out else {}
            return found if isinstance(found, dict) else {}
        except subprocess.TimeoutExpired:
            given = None
            if stopping():
                raise Stopping from None
            if time.monotonic() > ends:
                raise AgentFault(
                    "query", "query_too_slow", "the query took longer than its timeout",
                    "raise the schedule's timeout, or make the query faster (an index, fewer rows)",
                ) from None  # fmt: skip
        except ValueError:
            return {}
