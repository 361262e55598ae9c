"""What is installed is what was looked at: every dependency stands in the lock, at a version that is asked for, with its digests."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCK: dict[str, Any] = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))


def faults(packages: list[dict[str, Any]]) -> list[str]:
    """What is wrong with packages of a lock: from elsewhere than the index, or a file without its digest."""
    found = []
    for package in packages:
        name, source = package["name"], package["source"]
        if "editable" in source or "virtual" in source:
            if source not in ({"editable": "."}, {"virtual": "."}):
                found.append(f"{name}: from {source}")
            continue
        if set(source) != {"registry"}:
            found.append(f"{name}: from {source}")
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        if not files:
            found.append(f"{name}: no file")
        found += [f"{name}: no sha256" for file in files if not str(file.get("hash", "")).startswith("sha256:")]
    return found


def asked() -> list[Requirement]:
    project = PROJECT["project"]
    groups = [project["dependencies"], *project.get("optional-dependencies", {}).values()]
    groups += PROJECT.get("dependency-groups", {}).values()
    found = [Requirement(text) for group in groups for text in group if isinstance(text, str)]
    return [wanted for wanted in found if canonicalize_name(wanted.name) != "simpul"]


def test_every_file_of_the_lock_has_its_digest_and_comes_from_the_index() -> None:
    assert len(LOCK["package"]) > 50
    assert faults(LOCK["package"]) == []


def test_the_lock_holds_all_that_is_asked_for_at_versions_that_are() -> None:
    locked: dict[str, list[str]] = {}
    for package in LOCK["package"]:
        locked.setdefault(canonicalize_name(package["name"]), []).append(str(package.get("version", "")))
    missing = [str(wanted) for wanted in asked() if canonicalize_name(wanted.name) not in locked]
    assert missing == []
    wrong = [
        f"{wanted}: {locked[canonicalize_name(wanted.name)]}"
        for wanted in asked()
        if not all(
            wanted.specifier.contains(version, prereleases=True) for version in locked[canonicalize_name(wanted.name)]
        )
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("package", "said"),
    [
        ({"name": "a", "source": {"git": "https://example.org/a"}, "wheels": [{"hash": "sha256:0"}]}, "from"),
        ({"name": "a", "source": {"editable": "../a"}}, "from"),
        ({"name": "a", "source": {"registry": "x"}, "wheels": [{"url": "y"}]}, "no sha256"),
        ({"name": "a", "source": {"registry": "x"}, "sdist": {"hash": "md5:0"}}, "no sha256"),
        ({"name": "a", "source": {"registry": "x"}}, "no file"),
    ],
)
def test_what_is_no_good_lock_is_told(package: dict[str, Any], said: str) -> None:
    assert said in faults([package])[0]


def test_the_procedure_for_advisories_is_written_down() -> None:
    page = (ROOT / "docs/how-to/check-dependencies.md").read_text("utf-8")
    for word in ("pip-audit", "--require-hashes", "uv lock --upgrade-package", "uv export"):
        assert word in page
