"""The distribution: a wheel alone, in an environment of its own, far from any checkout, runs the demo."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
# Without isolation and offline: the backend is the one in the lock (group dev), so no index is asked.
BUILD = [str(Path(sys.executable).parent / "uv"), "build", "--no-build-isolation", "--offline", "--no-config"]


def run(command: list[str], folder: Path, *, seconds: int = 240) -> subprocess.CompletedProcess[str]:
    """The command in `folder`, with nothing of this process's environment but where programs and a home are."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=seconds
    )


def build(target: Path, *words: str) -> Path:
    """The one wheel that `uv build` leaves in `target`."""
    target.mkdir()
    done = run([*BUILD, "--python", sys.executable, "--out-dir", str(target), *words, str(ROOT)], target)
    assert done.returncode == 0, done.stderr
    (wheel,) = target.glob("*.whl")
    return wheel


def contents(wheel: Path) -> dict[str, str]:
    """Names of the members with the digest of each."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from the sdist, as `uv build` does it."""
    return build(tmp_path_factory.mktemp("wheel") / "dist")


def installed(wheel: Path, folder: Path) -> Path:
    """The program `simpul` of a new environment that holds the wheel and nothing else of this project.

    Its dependencies are those of the environment that runs the tests, named by a path file: no index is asked. A folder
    that a path file names is searched for modules, but path files inside it are not read. So the editable install of
    this checkout, which is such a path file, stays out.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    done = run([BUILD[0], "pip", "install", "--offline", "--no-deps", "--python", str(python), str(wheel)], folder)
    assert done.returncode == 0, done.stderr
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    return folder / "bin" / "simpul"


def test_wheel_alone_runs_the_demo(wheel: Path, tmp_path: Path) -> None:
    """Also where the folder it is started in holds another package of the same name."""
    program = installed(wheel, tmp_path / "environment")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "app").mkdir(parents=True)
    (elsewhere / "app" / "__init__.py").write_text("raise SystemExit('not the package that was installed')\n", "utf-8")
    where = [str(program.parent / "python"), "-P", "-c", "import app; print(app.__path__[0])"]
    assert run(where, elsewhere).stdout.startswith(str(tmp_path / "environment"))

    done = run([str(program), "demo", "--check", "--dir", "demo", "--port", str(free_port())], elsewhere)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "the tour held" in done.stdout
    assert str(ROOT) not in (elsewhere / "demo" / "gateway.log").read_text("utf-8")


def test_sdist_builds_the_wheel_that_the_checkout_builds(wheel: Path, tmp_path: Path) -> None:
    straight, through_sdist = contents(build(tmp_path / "dist", "--wheel")), contents(wheel)

    assert straight == through_sdist


def test_wheel_holds_what_runs_and_nothing_that_tests(wheel: Path) -> None:
    members = {Path(name).parts for name in contents(wheel)}
    examples = {file.relative_to(ROOT).parts for file in (ROOT / "examples").rglob("*") if file.is_file()}
    revisions = {file.relative_to(ROOT).parts for file in (ROOT / "migrations").rglob("*.py")}

    assert {("app", *parts) for parts in examples | revisions} <= members
    assert {parts[0].removeprefix("-".join(wheel.name.split("-")[:2])) for parts in members} == {"app", ".dist-info"}
    assert not [parts for parts in members if {"tests", "benchmarks", "__pycache__"} & set(parts)]
