"""CKAN's own reader of DCAT (ckanext-dcat, profile `euro_dcat_ap_3`) takes the catalogue: an environment of its own, from the package index."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import RunningGateway

UV = str(Path(sys.executable).parent / "uv")
READER = """
import json, sys
from ckan.common import config
config.update({"ckan.locale_default": "en"})
from ckanext.dcat.processors import RDFParser
found = []
for file in sys.argv[1:]:
    parser = RDFParser(profiles=["euro_dcat_ap_3"])
    parser.parse(open(file, encoding="utf-8").read(), "json-ld")
    found.append({"next": parser.next_page(), "datasets": list(parser.datasets())})
print(json.dumps(found))
"""

pytestmark = [pytest.mark.external, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def ckan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with CKAN 2.12 and ckanext-dcat 2.4; no server and no database: its parser needs none."""
    folder = tmp_path_factory.mktemp("ckan") / "environment"
    venv.create(folder, with_pip=True, symlinks=True)
    python = folder / "bin" / "python"
    wanted = ["ckan[requirements]==2.12.0", "ckanext-dcat==2.4.4", "pyld", "geomet", "setuptools<81"]
    for command in (
        [UV, "pip", "install", "--quiet", "--python", str(python)],
        [str(python), "-m", "pip", "install", "--quiet"],
    ):
        if subprocess.run([*command, *wanted], check=False, timeout=500).returncode == 0:
            return python
    raise AssertionError("CKAN could not be installed from the package index")


def test_ckan_reads_every_page(ckan: Path, tmp_path: Path) -> None:
    (tmp_path / "gateway").mkdir(mode=0o700)
    gateway = RunningGateway(tmp_path / "gateway")
    gateway.init()
    gateway.start()
    try:
        gateway.agency("dinkes", contact="data@dinkes.go.id")
        (tmp_path / "faskes.csv").write_text("kode,nama,jenis\nP1,Puskesmas Satu,puskesmas\n", "utf-8")
        gateway.upload("dinkes", tmp_path / "faskes.csv")
        for number in range(3):
            gateway.publish(
                {
                    "connector": f"dinkes-{number}",
                    "agency": "dinkes",
                    "schema": "fasilitas_kesehatan@1",
                    "title": f"Fasilitas {number}",
                    "licence": "CC-BY-4.0",
                    "source": {"kind": "file", "location": "inbox/faskes.csv"},
                    "fields": {"kode_faskes": "kode", "nama": "nama", "jenis": "jenis"},
                }
            )
        found = _read(ckan, gateway, tmp_path)
        base = gateway.url
    finally:
        gateway.stop()
    assert [len(page["datasets"]) for page in found] == [2, 1]
    assert (found[0]["next"], found[1]["next"]) == (f"{base}/v1/datasets?limit=2&f=jsonld&after=dinkes-1", None)
    first = min((one for page in found for one in page["datasets"]), key=lambda one: one["title"])
    extras = {extra["key"]: extra["value"] for extra in first["extras"]}
    assert (first["title"], extras["identifier"], extras["uri"]) == (
        "Fasilitas 0",
        "dinkes/dinkes-0",
        f"{base}/v1/datasets/dinkes-0",
    )
    assert (extras["publisher_name"], extras["contact_email"]) == ("OPD dinkes", "data@dinkes.go.id")
    assert extras["access_rights"].endswith("/PUBLIC")
    assert extras["spatial_uri"] == f"{base}/v1/codes/kemendagri/33.20"
    assert {tag["name"] for tag in first["tags"]} == {"Fasilitas kesehatan", "Health facilities"}
    resources = {resource["uri"].rpartition("#")[2]: resource for resource in first["resources"]}
    assert set(resources) == {"json", "ndjson", "csv", "xlsx", "parquet", "geojson"}
    assert resources["csv"]["url"] == f"{base}/v1/records/fasilitas-kesehatan?agencies=dinkes&f=csv"
    assert resources["csv"]["license"] == "https://creativecommons.org/licenses/by/4.0/"


def _read(ckan: Path, gateway: RunningGateway, folder: Path) -> list[dict[str, Any]]:
    """What CKAN makes of each page, in the order in which they are followed."""
    (folder / "reader.py").write_text(READER, "utf-8")
    caller, files, address = gateway.client("client", "dinkes"), [], "/v1/datasets?f=jsonld&limit=2"
    while address:
        page = caller.get(address)
        files.append(folder / f"page-{len(files)}.jsonld")
        files[-1].write_bytes(page.content)
        following = [node["hydra:next"]["@id"] for node in page.json()["@graph"] if "hydra:next" in node]
        address = following[0] if following else ""
    command = [str(ckan), "-W", "ignore", str(folder / "reader.py"), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found
