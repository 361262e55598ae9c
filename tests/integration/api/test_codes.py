"""Code lists over HTTP: pages, names, crosswalks, and what is refused."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support.gateway import RunningGateway
from tests.support.programs import SIMPUL, run

REGIONS = "kode,nama\n33,Jawa Tengah\n33.20,Kabupaten Jepara\n33.20.06,Jepara\n33.20.10,Karimunjawa\n33.20.10.2001,Karimunjawa\n"
FOREIGN = "sistem,kode_asal,tingkat,nama_asal,kode_kemendagri\ndapodik,032015,kecamatan,Kec. Karimunjawa,33.20.10\n"


@pytest.fixture(scope="module")
def loaded(gateway: RunningGateway, tmp_path_factory: pytest.TempPathFactory) -> RunningGateway:
    folder: Path = tmp_path_factory.mktemp("kode")
    for name, content in (("wilayah.csv", REGIONS), ("dapodik.csv", FOREIGN)):
        (folder / name).write_text(content, "utf-8")
        command = [*SIMPUL, "codes", "load", str(folder / name), "--dir", str(gateway.folder)]
        done = run(command, env=gateway.environment)
        assert done.returncode == 0, done.stderr
    ends = time.monotonic() + 20
    while gateway.admin.get("/v1/codes/dapodik/032015").status_code != 200:
        assert time.monotonic() < ends
        time.sleep(0.02)
    return gateway


def test_a_list_is_narrowed_and_paged(loaded: RunningGateway) -> None:
    caller = loaded.client("client", "rsud")
    first = caller.get("/v1/codes/kemendagri", params={"limit": 2}).json()
    assert [item["code"] for item in first["items"]] == ["33", "33.20"]
    assert (first["total"], first["next_after"]) == (5, "33.20")
    last = caller.get("/v1/codes/kemendagri", params={"limit": 3, "after": first["next_after"]}).json()
    assert (len(last["items"]), last["next_after"]) == (3, None)
    narrowed = caller.get("/v1/codes/kemendagri", params={"level": "kelurahan", "parent": "33.20", "q": "JAWA"}).json()
    assert [item["code"] for item in narrowed["items"]] == ["33.20.10.2001"]


def test_a_name_is_exact_variant_ambiguous_or_unmatched(loaded: RunningGateway) -> None:
    def said(name: str, **narrowed: str) -> tuple[str, str | None, int]:
        path = "/v1/codes/kemendagri/lookup"
        found = loaded.client("client", "rsud").get(path, params={"name": name, **narrowed}).json()
        return found["status"], found["code"], found["candidates_total"]

    assert said("karimunjawa", level="kecamatan") == ("exact", "33.20.10", 1)
    assert said("Kec. Karimun Djawa") == ("variant", "33.20.10", 1)
    assert said("Karimunjawa") == ("ambiguous", None, 2)
    assert said("Karimunjowo", level="kecamatan") == ("unmatched", None, 1)


def test_a_code_in_another_system(loaded: RunningGateway) -> None:
    caller = loaded.client("client", "rsud")
    found = caller.get("/v1/codes/dapodik/032015/crosswalk", params={"to": "kemendagri"}).json()
    assert [(item["code"], item["nama"]) for item in found["items"]] == [("33.20.10", "Karimunjawa")]
    back = caller.get("/v1/codes/kemendagri/33.20.10/crosswalk", params={"to": "dapodik"}).json()
    assert [(item["code"], item["metode"]) for item in back["items"]] == [("032015", "manual")]
    assert caller.get("/v1/codes/kemendagri/33.20.06/crosswalk", params={"to": "dapodik"}).json()["items"] == []


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("bpjs", 404, "not_found"),
        ("dapodik/032015/crosswalk?to=bpjs", 404, "not_found"),
        ("dapodik/03/crosswalk", 404, "not_found"),
        ("kemendagri?limit=0", 422, "limit_out_of_range"),
        ("kemendagri?limit=1001", 422, "limit_out_of_range"),
        ("kemendagri?level=dukuh", 422, "validation_failed"),
        ("kemendagri?nama=x", 422, "parameter_unknown"),
        ("kemendagri/lookup", 422, "validation_failed"),
        ("kemendagri/lookup?name=%20", 422, "validation_failed"),
        ("kemendagri?q=", 422, "validation_failed"),
        (f"kemendagri?q={'a' * 201}", 422, "validation_failed"),
        (f"kemendagri?after={'3' * 101}", 422, "validation_failed"),
        (f"kemendagri/lookup?name=Jepara&parent={'3' * 14}", 422, "validation_failed"),
        ("kemendagri?limit=0000000010005", 422, "limit_out_of_range"),
    ],
)
def test_what_is_not_there_or_not_meant_is_refused(loaded: RunningGateway, path: str, status: int, code: str) -> None:
    refused = loaded.client("client", "rsud").get(f"/v1/codes/{path}")
    assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text
