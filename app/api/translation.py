"""The OpenAPI document in Indonesian: the English one with its texts replaced by those of `translations/id.json`.

What schemas and fields are called stands with the schemas, in both languages; the file holds all other texts. A text of the
document that stands in neither stays English, and a test names it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from functools import cache
from importlib.resources import files
from typing import Any, Final

from app.schemas.base import FieldSpec
from app.schemas.registry import all_schemas

_TEXTS: Final = frozenset({"summary", "description"})
_TITLE: Final = "title"
"""Of fields it is a text; of models it is their name, and stays."""
_GIVEN: Final = frozenset({"example", "examples", "default", "enum", "const", "contact", "license"})
"""Members whose content is data and no text of ours."""
_BLANK: Final = re.compile(r"\s+")
_NAME: Final = re.compile(r"[a-z_]+(~[a-z_]+)*")
_PARAGRAPHS: Final = re.compile(r"\n\s*\n")


class Dictionary:
    """Texts by their English form. `{}` in a text stands for one of `terms`, or for a name."""

    def __init__(self, texts: Mapping[str, str], terms: Mapping[str, str]) -> None:
        self._texts = {**terms, **{_plain(english): own for english, own in texts.items() if "{}" not in english}}
        self._patterns = [
            (re.compile(re.escape(_plain(english)).replace(r"\{\}", "(.+?)") + r"\Z", re.DOTALL), own)
            for english, own in texts.items()
            if "{}" in english
        ]

    def find(self, paragraph: str) -> str | None:
        """The text in the other language, None where there is none."""
        found = self._texts.get(paragraph)
        if found is not None:
            return found
        for pattern, own in self._patterns:
            fits = pattern.match(paragraph)
            parts = [self._word(part) for part in fits.groups()] if fits is not None else [None]
            if None not in parts:
                return own.format(*parts)
        return None

    def _word(self, part: str) -> str | None:
        """A term, or a name of the contract, which is the same in every language."""
        return self._texts.get(part) or (part if _NAME.fullmatch(part) else None)

    def translate(self, text: str) -> str:
        """The text paragraph by paragraph; what is not known stays as it is."""
        return "\n\n".join(self.find(one) or one for one in paragraphs(text))


def indonesian(document: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the whole document in Indonesian."""
    copied: dict[str, Any] = deepcopy(dict(document))
    words = dictionary()
    for holder, name in _texts(copied):
        holder[name] = words.translate(holder[name])
    return copied


def texts_of(document: Any) -> Iterator[str]:
    """Every paragraph for people in a document, with repetitions."""
    for holder, name in _texts(document):
        if name != _TITLE:
            yield from paragraphs(holder[name])


def paragraphs(text: str) -> list[str]:
    """The text's paragraphs, each on one line."""
    return [_plain(part) for part in _PARAGRAPHS.split(text.strip())]


@cache
def dictionary() -> Dictionary:
    """English to Indonesian."""
    texts = json.loads(files("app.api").joinpath("translations", "id.json").read_text("utf-8"))
    return Dictionary(texts, dict(_terms()))


def _terms() -> Iterable[tuple[str, str]]:
    for schema in all_schemas():
        meta = schema.meta
        yield meta.title_en, meta.title_id
        yield meta.definition_en, meta.definisi
        yield f"{meta.definition_en}.", f"{meta.definisi}."
        for spec in schema.fields.values():
            yield from _of_field(spec)


def _of_field(spec: FieldSpec) -> Iterable[tuple[str, str]]:
    yield spec.title_en, spec.title_id
    yield _plain(spec.description_en), spec.description_id
    for part in (*spec.parts.values(), *((spec.item,) if spec.item is not None else ())):
        yield from _of_field(part)


def _texts(value: Any, *, names: bool = False) -> Iterator[tuple[dict[str, Any], str]]:
    """Each text's holder. `names`: the members of `value` are names of somebody (properties, headers), no words of OpenAPI."""
    if isinstance(value, dict):
        for name, member in value.items():
            if not names and (name in _TEXTS or name == _TITLE) and isinstance(member, str):
                yield value, name
            elif names or (name not in _GIVEN and not name.startswith("x-")):
                yield from _texts(member, names=not names and name in {"properties", "$defs"})
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _plain(text: str) -> str:
    return _BLANK.sub(" ", text.strip())
