"""A database or file that breaks in mid-read, at every door: it is named, the others answer, nothing is complete, nothing stays open.

PostgreSQL and MariaDB stand behind a proxy that resets, hangs or trickles; a function in the condition of their views does at one row
what `faults` says. Which doors are tried in the short run rotates from fault to fault; the whole table is `slow`.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.integration.api.conftest import facility_manifest
from tests.support import mariadb
from tests.support.gateway import RunningGateway
from tests.support.proxy import FaultyProxy
from tests.support.questions import DOORS, Said, doors, said

DEADLINES = {"postgresql": "800ms", "mariadb": "800ms", "sqlite": "3s"}
"""A file's reader is a process, which may have to start."""
ANSWERS_WITHIN_SECONDS = 10.0
"""The longest deadline and whatever a busy machine adds; what hangs, hangs for twice as long."""
KEYS = ("1", "2", "3", "4")
POSTGRES = """
CREATE TABLE faskes (kode text PRIMARY KEY, nama text, jenis text);
INSERT INTO faskes SELECT 'P' || n, 'Satu ' || n, 'klinik' FROM generate_series(1, 4) n;
CREATE TABLE saklar (perbuatan text, pada text);
CREATE FUNCTION ikut(kode text) RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
DECLARE apa text := (SELECT perbuatan FROM public.saklar WHERE pada = kode);
BEGIN
  CASE apa
    WHEN 'terminated' THEN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1);
    WHEN 'overslept' THEN PERFORM pg_sleep(30);
    WHEN 'wrote' THEN INSERT INTO public.saklar VALUES ('', '');
    WHEN 'failed' THEN PERFORM 1 / 0;
    ELSE NULL;
  END CASE;
  RETURN true;
END $$;
CREATE VIEW faskes_baca AS SELECT kode, nama, jenis FROM faskes WHERE ikut(kode);
"""
BUSY_POSTGRES = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND state <> 'idle'"
BUSY_MARIADB = (
    "SELECT count(*) FROM information_schema.processlist WHERE command <> 'Sleep' AND db = %s AND id <> connection_id()"
)
UNREACHABLE = ("unavailable", "source_unreachable")
TIMEOUT = ("timeout", "source_timeout")
REJECTED = ("rejected", "source_rejected")
DRIFTED = ("schema_mismatch", "source_schema_mismatch")
MISSING = ("unavailable", "source_missing")
FORBIDDEN = ("unavailable", "source_permission_denied")
DAMAGED = ("unavailable", "source_format_error")
OK = ("ok", None)
AGENCIES = {"postgresql": "rsud", "mariadb": "bappeda", "sqlite": "dpmptsp", "csv": "disdik", "parquet": "dinsos"}
PREFIX = {"postgresql": "P", "mariadb": "M", "sqlite": "S", "csv": "C", "parquet": "Q"}

SAYS: dict[str, dict[str, tuple[str, str | None]]] = {
    "postgresql": {
        "terminated": UNREACHABLE, "overslept": TIMEOUT, "wrote": REJECTED, "failed": REJECTED, "locked": TIMEOUT,
        "dropped": MISSING, "renamed": DRIFTED, "revoked": FORBIDDEN, "retyped": OK,
        "refuses": UNREACHABLE, "resets": UNREACHABLE, "cuts_off": UNREACHABLE, "hangs": TIMEOUT, "trickles": TIMEOUT,
    },
    "mariadb": {
        "killed": UNREACHABLE, "interrupted": TIMEOUT, "overslept": TIMEOUT, "locked": TIMEOUT,
        "dropped": MISSING, "renamed": DRIFTED, "retyped": OK,
        "refuses": UNREACHABLE, "resets": UNREACHABLE, "cuts_off": UNREACHABLE, "hangs": TIMEOUT, "trickles": TIMEOUT,
    },
    "sqlite": {"locked": TIMEOUT, "truncated": DAMAGED, "overwritten": DAMAGED, "renamed": DRIFTED, "gone": MISSING},
    "csv": {"overwritten": DAMAGED, "renamed": DRIFTED, "gone": MISSING},
    "parquet": {"truncated": DAMAGED, "overwritten": DAMAGED, "renamed": DRIFTED, "gone": MISSING},
}  # fmt: skip
PROXIED = ("refuses", "resets", "cuts_off", "hangs", "trickles")
WAITS = {"overslept", "locked", "hangs", "trickles"}
WAITED_TWICE = {"list", "look_up", "export", "changes"}
"""Doors at which a source that is late is waited for twice: with and without `partial=never`."""


