"""`count`: how many records there are beyond the page, told as what it is, or refused where it cannot be true."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.api.test_records import entries
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

LIST = "/v1/records/fasilitas-kesehatan"


@pytest.fixture(scope="module")
def reader(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("client", "dinkes")


def count(reader: httpx.Client, **params: Any) -> dict[str, Any]:
    answer = reader.get(LIST, params={"limit": 1, **params})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["meta"]["count"]
    return found


def values(found: dict[str, Any]) -> dict[str, int | None]:
    return {one["dataset"]: one["value"] for one in found["by_dataset"]}


def test_an_exact_count_is_of_every_page_and_stands_in_the_log(gateway: RunningGateway, reader: httpx.Client) -> None:
    assert "count" not in reader.get(LIST, params={"limit": 1}).json()["meta"]
    found = count(reader, count="exact")
    assert (found["value"], found["exact"], values(found)) == (4, True, {"dinkes-faskes": 3, "rsud-rs": 1})

    body = {"filter": "jenis = 'puskesmas'", "limit": 1, "sort": ["-nama"], "count": "exact"}
    answer = reader.post(f"{LIST}/search", json=body)
    assert (answer.json()["meta"]["count"]["value"], len(answer.json()["items"])) == (2, 1)
    kept = entries(gateway, answer.headers["exchange-id"])
    assert any(str(entry.get("q")).endswith("limit=? count=exact") for entry in kept)


def test_a_cursor_goes_on_with_a_count_or_without_one(reader: httpx.Client) -> None:
    answer = reader.get(LIST, params={"limit": 1, "count": "exact"})
    assert "cursor=" in answer.headers["link"]
    assert "count" not in answer.headers["link"]
    first = answer.json()
    on = {"limit": 1, "cursor": first["next_cursor"]}

    assert "count" not in reader.get(LIST, params=on).json()["meta"]
    assert count(reader, **on, count="exact")["value"] == 4


def test_an_estimate_lacks_nobody(reader: httpx.Client) -> None:
    both, one = count(reader, count="estimated"), count(reader, count="estimated", agencies="dinkes")

    assert (both["value"], both["exact"]) == (None, False)
    assert values(both) == {"dinkes-faskes": 3, "rsud-rs": None}
    assert (one["value"], one["exact"], values(one)) == (3, False, {"dinkes-faskes": 3})
    assert count(reader, count="estimated", limit=10)["exact"] is True


def test_one_that_fails_is_named_and_there_is_no_total(reader: httpx.Client, services: SourceServer) -> None:
    kept = services.routes["/rs"]
    services.routes["/rs"] = lambda _query, _headers: (500, "text/plain", b"broken")
    try:
        found = count(reader, count="exact")
        strict = reader.get(LIST, params={"limit": 1, "count": "exact"}, headers={"prefer": "partial=never"})
    finally:
        services.routes["/rs"] = kept

    assert (found["value"], values(found)) == (None, {"dinkes-faskes": 3, "rsud-rs": None})
    assert [one["problem"] is not None for one in found["by_dataset"]] == [False, True]
    assert (strict.status_code, strict.json()["code"]) == (503, "partial_answer_refused")


@pytest.mark.parametrize(
    "params",
    [
        {"view": "merged"},
        {"f": "csv"},
        {"f": "csv", "limit": None},
        {"f": "xlsx"},
        {"f": "geojson"},
        {"view": "merged", "f": "csv"},
    ],
)
def test_where_a_count_would_not_be_true_or_has_no_place_it_is_refused(
    reader: httpx.Client, params: dict[str, Any]
) -> None:
    given = {name: value for name, value in {"limit": 1, "count": "exact", **params}.items() if value is not None}
    answer = reader.get(LIST, params=given)

    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert [(one["pointer"], one["code"]) for one in answer.json()["errors"]] == [("/count", "unsupported")]


def test_a_count_is_a_word_that_exists(reader: httpx.Client) -> None:
    for answer in (reader.get(LIST, params={"count": "some"}), reader.post(f"{LIST}/search", json={"count": True})):
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/count")


def test_a_job_that_was_wished_for_is_a_page_at_once(reader: httpx.Client) -> None:
    answer = reader.get(LIST, params={"count": "exact"}, headers={"prefer": "respond-async"})

    assert answer.status_code == 200
    assert answer.json()["meta"]["count"]["value"] == 4
