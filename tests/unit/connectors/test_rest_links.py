"""Where the link to a next page may lead: nowhere but to the service itself."""

from __future__ import annotations

import pytest

from app.connectors.http import HttpAnswer
from app.connectors.rest.paging import PagedReading
from app.connectors.rest.presets import PRESETS
from app.errors import SimpulError


def linked(url: str, following: str) -> str | None:
    reading = PagedReading(PRESETS["drf"].paging, url)
    assert reading.goes_on({"next": following}, HttpAnswer(200, {}, b""), [{}])
    return reading.link(url)


@pytest.mark.parametrize(
    ("following", "expected"),
    [
        ("https://api.example/faskes?page=2", "https://api.example/faskes?page=2"),
        ("http://api.example/faskes?page=2", "https://api.example/faskes?page=2"),
        ("?page=2", "https://api.example/faskes?page=2"),
    ],
)
def test_a_link_as_services_behind_a_proxy_write_it_is_followed_by_https(following: str, expected: str) -> None:
    assert linked("https://api.example/faskes", following) == expected


@pytest.mark.parametrize(
    "following",
    [
        "http://other.example/faskes",
        "http://api.example:8080/faskes",
        "https://api.example.evil/",
        "file:///etc/passwd",
    ],
)
def test_a_link_to_anywhere_else_is_refused(following: str) -> None:
    with pytest.raises(SimpulError):
        linked("https://api.example/faskes", following)
