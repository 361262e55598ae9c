"""What the gateway writes is its own: nobody else on the machine reads stores, keys, inboxes, caches, spools or backups."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app import children
from tests.support import workbooks
from tests.support.gateway import RunningGateway

SIMPUL = [sys.executable, "-c", "from app.cli.main import main; main()"]


def open_to_others(folder: Path) -> list[str]:
    return sorted(
        f"{path.relative_to(folder)} {path.lstat().st_mode & 0o777:o}"
        for path in [folder, *folder.rglob("*")]
        if path.name != "serve.log" and not path.is_symlink() and path.lstat().st_mode & 0o077
    )


def test_every_file_of_an_instance_is_private(tmp_path: Path) -> None:
    served = RunningGateway(tmp_path / "instance")
    before = os.umask(0o077)
    try:
        served.init()
    finally:
        os.umask(before)
    served.start()
    try:
        _use(served, tmp_path)
        assert open_to_others(served.folder) == []
    finally:
        served.stop()


def _use(served: RunningGateway, tmp_path: Path) -> None:
    served.agency("dinkes")
    workbooks.write(tmp_path / "a.xlsx", [["kode", "nama"], ["F1", "Satu"]])
    served.upload("dinkes", tmp_path / "a.xlsx")
    served.publish(
        {
            "connector": "dinkes-a",
            "agency": "dinkes",
            "schema": "fasilitas_kesehatan@1",
            "source": {"kind": "file", "location": "inbox/a.xlsx"},
            "fields": {"kode_faskes": "kode", "nama": "nama", "jenis": {"const": "klinik"}},
        }
    )
    reader = served.client("client", "dinkes")
    assert reader.get("/v1/records/fasilitas-kesehatan", params={"f": "csv"}).status_code == 200


def test_init_and_backup_write_private_files(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir(mode=0o700)
    before = os.umask(0o022)
    try:
        made = _simpul("init", "--dir", str(tmp_path / "i"))
        early = _simpul("backup", "--dir", str(tmp_path / "i"), str(tmp_path / "b" / "early.tar"))
        served = RunningGateway(tmp_path / "i")
        served.start()
        served.stop()
        kept = _simpul(
            "backup",
            "--dir",
            str(tmp_path / "i"),
            str(tmp_path / "b" / "b.tar"),
            "--keys",
            str(tmp_path / "b" / "k.tar"),
        )
    finally:
        os.umask(before)
    assert early.returncode == 2
    assert "it was never served, there is nothing to back up" in early.stderr
    assert (made.returncode, kept.returncode) == (0, 0), made.stderr + kept.stderr + kept.stdout
    assert open_to_others(tmp_path / "i") == []
    assert open_to_others(tmp_path / "b") == []


def _simpul(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SIMPUL, *words], capture_output=True, text=True, timeout=60, check=False)


def test_only_what_nobody_uses_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = children.work_folder(tmp_path, "sql")
    host = mine.name.split("-")[1]
    gone, init = tmp_path / f"sql-{host}-999999999-abc", tmp_path / f"sql-{host}-1-abc"
    other, old = tmp_path / "sql-deadbeef-7-abc", tmp_path / "sql-deadbeef-8-abc"
    legacy, foreign = tmp_path / "dinkes-faskes", tmp_path / "job-1.bin"
    for folder in (gone, init, other, old, legacy):
        folder.mkdir()
    foreign.write_bytes(b"a")
    os.utime(old, (0, 0))
    assert children.remove_left(tmp_path, "sql") == 3  # our own number is not ours yet when this is called
    assert [path.exists() for path in (mine, gone, init, other, old)] == [False, False, True, True, False]
    assert legacy.exists()
    assert children.remove_left(tmp_path, "sql", others=True) == 2
    assert [path.exists() for path in (legacy, foreign, init, other)] == [False, False, True, True]
    monkeypatch.setattr(os, "getpid", lambda: 1)  # a container whose first process this is
    assert children.remove_left(tmp_path, "sql") == 1
    assert not init.exists()


def test_a_child_of_the_first_process_of_a_container_works() -> None:
    program = (
        "import os; os.getppid = lambda: 1; from app.children import end_with_parent; end_with_parent(); print('works')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "works"
