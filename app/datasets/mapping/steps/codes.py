"""Steps on codes: `codes` (a list written in the manifest), `crosswalk` and `lookup` (the loaded lists). Never a guess."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.datasets.mapping.rules import StepReject
from app.datasets.mapping.steps.contract import Builder, Row, Step, StepContext, need_text
from app.datasets.mapping.text import squeeze, upper

_LEVELS = ("provinsi", "kabupaten", "kecamatan", "desa")


def codes(given: Any, context: StepContext) -> Step:
    """`codes: {PUSKESMAS: puskesmas, "RUMAH SAKIT": rumah_sakit}`: exact, after trimming."""
    if not isinstance(given, Mapping) or not given:
        context.refuse("codes is a mapping from the source's value to the schema's")
    spec = context.spec
    if spec is not None and spec.enum is not None:
        wrong = [value for value in given.values() if value is not None and value not in spec.enum]
        if wrong:
            context.refuse(f"{wrong[0]} is not in the field's list: {', '.join(spec.enum)}")
    table = {_key(key): value for key, value in given.items()}

    def step(value: Any, _: Row) -> Any:
        key = squeeze(value) if isinstance(value, str) else _key(value)
        if key not in table:
            raise StepReject("code_unknown")
        return table[key]

    return step


def _key(value: Any) -> str:
    """A code as text; true and false as YAML and JSON write them."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def crosswalk(given: Any, context: StepContext) -> Step:
    """`crosswalk: {from: bps, level: kecamatan}`: the Kemendagri code of another system's code, as loaded."""
    options = context.options(given, "from", "level")
    system, level = options.get("from"), options.get("level")
    if not isinstance(system, str) or level not in _LEVELS:
        context.refuse(f"crosswalk needs from (a loaded system such as bps) and level ({', '.join(_LEVELS)})")
    book = context.codes

    def step(value: Any, _: Row) -> Any:
        code = str(value) if isinstance(value, int) and not isinstance(value, bool) else need_text(value)
        found = book.crosswalk(system, code, level)
        if found is None:
            raise StepReject("crosswalk_unmatched")
        return found

    return step


def lookup(given: Any, context: StepContext) -> Step:
    """`lookup: {level: kecamatan, parent: "33.20", strip: ["KEC. "]}`: the code of a region by its name within a parent.

    `parent` may be a list; `parent_from` names a raw column that holds the parent's code. `blanks: ignore` takes `Karimun Jawa` for
    Karimunjawa; `search: true` finds the one name that stands in a text. Two regions of one name: no match.
    """
    options = context.options(given, "level", "parent", "parent_from", "strip", "blanks", "search")
    level, column = options.get("level"), options.get("parent_from")
    if level not in _LEVELS:
        context.refuse(f"lookup needs level: {', '.join(_LEVELS)}")
    strips, parents = _strips(options, context), _parents(options, context)
    if column is not None and (not isinstance(column, str) or not column or parents):
        context.at("parent_from").refuse("parent_from names a raw column, and stands without parent")
    if options.get("blanks", "count") not in {"count", "ignore"}:
        context.at("blanks").refuse("blanks is count (the default) or ignore")
    search = options.get("search", False)
    if not isinstance(search, bool):
        context.at("search").refuse("search is true or false")
    if search and not parents and column is None:
        context.at("search").refuse("search needs a parent: without one a text of every region would be looked for")
    if column is not None:
        context.columns.add(column)
    book, blanks = context.codes, options.get("blanks") != "ignore"

    def step(value: Any, row: Row) -> Any:
        name = upper(squeeze(need_text(value)))
        within = [str(row.get(column))] if column is not None else parents
        if search:
            found = book.names_in(name, within, level, blanks=blanks)
        else:
            for word in strips:
                name = name.removeprefix(word).strip()
            found = [
                code for parent in within or (None,) for code in book.lookup_name(name, parent, level, blanks=blanks)
            ]
        if not found:
            raise StepReject("lookup_unmatched")
        if len(set(found)) > 1:
            raise StepReject("lookup_ambiguous")
        return found[0]

    return step


def _strips(options: Mapping[str, Any], context: StepContext) -> list[str]:
    words = options.get("strip", [])
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        context.at("strip").refuse('strip is a list of texts, such as ["KEC. "]')
    return [upper(word) for word in words]


def _parents(options: Mapping[str, Any], context: StepContext) -> list[str]:
    given = options.get("parent")
    parents = given if isinstance(given, list) else [] if given is None else [given]
    if not all(isinstance(one, str) for one in parents) or (isinstance(given, list) and not given):
        context.at("parent").refuse('parent is a text in quotes, such as "33.20", or a list of them')
    return parents


STEPS: Mapping[str, Builder] = {"codes": codes, "crosswalk": crosswalk, "lookup": lookup}
