"""The commands of the agent: `init`, `run`, `once`, `check`, `status`. Light: nothing of the gateway is imported."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final

from app.agent.checking import check, status
from app.agent.config import Config, load
from app.agent.faults import AgentFault, ConfigWrong
from app.agent.gateway import Connection
from app.agent.runner import Runner
from app.agent.sample import SAMPLE
from app.agent.state import StateFolder

WELL, FAILED, WRONG, IN_USE = 0, 1, 2, 3
"""Exit codes: all went well; something failed; the command or its configuration is wrong; another agent works there."""
_FILE = "simpul-agent.toml"
COMMANDS: Final = {
    "init": "Write a configuration with comments; never overwrites one.",
    "run": "Stay, and push each schedule when it is due.",
    "once": "Push all schedules (or those named) now, and end: for cron and the Task Scheduler.",
    "check": "Try every step without sending anything: configuration, gateway, token, permission, files, queries.",
    "status": "Show the last push of each schedule, its error, and when it is due.",
}
"""Each command and what it does."""


def main(arguments: Sequence[str]) -> int:
    """Runs one command; its exit code. What it writes is for this user alone."""
    os.umask(0o077)
    asked = _parser().parse_args(arguments)
    try:
        return int(asked.run(asked))
    except ConfigWrong as wrong:
        for fault in wrong.faults:
            print(f"error: {fault}", file=sys.stderr)  # noqa: T201 - the command's output
        return WRONG
    except AgentFault as fault:
        print(f"error: {fault.detail}; {fault.advice}", file=sys.stderr)  # noqa: T201 - the command's output
        return IN_USE if fault.code == "state_in_use" else FAILED


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="simpul agent", description="Pushes files and results of queries into the agency's inbox, on a schedule."
    )
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        one = commands.add_parser(name, help=text, description=text)
        one.add_argument("config", type=Path, nargs="?", default=Path(_FILE), help=f"the configuration ({_FILE})")
        one.set_defaults(run=_RUN[name])
        if name == "once":
            one.add_argument("names", nargs="*", metavar="NAME", help="schedules; all when none is named")
        if name in {"check", "status"}:
            one.add_argument("--json", action="store_true", help="machine-readable output")
    return made


def _init(asked: argparse.Namespace) -> int:
    try:
        with asked.config.open("x", encoding="utf-8") as out:
            out.write(SAMPLE)
    except FileExistsError:
        raise ConfigWrong([f"{asked.config} is there already, and is never overwritten"]) from None
    except OSError as error:
        raise ConfigWrong([f"{asked.config} cannot be written: {error.strerror}"]) from None
    _say(f"wrote {asked.config}; fill it in, then: simpul agent check {asked.config}")
    return WELL


def _run(asked: argparse.Namespace) -> int:
    config = load(asked.config)
    with StateFolder(config.state).locked():
        runner = _runner(config)
        runner.stay()
    return WELL


def _once(asked: argparse.Namespace) -> int:
    config = load(asked.config)
    known = {schedule.name: schedule for schedule in config.schedules}
    unknown = [name for name in asked.names if name not in known]
    if unknown:
        raise ConfigWrong([f"no schedule is named {name!r}; there are: {', '.join(known)}" for name in unknown])
    chosen = tuple(schedule for name, schedule in known.items() if not asked.names or name in asked.names)
    with StateFolder(config.state).locked():
        return WELL if _runner(config).once(chosen) else FAILED


def _runner(config: Config) -> Runner:
    runner = Runner(config, Connection(config.gateway))

    def stop(_number: int, _frame: FrameType | None) -> None:
        runner.stop()

    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), stop)
    return runner


def _check(asked: argparse.Namespace) -> int:
    config = load(asked.config)
    well, told = True, []
    for one in check(config, Connection(config.gateway)):
        well = well and one.fault is None
        told.append(one.document())
        if asked.json:
            continue
        if one.fault is None:
            _say(f"ok    {one.step}: {one.found}")
        else:
            _say(f"FAIL  {one.step}: {one.fault.detail} ({one.fault.code})\n      do: {one.fault.advice}")
    if asked.json:
        _say(json.dumps({"ok": well, "steps": told}, ensure_ascii=False, indent=2))
    return WELL if well else FAILED


def _status(asked: argparse.Namespace) -> int:
    told = status(load(asked.config))
    if asked.json:
        _say(json.dumps({"schedules": told}, ensure_ascii=False, indent=2))
        return WELL
    for one in told:
        _say(_shown(one))
    return WELL


def _shown(one: dict[str, Any]) -> str:
    last, error, under_way = one["last"], one["error"], one["under_way"]
    lines = [f"{one['schedule']}: nothing sent yet"]
    if last is not None:
        lines = [
            f"{one['schedule']}: {last['outcome']} {last['at']}, {last['bytes']} bytes to {last['to']}, version {last['version']}",
            f"  sha256 {last['sha256']}",
        ]
        if last["exchange"] is not None:
            lines.append(
                f"  sent {last['sent_at']} as exchange {last['exchange']}; receipt: {last['receipt'] or 'ask an auditor'}"
            )
    if under_way is not None:
        lines.append(f"  under way: {under_way['bytes']} bytes to {under_way['to']}")
    if error is not None:
        lines.append(
            f"  FAILED {error['at']} at {error['step']}: {error['detail']} ({error['code']}), {one['failures']} in a row"
        )
        lines.append(f"  do: {error['advice']}")
    return "\n".join([*lines, f"  next: {one['next_at']}"])


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the command's output


_RUN: Final = {"init": _init, "run": _run, "once": _once, "check": _check, "status": _status}
