"""Clients that others generate from the document: made without a warning, compiled, and used against a live gateway."""

from __future__ import annotations

import json
import os
import re
import shutil
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
TOLERATED = {
    "OpenAPI 3.1 support is still in beta. To report an issue related to 3.1 spec, please kindly open an issue in the "
    "Github repo: https://github.com/openAPITools/openapi-generator.": "said of every document of 3.1",
    "Failed to get the schema name: null": "`additionalProperties: false` of a closed object has no name to be found",
    "Ignoring complex example on request body": "an example of a body is left out of the pages beside the Java code",
}
"""What openapi-generator 7.26.0 says of valid input, and why."""

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


def generate(generator: str, config: str, folder: Path, **options: str) -> None:
    """Has openapi-generator make a client; it may warn of nothing but what `TOLERATED` lists."""
    need("java", "Java 17")
    command = ["generate", f"--input-spec={DOCUMENT}", f"--generator-name={generator}", f"--config={DRIVERS / config}"]
    given = [f"--{name}={value}" for name, value in options.items()]
    said = run([str(TOOLS / ".venv" / "bin" / "openapi-generator-cli"), *command, f"--output={folder}", *given], ROOT)
    warned = [line for line in said.splitlines() if line.startswith(("[main] WARN", "[main] ERROR"))]
    assert not [line for line in warned if not line.endswith(tuple(TOLERATED))], "\n".join(warned)


def need(program: str, package: str) -> None:
    """Fails when the program is not there."""
    assert shutil.which(program), f"{program} is not on the path: install {package}"


def need_php() -> None:
    """Fails when PHP, an extension or a library that the client stands on is not there."""
    packages = "php-cli, php-curl, php-mbstring and php-guzzlehttp-guzzle (Debian and Ubuntu: `apt-get install` these)"
    need("php", packages)
    wanted = (
        'version_compare(PHP_VERSION, "8.1", ">=")',
        *(f'extension_loaded("{name}")' for name in ("curl", "mbstring")),
        'stream_resolve_include_path("GuzzleHttp/autoload.php")',
    )
    said = run(["php", "-r", "".join(f"echo ({one}) ? '' : '{one}'.PHP_EOL;" for one in wanted)], ROOT)
    assert not said, f"PHP is here, but this is not true: {said.strip()}: install PHP 8.1 or newer with {packages}"


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


def test_typescript(tmp_path: Path, demo: dict[str, str]) -> None:
    need("node", "Node 20.19 or newer")
    modules = TOOLS / "node_modules"
    for name in ("tour.ts", "tsconfig.json"):
        shutil.copy(DRIVERS / name, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "node_modules").symlink_to(modules)
    said = run(
        [
            str(modules / ".bin" / "openapi-typescript"),
            str(DOCUMENT),
            "--default-non-nullable=false",
            f"--output={tmp_path / 'simpul.d.ts'}",
        ],
        tmp_path,
        {"NO_COLOR": "1"},
    )
    assert re.fullmatch(r"✨ openapi-typescript 7\.13\.0\n🚀 .* \[.+s\]", said.strip()), said
    run([str(modules / ".bin" / "tsc"), "--project", "."], tmp_path)
    compare(run(["node", "tour.js"], tmp_path, demo), demo)


def test_go(tmp_path: Path, demo: dict[str, str]) -> None:
    need("go", "Go 1.23 or newer")
    made = tmp_path / "made"
    generate("go", "go.yaml", made)
    (made / "tour").mkdir()
    shutil.copy(DRIVERS / "tour.go", made / "tour")
    run(["go", "mod", "tidy"], made)
    run(["go", "vet", "./..."], made)
    run(["go", "build", "-o", str(tmp_path / "program"), "./tour"], made)
    compare(run([str(tmp_path / "program")], tmp_path, demo), demo)


def test_java_okhttp(tmp_path: Path, demo: dict[str, str]) -> None:
    _java("okhttp", tmp_path / "made", demo)


def test_java_native(tmp_path: Path, demo: dict[str, str]) -> None:
    _java("native", tmp_path / "made", demo)


def _java(library: str, made: Path, demo: dict[str, str]) -> None:
    need("javac", "a JDK, 17 or newer")
    need("mvn", "Maven 3.8 or newer")
    generate("java", f"java_{library}.yaml", made)
    sources = made / "src" / "main" / "java"
    for driver in ("Tour.java", f"{library}/Library.java"):
        shutil.copy(DRIVERS / "java" / driver, sources)
    maven = ["mvn", "--quiet", "--batch-mode", "--no-transfer-progress"]
    run([*maven, "compile", "dependency:build-classpath", "-Dmdep.outputFile=classpath"], made)
    classes = f"{made / 'target' / 'classes'}{os.pathsep}{(made / 'classpath').read_text('utf-8')}"
    compare(run(["java", "-classpath", classes, "Tour"], made, demo), demo)


def test_php(tmp_path: Path, demo: dict[str, str]) -> None:
    need_php()
    made = tmp_path / "made"
    generate("php", "php.yaml", made)
    strict = ["-d", "error_reporting=-1", "-d", "display_errors=stderr", "-d", "log_errors=0"]
    drivers = DRIVERS / "php"
    for file in sorted([*made.rglob("*.php"), *drivers.glob("*.php")]):
        said = run(["php", *strict, "-l", str(file)], tmp_path)
        assert said.strip() == f"No syntax errors detected in {file}", said
    place = {"SIMPUL_PHP_CLIENT": str(made / "lib")}
    compare(run(["php", *strict, str(drivers / "tour.php")], tmp_path, {**place, **demo}), demo)
    said = run(["php", *strict, str(drivers / "answers.php")], tmp_path, {**place, **demo})
    kept = dict(json.loads(line) for line in said.splitlines())
    assert kept.pop("csv") == _whole_export(demo)
    assert len(kept) > 40, said
    assert {"exchange", "merged", "one day", "job", "listHargaKomoditas", "listExchanges"} <= kept.keys()


def _whole_export(demo: Mapping[str, str]) -> str:
    with httpx.Client(base_url=demo["SIMPUL_URL"], timeout=60, trust_env=False) as http:
        credential = (demo["SIMPUL_CLIENT"], demo["SIMPUL_CLIENT_SECRET"])
        token = http.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=credential).json()
        wanted = {"f": "csv", "sort": "kode_faskes", "rawat_inap": "false"}
        answer = http.get(RECORDS, params=wanted, headers={"authorization": f"Bearer {token['access_token']}"})
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.text
