"""What is told of one dataset without reading it."""

from __future__ import annotations

import pytest

from app.connectors.contract import RowEstimate
from app.datasets.records import ReadRequest
from app.errors import SourceFailed
from app.federation.planning.planner import Planner
from app.federation.question.query import DatasetRef, Grant, Query
from app.gateway.explaining import _one
from app.gateway.sources import BrokenDataset
from tests.support.memory import FACILITIES, MemoryDataset, ref_of

pytestmark = pytest.mark.anyio
QUERY = Query(schema=FACILITIES)


async def test_a_dataset_that_could_not_be_opened_is_explained_by_its_error():
    broken = BrokenDataset(SourceFailed("the secret is missing"), FACILITIES)
    ref = DatasetRef("rsud", "rsud-set", 1, broken, Grant(fields=frozenset(FACILITIES.fields)))
    (scan,) = Planner().plan(QUERY, [ref])
    shown = await _one(QUERY, scan)

    assert (shown.outline, shown.problem) == (None, broken.error)


async def test_a_dataset_tells_how_it_would_be_read():
    (scan,) = Planner().plan(QUERY, [ref_of("rsud", MemoryDataset())])
    shown = await _one(QUERY, scan)

    assert shown.problem is None
    assert shown.outline is not None
    assert shown.outline.residual == ("filter", "order", "limit")
    assert shown.rows == 0


async def test_an_estimate_that_fails_is_no_problem_of_the_question():
    class Silent(MemoryDataset):
        async def estimate(self, request: ReadRequest) -> RowEstimate | None:
            raise SourceFailed("no statistics")

    (scan,) = Planner().plan(QUERY, [ref_of("rsud", Silent())])
    shown = await _one(QUERY, scan)

    assert (shown.problem, shown.rows) == (None, None)
    assert shown.outline is not None
