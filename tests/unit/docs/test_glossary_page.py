"""The glossary against the code: every route, header and member it names exists, every list of words is the code's list."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

from app.access.principals import Role
from app.access.terms import MASKS
from app.audit.entry.members import KINDS as ENTRY_KINDS
from app.catalog.states import State
from app.connectors.registry import KINDS
from app.datasets.manifest import Manifest
from app.federation.question.query import Status
from tests.support.pages import DOCS, sections, table_rows

PAGE = "reference/glossary.md"
TEXT = (DOCS / PAGE).read_text("utf-8")
DOCUMENT = json.loads((Path(__file__).resolve().parents[3] / "openapi" / "simpul.json").read_text("utf-8"))
ROWS = [cells for section in sections(PAGE) for cells in table_rows(section.text)]
ROUTE = re.compile(r"(GET|POST|PUT) (/.+)")


def members(value: Any) -> set[str]:
    """The names of all members that the document describes, and of parameters and headers."""
    found: set[str] = set()
    if isinstance(value, dict):
        found |= set(value.get("properties") or {}) | set(value.get("headers") or {})
        if "in" in value and "name" in value:
            found.add(value["name"])
        for part in value.values():
            found |= members(part)
    elif isinstance(value, list):
        for part in value:
            found |= members(part)
    return found


def test_every_row_has_four_cells_and_no_word_stands_twice() -> None:
    words = [cells[0] for cells in ROWS]

    assert [cells for cells in ROWS if len(cells) != 4 or not all(cells)] == []
    assert len(words) == len(set(words)) > 50


def test_every_place_in_the_api_exists() -> None:
    known = members(DOCUMENT) | set(Manifest.model_fields)
    strange = []
    for cells in ROWS:
        for name in re.findall(r"`([^`]+)`", cells[3]):
            route = ROUTE.fullmatch(name)
            if route is not None:
                if route[1].lower() not in DOCUMENT["paths"].get(route[2], {}):
                    strange.append(name)
            elif name.rpartition(".")[2].removesuffix("[]") not in known:
                strange.append(name)

    assert strange == []


def test_the_lists_of_words_are_those_of_the_code() -> None:
    told = dict.fromkeys(("role", "state", "kind", "mask"))
    for cells in ROWS:
        if cells[0] in told:
            told[cells[0]] = re.findall(r"`([^`]+)`", cells[2])
    below = {
        name: set(re.findall(r"`(\w+)`", line))
        for name in ("Status of a leg:", "Kinds of entries:")
        for line in [TEXT[TEXT.index(name) :].partition("\n\n")[0]]
    }

    assert told == {
        "role": list(get_args(Role)),
        "state": [str(state) for state in State],
        "kind": list(KINDS),
        "mask": list(MASKS),
    }
    assert below == {"Status of a leg:": set(get_args(Status)), "Kinds of entries:": set(ENTRY_KINDS)}
