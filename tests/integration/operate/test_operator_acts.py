"""Commands that change the store straight leave an entry in the exchange log; every command is listed here, so none is forgotten."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.main import get_command

from app.cli.main import build
from app.database import downgrade, head_revision
from app.settings import load_settings
from tests.support.gateway import RunningGateway
from tests.support.programs import simpul

CODES = Path(__file__).resolve().parents[3] / "examples" / "jepara" / "data" / "wilayah.csv"

OVER_HTTP = {
    "apply", "codes list", "codes lookup", "codes crosswalk", "agency list", "client list", "client keys",
    "client enrolment", "client enrol", "connector list", "connector check", "connector new", "connector discover",
    "connector suggest", "connector schema", "connector preview", "connector publish", "connector join",
    "connector suspend", "connector quarantine", "connector quality", "agreement list", "secret put", "exchange list",
}  # fmt: skip
"""The gateway that they speak to records them."""
NO_STORE = {"openapi", "extensions", "agent", "witness serve", "log verify-receipt", "log verify-tiles"}
"""They do not open an instance."""
READING = {
    "db current": ["db", "current"],
    "keys list": ["keys", "list"],
    "log verify": ["log", "verify"],
    "log export": ["log", "export", "{new}"],
    "log vkey": ["log", "vkey"],
}
SERVING = {"serve", "demo"}
"""What they change themselves is shown below: `serve` migrates; `demo` makes an instance and loads codes."""


@dataclass(frozen=True)
class Changing:
    """A command that changes the store, how it is called, and what it leaves."""

    words: list[str]
    op: str


CHANGING = {
    "codes load": Changing(["codes", "load", str(CODES)], "codes.load"),
    "user create": Changing(
        ["user", "create", "--name", "Pengelola", "--login", "pengelola", "--agency", "diskominfo"], "person.create"
    ),
    "user reset": Changing(["user", "reset", "--login", "ada"], "person.reset"),
    "client create": Changing(["client", "create", "--name", "Otomasi", "--role", "admin"], "client.create"),
    "keys rotate": Changing(["keys", "rotate"], "keys.rotate"),
    "db upgrade": Changing(["db", "upgrade"], "store.migrate"),
    "backup": Changing(["backup", "{new}.tar", "--keys", "{new}-keys.tar"], "instance.backup"),
}
MAKING = {"init", "restore"}
"""They make a store: `test_what_makes_an_instance_leaves_its_act`."""


def commands(group: Any, name: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    for word, found in sorted(group.commands.items()):
        inner = f"{name} {word}".strip()
        if hasattr(found, "commands"):
            yield from commands(found, inner)
        else:
            yield inner, found.callback


def listed() -> dict[str, Callable[..., Any]]:
    return dict(commands(get_command(build())))


def acts(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "simpul.db")) as store:
        if not store.execute("SELECT 1 FROM sqlite_schema WHERE name = 'operator_act'").fetchall():
            return []
        return [op for (op,) in store.execute("SELECT op FROM operator_act ORDER BY id")]


def content(folder: Path) -> list[str]:
    """Everything in the store but the acts."""
    with closing(sqlite3.connect(folder / "simpul.db")) as store:
        return [line for line in store.iterdump() if "operator_act" not in line]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("acts") / "instance"
    running = RunningGateway(folder)
    running.init()
    running.start()  # it makes the log, and enters the act of `init`
    running.stop()
    done = simpul("user", "create", "--name", "Ada", "--login", "ada", "--dir", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_command_is_listed() -> None:
    """A new command stands in one of these lists, and one that changes the store among those that leave an act."""
    lists = [OVER_HTTP, NO_STORE, set(READING), SERVING, set(CHANGING), MAKING]

    assert sum(map(len, lists)) == len(set().union(*lists))
    assert set().union(*lists) == set(listed())


@pytest.mark.parametrize("name", sorted(OVER_HTTP))
def test_a_command_over_http_has_no_way_to_the_store(name: str) -> None:
    module = vars(__import__(listed()[name].__module__, fromlist=["_"]))

    assert not {"Database", "upgrade", "migrating", "load_settings"} & set(module), name


@pytest.mark.parametrize("name", sorted(CHANGING))
def test_a_command_that_changes_the_store_leaves_its_act(made: Path, tmp_path: Path, name: str) -> None:
    wanted = CHANGING[name]
    if name == "db upgrade":
        downgrade(load_settings(dir=made), "0024")
    kept, known = content(made), acts(made)
    done = simpul(*(word.replace("{new}", str(tmp_path / "new")) for word in wanted.words), "--dir", str(made))

    assert done.returncode == 0, done.stdout + done.stderr
    assert acts(made) == [*known, wanted.op]
    assert (content(made) != kept) == (name != "backup")


@pytest.mark.parametrize("name", sorted(CHANGING))
def test_a_command_that_fails_changes_nothing_and_leaves_no_act(made: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "there.tar").touch()
    wrong = {
        "codes load": ["codes", "load", str(tmp_path / "absent.csv")],
        "user create": ["user", "create", "--name", "X", "--login", "x", "--role", "raja"],
        "user reset": ["user", "reset", "--login", "tiada"],
        "client create": ["client", "create", "--name", "X", "--role", "raja"],
        "backup": ["backup", str(tmp_path / "there.tar")],
        "keys rotate": ["keys", "rotate", "--nothing"],
        "db upgrade": ["db", "upgrade", "--nothing"],
    }
    kept, known = content(made), acts(made)
    done = simpul(*wrong[name], "--dir", str(made))

    assert done.returncode != 0
    assert (content(made), acts(made)) == (kept, known)


@pytest.mark.parametrize("name", sorted(READING))
def test_a_command_that_reads_changes_nothing(made: Path, tmp_path: Path, name: str) -> None:
    kept, known = content(made), acts(made)
    done = simpul(*(word.replace("{new}", str(tmp_path / "new")) for word in READING[name]), "--dir", str(made))

    assert done.returncode == 0, done.stdout + done.stderr
    assert (content(made), acts(made)) == (kept, known)


def test_a_new_instance_has_no_admin_and_tells_no_credential(tmp_path: Path) -> None:
    """The first admin is made by `simpul user create`, and its code is all that this tells."""
    folder = tmp_path / "new"
    made = simpul("init", "--dir", str(folder))
    assert made.returncode == 0
    with closing(sqlite3.connect(folder / "simpul.db")) as store:
        held = [store.execute(f"SELECT count(*) FROM {table}").fetchone() for table in ("client", "person")]
    assert held == [(0,), (0,)]
    assert "simpul user create" in made.stdout
    assert re.search(r"[\w-]{20,}", made.stdout.replace(str(folder), "")) is None, "nothing as long as a secret"


def test_what_makes_an_instance_leaves_its_act(made: Path, tmp_path: Path) -> None:
    assert simpul("init", "--dir", str(tmp_path / "new")).returncode == 0
    assert acts(tmp_path / "new") == ["instance.init"]
    words = [str(tmp_path / "b.tar"), "--keys", str(tmp_path / "k.tar")]
    assert simpul("backup", *words, "--dir", str(made)).returncode == 0
    done = simpul("restore", *words, "--dir", str(tmp_path / "restored"))

    assert done.returncode == 0, done.stdout + done.stderr
    assert acts(tmp_path / "restored")[-2:] == ["instance.backup", "instance.restore"]


def test_a_backup_of_an_older_version_is_brought_up_with_its_acts(made: Path, tmp_path: Path) -> None:
    older = tmp_path / "older"
    running = RunningGateway(older)
    running.init()
    running.start()
    running.stop()
    downgrade(load_settings(dir=older), "0023")
    words = [str(tmp_path / "b.tar"), "--keys", str(tmp_path / "k.tar")]
    told = simpul("backup", *words, "--dir", str(older))
    done = simpul("restore", *words, "--dir", str(tmp_path / "restored"))

    assert told.returncode == 0, told.stderr
    assert "leaves no entry in the exchange log" in told.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    assert acts(tmp_path / "restored") == ["store.migrate", "instance.restore"]


# --- what a running gateway makes of them ----------------------------------------------------------------------------


def told(asking: httpx.Client, **wanted: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    given = {"kind": "admin", "rule": "operator", "limit": "50", **wanted}
    answer = asking.get("/v1/exchanges", params=given)
    assert answer.status_code == 200, answer.text
    found += answer.json()["items"]
    return found


def beside(gateway: RunningGateway, *words: str) -> str:
    """A command on the folder of this gateway, that must work; what it says."""
    done = simpul(*words, "--dir", str(gateway.folder), variables=gateway.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def until(wanted: Callable[[], bool], seconds: float = 15) -> None:
    ends = time.monotonic() + seconds
    while not wanted() and time.monotonic() < ends:
        time.sleep(0.1)
    assert wanted()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    environment = {}
    if request.param == "postgresql":
        environment["SIMPUL_DATABASE_URL"] = request.getfixturevalue("postgres_module_url")
    gateway = RunningGateway(tmp_path_factory.mktemp("served") / "instance", environment)
    with pytest.MonkeyPatch.context() as patched:
        for name, value in environment.items():
            patched.setenv(name, value)
        gateway.init()
    try:
        gateway.start()
        gateway.agency("dinkes")
        gateway.agency("rsud")
        gateway.agency("bpbd")
        yield gateway
    finally:
        gateway.stop()


def test_acts_stand_in_the_log_within_seconds_and_are_seen_by_whom_they_concern(running: RunningGateway) -> None:
    supervisor = running.client("supervisor", "diskominfo")
    concerned, stranger = running.client("auditor", "dinkes"), running.client("auditor", "bpbd")
    made = beside(running, "client", "create", "--name", "Cadangan", "--agency", "dinkes", "--role", "steward")
    beside(running, "codes", "load", str(CODES))
    secret = made.split()[-3]
    until(lambda: {"instance.init", "client.create", "codes.load"} <= {item["op"] for item in told(supervisor)})
    assert [item["op"] for item in told(concerned)] == ["client.create"]
    assert told(stranger) == []
    (mine,) = told(concerned)
    assert "client" not in mine
    assert mine["providers"] == ["ID-JEPARA/GOV/dinkes"]
    whole = concerned.get(f"/v1/exchanges/{mine['xid']}")
    assert whole.status_code == 200, whole.text
    entries = whole.json()["entries"]
    assert [entry["kind"] for entry in entries] == ["intent", "admin"]
    detail = entries[0]["detail"]
    assert detail["command"] == "simpul client create"
    assert detail["done"]["role"] == "steward"
    assert {"os_user", "host", "at"} <= set(detail)
    assert secret not in whole.text
    assert "no intent" not in beside(running, "log", "verify")


def test_a_token_key_rotated_beside_the_gateway_is_told_with_its_kid(running: RunningGateway) -> None:
    supervisor = running.client("supervisor", "diskominfo")
    kid = beside(running, "keys", "rotate").splitlines()[0].split()[-1]
    until(lambda: bool(told(supervisor, op="keys.rotate")))
    (entry,) = told(supervisor, op="keys.rotate")

    first = supervisor.get(f"/v1/exchanges/{entry['xid']}").json()["entries"][0]
    assert first["detail"]["done"] == {"kid": kid, "revoke_others": False}


def test_a_gateway_that_is_killed_meanwhile_enters_each_act_once(running: RunningGateway) -> None:
    """Thirty acts, and three kills while it enters them."""
    names = [f"Kunci {number}" for number in range(30)]
    running.kill()
    for name in names:
        beside(running, "client", "create", "--name", name, "--agency", "rsud")
    for _ in range(3):
        running.start()
        running.kill()
    running.start()
    supervisor = running.client("supervisor", "diskominfo")

    def noticed() -> list[str]:
        found = told(supervisor, op="client.create", provider="rsud")
        return [
            supervisor.get(f"/v1/exchanges/{item['xid']}").json()["entries"][0]["detail"]["done"]["name"]
            for item in found
        ]

    until(lambda: len(told(supervisor, op="client.create", provider="rsud")) >= 30, 75)
    assert sorted(noticed()) == sorted(names)
    beside(running, "log", "verify")


def test_serving_a_folder_of_an_older_version_tells_the_migration(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path / "instance")
    gateway.init()
    downgrade(load_settings(dir=gateway.folder), "0023")
    try:
        gateway.start()
        supervisor = gateway.client("supervisor", "diskominfo")
        (entry,) = told(supervisor, op="store.migrate")
        detail = supervisor.get(f"/v1/exchanges/{entry['xid']}").json()["entries"][0]["detail"]
    finally:
        gateway.stop()

    assert detail["command"] == "simpul serve"
    assert detail["done"] == {"from": "0023", "to": head_revision()}
