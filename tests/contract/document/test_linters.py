"""The linters of the API document find nothing in the committed one, and each finds what it is there for."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
LINT = ROOT / "tools" / "contract" / "lint.py"
DOCUMENT = json.loads((ROOT / "openapi" / "simpul.json").read_text("utf-8"))
pytestmark = [pytest.mark.external, pytest.mark.timeout(300)]


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    """The pinned tools (`make contract-tools`)."""
    subprocess.run(["make", "contract-tools"], cwd=ROOT, check=True, capture_output=True, timeout=280)


def lint(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(LINT), *options], check=False, capture_output=True, text=True, timeout=280
    )


def test_the_committed_document_has_no_finding() -> None:
    done = lint()
    assert done.returncode == 0, done.stdout


def _dangling(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["SourceStatus"]["properties"]["problem"] = {"$ref": "#/components/schemas/None"}


def _unbounded(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["SourceStatus"]["properties"]["agency"] = {"type": "string"}


def _undescribed(document: dict[str, Any]) -> None:
    document["tags"] = list(reversed(document["tags"]))


def _list(document: dict[str, Any]) -> None:
    answer = document["paths"]["/v1/agencies"]["get"]["responses"]["200"]
    answer["content"] = {
        "application/json": {"schema": {"type": "array", "maxItems": 10, "items": {"type": "boolean"}}}
    }


@pytest.mark.parametrize(
    ("linter", "spoil"),
    [
        ("spectral-oas", _undescribed),
        ("redocly", _dangling),
        ("spectral-owasp", _unbounded),
        ("spectral-zalando", _list),
    ],
)
def test_each_linter_finds_what_it_is_there_for(
    tmp_path: Path, linter: str, spoil: Callable[[dict[str, Any]], None]
) -> None:
    bad = copy.deepcopy(DOCUMENT)
    spoil(bad)
    (tmp_path / "bad.json").write_text(json.dumps(bad), "utf-8")
    good = lint("--only", linter)
    done = lint("--only", linter, "--document", str(tmp_path / "bad.json"))
    assert (good.returncode, done.returncode) == (0, 1), done.stdout
