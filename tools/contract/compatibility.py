"""Compares the API document with the one of the last release and tells what breaks callers.

    python tools/contract/compatibility.py [--renew]

What breaks on purpose is listed in openapi/breaking.md with its reason. Exit codes: 0 nothing else breaks, 1 something does.
`--renew` makes the present document the one of the last release and empties the list.

What a caller sends may become wider and not narrower; what it is told may become narrower and not wider.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

FOLDER = Path(__file__).resolve().parents[2] / "openapi"
DOCUMENT = FOLDER / "simpul.json"
RELEASED = FOLDER / "released.json"
ACCEPTED = FOLDER / "breaking.md"
METHODS = ("get", "put", "post", "delete", "patch", "options", "head")
_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_UPPER = ("maxLength", "maximum", "maxItems", "maxProperties", "exclusiveMaximum")
_LOWER = ("minLength", "minimum", "minItems", "minProperties", "exclusiveMinimum")
_LINE = re.compile(r"^- `(?P<broken>.+)`: (?P<reason>\S.*)$", re.MULTILINE)

Json = dict[str, Any]
_ANY: Json = {}
"""The schema that all fits."""
Way = Literal["sent", "told"]
Found = list[tuple[str, str]]
"""Where in a schema, and what changed there."""


def breaking(old: Json, new: Json) -> list[str]:
    """A line for each change that breaks a caller of the old document."""
    return sorted(set(_Comparison(old, new).lines()))


def accepted(text: str) -> dict[str, str]:
    """The changes that a list allows, with their reasons."""
    return {found["broken"]: found["reason"] for found in _LINE.finditer(text)}


class _Comparison:
    def __init__(self, old: Json, new: Json) -> None:
        self.old, self.new = old, new
        self._known: dict[tuple[int, int, Way], Found] = {}

    def lines(self) -> Iterator[str]:
        """Every break, operation by operation."""
        for path, item in self.old["paths"].items():
            for method in METHODS:
                if method not in item:
                    continue
                name = f"{method.upper()} {path}"
                found = self.new["paths"].get(path, {}).get(method)
                if found is None:
                    yield f"{name}: removed"
                else:
                    yield from (f"{name}: {line}" for line in self._operation(item[method], found))

    def _operation(self, old: Json, new: Json) -> Iterator[str]:
        if old.get("operationId") != new.get("operationId"):
            yield f"operationId: {old.get('operationId')} -> {new.get('operationId')}"
        if not old.get("security", self.old.get("security")) and new.get("security", self.new.get("security")):
            yield "security: needs a token"
        yield from self._parameters(old, new)
        yield from self._body(old, new)
        yield from self._answers(old, new)

    def _parameters(self, old: Json, new: Json) -> Iterator[str]:
        before, after = self._named(old, self.old), self._named(new, self.new)
        for key, parameter in before.items():
            where = f"{key[0]} parameter {key[1]}"
            if key not in after:
                yield f"{where}: removed"
                continue
            if after[key].get("required") and not parameter.get("required"):
                yield f"{where}: required"
            yield from _told(
                where, self._schemas(parameter.get("schema", _ANY), after[key].get("schema", _ANY), "sent")
            )
        for key, parameter in after.items():
            if key not in before and parameter.get("required"):
                yield f"{key[0]} parameter {key[1]}: new and required"

    def _named(self, operation: Json, document: Json) -> dict[tuple[str, str], Json]:
        given = [_resolved(one, document) for one in operation.get("parameters", ())]
        return {(one["in"], one["name"]): one for one in given}

    def _body(self, old: Json, new: Json) -> Iterator[str]:
        before = _resolved(old.get("requestBody", {}), self.old)
        after = _resolved(new.get("requestBody", {}), self.new)
        if after.get("required") and not before.get("required"):
            yield "body: required"
        if before and not after:
            yield "body: removed"
        elif before:
            yield from self._contents("body", before, after, "sent")

    def _answers(self, old: Json, new: Json) -> Iterator[str]:
        for status, answer in old.get("responses", {}).items():
            if not status.startswith("2"):
                continue
            if status not in new.get("responses", {}):
                yield f"{status}: removed"
                continue
            before, after = _resolved(answer, self.old), _resolved(new["responses"][status], self.new)
            for name in before.get("headers", {}).keys() - after.get("headers", {}).keys():
                yield f"{status} header {name}: removed"
            yield from self._contents(status, before, after, "told")

    def _contents(self, where: str, old: Json, new: Json, way: Way) -> Iterator[str]:
        forms = new.get("content", {})
        for form, content in old.get("content", {}).items():
            if form not in forms:
                yield f"{where} {form}: removed"
            else:
                found = self._schemas(content.get("schema", _ANY), forms[form].get("schema", _ANY), way)
                yield from _told(f"{where} {form}", found)

    def _schemas(self, old: Any, new: Any, way: Way) -> Found:
        """What breaks between two schemas. Of schemas that hold themselves, what is under comparison counts as alike."""
        if isinstance(old, bool) or isinstance(new, bool):
            before, after = (old is not False, new is not False)
            narrower = before and not after
            return [("", "nothing fits any more")] if narrower and way == "sent" else []
        old, new = _resolved(old, self.old), _resolved(new, self.new)
        pair = (id(old), id(new), way)
        if pair not in self._known:
            self._known[pair] = []
            self._known[pair] = self._choices(old, new, way)
        return self._known[pair]

    def _choices(self, old: Json, new: Json, way: Way) -> Found:
        before, after = _forms(old, self.old), _forms(new, self.new)
        if way == "sent" and "discriminator" in new and len(before) == 1:
            return self._by_kind(before[0], new["discriminator"])
        if len(before) == len(after) == 1:
            return self._plain(before[0], after[0], way)
        found: Found = []
        needed, offered = (before, after) if way == "sent" else (after, before)
        for form in needed:
            pairs = [(form, other) if way == "sent" else (other, form) for other in offered]
            tried = [self._plain(*pair, way) for pair in pairs]
            if all(tried):
                closest = [one for one, pair in zip(tried, pairs, strict=True) if _types(pair[0]) == _types(pair[1])]
                lost = "is taken no more" if way == "sent" else "is new"
                one_form = [("", f"a form ({'/'.join(sorted(_types(form)))}) {lost}")]
                found += min(closest, key=len) if closest else one_form
        return found

    def _by_kind(self, old: Json, told: Json) -> Found:
        """One form became several, each of one word of a member: each word is compared with its own form."""
        name, forms = told["propertyName"], told["mapping"]
        found: Found = []
        for word in old["properties"][name].get("enum", ()):
            meant = {**old, "properties": {**old["properties"], name: {"const": word}}}
            new = _resolved({"$ref": forms[word]}, self.new) if word in forms else {"enum": []}
            found += [one for one in self._plain(meant, new, "sent") if one not in found]
        return found

    def _plain(self, old: Json, new: Json, way: Way) -> Found:
        wide, narrow = (new, old) if way == "sent" else (old, new)
        if not _types(narrow) <= _types(wide):
            return [("", f"type {'/'.join(sorted(_types(old)))} -> {'/'.join(sorted(_types(new)))}")]
        found = [*_values(wide, narrow, way), *_bounds(old, new, way), *self._members(old, new, way)]
        for name in ("items", "additionalProperties"):
            if isinstance(old.get(name), dict) or (way == "sent" and isinstance(new.get(name), dict)):
                inner = self._schemas(old.get(name, _ANY), new.get(name, _ANY), way)
                found += [(f"/*{where}", what) for where, what in inner]
        return found

    def _members(self, old: Json, new: Json, way: Way) -> Found:
        before, after = old.get("properties", {}), new.get("properties", {})
        found = [(f"/{name}", "removed") for name in before.keys() - after.keys()]
        needed, kept = set(old.get("required", ())), set(new.get("required", ()))
        if way == "sent":
            found += [(f"/{name}", "required") for name in kept - needed]
            if new.get("additionalProperties") is False and old.get("additionalProperties") is not False:
                found.append(("", "takes no other members any more"))
        else:
            found += [(f"/{name}", "not always there any more") for name in (needed - kept) & after.keys()]
        for name in before.keys() & after.keys():
            inner = self._schemas(before[name], after[name], way)
            found += [(f"/{name}{where}", what) for where, what in inner]
        return found


def _told(where: str, found: Found) -> Iterator[str]:
    for place, what in found:
        yield f"{where}{' ' if place else ''}{place}: {what}"


def _resolved(given: Json, document: Json) -> Json:
    while "$ref" in given:
        found: Any = document
        for part in given["$ref"].removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        given = found
    return given


def _forms(schema: Json, document: Json) -> list[Json]:
    """The alternatives of a schema, each without further ones."""
    choices = schema.get("anyOf") or schema.get("oneOf")
    if not choices:
        return [schema]
    return [form for choice in choices for form in _forms(_resolved(choice, document), document)]


def _types(schema: Json) -> frozenset[str]:
    """The JSON types that fit; a whole number is a number."""
    given = schema.get("type")
    if given is None:
        values = schema.get("enum", [schema["const"]] if "const" in schema else None)
        return _TYPES if values is None else frozenset(_type(value) for value in values)
    named = frozenset([given] if isinstance(given, str) else given)
    return named | {"integer"} if "number" in named else named


def _type(value: Any) -> str:
    named = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return named.get(type(value), "null")


def _values(wide: Json, narrow: Json, way: Way) -> Found:
    """What the narrow side can be must be among what the wide side allows."""
    allowed, possible = _enumerated(wide), _enumerated(narrow)
    if allowed is None:
        return []
    if possible is None:
        return [("", "only listed values are taken now" if way == "sent" else "no longer one of the listed values")]
    lost = "is taken no more" if way == "sent" else "is new"
    return [("", f"value {value} {lost}") for value in sorted(possible - allowed)]


def _enumerated(schema: Json) -> set[str] | None:
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    return None if values is None else {json.dumps(value) for value in values}


def _bounds(old: Json, new: Json, way: Way) -> Found:
    """Limits of what is sent must not become tighter."""
    if way == "told":
        return []
    found: Found = []
    for names, sign in ((_UPPER, 1), (_LOWER, -1)):
        for name in names:
            before, after = old.get(name), new.get(name)
            if after is not None and (before is None or sign * after < sign * before):
                found.append(("", f"{name} {before} -> {after}"))
    if "pattern" in new and not _takes(new["pattern"], old.get("pattern")):
        found.append(("", f"pattern {old.get('pattern')} -> {new['pattern']}"))
    return found


def _takes(new: str, old: str | None) -> bool:
    """Whether a pattern is the old one, or has the whole of it as its first alternative: `^a+$` and `^(a+|b)$`."""
    return old is not None and (
        new == old or (old[:1] == "^" and old[-1:] == "$" and new.startswith(f"^({old[1:-1]}|"))
    )


def renew() -> None:
    """The present document is the one of the last release from now on."""
    document = json.loads(DOCUMENT.read_text("utf-8"))
    RELEASED.write_text(json.dumps(document, ensure_ascii=False, sort_keys=True, indent=0) + "\n", "utf-8")
    ACCEPTED.write_text(_LINE.sub("", ACCEPTED.read_text("utf-8")).rstrip() + "\n", "utf-8")


def main() -> int:
    """The command."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--renew", action="store_true", help="make the present document the one of the last release")
    if asked.parse_args().renew:
        renew()
        return 0
    listed = accepted(ACCEPTED.read_text("utf-8"))
    found = breaking(json.loads(RELEASED.read_text("utf-8")), json.loads(DOCUMENT.read_text("utf-8")))
    more = [line for line in found if line not in listed]
    print("\n".join(more) or f"nothing breaks but what {ACCEPTED.name} lists ({len(listed)})")
    return 1 if more else 0


if __name__ == "__main__":
    sys.exit(main())
