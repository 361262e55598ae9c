"""Python environments with packages of others: this checkout's wheel, its dependencies, and packages written by a test."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UV = str(Path(sys.executable).parent / "uv")
_OFFLINE = ["--offline", "--no-config"]


def make_environment(folder: Path) -> Path:
    """The folder of programs of a new environment with Simpul's wheel; dependencies are those of the environment that runs the tests.

    A folder that a path file names is searched for modules, but path files inside it are not read: the editable install
    of this checkout stays out.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    programs = folder / "bin"
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    _run(
        [
            UV,
            "build",
            "--no-build-isolation",
            *_OFFLINE,
            "--python",
            sys.executable,
            "--wheel",
            "--out-dir",
            str(folder / "dist"),
            str(ROOT),
        ]
    )
    (wheel,) = (folder / "dist").glob("*.whl")
    _run([UV, "pip", "install", *_OFFLINE, "--no-deps", "--python", str(programs / "python"), str(wheel)])
    return programs


def install(programs: Path, package: Path) -> None:
    """The package, built from its folder, in the environment."""
    command = [
        UV,
        "pip",
        "install",
        *_OFFLINE,
        "--no-deps",
        "--no-build-isolation",
        "--python",
        str(programs / "python"),
    ]
    _run([*command, str(package)])


def uninstall(programs: Path, *packages: str) -> None:
    """Takes packages out of the environment."""
    _run([UV, "pip", "uninstall", "--no-config", "--python", str(programs / "python"), *packages])


def variables(programs: Path) -> dict[str, str]:
    """What a program of the environment is started with."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SIMPUL_", "PYTHON", "PYTEST", "COV_"))
    }
    path = os.pathsep.join([str(programs), str(Path(sys.prefix) / "bin"), os.environ["PATH"]])
    return {
        **kept,
        "PATH": path,
        "VIRTUAL_ENV": str(programs.parent),
        "UV_OFFLINE": "1",
        "LC_ALL": "C.UTF-8",
        "NO_PROXY": "*",
    }


def write_package(folder: Path, name: str, entries: dict[str, dict[str, str]], modules: dict[str, str]) -> Path:
    """A package with entry points (`group -> name -> value`) and modules of these texts."""
    folder.mkdir(parents=True)
    lines = ["[build-system]", 'requires = ["hatchling"]', 'build-backend = "hatchling.build"']
    lines += ["[project]", f'name = "{name}"', 'version = "1.0"', "[tool.hatch.build.targets.wheel]"]
    lines += [f"include = {[f'{module}.py' for module in modules]!r}"]
    for group, points in entries.items():
        lines += [f'[project.entry-points."{group}"]', *(f'{point} = "{value}"' for point, value in points.items())]
    (folder / "pyproject.toml").write_text("\n".join(lines) + "\n", "utf-8")
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(text, "utf-8")
    return folder


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
