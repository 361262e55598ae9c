"""A throw-away MariaDB server on loopback for one worker of a test run; it dies with the process that started it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from tests.support.ports import free_port

Gone = pymysql.err.MySQLError
PASSWORD = "uji-4f9c1e"
USER = "simpul"
START_SECONDS = 60


@contextlib.contextmanager
def running_server() -> Iterator[int]:
    """The port of a server with the user `simpul`, who may do everything."""
    daemon, install = shutil.which("mariadbd") or "/usr/sbin/mariadbd", shutil.which("mariadb-install-db")
    if install is None or not Path(daemon).is_file():
        pytest.fail("MariaDB (server) is needed by this test: `make servers` installs it or says what to install")
    folder = Path(tempfile.mkdtemp(prefix="simpul-mariadb-"))
    prefix = ["setpriv", "--pdeathsig=TERM"]
    if os.geteuid() == 0:
        shutil.chown(folder, "mysql", "mysql")
        prefix += ["--reuid=mysql", "--regid=mysql", "--clear-groups"]
    place = f"--datadir={folder / 'data'}"
    options = ["--no-defaults", place, "--skip-test-db", "--auth-root-authentication-method=normal"]
    # Each has a folder of its own for what passes: a server that starts removes such files of all others from a shared one.
    passing = {**os.environ, "TMPDIR": str(folder)}
    made = subprocess.run([*prefix, install, *options], check=False, capture_output=True, timeout=120, env=passing)
    if made.returncode:
        said = (made.stdout + made.stderr).decode("utf-8", "replace")[-2000:]
        raise RuntimeError(f"mariadb-install-db ended with {made.returncode}: {said}")
    (folder / "init.sql").write_text(
        f"CREATE USER {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\nGRANT ALL ON *.* TO {USER}@'127.0.0.1' WITH GRANT OPTION;\n"
    )
    (folder / "init.sql").chmod(0o644)
    port = free_port()
    command = [*prefix, daemon, "--no-defaults", place, f"--port={port}", "--bind-address=127.0.0.1"]
    command += [f"--socket={folder / 'server.sock'}", f"--init-file={folder / 'init.sql'}", "--skip-log-bin"]
    command += ["--innodb-buffer-pool-size=64M", "--character-set-server=utf8mb4", "--skip-name-resolve"]
    with (
        (folder / "server.log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env=passing) as server,
    ):
        try:
            _wait(port, server, folder / "server.log")
            yield port
        finally:
            server.terminate()
            server.wait(30)
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def fresh_database(port: int) -> Iterator[str]:
    """The name of an empty database that exists as long as the context."""
    name = f"test_{uuid.uuid4().hex}"
    with contextlib.closing(admin(port)) as session, session.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
        yield name
        cursor.execute(f"DROP DATABASE {name}")


def admin(port: int, database: str | None = None) -> pymysql.connections.Connection:
    """A session of the user `simpul`."""
    return pymysql.connect(
        host="127.0.0.1", port=port, user=USER, password=PASSWORD, database=database, autocommit=True, charset="utf8mb4"
    )


def _wait(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and server.poll() is None:
        with contextlib.suppress(pymysql.err.MySQLError):
            admin(port).close()
            return
        time.sleep(0.1)
    pytest.fail(f"MariaDB did not start:\n{log.read_text('utf-8', 'replace')}")
