"""A gateway's log in a process of its own, under load from 16 writers, made to be killed.

Each acknowledged entry is written to FOLDER/acknowledged before anything else happens: the oracle. With `fork` it stays
ready and forks one such process for every line on its standard input, so that a round takes no start of an interpreter.
`python -m tests.support.log_child run|fork FOLDER URL-or-dash`
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from secrets import token_hex

from app.audit.entry.record import Entry, Gateway, Record, Subject, uuid7
from app.audit.store.postgres import PostgresLogStore
from app.audit.store.sqlite import SqliteLogStore
from app.audit.write.log import ExchangeLog
from app.errors import LogError, SimpulError
from app.telemetry import configure_command

ORIGIN = "simpul.jepara.example/log"
WRITERS = 16
REFUSED_PAUSE_SECONDS = 0.02


async def serve(folder: Path, url: str) -> None:
    name = "gw-1" if url == "-" else f"gw-1-{os.getpid()}-{token_hex(8)}"  # as a gateway names itself
    gateway = Gateway(name, "simpul 0.1.0")
    store = SqliteLogStore(folder, ORIGIN) if url == "-" else PostgresLogStore(url, ORIGIN, name)
    log = await ExchangeLog.open(store, folder, origin=ORIGIN, gateway=gateway, checkpoint_seconds=0.03)
    acknowledged = os.open(folder / "acknowledged", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    refused = os.open(folder / "refused", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def write(worker: int) -> None:
        while True:
            xid = uuid7()
            for kind in ("intent", "outcome"):
                entry = Entry(xid=xid, kind=kind, gw=gateway, op="lookup", schemas=("wilayah",))
                record = Record(entry, {"worker": worker}, (Subject("nik", xid, "asked"),))
                try:
                    done = await log.append(record)
                except LogError as error:
                    os.write(refused, f"{error.code}\n".encode())
                    await asyncio.sleep(REFUSED_PAUSE_SECONDS)
                    break
                os.write(acknowledged, f"{done.idx} {done.id}\n".encode())

    print("ready", flush=True)  # noqa: T201 - the parent waits for this word
    await asyncio.gather(*(write(worker) for worker in range(WRITERS)))


def run(folder: Path, url: str) -> None:
    try:
        asyncio.run(serve(folder, url))
    except SimpulError as error:
        print(f"{error.code}: {error.detail}", flush=True)  # noqa: T201 - as above
        sys.exit(3)


def main() -> None:
    configure_command()  # stdout is for the words that the parent waits for
    mode, folder, url = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    if mode == "run":
        run(folder, url)
        return
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            run(folder, url)
            os._exit(0)
        print(child, flush=True)  # noqa: T201 - as above
        os.waitpid(child, 0)
        print("gone", flush=True)  # noqa: T201 - as above


if __name__ == "__main__":
    main()
