"""Aggregates are refused where they would be wrong because somebody is missing, also where he could not be asked."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import FieldForbidden, PartialAnswerRefused, SourceTimeout
from app.federation.question.query import Partial, Query, SourceStatus
from app.federation.reading.verdict import judge
from tests.support.memory import FACILITIES

LATE = SourceStatus("rsud", "rsud-set", "timeout", problem=SourceTimeout("slow"))
HIDDEN = SourceStatus("rsud", "rsud-set", "skipped", problem=FieldForbidden("hidden"))
SOUND = SourceStatus("dinkes", "dinkes-set", "ok", 3)


def judged(other: SourceStatus, partial: Partial, **how: Any) -> bool:
    return judge(Query(FACILITIES, partial=partial), [SOUND, other], 3, **how)


def test_a_count_without_one_agency_is_refused_and_says_who_is_missing() -> None:
    with pytest.raises(PartialAnswerRefused, match=r"^rsud cannot be counted in; send Prefer") as caught:
        judged(LATE, "never", counted=True)

    assert caught.value.legs == [SOUND, LATE]
    assert [source.agency for source in caught.value.facts["sources"]] == ["dinkes", "rsud"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("other", [LATE, HIDDEN])
def test_a_caller_who_takes_a_part_gets_it(other: SourceStatus) -> None:
    assert judged(other, "allow", counted=True) is False
    assert judged(SourceStatus("bps", "bps-set", "ok"), "never", counted=True) is True


def test_all_or_nothing_is_refused_where_somebody_did_not_answer() -> None:
    with pytest.raises(PartialAnswerRefused, match="no answer from rsud"):
        judged(LATE, "never")


@pytest.mark.parametrize("counted", [True, False])
def test_all_or_nothing_is_refused_where_somebody_may_not_be_asked_so(counted: bool) -> None:
    with pytest.raises(FieldForbidden, match="hidden") as caught:
        judged(HIDDEN, "never", counted=counted)

    assert caught.value.legs == [SOUND, HIDDEN]
