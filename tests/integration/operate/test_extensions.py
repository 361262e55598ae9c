"""Packages that bring kinds and schemas: what fits is taken, what does not is refused, and everybody else answers."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.packages import install, make_environment, uninstall, variables, write_package
from tests.support.ports import free_port

KIND = """
from typing import Literal
import pyarrow as pa
from app.connectors.capabilities import Capabilities
from app.connectors.contract import CheckStep, Connector, Discovery, RawBatch, RawColumn
from app.connectors.source import Kind, SourceBase

class Source(SourceBase):
    kind: Literal["{name}"] = "{name}"
    fails: str = ""

class Only(Connector):
    kind = "{name}"
    def __init__(self, source, environment):
        self.fails = source.fails
        if self.fails == "open":
            raise KeyError("rahasia-di-dalam")
    @property
    def capabilities(self):
        return Capabilities()
    async def check(self):
        if self.fails == "check":
            raise KeyError("rahasia-di-dalam")
        return [CheckStep("read", 0.0)]
    async def discover(self, sample_rows=20):
        return Discovery(("a",), (RawColumn("kode", "text", pa.string()), RawColumn("nama", "text", pa.string())))
    async def scan(self, request):
        yield RawBatch(pa.schema([("kode", pa.string()), ("nama", pa.string())]), rows=[("33.20", "Jepara")])
        if self.fails == "scan":
            raise KeyError("rahasia-di-dalam")
    async def close(self):
        pass

