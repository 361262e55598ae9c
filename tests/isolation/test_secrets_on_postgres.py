"""The same scans over a gateway whose store is on PostgreSQL: its log lines, answers, processes and files, a dump of the store, and
what the server of the store was ever told.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from app.access.sealing import Seal
from app.database import upgrade
from app.settings import load_settings
from tests.fixtures.postgres import Cluster, fresh_database, server_program
from tests.integration.api.conftest import facility_manifest
from tests.isolation.world import NIK
from tests.support.gateway import RunningGateway
from tests.support.people import PASSWORD, PersonAt
from tests.support.programs import SIMPUL, run
from tests.support.secret_scanner import Finding, Scanner
from tests.support.sources import SourceServer
from tests.support.statement_log import UNLOGGED, StatementLog

STORE_SECRET = "sandi-basis-inti-86602540"
SOURCE_SECRET = "token-sumber-basis-57721566"
FORMS = ("private key", "token", "address with a password", "authorization")
LIST = "/v1/records/fasilitas-kesehatan"


@dataclass
class Kept:
    """A gateway that was asked, what it answered, and the real secrets of its run."""

    gateway: RunningGateway
    store: str
    answers: list[httpx.Response]
    known: dict[str, str | bytes]
    told: StatementLog
    begun: int

    def scanner(self, *forms: str) -> Scanner:
        """For all secrets of the run and these forms."""
        return Scanner(self.known, forms)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, postgres_cluster: Cluster) -> Iterator[Kept]:
    services, folder = SourceServer(), tmp_path_factory.mktemp("kept") / "instance"
    services.routes["/faskes"] = lambda _query, headers: (401, "text/plain", f"no: {headers['authorization']}".encode())
    with fresh_database(postgres_cluster) as plain:
        place = urlsplit(plain)
        store = f"postgresql://simpul:{STORE_SECRET}@127.0.0.1:{place.port}{place.path}"
        told = StatementLog(postgres_cluster, plain)
        gateway = RunningGateway(folder, {"SIMPUL_DATABASE_URL": store})
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("SIMPUL_DATABASE_URL", store)
            gateway.init()
            upgrade(load_settings(dir=folder))
        found = Kept(
            gateway, store, [], {"password of the store": STORE_SECRET, "source": SOURCE_SECRET}, told, told.mark()
        )
        try:
            gateway.start()
            _ask(found, services)
            yield found
        finally:
            services.close()
            assert gateway.stop() == 0


def _ask(kept: Kept, services: SourceServer) -> None:
    """Secrets of sources, clients and people come in and are used, rightly and wrongly."""
    gateway, take, known = kept.gateway, kept.answers.append, kept.known
    gateway.agency("penyedia")
    take(gateway.admin.put("/v1/secrets/sumber", json={"value": SOURCE_SECRET, "agency": "penyedia"}))
    rest = {"kind": "rest", "url": f"{services.url}/faskes", "record_path": "$.data[*]"}
    source = {**rest, "auth": {"kind": "bearer", "token": "${secret:sumber}"}}
    take(gateway.admin.put("/v1/connectors/faskes", json={**facility_manifest("faskes", "penyedia"), "source": source}))
    for act in ("check", "discover", "publish"):
        take(gateway.admin.post(f"/v1/connectors/faskes/{act}"))
    made = gateway.admin.post(
        "/v1/clients", json={"agency": "penyedia", "role": "client", "name": "Uji", "id": "uji"}
    ).json()
    session = gateway.session("uji", made["client_secret"])
    known |= {
        "secret of a client": made["client_secret"],
        "secret of the walidata": gateway.credential[1],
        "token of a client": str(session.headers["authorization"]).split()[1],
        "token of the walidata": str(gateway.admin.headers["authorization"]).split()[1],
        "NIK": NIK,
        "password of a person": PASSWORD,
    }
    for headers in ({}, {"authorization": str(session.headers["authorization"]) + "x"}):
        take(session.get(LIST, params={"filter": f"nik = '{NIK}'"}, headers=headers))
    take(session.post("/v1/queries", json={"sql": f"SELECT CAST('{NIK}x' AS INTEGER) AS x FROM fasilitas_kesehatan"}))
    take(session.get(LIST, params={"f": "csv"}, headers={"Prefer": "respond-async"}))
    take(
        httpx.post(
            f"{gateway.url}/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=("uji", made["client_secret"][:-1] + "~"),
        )
    )
    person = PersonAt(gateway, "steward", "penyedia", "rini@penyedia.example")
    known["code of a person"] = person.made["code"]
    person.open()
    page = person.sign_in(aged=False)
    known |= {
        "authenticator of a person": person.secret,
        "recovery code": person.recovery_codes[0],
        "session of a person": page.cookies["simpul-session"],
    }
    take(page.get("/v1/session/none"))
    take(page.get("/v1/connectors/faskes/health"))
    page.close()
    known |= {
        f"key file {path.name}": path.read_bytes().strip()
        for path in (gateway.folder / "keys").iterdir()
        if path.stat().st_size >= 16
    }


def test_answers_hold_no_secret(kept: Kept) -> None:
    scan = kept.scanner(*FORMS, "hash of a secret")
    found = [one for answer in kept.answers for one in scan.scan(str(answer.request.url), answer.content)]
    assert sum(answer.status_code >= 400 for answer in kept.answers) >= 5
    assert found == []


def test_log_lines_and_files_hold_no_secret(kept: Kept) -> None:
    lines = (kept.gateway.folder / "serve.log").read_bytes()
    assert len(lines) > 500
    assert kept.scanner(*FORMS, "hash of a secret", "NIK").scan("serve.log", lines) == []
    assert kept.scanner("private key").scan_folder(kept.gateway.folder, leave_out={"keys"}) == []


def test_processes_hold_no_secret(kept: Kept) -> None:
    assert kept.scanner().scan_processes(kept.gateway.pid) == []


def test_a_dump_of_the_store_holds_no_secret(kept: Kept, tmp_path: Path) -> None:
    target = tmp_path / "simpul.sql"
    dumped = subprocess.run(
        [server_program("pg_dump"), "--no-password", f"--file={target}", kept.store],
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert dumped.returncode == 0, dumped.stderr
    content = target.read_text("utf-8")
    assert "COPY public.client " in content
    assert set(kept.scanner(*FORMS, "hash of a secret").scan("dump", content)) == {
        Finding("form of a hash of a secret", "dump")
    }


def test_the_server_of_the_store_is_told_no_secret(kept: Kept) -> None:
    """A server that logs statements with their values, as many do, learns hashes and sealed texts alone."""
    told = kept.told.since(kept.begun)
    assert told.count("INSERT INTO client") >= 1
    found = {one.what for one in kept.scanner(*FORMS).scan("statements", told)}
    assert found == set()


def test_commands_do_not_show_the_address_of_the_store(kept: Kept, tmp_path: Path) -> None:
    environment = {**os.environ, "SIMPUL_DATABASE_URL": kept.store}
    folder = str(kept.gateway.folder)
    gone = {**environment, "SIMPUL_DATABASE_URL": kept.store.rpartition("/")[0] + "/tidak_ada"}
    for command, env in (
        (["backup", str(tmp_path / "x.tar"), "--dir", folder], environment),
        (["log", "verify", "--dir", folder], gone),
        (["client", "create", "--agency", "penyedia", "--role", "client", "--name", "x", "--dir", folder], gone),
    ):
        made = run([*SIMPUL, *command], env=env)
        assert made.returncode != 0, command
        assert kept.scanner("address with a password").scan(command[0], made.stdout + made.stderr) == []
    settings = load_settings(dir=kept.gateway.folder, database_url=kept.store)
    assert kept.scanner().scan("repr", repr(settings) + str(settings) + repr(Seal([b"k" * 32]))) == []


def test_what_is_planted_in_the_store_is_found(kept: Kept, tmp_path: Path) -> None:
    with psycopg.connect(kept.store, autocommit=True, options=UNLOGGED) as store:
        store.execute("CREATE TABLE tanam (isi bytea)")
        store.execute("INSERT INTO tanam VALUES (%s)", (SOURCE_SECRET.encode(),))
    target = tmp_path / "planted.sql"
    subprocess.run([server_program("pg_dump"), f"--file={target}", "--table=tanam", kept.store], check=True, timeout=60)
    with psycopg.connect(kept.store, autocommit=True, options=UNLOGGED) as store:
        store.execute("DROP TABLE tanam")
    assert Finding("source", "dump") in kept.scanner().scan("dump", target.read_text("utf-8"))
