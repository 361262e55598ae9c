"""The double that tests read from: it answers as the real ones do."""

from __future__ import annotations

import pytest

from tests.contract.datasets.suite import NO_FACILITY, ROWS, SECOND, DatasetSuite, Subject
from tests.support.memory import MemoryDataset


class TestMemory(DatasetSuite):
    @pytest.fixture
    def subject(self) -> Subject:
        dataset = MemoryDataset()
        for row in (*ROWS, NO_FACILITY, SECOND):
            dataset.offer(**row)
        return Subject(dataset, {"jenis": 1, "kode_faskes": 1})
