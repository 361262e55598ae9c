"""Pages for people: one language each, a switch to the other, nothing from foreign hosts."""

from __future__ import annotations

import re

import httpx
import pytest

from app.api.layer.problems import PROBLEMS
from tests.support.gateway import RunningGateway

PAGES = ("/docs", "/redoc", "/problems", "/problems/state-conflict")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(
    ("asked", "accepted", "language"),
    [("?lang=id", "en", "id"), ("?lang=en", "id", "en"), ("", "id-ID,en;q=0.5", "id"), ("", "fr", "en")],
)
def test_a_page_is_in_one_language(
    gateway: RunningGateway, path: str, asked: str, accepted: str, language: str
) -> None:
    page = gateway.admin.get(path + asked, headers={"accept-language": accepted})
    other = {"id": "en", "en": "id"}[language]

    assert page.headers["content-language"] == language
    assert f'<html lang="{language}">' in page.text
    assert f'href="{path}?lang={other}"' in page.text
    assert not re.search(r"(?:src|href)=\"https?://", page.text)
    assert "accept-language" in page.headers["vary"].lower()


def test_a_language_that_is_none_is_refused(gateway: RunningGateway) -> None:
    for path in (*PAGES, "/openapi.json"):
        answer = gateway.admin.get(path, params={"lang": "jv"})
        assert (answer.status_code, answer.json()["code"]) == (422, "parameter_unknown")


@pytest.mark.parametrize("kind", sorted(PROBLEMS.values(), key=lambda kind: kind.code), ids=lambda kind: kind.code)
def test_each_problem_has_its_page_in_both_languages(gateway: RunningGateway, kind: object) -> None:
    found = PROBLEMS[kind.code]  # type: ignore[attr-defined]
    both = [gateway.admin.get(f"/problems/{found.slug}", params={"lang": lang}).text for lang in ("id", "en")]

    assert f"<h1>{found.title_id}</h1>" in both[0].replace("&#x27;", "'")
    assert f"<h1>{found.title_en}</h1>" in both[1].replace("&#x27;", "'")
    assert found.title_en not in both[0] or found.title_en == found.title_id


def test_the_document_is_there_in_both_languages(gateway: RunningGateway) -> None:
    plain, english, indonesian = (
        gateway.admin.get("/openapi.json", params=params) for params in ({}, {"lang": "en"}, {"lang": "id"})
    )
    path = "/v1/records/fasilitas-kesehatan"

    assert plain.content == english.content != indonesian.content
    assert (plain.headers["content-language"], indonesian.headers["content-language"]) == ("en", "id")
    assert english.json()["paths"][path]["get"]["summary"] == "List Health facilities"
    assert indonesian.json()["paths"][path]["get"]["summary"] == "Daftar Fasilitas kesehatan"
    assert english.json()["paths"].keys() == indonesian.json()["paths"].keys()


def test_assets_are_the_gateways_own(gateway: RunningGateway) -> None:
    with httpx.Client(base_url=gateway.url, trust_env=False) as nobody:
        script = nobody.get("/static/redoc.standalone.js").text
        page = nobody.get("/docs")

    assert "cdn.redoc.ly" not in script
    assert "connect-src 'self'" in page.headers["content-security-policy"]
