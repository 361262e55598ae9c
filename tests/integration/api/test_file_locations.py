"""A file that stands elsewhere, as a steward connects it: from an address or an archive to a published dataset, and what its answers say."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.file_server import FileServer
from tests.support.gateway import RunningGateway
from tests.support.programs import simpul
from tests.support.sftp_server import USER, SftpServer

EXAMPLE = Path(__file__).parents[3] / "examples/jepara/data/puskesmas.csv"
PASSWORD = "sandi-4f9c1e"


@pytest.fixture
def server() -> Iterator[FileServer]:
    found = FileServer({"/unduh/puskesmas.csv": EXAMPLE.read_bytes()})
    yield found
    found.close()


def steward(gateway: RunningGateway, name: str) -> dict[str, str]:
    body = {"id": name, "agency": "dinkes", "role": "steward", "name": "S"}
    made = gateway.admin.post("/v1/clients", json=body).json()
    return {
        "SIMPUL_URL": gateway.url,
        "SIMPUL_CLIENT_ID": made["client_id"],
        "SIMPUL_CLIENT_SECRET": made["client_secret"],
    }


def published(gateway: RunningGateway, name: str, manifest: str) -> dict[str, Any]:
    """The manifest as it was proposed, checked and published; the report of its check."""
    headers = {
        "If-Match": gateway.admin.get(f"/v1/connectors/{name}").headers["etag"],
        "content-type": "application/yaml",
    }
    answer = gateway.admin.put(f"/v1/connectors/{name}", content=manifest.encode(), headers=headers)
    assert answer.status_code == 201, answer.text
    report: dict[str, Any] = gateway.admin.post(f"/v1/connectors/{name}/check").json()
    assert report["passed"], report["steps"]
    assert gateway.admin.post(f"/v1/connectors/{name}/publish").status_code == 200
    return report


def source_of(gateway: RunningGateway, name: str) -> dict[str, Any]:
    """What an answer tells of the dataset of this connector."""
    answer = gateway.client("client", "dinkes").get("/v1/records/fasilitas-kesehatan", params={"limit": 1})
    assert answer.status_code == 200, answer.text
    (found,) = [one for one in answer.json()["sources"] if one["dataset"] == name]
    return dict(found)


def test_a_connector_is_new_by_the_address_of_a_file(gateway: RunningGateway, server: FileServer) -> None:
    command = ["connector", "new", f"{server.url}/unduh/puskesmas.csv", "--agency", "dinkes", "--name", "dinkes-unduh"]
    command += ["--schema", "fasilitas_kesehatan", "--source", "refresh=1h"]

    done = simpul(*command, variables=steward(gateway, "st-unduh"))

    assert done.returncode == 0, done.stderr
    manifest = yaml.safe_load(done.stdout)
    assert manifest["source"]["location"] == f"{server.url}/unduh/puskesmas.csv"
    assert manifest["source"]["kind"] == "file"
    report = published(gateway, "dinkes-unduh", done.stdout)
    assert [step["name"] for step in report["steps"]][:4] == ["dns", "tcp", "permission", "read"]
    before = datetime.now(UTC)

    def sent() -> int:  # a scheduled look may ask whether it has changed
        return len([one for one in server.asked if "if-none-match" not in one.headers])

    first, asked = source_of(gateway, "dinkes-unduh"), sent()
    again = source_of(gateway, "dinkes-unduh")
    assert first["status"] == "ok"
    assert before <= datetime.fromisoformat(first["as_of"]) <= datetime.now(UTC)
    assert first["as_of"] == again["as_of"]  # the same copy, as old as refresh lets it be
    assert sent() == asked
    gateway.admin.post("/v1/connectors/dinkes-unduh/suspend")


def test_an_archive_is_uploaded_its_members_are_listed_and_one_is_proposed(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data/puskesmas.csv", EXAMPLE.read_bytes())
        archive.writestr("README.txt", "Daftar puskesmas")
    (tmp_path / "laporan.zip").write_bytes(sink.getvalue())
    gateway.upload("dinkes", tmp_path / "laporan.zip")
    body = {"connector": "laporan-zip", "agency": "dinkes", "source": {"kind": "file", "location": "inbox/laporan.zip"}}
    assert gateway.admin.put("/v1/connectors/laporan-zip", json=body).status_code == 201

    found = gateway.admin.post("/v1/connectors/laporan-zip/discover?schema=fasilitas_kesehatan").json()

    source = yaml.safe_load(found["manifest"])["source"]
    assert source["member"] == "data/puskesmas.csv"
    assert any("holds 2 files that may be read" in note for note in found["notes"])
    assert "/source/member" in [guess["pointer"] for guess in found["guesses"]]
    report = gateway.admin.post("/v1/connectors/laporan-zip/check").json()
    wrong = report["steps"][-1]
    assert (wrong["name"], wrong["field"], wrong["problem"]["code"]) == (
        "read",
        "/source/member",
        "source_format_error",
    )
    published(gateway, "laporan-zip", found["manifest"])
    assert source_of(gateway, "laporan-zip")["status"] == "ok"
    gateway.admin.post("/v1/connectors/laporan-zip/suspend")


def test_an_sftp_server_is_new_with_what_it_needs_besides_and_its_secret_stays_sealed(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    (tmp_path / "puskesmas.csv").write_bytes(EXAMPLE.read_bytes())
    server = SftpServer(tmp_path, PASSWORD)
    secret = gateway.admin.put("/v1/secrets/SFTP", json={"value": PASSWORD, "agency": "dinkes"})
    assert secret.status_code in {200, 201, 204}, secret.text
    address = f"sftp://127.0.0.1:{server.port}/puskesmas.csv"
    command = ["connector", "new", address, "--agency", "dinkes", "--name", "dinkes-sftp"]
    variables = steward(gateway, "st-sftp")
    try:
        refused = simpul(*command, variables=variables)
        assert refused.returncode != 0
        assert "needs host_key" in refused.stdout + refused.stderr
        for stated in (f"user={USER}", "password=${secret:SFTP}", f"host_key={server.fingerprint}"):
            command += ["--source", stated]
        done = simpul(*command, "--schema", "fasilitas_kesehatan", variables=variables)
        assert done.returncode == 0, done.stderr
        assert PASSWORD not in done.stdout
        report = published(gateway, "dinkes-sftp", done.stdout)
        assert [step["name"] for step in report["steps"]][:4] == ["dns", "tcp", "permission", "read"]
        assert source_of(gateway, "dinkes-sftp")["status"] == "ok"
    finally:
        gateway.admin.post("/v1/connectors/dinkes-sftp/suspend")
        server.close()
