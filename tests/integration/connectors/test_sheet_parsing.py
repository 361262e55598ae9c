"""Parsed sheets are sealed under keys of this process: whoever parses the same at the same time leaves a readable file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import orjson
import pytest

from app.connectors.environment import Limits
from app.connectors.file.sheet.reader import parse_sheet
from app.connectors.file.source import FileSource
from tests.support import workbooks

AT_ONCE = 4


@pytest.mark.parametrize("kind", ["xlsx", "ods"])
def test_a_sheet_that_is_parsed_at_once_by_several_is_read_by_all_and_afterwards(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"uji.{kind}"
    workbooks.write(path, [["kode", "nama"], ["F1", "Satu"]])
    source = FileSource.model_validate({"kind": "file", "location": path.name})
    (tmp_path / "cache").mkdir()
    together = Barrier(AT_ONCE)

    def parsed() -> list[bytes]:
        together.wait(30)
        with parse_sheet(path, source, tmp_path / "cache", Limits()) as lines:
            return lines.readlines()

    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = [one.result() for one in [threads.submit(parsed) for _ in range(AT_ONCE)]]
    for _ in range(3):
        with parse_sheet(path, source, tmp_path / "cache", Limits()) as lines:
            found.append(lines.readlines())
    assert all(orjson.loads(lines[0])["sheet"] for lines in found)
    assert len({tuple(lines) for lines in found}) == 1