@dataclass(frozen=True)
class Source:
    """What can be broken. `broken(fault, key)`: the fault befalls the read at this key; `at_work`: what the gateway has under way."""

    broken: Callable[[str, str], AbstractContextManager[None]]
    at_work: Callable[[], int]


def short_run() -> set[tuple[str, str, str]]:
    """What is tried always: every fault of every kind at one door, one that only one kind has at two. The door goes on by five each time."""
    kinds, doors_in_turn = Counter(fault for faults in SAYS.values() for fault in faults), list(DOORS)
    faults = [(kind, fault) for kind in SAYS for fault in SAYS[kind] for _ in range(2 if kinds[fault] == 1 else 1)]
    return {(kind, fault, doors_in_turn[at * 5 % len(DOORS)]) for at, (kind, fault) in enumerate(faults)}


@dataclass(frozen=True)
class Recorded:
    """What an exchange's last entry says of it."""

    kind: str
    status: int
    legs: dict[str, str]
    complete: bool | None


def cases() -> Iterator[object]:
    """Every fault at every door; those that are not in the short run are `slow`."""
    short = short_run()
    for kind, faults in SAYS.items():
        for fault in faults:
            for name in DOORS:
                yield pytest.param(kind, fault, name, marks=() if (kind, fault, name) in short else pytest.mark.slow)


def test_hostile_47_the_short_run_has_every_fault_and_every_door_twice() -> None:
    tried = short_run()
    assert min(Counter(name for _, _, name in tried)[name] for name in DOORS) >= 2
    assert min(Counter(fault for _, fault, _ in tried).values()) >= 2
    assert {(kind, fault) for kind, fault, _ in tried} == {(kind, fault) for kind in SAYS for fault in SAYS[kind]}


def postgres_source(url: str, user: str, proxy: FaultyProxy) -> Source:
    """The view `faskes_baca`."""
    told = {
        "dropped": ("ALTER VIEW faskes_baca RENAME TO faskes_lama", "ALTER VIEW faskes_lama RENAME TO faskes_baca"),
        "renamed": (
            "ALTER VIEW faskes_baca RENAME COLUMN kode TO kode_baru",
            "ALTER VIEW faskes_baca RENAME COLUMN kode_baru TO kode",
        ),
        "revoked": (f"REVOKE SELECT ON faskes_baca FROM {user}", f"GRANT SELECT ON faskes_baca TO {user}"),
        "retyped": (
            f"DROP VIEW faskes_baca; CREATE VIEW faskes_baca AS SELECT kode, 7 AS nama, jenis FROM faskes; GRANT SELECT ON faskes_baca TO {user}",
            ("DROP VIEW faskes_baca; CREATE VIEW faskes_baca AS SELECT kode, nama, jenis FROM faskes WHERE ikut(kode); "
            f"GRANT SELECT ON faskes_baca TO {user}"),
        ),
    }  # fmt: skip

    @contextlib.contextmanager
    def broken(fault: str, key: str) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            session = stack.enter_context(psycopg.connect(url, autocommit=True))
            if fault in PROXIED:
                stack.enter_context(proxy.broken(fault, 20))
            elif fault == "locked":
                stack.enter_context(session.transaction())
                session.execute("LOCK TABLE faskes IN ACCESS EXCLUSIVE MODE")
            elif fault in told:
                session.execute(told[fault][0].encode())
                stack.callback(session.execute, told[fault][1].encode())
            else:
                session.execute("INSERT INTO saklar VALUES (%s, %s)", (fault, key))
                stack.callback(session.execute, "DELETE FROM saklar")
            yield

    def at_work() -> int:
        with psycopg.connect(url, autocommit=True) as session:
            (found,) = session.execute(BUSY_POSTGRES, (user,)).fetchone() or (0,)
            return int(found)

    return Source(broken, at_work)


