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
    whole = caller.get("/v1/codes/kemendagri", params={"limit": 100}).json()
    listed = [item["code"] for item in whole["items"]]
    assert (first["total"], first["next_after"]) == (len(listed), "33.20")
    assert len([code for code in listed if code.startswith("33")]) == 5  # other tests load more provinces
    last = caller.get("/v1/codes/kemendagri", params={"limit": len(listed) - 2, "after": first["next_after"]}).json()
    assert ([item["code"] for item in last["items"]], last["next_after"]) == (listed[2:], None)
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


DATED = (
    "kode,nama,valid_from,valid_to,pengganti\n35,Jawa Timur,,,\n35.01,Kabupaten Lama,,2019-05-01,35.02 35.03\n"
    "35.02,Kabupaten Baru,2019-05-02,,\n35.03,Kabupaten Lama,2019-05-02,,\n"
)
DATED_FOREIGN = (
    "sistem,kode_asal,tingkat,nama_asal,kode_kemendagri,valid_from,valid_to,pengganti\n"
    "uji,L1,kabupaten,Lama,35.01,,2019-05-01,B1\nuji,B1,kabupaten,Baru,35.02,2019-05-02,,\nuji,S1,kabupaten,Selalu,35.02,,,\n"
)


@pytest.fixture(scope="module")
def dated(loaded: RunningGateway, tmp_path_factory: pytest.TempPathFactory) -> RunningGateway:
    """Lists with days; the regions are loaded again without them, which must not lose what is known."""
    folder: Path = tmp_path_factory.mktemp("berlaku")
    plain = "kode,nama\n35.01,Kabupaten Lama\n35.02,Kabupaten Baru\n"
    for name, content in (("wilayah.csv", DATED), ("uji.csv", DATED_FOREIGN), ("lagi.csv", plain)):
        (folder / name).write_text(content, "utf-8")
        command = [*SIMPUL, "codes", "load", str(folder / name), "--dir", str(loaded.folder)]
        done = run(command, env=loaded.environment)
        assert done.returncode == 0, done.stderr
    ends = time.monotonic() + 20
    while loaded.admin.get("/v1/codes/uji/S1").status_code != 200:
        assert time.monotonic() < ends
        time.sleep(0.02)
    return loaded


def test_a_list_as_of_a_day_holds_what_is_valid_on_it(dated: RunningGateway) -> None:
    def codes(**more: str) -> list[str]:
        found = dated.admin.get("/v1/codes/kemendagri", params={"parent": "35", **more}).json()
        assert found["total"] == len(found["items"])
        return [item["code"] for item in found["items"]]

    assert codes() == ["35.01", "35.02", "35.03"]
    assert codes(as_of="2019-05-01") == ["35.01"]
    assert codes(as_of="2019-05-02") == ["35.02", "35.03"]


def test_a_code_that_ended_names_what_replaced_it(dated: RunningGateway) -> None:
    found = dated.admin.get("/v1/codes/kemendagri/35.01").json()
    assert (found["valid_from"], found["valid_to"], found["successors"]) == (None, "2019-05-01", ["35.02", "35.03"])
    assert dated.admin.get("/v1/codes/kemendagri/35").json()["successors"] == []


def test_a_name_means_the_region_of_its_day(dated: RunningGateway) -> None:
    def said(**more: str) -> tuple[str, str | None]:
        found = dated.admin.get("/v1/codes/kemendagri/lookup", params={"name": "Kabupaten Lama", **more}).json()
        return found["status"], found["code"]

    assert said() == ("ambiguous", None)
    assert said(as_of="2010-01-01") == ("exact", "35.01")
    assert said(as_of="2026-01-01") == ("exact", "35.03")


def test_a_crosswalk_of_a_day(dated: RunningGateway) -> None:
    path = "/v1/codes/kemendagri/35.02/crosswalk"
    assert [one["code"] for one in dated.admin.get(path, params={"to": "uji"}).json()["items"]] == ["B1", "S1"]
    later = dated.admin.get(path, params={"to": "uji", "as_of": "2020-01-01"}).json()["items"]
    assert [(one["code"], one["valid_from"]) for one in later] == [("B1", "2019-05-02"), ("S1", None)]
    ended = dated.admin.get("/v1/codes/uji/L1/crosswalk", params={"as_of": "2020-01-01"})
    assert (ended.status_code, ended.json()["successors"]) == (404, ["B1"])
    assert "L1 is not valid on 2020-01-01: it is valid to 2019-05-01; replaced by B1" in ended.json()["detail"]
    before = dated.admin.get("/v1/codes/uji/L1/crosswalk", params={"as_of": "2019-05-01"}).json()
    assert [one["code"] for one in before["items"]] == ["35.01"]


@pytest.mark.parametrize(
    "day", ["", "2019", "2019-02-30", "1 Mei 2019", "2019-05-01T00:00:00Z", "\uff12\uff10\uff11\uff19-05-01"]
)
@pytest.mark.parametrize("path", ["", "/lookup?name=x", "/33/crosswalk"])
def test_what_is_no_day_is_refused(dated: RunningGateway, path: str, day: str) -> None:
    refused = dated.admin.get(
        f"/v1/codes/kemendagri{path}", params={"as_of": day, **({"name": "x"} if "lookup" in path else {})}
    )
    problem = refused.json()
    assert (refused.status_code, problem["errors"][0]["code"]) == (422, "date"), problem
    assert problem["errors"][0]["pointer"] in {"as_of", "/as_of"}
