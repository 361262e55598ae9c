"""Which files the acceptance tests run on: a folder that was named is taken or refused, never silently replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.acceptance_files import FILES, NAMED_BY, FilesAbsentError, real_files, write_lookalikes


def test_folder_that_was_named_is_taken(tmp_path: Path) -> None:
    write_lookalikes(tmp_path)

    assert real_files({NAMED_BY: str(tmp_path)}, tmp_path / "nowhere") == tmp_path


def test_folder_that_was_named_and_lacks_a_file_is_refused(tmp_path: Path) -> None:
    write_lookalikes(tmp_path)
    (tmp_path / FILES[3]).unlink()

    with pytest.raises(FilesAbsentError, match=FILES[3]):
        real_files({NAMED_BY: str(tmp_path)}, tmp_path)


def test_folder_beside_the_checkout_is_found(tmp_path: Path) -> None:
    beside = tmp_path / "shared" / "data"
    beside.mkdir(parents=True)
    assert real_files({}, tmp_path / "checkout") is None

    write_lookalikes(beside)
    assert real_files({}, tmp_path / "checkout") == beside