def mariadb_source(port: int, database: str, proxy: FaultyProxy) -> Source:
    """The table `faskes`, read through a view that sleeps where it is told."""
    told = {
        "dropped": ("RENAME TABLE faskes_baca TO faskes_lama", "RENAME TABLE faskes_lama TO faskes_baca"),
        "renamed": (
            "CREATE OR REPLACE VIEW faskes_baca AS SELECT kode AS kode_baru, nama, jenis FROM faskes",
            "CREATE OR REPLACE VIEW faskes_baca AS SELECT kode, nama, jenis FROM faskes WHERE ikut(kode)",
        ),
        "retyped": (
            "CREATE OR REPLACE VIEW faskes_baca AS SELECT kode, 7 AS nama, jenis FROM faskes",
            "CREATE OR REPLACE VIEW faskes_baca AS SELECT kode, nama, jenis FROM faskes WHERE ikut(kode)",
        ),
    }
    others = (
        "SELECT id FROM information_schema.processlist WHERE command <> 'Sleep' AND db = %s AND id <> connection_id()"
    )

    def run(statement: str) -> None:
        with contextlib.closing(mariadb.admin(port, database)) as session, session.cursor() as cursor:
            cursor.execute(statement)

    def kill(how: str, ended: threading.Event) -> None:
        with contextlib.closing(mariadb.admin(port, database)) as session, session.cursor() as cursor:
            while not ended.wait(0.02):
                cursor.execute(others, (database,))
                for (number,) in cursor.fetchall():
                    with contextlib.suppress(mariadb.Gone):
                        cursor.execute(f"KILL {how} {int(number)}")

    @contextlib.contextmanager
    def broken(fault: str, key: str) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            if fault in PROXIED:
                stack.enter_context(proxy.broken(fault, 20))
            elif fault == "locked":
                session = stack.enter_context(contextlib.closing(mariadb.admin(port, database)))
                session.cursor().execute("LOCK TABLES faskes WRITE")
            elif fault in told:
                run(told[fault][0])
                stack.callback(run, told[fault][1])
            else:
                run(f"INSERT INTO saklar VALUES ('{key}')")
                stack.callback(run, "DELETE FROM saklar")
                if fault != "overslept":
                    ended = threading.Event()
                    how = "CONNECTION" if fault == "killed" else "QUERY"
                    killer = threading.Thread(target=kill, args=(how, ended))
                    killer.start()
                    stack.callback(killer.join)
                    stack.callback(ended.set)
            yield

    def at_work() -> int:
        with contextlib.closing(mariadb.admin(port)) as session, session.cursor() as cursor:
            cursor.execute(BUSY_MARIADB, (database,))
            return int((cursor.fetchone() or (0,))[0])

    return Source(broken, at_work)


