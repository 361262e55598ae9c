"""How small and how quick the carrier is: ten schedules of one agent over TLS, its resident memory, and 64 MB to the inbox beside `curl -T`.

Five schedules are files (one of 64 MB, sent in parts), five are queries of 200,000 rows at a SQLite file, each in its own process.
The agent stays; after a minute all have run several times, three files having changed between. `python -m benchmarks.agent`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.integration.connectors.test_database_tls import certificate
from tests.support.agent import Office, told
from tests.support.gateway import RunningGateway

GOAL_KB = 60_000
LARGE_BYTES = 64 << 20
ROUNDS = 3
SECONDS = 45


def status_of(pid: int) -> dict[str, int]:
    """VmRSS and VmHWM of a process in kB."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
        return {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith(("VmRSS", "VmHWM"))}
    return {}


def children_of(pid: int) -> list[int]:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()]
    return []


@contextlib.contextmanager
def furnished() -> Iterator[tuple[RunningGateway, Office]]:
    folder = Path(tempfile.mkdtemp(prefix="simpul-agent-"))
    gateway = RunningGateway(folder / "instance")
    gateway.init()
    gateway.start()
    try:
        gateway.agency("dinkes")
        body = {"agency": "dinkes", "role": "steward", "name": "Agen", "id": "dinkes-agen"}
        yield gateway, Office(folder / "kantor", gateway.url, gateway.admin.post("/v1/clients", json=body).json())
    finally:
        gateway.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Tls:
    """What stands before a gateway: ends TLS with a certificate of its own authority and passes on."""

    def __init__(self, port: int, folder: Path) -> None:
        self.authority, key = certificate(folder, "localhost")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.authority, key)
        self._gateway = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            peer = self._listener.accept()[0]
            threading.Thread(target=self._pass_on, args=(peer,), daemon=True).start()

    def _pass_on(self, peer: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            self._context.wrap_socket(peer, server_side=True) as ended,
            socket.create_connection(("127.0.0.1", self._gateway)) as gateway,
        ):
            back = threading.Thread(target=self._copy, args=(gateway, ended), daemon=True)
            back.start()
            self._copy(ended, gateway)
            gateway.shutdown(socket.SHUT_WR)
            back.join(60)

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := source.recv(65536):
                target.sendall(content)


def fill(office: Office) -> None:
    """Ten schedules."""
    schedules = []
    for number in range(5):
        large = number == 0
        content = b"kode,isi\n" + (os.urandom(LARGE_BYTES // 2).hex().encode() if large else b"1,%d\n" % number)
        (office.folder / f"f{number}.csv").write_bytes(content)
        schedules.append(
            {"name": f"f{number}", "file": f"f{number}.csv", "to": "{name}", "every": "10s", "settle": "0s"}
        )
    with contextlib.closing(sqlite3.connect(office.folder / "isi.db")) as database:
        database.execute("CREATE TABLE isi (kode INTEGER, nama TEXT, nilai REAL)")
        rows = ((number, f"Puskesmas {number}", number / 7) for number in range(200_000))
        database.executemany("INSERT INTO isi VALUES (?, ?, ?)", rows)
        database.commit()
    for number in range(5):
        query = {"database": "sqlite:///isi.db", "query": f"SELECT *, {number} AS nomor FROM isi"}
        schedules.append({"name": f"q{number}", **query, "to": "{name}", "every": "10s"})
    office.write(*schedules)


def staying(office: Office) -> None:
    """Memory of the agent while its schedules run again and again."""
    agent = office.start("run")
    highest = children = samples = 0
    ends = time.monotonic() + SECONDS
    changes = iter((10, 20, 30))
    change = next(changes)
    while time.monotonic() < ends:
        highest = max(highest, status_of(agent.pid).get("VmRSS", 0))
        children = max([children, *(status_of(child).get("VmHWM", 0) for child in children_of(agent.pid))])
        samples += 1
        if time.monotonic() > ends - SECONDS + change:
            (office.folder / f"f{change // 10}.csv").write_text(f"kode,isi\n1,{change}\n", "utf-8")
            change = next(changes, 10_000)
        time.sleep(0.05)
    found = status_of(agent.pid)
    agent.send_signal(signal.SIGTERM)
    code = agent.wait(timeout=15)
    events = [line["event"] for line in office.lines()]
    print(
        f"ten schedules for {SECONDS} s: {events.count('sent')} sent, {events.count('unchanged')} unchanged, "
        f"{events.count('failed')} failed; exit code {code}"
    )
    print(
        f"agent: VmRSS {found['VmRSS']:,} kB at the end, {highest:,} kB at most of {samples} looks, VmHWM {found['VmHWM']:,} kB"
    )
    print(f"process of a query (short-lived): VmHWM {children:,} kB at most")
    verdict = "held" if found["VmHWM"] < GOAL_KB else "MISSED"
    print(f"goal < {GOAL_KB:,} kB for the agent: {verdict} ({found['VmHWM'] / GOAL_KB:.2f} of it)")


def beside_curl(gateway: RunningGateway, office: Office) -> None:
    """64 MB of new bytes, sent by the agent in parts and by curl in one request, by turns."""
    file, token = office.folder / "baru.csv", gateway.admin.headers["authorization"]
    office.write({"name": "baru", "file": "baru.csv", "to": "baru.csv", "every": "1h", "settle": "0s"})
    taken: dict[str, list[float]] = {"agent": [], "curl": []}
    for _ in range(ROUNDS):
        for name, times in taken.items():
            file.write_bytes(b"kode,isi\n" + os.urandom(LARGE_BYTES // 2).hex().encode())
            began = time.perf_counter()
            if name == "agent":
                done = office.run("once")
                assert told(done.stderr)[-1]["event"] == "sent", done.stderr
            else:
                url = f"{gateway.url}/v1/agencies/dinkes/files/baru.csv"
                command = ["curl", "-sSf", "-o", "/dev/null", "-T", str(file), "-H", f"authorization: {token}", url]
                subprocess.run(command, check=True)
            times.append(time.perf_counter() - began)
    best = {name: min(times) for name, times in taken.items()}
    for name, seconds in best.items():
        print(
            f"64 MB by {name}: {seconds:.2f} s, {LARGE_BYTES / seconds / 1e6:,.0f} MB/s (best of {ROUNDS}; with start, digest and token)"
        )
    print(f"agent : curl = {best['agent'] / best['curl']:.2f}")


def main() -> None:
    with furnished() as (gateway, office):
        before = Tls(gateway.port, gateway.folder)
        plain = dict(office.gateway)
        office.gateway |= {"url": before.url, "ca_file": str(before.authority)}
        fill(office)
        staying(office)
        office.gateway = plain
        beside_curl(gateway, office)


if __name__ == "__main__":
    main()
