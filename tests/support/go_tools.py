"""Programs of others, written in Go, that judge the served log or keep objects: built once from pinned versions, outside of the tree."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_WITNESS = "github.com/transparency-dev/witness/cmd/{}@v0.0.0-20260720115447-2e1c6971d19e"
PROGRAMS = {
    "fsck": "github.com/transparency-dev/tessera/cmd/fsck@v1.0.4",
    "omniwitness": _WITNESS.format("omniwitness"),
    "generate_keys": _WITNESS.format("generate_keys"),
    "versitygw": "github.com/versity/versitygw/cmd/versitygw@v1.8.0",
    "litewitness": "filippo.io/torchwood/cmd/litewitness@v0.9.0",
}


def go_program(name: str) -> str:
    """Path of a program, built when it is not there yet. Fails the test where Go is missing: `make test` leaves these out."""
    folder = Path(os.environ.get("SIMPUL_TEST_GOBIN", Path.home() / ".cache" / "simpul-tests" / "go"))
    path = folder / f"{name}-{PROGRAMS[name].rpartition('@')[2]}"
    if path.exists():
        return str(path)
    go = shutil.which("go")
    if go is None:
        pytest.fail(f"{name} is built with Go, which is not installed; `make test` runs without these tests")
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([go, "install", PROGRAMS[name]], env={**os.environ, "GOBIN": str(folder)}, check=True, timeout=900)
    (folder / name).rename(path)
    return str(path)
