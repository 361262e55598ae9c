"""schemathesis with all its checks and phases against a running demo, as each of the five roles: nothing fails."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.demo import Demo, running_demo

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = ROOT / "openapi" / "simpul.json"
HOOKS = Path(__file__).parent / "schemathesis_hooks.py"
SECONDS = 150
ROLES = ("client", "auditor", "supervisor", "steward", "admin")
"""Those that change little stand first: all speak to one demo."""

pytestmark = [pytest.mark.external, pytest.mark.timeout(400), pytest.mark.xdist_group("schemathesis")]

REFUSED = ["400", "401", "403", "404", "405", "406", "409", "412", "413", "415", "416", "422", "428", "429", "431"]
"""Whichever of these answers a request that breaks the schema, it was refused; a fault (5xx) is none."""
TAKEN = ["2xx", "3xx", "401", "403", "404", "409", "412", "428", "431", "502", "503", "504"]
"""What may answer a request that keeps to the schema: its things are not there, are in another state, or are not this role's.

412 and 428 speak of that state, 502 to 504 of sources (the run itself overwrites files and retires connectors). 431: headers
that fit one by one may be too many together.
"""
ANSWERED = ["2xx", "3xx", "4xx", "502", "503", "504"]
"""What is no fault of the gateway: a source that does not answer is one."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Where a check asks for more than the document can say."""

    paths: str
    checks: dict[str, Any]
    reason: str


EXCLUSIONS = (
    Exclusion(
        "^/v1/(records/.+|queries|(access/)?explain)$",
        {"positive_data_acceptance": {"expected-statuses": [*TAKEN, "405", "406", "413", "415", "422"]}},
        "Filters, SQL, names of fields, keys, cursors and purposes are texts of a language or of data that no schema tells; "
        "`csv=id` beside another form is 406.",
    ),
    Exclusion(
        "^/v1/(exchanges(/summary)?|erasures|legal-holds|incident-scope|subject-usage)$",
        {"positive_data_acceptance": {"expected-statuses": [*TAKEN, "422"]}},
        "A cursor is one that was given, a day is one of the calendar, and one member stands for another (subject or range).",
    ),
    Exclusion(
        "^/v1/(agencies|agreements|clients(/{client}/keys)?|people|connectors/{connector}|secrets/{name})$",
        {"positive_data_acceptance": {"expected-statuses": [*TAKEN, "422"]}},
        "Row filters are CQL2, networks are addresses, a manifest names the connector of its path, names are printable, a "
        "key is a point of its curve, an issuer stands beside its subject.",
    ),
    Exclusion(
        "^/v1/agencies/{agency}/files/{path}$",
        {"positive_data_acceptance": {"expected-statuses": [*TAKEN, "400", "422"]}},
        "A digest is the one of the bytes; names are printable.",
    ),
    Exclusion(
        "^/(oauth/enrol|sign-in)$",
        {"positive_data_acceptance": {"expected-statuses": [*TAKEN, "422", "429"]}},
        "A key is a point of its curve; one of two members is the second factor; failed proofs of an address make it wait.",
    ),
    Exclusion(
        "^/sign-in/account(/open)?$",
        {"positive_data_acceptance": {"expected-statuses": [*TAKEN, "429"]}},
        "Failed proofs of an address make it wait.",
    ),
    Exclusion(
        "^/v1/records/.+/match$",
        {"negative_data_rejection": {"expected-statuses": [*REFUSED, "2xx"]}},
        "A key that does not fit is told in the answer as `invalid`, and the others are matched.",
    ),
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo that does not count requests."""
    many = {"SIMPUL_RATE_PER_MINUTE": "1000000", "SIMPUL_SUBJECT_USAGE_PER_MINUTE": "1000000"}
    with running_demo(tmp_path_factory.mktemp("schemathesis") / "demo", many) as running:
        yield running


def configuration(folder: Path) -> Path:
    """Checks and exclusions, as schemathesis reads them."""
    document = {
        "checks": {
            "not_a_server_error": {"expected-statuses": ANSWERED},
            "negative_data_rejection": {"expected-statuses": REFUSED},
            "positive_data_acceptance": {"expected-statuses": TAKEN},
        },
        "operations": [{"include-path": path, "checks": checks} for path, checks in _excluded().items()],
    }
    made = folder / "schemathesis.toml"
    made.write_text(_toml(document), "utf-8")
    return made


def _excluded() -> dict[str, dict[str, Any]]:
    """Of each path, the settings of all exclusions that match it: schemathesis itself takes the first alone."""
    found: dict[str, dict[str, Any]] = {}
    for path in json.loads(DOCUMENT.read_text("utf-8"))["paths"]:
        for one in EXCLUSIONS:
            if re.fullmatch(one.paths, path):
                found.setdefault(path, {}).update(one.checks)
    return found


def _toml(document: dict[str, Any]) -> str:
    tables = [f"checks.{name} = {_value(settings)}" for name, settings in document["checks"].items()]
    for operation in document["operations"]:
        tables += ["[[operations]]", *(f"{name} = {_value(value)}" for name, value in operation.items())]
    return "\n".join([*tables, ""])


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_value(inner)}" for name, inner in value.items()) + "}"
    return json.dumps(value)


def token(demo: Demo, role: str) -> str:
    """An access token of the demo's client that has this role."""
    clients = json.loads((demo.folder / "credentials.json").read_text("utf-8"))["clients"]
    one = next(client for client in clients if client["role"] == role)
    credential = (one["client_id"], one["client_secret"])
    form = {"grant_type": "client_credentials"}
    answer = httpx.post(f"{demo.url}/oauth/token", data=form, auth=credential, trust_env=False)
    assert answer.status_code == httpx.codes.OK, answer.text
    found: str = answer.json()["access_token"]
    return found


@pytest.mark.parametrize("role", ROLES)
def test_nothing_fails(demo: Demo, tmp_path: Path, role: str) -> None:
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        f"--config-file={configuration(tmp_path)}",
        "run",
        str(DOCUMENT),
        f"--url={demo.url}",
        f"--header=Authorization: Bearer {token(demo, role)}",
        "--checks=all",
        "--phases=examples,coverage,fuzzing,stateful",
        "--continue-on-failure",
        "--seed=1",
        f"--max-time={SECONDS}",
        "--generation-database=none",
        "--no-color",
        "--report=json",
        f"--report-json-path={tmp_path / 'report.json'}",
    ]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS + 240,
    )
    said = "\n".join(part[:2_000] for part in re.split(r"\n(?=_{10,}|={10,})", done.stdout) if part)[-30_000:]
    assert done.returncode == 0, said
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert (report["failures"], report["errors"]) == ([], [])
    assert report["operations"]["tested"] == report["operations"]["total"], report["operations"]
    assert {phase["status"] for phase in report["phases"].values()} == {"success"}, report["phases"]