def file_source(path: Path) -> Source:
    """A file in the agency's folder: put aside, and something else in its stead."""

    @contextlib.contextmanager
    def broken(fault: str, _key: str) -> Iterator[None]:
        sound = path.read_bytes()
        with contextlib.ExitStack() as stack:
            if fault == "locked":
                session = stack.enter_context(contextlib.closing(sqlite3.connect(path, isolation_level=None)))
                session.execute("BEGIN EXCLUSIVE")
                os.utime(path)  # what was read before is still current otherwise, and answers
            else:
                stack.callback(_put, path, sound)
                path.unlink()
                if fault == "truncated":
                    _put(path, sound[: len(sound) // 2])
                elif fault == "overwritten":
                    _put(path, b"\x00\xff\xfe\x81" * (len(sound) // 4))
                elif fault == "renamed":
                    _write(path, "kode_baru", "X")
            yield

    return Source(broken, lambda: 0)


def _put(path: Path, content: bytes) -> None:
    beside = path.with_name(f"{path.name}.baru")
    beside.write_bytes(content)
    beside.replace(path)


def _write(path: Path, key: str, prefix: str) -> None:
    rows = [(f"{prefix}{number}", f"Satu {number}", "klinik") for number in KEYS]
    if path.suffix == ".csv":
        _put(path, "\n".join([f"{key},nama,jenis", *map(",".join, rows), ""]).encode())
    elif path.suffix == ".parquet":
        columns = dict(zip((key, "nama", "jenis"), map(list, zip(*rows, strict=True)), strict=True))
        pq.write_table(pa.table(columns), path)
    else:
        with contextlib.closing(sqlite3.connect(path)) as session, session:
            session.execute(f"CREATE TABLE faskes ({key} TEXT PRIMARY KEY NOT NULL, nama TEXT, jenis TEXT)")
            session.executemany("INSERT INTO faskes VALUES (?, ?, ?)", rows)


@pytest.fixture(scope="module")
def proxies(postgres_module_url: str, mariadb_port: int) -> Iterator[tuple[FaultyProxy, FaultyProxy]]:
    made = FaultyProxy(urlsplit(postgres_module_url).port or 0), FaultyProxy(mariadb_port)
    yield made
    for proxy in made:
        proxy.close()


@pytest.fixture(scope="module")
def tables(postgres_module_url: str, mariadb_port: int) -> Iterator[tuple[str, str]]:
    """A user of PostgreSQL who may read and no more; a database of MariaDB."""
    user = f"pembaca_{os.getpid()}"
    with psycopg.connect(postgres_module_url, autocommit=True) as session:
        session.execute(POSTGRES.encode())
        session.execute(f"CREATE ROLE {user} LOGIN; GRANT SELECT ON faskes_baca TO {user}".encode())
    with mariadb.fresh_database(mariadb_port) as name:
        with contextlib.closing(mariadb.admin(mariadb_port, name)) as admin, admin.cursor() as cursor:
            cursor.execute("CREATE TABLE faskes (kode varchar(20) PRIMARY KEY, nama varchar(60), jenis varchar(20))")
            cursor.execute("INSERT INTO faskes SELECT concat('M', seq), concat('Satu ', seq), 'klinik' FROM seq_1_to_4")
            cursor.execute("CREATE TABLE saklar (pada varchar(20))")
            cursor.execute(
                "CREATE FUNCTION ikut(kode varchar(20)) RETURNS int READS SQL DATA "
                "RETURN IF((SELECT count(*) FROM saklar WHERE pada = kode) > 0, 1 - SLEEP(30), 1)"
            )
            cursor.execute("CREATE VIEW faskes_baca AS SELECT kode, nama, jenis FROM faskes WHERE ikut(kode)")
        yield user, name
    with psycopg.connect(postgres_module_url, autocommit=True) as session:
        session.execute(f"DROP OWNED BY {user}; DROP ROLE {user}".encode())


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_module_url: str,
    tables: tuple[str, str],
    proxies: tuple[FaultyProxy, FaultyProxy],
) -> Iterator[RunningGateway]:
    """One agency with a file that stays sound, and one for each kind of source, which reads for one at a time."""
    folder = tmp_path_factory.mktemp("broken")
    running = RunningGateway(
        folder / "instance", {"SIMPUL_BREAKER_FAILURES": "100000", "SIMPUL_RATE_PER_MINUTE": "100000"}
    )
    running.init()
    running.start()
    running.agency("dinkes")
    (folder / "faskes.csv").write_text("kode,nama,jenis\nB1,Lain,klinik\n", "utf-8")
    running.upload("dinkes", folder / "faskes.csv")
    running.publish(facility_manifest("dinkes-faskes", "dinkes"))
    postgres, maria = proxies
    (user, database), path = tables, urlsplit(postgres_module_url).path
    given = {
        "postgresql": {"url": f"postgresql://{user}@127.0.0.1:{postgres.port}{path}?sslmode=disable"},
        "mariadb": {"url": f"mariadb://{mariadb.USER}:${{secret:db}}@127.0.0.1:{maria.port}/{database}"},
        "sqlite": {"url": "sqlite:///inbox/faskes.sqlite", "table": "faskes"},
        "csv": {"kind": "file", "location": "inbox/faskes.csv"},
        "parquet": {"kind": "file", "location": "inbox/faskes.parquet"},
    }
    for kind, source in given.items():
        agency = AGENCIES[kind]
        running.agency(agency)
        if source.get("kind") == "file" or kind == "sqlite":
            _write(folder / f"faskes.{kind}", "kode", PREFIX[kind]) if kind != "csv" else _write(
                folder / "faskes-c.csv", "kode", PREFIX[kind]
            )
            running.upload(agency, folder / ("faskes-c.csv" if kind == "csv" else f"faskes.{kind}"), f"faskes.{kind}")
        else:
            kept = running.client("steward", agency).put("/v1/secrets/db", json={"value": mariadb.PASSWORD})
            assert kept.is_success, kept.text
        made = {"kind": "sql", "table": "faskes_baca", **source} if "url" in source else source
        limits = {"deadline": DEADLINES.get(kind, "30s"), "concurrency": 1}
        running.publish({**facility_manifest(f"{agency}-faskes", agency), "source": {**made, **limits}})
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def sources(
    gateway: RunningGateway,
    postgres_module_url: str,
    mariadb_port: int,
    tables: tuple[str, str],
    proxies: tuple[FaultyProxy, FaultyProxy],
) -> dict[str, Source]:
    inbox = {kind: next(gateway.folder.rglob(f"{AGENCIES[kind]}/inbox/faskes.{kind}")) for kind in SAYS if kind not in ("postgresql", "mariadb")}  # fmt: skip
    return {
        "postgresql": postgres_source(postgres_module_url, tables[0], proxies[0]),
        "mariadb": mariadb_source(mariadb_port, tables[1], proxies[1]),
        **{kind: file_source(path) for kind, path in inbox.items()},
    }


@pytest.fixture(scope="module")
def reader(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("client", "dinkes")


@pytest.fixture(scope="module")
def supervisor(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("supervisor", "dinkes")


def rested(source: Source, seconds: float = 2.0) -> bool:
    """Whether the server has no work of the gateway left within this time."""
    ends = time.monotonic() + seconds
    while source.at_work():
        if time.monotonic() > ends:
            return False
        time.sleep(0.05)
    return True


def recorded(supervisor: httpx.Client, answer: httpx.Response) -> Recorded:
    """What closed the exchange."""
    closed = supervisor.get(f"/v1/exchanges/{answer.headers['exchange-id']}").json()["entries"][-1]
    legs = {leg["agency"].rpartition("/")[2]: leg["status"] for leg in closed.get("sources") or []}
    return Recorded(closed["kind"], closed["status"], legs, closed.get("complete"))


@pytest.mark.parametrize(("kind", "fault", "name"), list(cases()))
def test_hostile_47_a_source_that_breaks_is_named_and_the_others_answer(
    reader: httpx.Client, supervisor: httpx.Client, sources: dict[str, Source], kind: str, fault: str, name: str
) -> None:
    source, agency, says = sources[kind], AGENCIES[kind], SAYS[kind][fault]
    first, later = f"{PREFIX[kind]}1", f"{PREFIX[kind]}3"
    door = doors(first, later)[name]
    legs = {"dinkes": OK, **dict.fromkeys(AGENCIES.values(), OK), agency: says}
    with source.broken(fault, first if name == "look_up" else later):
        started = time.monotonic()
        refused = door.ask(reader, partial=False)
        strict = said(reader, refused)
        assert time.monotonic() - started < ANSWERS_WITHIN_SECONDS
        given = refused if fault in WAITS and name not in WAITED_TWICE else door.ask(reader)
        loose = strict if given is refused else said(reader, given)
        assert rested(source) or fault in {"hangs", "trickles"}
    assert rested(source)
    then = said(reader, door.ask(reader, partial=False))

    if says == OK:
        rejected = name == "look_up"  # a name that is a number now is no name: the record is rejected, and told so
        assert (strict.status, strict.complete) == ((404, None) if rejected else (200, True)), strict
        assert strict.sources in (legs, {})
    else:
        judge(name, strict, loose, legs, agency)
        told = {one: status for one, (status, _) in legs.items()}
        for answer in {refused, given} if not door.job else ():
            assert recorded(supervisor, answer) == Recorded("outcome", answer.status_code, told, False), name
    assert (then.status, then.complete) == (200, True), then


def judge(name: str, strict: Said, loose: Said, legs: dict[str, tuple[str, str | None]], agency: str) -> None:
    """What is said of a source that broke."""
    assert (strict.status, strict.code, strict.sources) == (503, "partial_answer_refused", legs), strict
    if name == "look_up":  # nobody who answered has the key: nobody knows
        assert (loose.status, loose.code, loose.sources) == (503, "partial_answer_refused", legs), loose
    elif loose is not strict:
        assert (loose.status, loose.code, loose.complete) == (200, None, False), loose
        assert loose.sources in (legs, {}), loose
        assert "B1" in loose.text or name in {"aggregate", "conflicts", "export_job"}


UNSEEN = {"terminated", "overslept", "wrote", "failed", "killed", "interrupted", "retyped"}
"""Faults of a row, or of a type, that is only met by who reads."""


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        pytest.param(kind, fault, marks=() if at % 4 == 0 else pytest.mark.slow)
        for kind in SAYS
        for at, fault in enumerate(SAYS[kind])
    ],
)
def test_hostile_47_an_explanation_reads_no_record_and_names_a_source_that_it_looked_at_in_vain(
    reader: httpx.Client, supervisor: httpx.Client, sources: dict[str, Source], kind: str, fault: str
) -> None:
    source, agency = sources[kind], AGENCIES[kind]
    legs = dict.fromkeys(("dinkes", *AGENCIES.values()), OK)
    with source.broken(fault, f"{PREFIX[kind]}3"):
        started = time.monotonic()
        answer = reader.post("/v1/explain", json={"schema": "fasilitas_kesehatan"})
        assert time.monotonic() - started < ANSWERS_WITHIN_SECONDS
        assert rested(source) or fault in {"hangs", "trickles"}
    assert rested(source)
    then = said(reader, reader.post("/v1/explain", json={"schema": "fasilitas_kesehatan"}))

    found = said(reader, answer).sources
    # what is known of a source is explained without it: whether it was asked depends on what was known before
    seen = legs if fault in UNSEEN else {**legs, agency: SAYS[kind][fault]}
    assert answer.status_code == 200
    assert found in (legs, {**seen, agency: ("unavailable", seen[agency][1])}), found
    assert (then.status, then.sources) == (200, legs), then.sources
    skipped = dict.fromkeys(legs, "skipped")
    assert recorded(supervisor, answer) == Recorded("outcome", 200, skipped, None)
