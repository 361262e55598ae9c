"""`simpul agent init`, `check` and `status`: each step of the way, what is wrong with it, and what to do."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent import Office
from tests.support.gateway import RunningGateway
from tests.support.ports import free_port


def steps(office: Office) -> dict[str, dict[str, Any]]:
    done = office.run("check", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode == 0) == document["ok"] == all(step["ok"] for step in document["steps"])
    return {step["step"]: step for step in document["steps"]}


def furnished(office: Office) -> None:
    (office.folder / "faskes.csv").write_text("kode\n1\n", "utf-8")
    sqlite3.connect(office.folder / "ada.db").close()
    office.write(
        {"name": "faskes", "file": "faskes.csv", "to": "faskes.csv", "every": "15m"},
        {"name": "harga", "database": "sqlite:///ada.db", "query": "SELECT 1 AS a", "to": "harga.csv", "at": "06:00"},
    )


def test_init_writes_a_configuration_and_never_over_one(office: Office) -> None:
    first = office.run("init")
    office_text = office.config.read_text("utf-8")
    second = office.run("init")

    assert (first.returncode, second.returncode) == (0, 2)
    assert "[[schedule]]" in office_text
    assert office.config.read_text("utf-8") == office_text
    assert office.config.stat().st_mode & 0o077 == 0
    assert "never overwritten" in second.stderr


def test_everything_works_and_nothing_is_sent(gateway: RunningGateway, office: Office) -> None:
    furnished(office)
    before = gateway.admin.get("/v1/agencies/dinkes/files").json()
    found = steps(office)

    assert list(found) == ["config", "gateway", "token", "permission", "schedule faskes", "schedule harga"]
    assert all(step["ok"] for step in found.values())
    assert gateway.admin.get("/v1/agencies/dinkes/files").json() == before
    shown = office.run("check").stdout
    assert shown.count("ok    ") == 6


def test_each_step_that_fails_says_what_to_do(
    gateway: RunningGateway, office: Office, client: dict[str, Any], tmp_path: Path
) -> None:
    furnished(office)
    (office.folder / "faskes.csv").unlink()
    found = steps(office)
    assert (found["schedule faskes"]["code"], found["schedule harga"]["ok"]) == ("file_missing", True)

    furnished(office)
    office.gateway["agency"] = "lain"
    furnished(office)
    gateway.agency("lain")
    assert (steps(office)["permission"]["code"], steps(office)["permission"]["step"]) == (
        "agency_forbidden",
        "permission",
    )

    office.gateway |= {"agency": "dinkes", "client_id": "tidak-ada"}
    furnished(office)
    found = steps(office)
    assert found["token"]["code"] == "invalid_client"
    assert "permission" not in found
    assert found["schedule faskes"]["ok"]

    office.gateway |= {"client_id": client["client_id"], "url": f"http://127.0.0.1:{free_port()}"}
    furnished(office)
    assert steps(office)["gateway"]["code"] == "unreachable"
    assert all(step["ok"] or step["advice"] for step in steps(office).values())


def test_a_client_that_may_not_is_told_the_role(gateway: RunningGateway, tmp_path: Path) -> None:
    body = {"agency": "dinkes", "role": "client", "name": "Pembaca", "id": "pembaca"}
    office = Office(tmp_path / "k", gateway.url, gateway.admin.post("/v1/clients", json=body).json())
    furnished(office)
    found = steps(office)["permission"]

    assert found["code"] == "role_forbidden"
    assert "steward" in found["advice"]


@pytest.mark.parametrize("command", ["run", "once", "check", "status"])
def test_a_wrong_configuration_is_told_whole(office: Office, command: str) -> None:
    office.config.write_text('[gateway]\nurl = "x"\nagncy = "dinkes"\n', "utf-8")
    done = office.run(command)

    assert done.returncode == 2
    for part in ("gateway.agncy: no such key; did you mean agency?", "gateway.url", "gateway.client_id", "schedule"):
        assert part in done.stderr


def test_once_names_the_schedules_there_are(office: Office) -> None:
    furnished(office)
    done = office.run("once", "fasks")

    assert done.returncode == 2
    assert "faskes, harga" in done.stderr
