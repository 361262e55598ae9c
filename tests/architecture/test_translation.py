"""Every text of the API document has its Indonesian form, and no form has lost its text."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from app.api.translation import Dictionary, dictionary, indonesian, paragraphs, texts_of
from app.main import build_openapi

FILE = Path(__file__).resolve().parents[2] / "app" / "api" / "translations" / "id.json"
QUOTED = re.compile(r"`[^`]*`")


def written() -> dict[str, str]:
    found: dict[str, str] = json.loads(FILE.read_text("utf-8"))
    return found


def test_every_text_is_translated() -> None:
    words = dictionary()
    assert sorted({text for text in texts_of(build_openapi()) if words.find(text) is None}) == []


def test_no_translation_is_left_over() -> None:
    shown = set(texts_of(build_openapi()))
    alone = {english for english in written() if "{}" not in english}
    patterns = [english for english in written() if "{}" in english]
    unused = [one for one in patterns if not any(fits(one, text) for text in shown - alone)]
    assert sorted(alone - shown) + unused == []


def fits(pattern: str, text: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\{\}", ".+"), text) is not None


def test_what_stands_in_place_of_a_pattern_is_translated_too() -> None:
    terms = Dictionary({}, {}), dictionary()
    assert terms[0].find("List Health facilities") is None
    assert terms[1].find("List Health facilities") == "Daftar Fasilitas kesehatan"
    assert terms[1].find("List things that no schema is called") is None


def test_words_of_code_are_not_translated() -> None:
    other = {english: own for english, own in written().items() if sorted(code(english)) != sorted(code(own))}
    assert other == {}


def code(text: str) -> list[str]:
    return QUOTED.findall(text)


def test_only_texts_change() -> None:
    document = build_openapi()
    other = indonesian(document)
    assert other != document
    assert blank(other) == blank(document)
    example = document["components"]["schemas"]["FasilitasKesehatan"]["example"]
    assert other["components"]["schemas"]["FasilitasKesehatan"]["example"] == example
    assert paragraphs("one\ntwo\n\n three ") == ["one two", "three"]


def blank(value: Any) -> Any:
    """The document without its texts."""
    if isinstance(value, dict):
        texts = {"summary", "description", "title"}
        return {name: "" if name in texts and isinstance(one, str) else blank(one) for name, one in value.items()}
    return [blank(one) for one in value] if isinstance(value, list) else value
