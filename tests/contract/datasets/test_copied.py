"""A sealed copy of a dataset: it answers as the source did when the copy was taken."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from app.datasets.contract import Wish
from app.datasets.copies.dataset import CopiedDataset
from app.datasets.copies.schedule import Schedule
from app.datasets.copies.shelf import Shelf, Shelved
from tests.contract.datasets.suite import ROWS, DatasetSuite, Subject
from tests.support.copies import copy_of
from tests.support.memory import FACILITIES, MemoryDataset, record


class TestCopied(DatasetSuite):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        shelf = Shelf()
        made = copy_of(tmp_path, FACILITIES, [record(FACILITIES, **row) for row in ROWS], block_rows=3)
        shelf.replace({"dinkes-set": Shelved((made,))})
        schedule = Schedule(timedelta(hours=1), timedelta(hours=2), serve_stale=True, zone=ZoneInfo("Asia/Jakarta"))
        copied = CopiedDataset(MemoryDataset(), connector="dinkes-set", made_of="made", schedule=schedule, shelf=shelf)
        held = copied.held(Wish())
        assert held is not None
        return Subject(held.dataset, {})
