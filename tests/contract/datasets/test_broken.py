"""A dataset that could not be opened: it answers for itself with its error."""

from __future__ import annotations

import pytest

from app.datasets.records import ReadRequest
from app.errors import SourceFailed
from app.gateway.sources import BrokenDataset
from tests.contract.datasets.suite import AnyDatasetSuite, Subject, streamed
from tests.support.memory import FACILITIES


class TestBroken(AnyDatasetSuite):
    @pytest.fixture
    def subject(self) -> Subject:
        return Subject(BrokenDataset(SourceFailed("the secret is missing"), FACILITIES), {})

    async def test_whatever_is_asked_of_its_records_raises_why_it_is_broken(self, subject: Subject) -> None:
        dataset, request = subject.dataset, ReadRequest(key="B1")
        for asked in (
            dataset.read(request),
            streamed(dataset, request),
            dataset.outline(request),
            dataset.estimate(request),
        ):
            with pytest.raises(SourceFailed, match="the secret is missing"):
                await asked

    async def test_it_has_no_mark(self, subject: Subject) -> None:
        assert await subject.dataset.version() is None