KIND = Kind("{name}", Source, Only{more})
"""
SCHEMA = '''
from typing import ClassVar
from app.schemas.base import SchemaMeta, SharedSchema, spec
from app.schemas.types import Nama, Pengenal

class Pohon(SharedSchema):
    """One tree."""
    contract: ClassVar[int | None] = {contract}
    meta: ClassVar[SchemaMeta] = SchemaMeta(
        name="pohon", version=1, key=("id",), title_id="Pohon", title_en="Trees", judul="Pohon Pelindung",
        definisi="Pohon di tepi jalan", definition_en="Trees beside roads", konsep="Ruang terbuka hijau", ukuran="Jumlah",
        satuan="Pohon", klasifikasi="Jenis", frekuensi="Tahunan", produsen_data="Dinas Lingkungan Hidup",
        level_penyajian="Titik",
    )
    id: Pengenal = spec("Pengenal", "Identifier", "Pengenal pohon", "Identifier of the tree", example="P-1")
    nama: Nama = spec("Nama", "Name", "Nama pohon", "Name of the tree", example="Trembesi")
'''


def kind(name: str, more: str = ", contract=1") -> str:
    return KIND.replace("{name}", name).replace("{more}", more)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    made = make_environment(folder / "environment")
    connectors, schemas = "simpul.connectors", "simpul.schemas"
    packages = {
        "uji-satu": ({connectors: {"satu": "uji_satu:KIND"}}, {"uji_satu": kind("satu")}),
        "uji-mati": ({connectors: {"mati": "uji_mati:KIND"}}, {"uji_mati": "raise SystemExit('tidak bisa')\n"}),
        "uji-lama": ({connectors: {"lama": "uji_lama:KIND"}}, {"uji_lama": kind("lama", ", contract=7")}),
        "uji-diam": ({connectors: {"diam": "uji_diam:KIND"}}, {"uji_diam": kind("diam", "")}),
        "uji-file": ({connectors: {"file": "uji_file:KIND"}}, {"uji_file": kind("file")}),
        "uji-kembar-a": ({connectors: {"kembar": "uji_kembar_a:KIND"}}, {"uji_kembar_a": kind("kembar")}),
        "uji-kembar-b": ({connectors: {"kembar": "uji_kembar_b:KIND"}}, {"uji_kembar_b": kind("kembar")}),
        "uji-salah": ({connectors: {"salah": "uji_salah:KIND"}}, {"uji_salah": "KIND = 1\n"}),
        "uji-pohon": ({schemas: {"pohon": "uji_pohon:Pohon"}}, {"uji_pohon": SCHEMA.replace("{contract}", "1")}),
        "uji-wilayah": ({schemas: {"wilayah": "uji_wilayah:X"}}, {"uji_wilayah": "X = 1\n"}),
    }
    for name, (entries, modules) in packages.items():
        install(made, write_package(folder / name, name, entries, modules))
    return made


@pytest.fixture(scope="module")
def gateway(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Path]]:
    folder, port = tmp_path_factory.mktemp("gateway"), free_port()
    environment, url = variables(programs), f"http://127.0.0.1:{port}"
    words = _made(programs, folder / "i", environment, url)
    with _served(programs, folder / "i", port, folder / "serve.log", words) as http:
        http.post("/v1/agencies", json={"id": "dlh", "name": "DLH"}).raise_for_status()
        yield http, folder / "serve.log"


def _made(programs: Path, folder: Path, environment: dict[str, str], url: str) -> dict[str, str]:
    """An instance, and the client of its walidata."""

    def run(*words: str | Path) -> str:
        command = [programs / "simpul", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    run("init", "--dir", folder, "--base-url", url)
    made = run("client", "create", "--name", "Uji", "--dir", folder)
    return {line.split()[0]: line.split()[1] for line in made.splitlines()}


@contextlib.contextmanager
def _served(programs: Path, folder: Path, port: int, log: Path, words: dict[str, str]) -> Iterator[httpx.Client]:
    """The gateway of an instance while it runs, asked as its administrator."""
    with log.open("wb") as file:
        command = [programs / "simpul", "serve", "--dir", folder, "--port", str(port)]
        process = subprocess.Popen(command, env=variables(programs), stdout=file, stderr=file)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as http:
            _until_ready(http, process, log)
            form = {"grant_type": "client_credentials"}
            answer = http.post("/oauth/token", data=form, auth=(words["client_id"], words["client_secret"]))
            http.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
            yield http
    finally:
        process.terminate()
        process.wait(timeout=60)


@contextlib.contextmanager
def _without(programs: Path, *packages: str) -> Iterator[None]:
    """Packages of the fixture, taken out of its environment for as long."""
    uninstall(programs, *packages)
    try:
        yield
    finally:
        for name in packages:
            install(programs, programs.parents[1] / name)


def _until_ready(http: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + 90
    while time.monotonic() < ends and process.poll() is None:
        try:
            if http.get("/health/ready").status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise AssertionError(log.read_text("utf-8")[-3000:])


def _manifest(name: str, kind: str, **source: str) -> dict[str, object]:
    fields = {"kode": "kode", "nama": "nama", "tingkat": {"const": "kabupaten"}}
    source = {"kind": kind, **source}
    return {"connector": name, "agency": "dlh", "schema": "wilayah@1", "source": source, "fields": fields}


def test_the_command_lists_what_is_taken_and_why_not(programs: Path) -> None:
    done = subprocess.run(
        [programs / "simpul", "extensions", "--json"],
        env=variables(programs),
        capture_output=True,
        text=True,
        check=False,
    )
    found = {(one["name"], one["package"]): (one["code"], one["detail"]) for one in json.loads(done.stdout)["items"]}

    assert done.returncode == 1
    assert {name: code for name, (code, _) in found.items()} == {
        ("satu", "uji-satu"): None,
        ("mati", "uji-mati"): "not_loaded",
        ("lama", "uji-lama"): "contract_version",
        ("diam", "uji-diam"): "contract_version",
        ("file", "uji-file"): "name_taken",
        ("kembar", "uji-kembar-a"): "name_taken",
        ("kembar", "uji-kembar-b"): "name_taken",
        ("salah", "uji-salah"): "wrong_object",
        ("pohon", "uji-pohon"): None,
        ("wilayah", "uji-wilayah"): "name_taken",
    }
    assert "SystemExit: tidak bisa" in found["mati", "uji-mati"][1]
    assert "uji-kembar-a, uji-kembar-b" in found["kembar", "uji-kembar-a"][1]


def test_the_gateway_starts_and_tells(gateway: tuple[httpx.Client, Path]) -> None:
    http, log = gateway
    told = {one["package"]: one["refused"] for one in http.get("/status").json()["extensions"]}
    assert (len(told), told["uji-satu"], told["uji-mati"]) == (10, None, "not_loaded")
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines() if "extension_refused" in line]
    assert {line["package"] for line in lines} == {package for package, refused in told.items() if refused}


def test_the_document_and_the_manifests_schema_know_them(gateway: tuple[httpx.Client, Path]) -> None:
    http, _ = gateway
    schema = http.get("/v1/manifest-schema").json()
    assert "source_satu" in schema["$defs"]
    assert "source_kembar" not in schema["$defs"]
    document = http.get("/openapi.json").json()
    kinds = document["components"]["schemas"]["ManifestSource"]["discriminator"]["mapping"]
    assert set(kinds) == {"file", "rest", "sql", "ckan", "gateway", "ogc", "satu"}
    assert "/v1/records/pohon" in document["paths"]
    assert http.get("/v1/schemas/pohon").json()["title_en"] == "Trees"
    assert http.get("/v1/records/pohon").json()["items"] == []


def test_a_connector_of_a_refused_kind_says_which_package_and_why(gateway: tuple[httpx.Client, Path]) -> None:
    http, _ = gateway
    refused = http.put("/v1/connectors/dlh-lama", json=_manifest("dlh-lama", "lama"))
    assert (refused.status_code, refused.json()["code"]) == (422, "manifest_invalid")
    assert "uji-lama 1.0 brings it, but it is written for contract 7" in refused.json()["errors"][0]["detail"]


def test_errors_of_a_package_are_those_of_its_source(gateway: tuple[httpx.Client, Path]) -> None:
    """What it raises is told by its type alone; the others answer beside it."""
    http, log = gateway
    for name, source in (("dlh-satu", {}), ("dlh-jatuh", {"fails": "scan"})):
        assert http.put(f"/v1/connectors/{name}", json=_manifest(name, "satu", **source)).status_code == 201
    checked = http.post("/v1/connectors/dlh-satu/check").json()
    assert checked["passed"], checked
    assert http.post("/v1/connectors/dlh-satu/publish").status_code == 200
    failed = http.post("/v1/connectors/dlh-jatuh/check").json()
    problems = [step["problem"]["code"] for step in failed["steps"] if not step["ok"]]
    assert problems == ["source_failed"], failed
    for source in ("open", "check"):
        draft = {**_manifest("dlh-jatuh", "satu", fails=source)}
        http.put("/v1/connectors/dlh-jatuh", json=draft, headers={"If-Match": "*"}).raise_for_status()
        told = http.post("/v1/connectors/dlh-jatuh/check")
        assert "source_failed" in told.text, told.text
        assert told.status_code < 500 or told.status_code in {502, 503}
    answer = http.get("/v1/records/wilayah").json()
    assert [(item["kode"], item["_source"]["dataset"]) for item in answer["items"]] == [("33.20", "dlh-satu")]
    assert "rahasia-di-dalam" not in log.read_text("utf-8")


def test_a_package_that_is_gone_takes_only_its_own_connectors_with_it(programs: Path, tmp_path: Path) -> None:
    """A kind and a schema whose packages were uninstalled: the gateway starts, the others answer, the reason is told."""
    port, environment = free_port(), variables(programs)
    url, folder = f"http://127.0.0.1:{port}", tmp_path / "i"
    words = _made(programs, folder, environment, url)
    with _served(programs, folder, port, tmp_path / "first.log", words) as http:
        http.post("/v1/agencies", json={"id": "dlh", "name": "DLH"}).raise_for_status()
        (tmp_path / "wilayah.csv").write_text("kode,nama\n33.21,Demak\n", "utf-8")
        content = (tmp_path / "wilayah.csv").read_bytes()
        http.put("/v1/agencies/dlh/files/wilayah.csv", content=content).raise_for_status()
        trees = {
            "connector": "dlh-pohon",
            "agency": "dlh",
            "schema": "pohon@1",
            "fields": {"id": "kode", "nama": "nama"},
        }
        manifests = [
            _manifest("dlh-satu", "satu"),
            _manifest("dlh-file", "file", location="inbox/wilayah.csv"),
            {**trees, "source": {"kind": "file", "location": "inbox/wilayah.csv"}},
        ]
        for manifest in manifests:
            name = manifest["connector"]
            http.put(f"/v1/connectors/{name}", json=manifest).raise_for_status()
            assert http.post(f"/v1/connectors/{name}/check").json()["passed"]
            http.post(f"/v1/connectors/{name}/publish").raise_for_status()
        assert len(http.get("/v1/records/wilayah").json()["items"]) == 2
        assert len(http.get("/v1/records/pohon").json()["items"]) == 1
    with (
        _without(programs, "uji-satu", "uji-pohon"),
        _served(programs, folder, port, tmp_path / "second.log", words) as http,
    ):
        answer = http.get("/v1/records/wilayah").json()
        assert [item["kode"] for item in answer["items"]] == ["33.21"]
        assert answer["complete"] is False
        (told,) = [source for source in answer["sources"] if source["dataset"] == "dlh-satu"]
        assert (told["problem"]["code"], "unknown kind 'satu'" in told["problem"]["detail"]) == (
            "manifest_invalid",
            True,
        )
        for name in ("dlh-satu", "dlh-pohon"):
            assert http.get(f"/v1/connectors/{name}").status_code == 200
            assert http.post(f"/v1/connectors/{name}/check").status_code in {404, 422}
        assert {one["id"] for one in http.get("/v1/datasets").json()["items"]} == {"dlh-file", "dlh-pohon", "dlh-satu"}
        assert http.get("/v1/datasets?f=jsonld").status_code == 200
        assert http.get("/v1/records/pohon").status_code == 404
    lines = [
        json.loads(line) for line in (tmp_path / "second.log").read_text("utf-8").splitlines() if line.startswith("{")
    ]
    assert {"dlh-satu", "dlh-pohon"} <= {
        line.get("connector") for line in lines if line["event"] == "connector_not_opened"
    }
