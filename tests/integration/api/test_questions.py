"""Bodies of search, aggregate and explain: each member of a wrong type, and the same faults in parameters."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.gateway import RunningGateway

LIST = "/v1/records/fasilitas-kesehatan"
SEARCH, AGGREGATE, EXPLAIN = f"{LIST}/search", f"{LIST}/aggregate", "/v1/explain"
WHOLE: dict[str, dict[str, Any]] = {
    SEARCH: {},
    AGGREGATE: {"aggregates": [{"function": "count"}]},
    EXPLAIN: {"schema": "fasilitas_kesehatan"},
}
TEXTS: tuple[Any, ...] = ("nama", 5, True, {"a": 1}, [5], ["nama", None])
INVALID = "validation_failed"
WRONG: dict[str, tuple[str, str, tuple[Any, ...]]] = {
    "filter": ("filter_malformed", "/filter", (5, True, [], ["nama"], 1.5)),
    "having": (INVALID, "/having", (3, False, ["count > 1"])),
    "fields": (INVALID, "/fields", TEXTS),
    "sort": (INVALID, "/sort", TEXTS),
    "agencies": (INVALID, "/agencies", TEXTS),
    "group_by": (INVALID, "/group_by", (*TEXTS, ["nama"] * 11)),
    "limit": ("limit_out_of_range", "/limit", (None, "10", "x", True, 1.0, 1.5, 0, -1, 1001, 10**30, [1], {})),
    "cursor": ("cursor_invalid", "/cursor", (5, True, [], {})),
    "view": (INVALID, "/view", ("x", None, 1, ["records"])),
    "count": (INVALID, "/count", ("x", None, 1, ["exact"])),
    "overlap": (INVALID, "/overlap", ("x", None, 1, ["refuse"])),
    "purpose": (INVALID, "/purpose", ("a" * 65, 5, ["a"], {})),
    "aggregates": (INVALID, "/aggregates", ("count", 5, {}, [], [{"function": "count"}] * 51)),
    "schema": (INVALID, "/schema", (None, 5, ["fasilitas_kesehatan"], {})),
    "nothing": (INVALID, "/nothing", (1, None)),
}
MEASURES: list[tuple[Any, str]] = [
    ("count", "/aggregates/0"),
    (5, "/aggregates/0"),
    ({"function": "count", "oops": 1}, "/aggregates/0"),
    ({}, "/aggregates/0/function"),
    ({"function": "median", "field": "lat"}, "/aggregates/0/function"),
    ({"function": 1}, "/aggregates/0/function"),
    ({"function": "max", "field": 5}, "/aggregates/0/field"),
    ({"function": "count", "as": "A b"}, "/aggregates/0/as"),
    ({"function": "count", "as": "a\n"}, "/aggregates/0/as"),
    ({"function": "count", "as": "a" * 64}, "/aggregates/0/as"),
    ({"function": "count", "as": 5}, "/aggregates/0/as"),
]
TAKEN = {
    SEARCH: {"filter", "fields", "sort", "agencies", "limit", "cursor", "view", "count", "purpose", "nothing"},
    AGGREGATE: {"filter", "having", "agencies", "group_by", "view", "overlap", "purpose", "aggregates", "nothing"},
    EXPLAIN: {"filter", "fields", "sort", "agencies", "group_by", "limit", "purpose", "schema", "nothing"},
}


@pytest.fixture(scope="module")
def reader(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("client", "dinkes")


def refusal(answer: httpx.Response) -> tuple[int, str, list[str]]:
    problem = answer.json()
    return answer.status_code, problem["code"], [place["pointer"] for place in problem["errors"]]


@pytest.mark.parametrize(
    ("path", "member"), [(path, member) for path, members in TAKEN.items() for member in sorted(members)]
)
def test_each_member_of_a_wrong_type_is_told_with_its_place(reader: httpx.Client, path: str, member: str) -> None:
    code, pointer, values = WRONG[member]
    for value in values:
        answer = reader.post(path, json={**WHOLE[path], member: value})
        assert refusal(answer) == (422, code, [pointer]), (value, answer.text)


def test_an_unknown_member_is_told_those_there_are(reader: httpx.Client) -> None:
    for path, members in TAKEN.items():
        place = reader.post(path, json={**WHOLE[path], "nothing": 1}).json()["errors"][0]
        assert place["code"] == "unknown"
        assert set(place["detail"].removeprefix("known: ").split(", ")) >= members - {"nothing"}


@pytest.mark.parametrize(("measure", "pointer"), MEASURES)
@pytest.mark.parametrize("path", [AGGREGATE, EXPLAIN])
def test_a_measure_that_is_none_is_told_with_its_place(
    reader: httpx.Client, path: str, measure: Any, pointer: str
) -> None:
    answer = reader.post(path, json={**WHOLE[path], "aggregates": [measure]})
    assert refusal(answer) == (422, INVALID, [pointer]), answer.text


@pytest.mark.parametrize("path", [SEARCH, AGGREGATE])
def test_a_body_that_is_no_object_is_told(reader: httpx.Client, path: str) -> None:
    for body in ([], "x", 5, True):
        assert refusal(reader.post(path, json=body)) == (422, INVALID, [""])


def test_every_fault_is_told_at_once(reader: httpx.Client) -> None:
    answer = reader.post(SEARCH, json={"limit": "x", "filter": 5, "fields": [1, 2], "purpose": 1, "oops": 1})
    places = {place["pointer"]: place["code"] for place in answer.json()["errors"]}

    assert (answer.status_code, answer.json()["code"]) == (422, INVALID)
    assert places == {
        "/limit": "limit_out_of_range",
        "/filter": "filter_malformed",
        "/fields": "type",
        "/purpose": "type",
        "/oops": "unknown",
    }


@pytest.mark.parametrize(
    ("parameter", "member"),
    [
        ({"limit": "0"}, {"limit": 0}),
        ({"limit": "1001"}, {"limit": 1001}),
        ({"limit": "x"}, {"limit": "x"}),
        ({"limit": "1.5"}, {"limit": 1.5}),
        ({"view": "x"}, {"view": "x"}),
        ({"cursor": "AAAA"}, {"cursor": "AAAA"}),
        ({"cursor": "not one!"}, {"cursor": "not one!"}),
        ({"cursor": "A" * 8193}, {"cursor": "A" * 8193}),
        ({"fields": "nothing"}, {"fields": ["nothing"]}),
        ({"fields": "n" * 101}, {"fields": ["n" * 101]}),
        ({"fields": ",".join(["nama"] * 201)}, {"fields": ["nama"] * 201}),
        ({"sort": "nothing"}, {"sort": ["nothing"]}),
        ({"sort": ",".join(["nama"] * 21)}, {"sort": ["nama"] * 21}),
        ({"agencies": "A!"}, {"agencies": ["A!"]}),
        ({"agencies": "nobody"}, {"agencies": ["nobody"]}),
        ({"agencies": "a" * 65}, {"agencies": ["a" * 65]}),
        ({"agencies": ",".join(["dinkes"] * 101)}, {"agencies": ["dinkes"] * 101}),
        ({"filter": "nama =="}, {"filter": "nama =="}),
        ({"filter": "(" * 1000}, {"filter": "(" * 1000}),
    ],
)
def test_a_parameter_and_a_member_are_refused_alike(
    reader: httpx.Client, parameter: dict[str, str], member: dict[str, Any]
) -> None:
    told = []
    for answer in (reader.get(LIST, params=parameter), reader.post(SEARCH, json=member)):
        problem = answer.json()
        told.append((answer.status_code, problem["code"], problem["detail"], problem.get("errors")))
    assert told[0] == told[1]
    assert told[0][0] in {404, 422}


def test_null_says_what_an_absent_member_says(reader: httpx.Client) -> None:
    empty = dict.fromkeys(("filter", "fields", "sort", "cursor", "agencies", "purpose"))
    assert reader.post(SEARCH, json=empty).status_code == 200
    assert reader.post(SEARCH, json={"fields": [], "sort": [], "agencies": []}).status_code == 200
