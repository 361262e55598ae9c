"""Aggregates are refused where they would be wrong: too much to add up, or somebody missing."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import AggregateTooLarge, PartialAnswerRefused, SourceTimeout
from app.federation.question.query import Answer, SourceStatus
from app.gateway.aggregates import MOST_RECORDS, _whole
from tests.support.memory import FACILITIES

LATE = SourceStatus("rsud", "rsud-set", "timeout", problem=SourceTimeout("slow"))
SOUND = SourceStatus("dinkes", "dinkes-set", "ok", 3)


def answer(**members: Any) -> Answer:
    return Answer(FACILITIES, (), [], **{"sources": [SOUND, LATE], "complete": False, **members})


def test_more_records_than_can_be_added_up_are_refused_also_where_a_part_would_do():
    for strict in (True, False):
        with pytest.raises(AggregateTooLarge) as caught:
            _whole(answer(complete=True, after=("x",)), strict=strict)
        assert caught.value.facts["limit_rows"] == MOST_RECORDS


def test_a_count_without_one_agency_is_refused_and_says_who_is_missing():
    with pytest.raises(PartialAnswerRefused, match=r"^rsud cannot be counted in") as caught:
        _whole(answer(), strict=True)

    assert caught.value.legs == [SOUND, LATE]
    assert [source.agency for source in caught.value.facts["sources"]] == ["dinkes", "rsud"]  # type: ignore[attr-defined]


def test_a_caller_who_takes_a_part_gets_it():
    part = answer()
    with pytest.raises(PartialAnswerRefused):
        _whole(part, strict=True)
    _whole(part, strict=False)
    _whole(answer(complete=True), strict=True)
