"""Every page of the documentation does what it says: its commands run against a demo and print what the page shows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.support.demo import Demo, running_demo
from tests.support.page_programs import Page, parse, run

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
HELD_ELSEWHERE = {
    "how-to/add-a-schema.md": "tests/unit/docs/test_add_a_schema_page.py",
    "reference/manifest.md": "tests/unit/docs/test_manifest_page.py",
}
"""Pages whose code is a part of the gateway or of a manifest: a test of their own runs it."""
OWN_GATEWAY = {"tutorials/write-a-connector-kind.md": "tests/integration/docs/test_kind_of_a_package.py"}
"""Pages that start a gateway of their own: a test of their own runs their commands."""
PAGES = {
    str(file.relative_to(DOCS)): parse(str(file.relative_to(ROOT)), file.read_text("utf-8"))
    for file in DOCS.rglob("*.md")
    if str(file.relative_to(DOCS)) not in {**HELD_ELSEWHERE, **OWN_GATEWAY}
}
RUN = sorted(name for name, page in PAGES.items() if page.steps)
WITH_PHP = [name for name in RUN if PAGES[name].needs("php")]
WITH_MANIFESTS = sorted(name for name, page in PAGES.items() if page.manifests)
# Blocks that a test cannot run, each with its reason in the page.
NOT_RUN = 3

pytestmark = [pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("pages") / ".simpul" / "demo") as running:
        yield running


def run_page(page: Page, demo: Demo, folder: Path, leave_out: str = "") -> None:
    """In a folder that looks like the project's: its .venv, its examples, the running demo."""
    absent = [program for program in ("bash", "curl", "jq", "node") if shutil.which(program) is None]
    assert not absent, f"the pages need {', '.join(absent)}: install it"
    curl = subprocess.run(["curl", "--help", "all"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert "--json" in curl, "the pages need curl 7.82 or newer, for --json"
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "examples").symlink_to(ROOT / "examples")
    (folder / ".simpul").symlink_to(demo.folder.parent)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SIMPUL_", "PYTHON"))}
    path = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {**kept, "PATH": path, "LC_ALL": "C.UTF-8", "NO_PROXY": "*", "COLUMNS": "140"}
    run(page, folder, environment, demo.url.removeprefix("http://"), leave_out)


@pytest.mark.parametrize("name", RUN)
def test_page(name: str, demo: Demo, tmp_path: Path) -> None:
    run_page(PAGES[name], demo, tmp_path, leave_out="php")


@pytest.mark.external
@pytest.mark.parametrize("name", WITH_PHP)
def test_page_with_php(name: str, demo: Demo, tmp_path: Path) -> None:
    assert shutil.which("php") is not None, "the pages need php: install it"
    run_page(PAGES[name], demo, tmp_path)


@pytest.mark.parametrize("name", WITH_MANIFESTS)
def test_manifests_of_a_page_are_accepted(name: str, demo: Demo) -> None:
    admin = next(client for client in demo.secrets if "-admin-" in client)
    with httpx.Client(base_url=demo.url, timeout=60, trust_env=False) as http:
        answer = http.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=(admin, demo.secrets[admin]))
        http.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        for line, manifest in PAGES[name].manifests:
            document = {**manifest, "connector": f"{manifest['connector']}-halaman"}
            body = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
            headers = {"content-type": "application/yaml"}
            put = http.put(f"/v1/connectors/{document['connector']}", content=body, headers=headers)
            assert put.status_code in {200, 201}, f"{PAGES[name].name}, line {line}: {put.text}"
            http.post(f"/v1/connectors/{document['connector']}/retire").raise_for_status()


@pytest.mark.parametrize(("name", "test"), HELD_ELSEWHERE.items())
def test_a_page_that_is_not_run_here_is_read_by_its_own_test(name: str, test: str) -> None:
    assert (DOCS / name).is_file()
    assert Path(name).name in (ROOT / test).read_text("utf-8")
    assert "```console" not in (DOCS / name).read_text("utf-8")


@pytest.mark.parametrize(("name", "test"), OWN_GATEWAY.items())
def test_a_page_with_a_gateway_of_its_own_is_run_by_its_own_test(name: str, test: str) -> None:
    text = (ROOT / test).read_text("utf-8")
    assert f'parse("docs/{name}"' in text
    assert "== len(page.steps)" in text


def test_what_is_not_run_is_little_and_says_why() -> None:
    blocks = [(name, line, reason) for name, page in sorted(PAGES.items()) for line, reason in page.not_run]

    assert [block for block in blocks if not block[2]] == []
    assert len(blocks) == NOT_RUN, blocks
