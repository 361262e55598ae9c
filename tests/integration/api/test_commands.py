"""`simpul codes …` and `simpul connector quality` against a running gateway: lines for people, JSON for machines, exit codes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.api.conftest import facility_manifest
from tests.support.gateway import RunningGateway
from tests.support.programs import SIMPUL, run

Command = Callable[..., tuple[int, str, str]]
REGIONS = "kode,nama,valid_from,valid_to,pengganti\n" + "".join(
    f"36.{number:02},Kabupaten {number:02},,{'2019-05-01,36.02' if number == 1 else ','}\n" for number in range(1, 31)
)
FOREIGN = "sistem,kode_asal,tingkat,nama_asal,kode_kemendagri\nlain,X1,kabupaten,Satu,36.02\nlain,X9,kabupaten,Tanpa,\n"


@pytest.fixture(scope="module")
def simpul(gateway: RunningGateway, tmp_path_factory: pytest.TempPathFactory) -> Command:
    folder: Path = tmp_path_factory.mktemp("kode")
    for name, content in (("wilayah.csv", REGIONS), ("lain.csv", FOREIGN)):
        (folder / name).write_text(content, "utf-8")
        load = [*SIMPUL, "codes", "load", str(folder / name), "--dir", str(gateway.folder)]
        assert run(load, env=gateway.environment).returncode == 0
    ends = time.monotonic() + 20
    while gateway.admin.get("/v1/codes/lain/X1").status_code != 200:
        assert time.monotonic() < ends
        time.sleep(0.02)
    client, secret = gateway.credential
    named = {"SIMPUL_URL": gateway.url, "SIMPUL_CLIENT_ID": client, "SIMPUL_CLIENT_SECRET": secret}
    environment = {**gateway.environment, **named, "HOME": str(folder)}

    def command(*words: str) -> tuple[int, str, str]:
        done = run([*SIMPUL, *words], env=environment)
        return done.returncode, done.stdout, done.stderr

    return command


def test_a_list_goes_through_all_pages(simpul: Command) -> None:
    code, out, err = simpul("codes", "list", "kemendagri", "--q", "Kabupaten", "--as-of", "2020-01-01")
    lines = [line for line in out.splitlines() if line.startswith("36.")]
    assert (code, len(lines)) == (0, 29)
    assert lines[0].split() == ["36.02", "kabupaten", "Kabupaten", "02"]
    assert "codes" in err
    code, out, _ = simpul("codes", "list", "kemendagri", "--q", "Kabupaten 01", "--json")
    (item,) = json.loads(out)["items"]
    assert (code, item["valid_to"], item["successors"]) == (0, "2019-05-01", ["36.02"])
    _, out, _ = simpul("codes", "list", "kemendagri", "--q", "Kabupaten 01")
    assert "[… to 2019-05-01]  replaced by 36.02" in out


def test_a_name_that_means_one_code_is_good_and_others_are_a_finding(simpul: Command) -> None:
    assert simpul("codes", "lookup", "kemendagri", "kabupaten 07")[:2][0] == 0
    code, out, _ = simpul("codes", "lookup", "kemendagri", "Kab. 07")
    assert (code, out.splitlines()[0]) == (0, "variant  36.07")
    assert "(administrative_word)" in out
    code, out, _ = simpul("codes", "lookup", "kemendagri", "Tak Ada", "--json")
    assert (code, json.loads(out)["status"]) == (1, "unmatched")


def test_a_crosswalk_names_the_codes_or_ends_with_a_finding(simpul: Command) -> None:
    code, out, _ = simpul("codes", "crosswalk", "lain", "X1")
    assert (code, out.split()[:2]) == (0, ["36.02", "kabupaten"])
    code, out, err = simpul("codes", "crosswalk", "lain", "X9")
    assert (code, out, "X9 has no code in kemendagri" in err) == (1, "", True)
    code, _, err = simpul("codes", "crosswalk", "kemendagri", "36.01", "--as-of", "2020-01-01", "--to", "lain")
    assert (code, "replaced by 36.02" in err) == (2, True)
    code, _, err = simpul("codes", "list", "kemendagri", "--as-of", "kemarin")
    assert (code, "as_of: a day is written 2019-05-01" in err) == (2, True)


def test_quality_shows_the_last_check_and_the_history(simpul: Command, gateway: RunningGateway, tmp_path: Path) -> None:
    (tmp_path / "mutu.csv").write_text("kode,nama,jenis\nP1,Satu,puskesmas\nP2,Dua,apotek\n", "utf-8")
    gateway.upload("dinkes", tmp_path / "mutu.csv")
    manifest = {**facility_manifest("dinkes-mutu", "dinkes", "inbox/mutu.csv"), "accept_rejects": 0.9}
    gateway.admin.put("/v1/connectors/dinkes-mutu", json=manifest).raise_for_status()
    code, _, err = simpul("connector", "quality", "dinkes-mutu")
    assert (code, "no check has measured dinkes-mutu yet" in err) == (0, True)
    for _ in range(2):
        gateway.admin.post("/v1/connectors/dinkes-mutu/check").raise_for_status()
    code, out, _ = simpul("connector", "quality", "dinkes-mutu")
    assert code == 0, out
    assert out.splitlines()[1] == "records       1 mapped, 1 rejected of 2"
    assert "filled        100.0%  nama" in out
    assert "rejects              1  jenis: " in out
    _, out, _ = simpul("connector", "quality", "dinkes-mutu", "--history")
    assert [line.split()[0] for line in out.splitlines()] == ["ok", "ok"]
    code, out, _ = simpul("connector", "quality", "dinkes-mutu", "--json", "--history")
    assert (code, len(json.loads(out)["history"])) == (0, 2)
    (tmp_path / "mutu.csv").write_text("kode,nama\nP1,Satu\n", "utf-8")
    gateway.upload("dinkes", tmp_path / "mutu.csv")
    gateway.admin.post("/v1/connectors/dinkes-mutu/check")
    code, out, _ = simpul("connector", "quality", "dinkes-mutu")
    assert (code, out.split()[0]) == (1, "FAIL"), out
    code, _, err = simpul("connector", "quality", "tidak-ada")
    assert (code, err.startswith("not_found") or "connector_unknown" in err) == (2, True), err
