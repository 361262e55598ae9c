"""Clients that others generate from the document: made without a warning, compiled, and used against a live gateway."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.demo import running_demo

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = ROOT / "openapi" / "simpul.json"
DRIVERS = Path(__file__).parent / "clients"
TOOLS = ROOT / "tools" / "contract"
RECORDS = "/v1/records/fasilitas-kesehatan"
SQL = "SELECT jenis, count(*) AS n FROM fasilitas_kesehatan GROUP BY jenis ORDER BY jenis"

pytestmark = [pytest.mark.external, pytest.mark.timeout(600), pytest.mark.xdist_group("generated-clients")]


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    """The pinned generators (`make contract-tools`)."""
    run(["make", "contract-tools"], ROOT)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Address and credentials of a running demo, as drivers find them in their environment."""
    with running_demo(tmp_path_factory.mktemp("clients") / "demo") as running:
        yield {
            "SIMPUL_URL": running.url,
            "SIMPUL_CLIENT": "rsud-portal",
            "SIMPUL_CLIENT_SECRET": running.secrets["rsud-portal"],
            "SIMPUL_AUDITOR": "rsud-auditor",
            "SIMPUL_AUDITOR_SECRET": running.secrets["rsud-auditor"],
        }


def run(command: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """What the program printed; a failure shows it."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=480,
    )
    assert done.returncode == 0, f"{' '.join(command)[:300]}\n{done.stdout[-6000:]}"
    return done.stdout


def compare(said: str, demo: Mapping[str, str]) -> None:
    """Each line of the driver is what a plain HTTP client gets for the same call."""
    told = dict(json.loads(line) for line in said.splitlines() if line.startswith("["))
    assert told == _plain(demo, told["exchange"][0])


def _plain(demo: Mapping[str, str], exchange: str) -> dict[str, Any]:
    with httpx.Client(base_url=demo["SIMPUL_URL"], timeout=60, trust_env=False) as http:

        def token(name: str) -> dict[str, Any]:
            credential = (demo[f"SIMPUL_{name}"], demo[f"SIMPUL_{name}_SECRET"])
            answer = http.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=credential)
            http.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
            return _json(answer)

        got: dict[str, Any] = {}
        made = token("CLIENT")
        got["token"] = [made["token_type"], made["expires_in"]]
        schemas = _json(http.get("/v1/schemas"))["items"]
        got["schemas"] = [[item["name"], item["version"]] for item in schemas]
        page = _json(http.get(RECORDS, params={"filter": "kode_wilayah='33.20.10'", "sort": "nama"}))
        statuses = [source["status"] for source in page["sources"]]
        got["list"] = [_keys(page), page["complete"], page["next_cursor"], statuses]
        asked = {"filter": {"op": "=", "args": [{"property": "rawat_inap"}, True]}, "sort": ["nama"], "limit": 5}
        got["search"] = _keys(_json(http.post(f"{RECORDS}/search", json=asked)))
        one = _json(http.get(f"{RECORDS}/{_keys(page)[0]}"))["items"][0]
        got["lookup"] = [one["nama"], one["_source"]["agency"]]
        wanted = {"aggregates": [{"function": "count", "as": "n"}], "group_by": ["jenis"]}
        groups = _json(http.post(f"{RECORDS}/aggregate", json=wanted))["items"]
        got["aggregate"] = sorted([group["jenis"], group["n"]] for group in groups)
        rows = _json(http.post("/v1/queries", json={"sql": SQL}))
        names = [column["name"] for column in rows["columns"]]
        got["sql"] = [names, [[row["jenis"], row["n"]] for row in rows["items"]]]
        question = {"schema": "fasilitas_kesehatan", "filter": "kode_wilayah = '33.20.10'"}
        plan = _json(http.post("/v1/explain", json=question))["sources"]
        got["explain"] = sorted([source["agency"], source["dataset"], source["pushed"]] for source in plan)
        problem = http.get(RECORDS, params={"filter": "tidak_ada = 1"}).json()
        assert problem["status"] == httpx.codes.UNPROCESSABLE_ENTITY
        places = [[place["code"], place["detail"]] for place in problem.get("errors", [])]
        got["problem"] = [problem["status"], problem["code"], places]
        token("AUDITOR")
        found = _json(http.get(f"/v1/exchanges/{exchange}"))
        kinds = [[entry["kind"], entry["index"]] for entry in found["entries"]]
        got["exchange"] = [found["exchange_id"], kinds, found["proof"]["checkpoint"][:20]]
        assert all(got.values())
        assert all((got["list"][0], got["search"], got["sql"][1], kinds))
        return got


def _json(answer: httpx.Response) -> Any:
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.json()


def _keys(page: dict[str, Any]) -> list[str]:
    return [item["_source"]["id"] for item in page["items"]]


def test_python(tmp_path: Path, demo: dict[str, str]) -> None:
    programs_of = TOOLS / ".venv" / "bin"
    path = {"PATH": f"{programs_of}{os.pathsep}{os.environ['PATH']}"}
    said = run(
        [
            str(programs_of / "openapi-python-client"),
            "generate",
            f"--path={DOCUMENT}",
            f"--config={DRIVERS / 'python_client.yaml'}",
            f"--output-path={tmp_path / 'made'}",
            "--fail-on-warning",
        ],
        tmp_path,
        path,
    )
    assert said.splitlines() == [f"Generating {tmp_path / 'made'}"], said
    driver = DRIVERS / "tour.py"
    made = {"MYPYPATH": str(tmp_path / "made"), "PYTHONPATH": str(tmp_path / "made")}
    run([str(programs_of / "mypy"), "--strict", "--no-error-summary", str(driver)], tmp_path, made)
    compare(run([str(programs_of / "python"), "-W", "error", str(driver)], tmp_path, {**made, **demo}), demo)
