"""Synthetic records in memory, put to the suite with its own rows."""

from __future__ import annotations

import pytest

from app.datasets.practice.dataset import PracticeDataset
from tests.contract.datasets.suite import ROWS, DatasetSuite, Subject
from tests.support.memory import FACILITIES, record


class TestPractice(DatasetSuite):
    @pytest.fixture
    def subject(self) -> Subject:
        return Subject(PracticeDataset(FACILITIES, [record(FACILITIES, **row) for row in ROWS], plays=True), {})
