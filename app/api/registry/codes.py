"""`/v1/codes`: the loaded code lists: pages, one code, a name and what it may mean, a code in another system."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Final, Literal

from fastapi import Request, Response
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from app.api.layer.answers import Answer, Id, Name, Whole
from app.api.layer.bodies import answer
from app.api.layer.dependencies import only_parameters, services
from app.api.layer.resource import READ, Resource
from app.catalog.code_validity import day_of
from app.datasets.mapping import code_search
from app.datasets.mapping.code_search import KEMENDAGRI, Candidate, CodeRow
from app.datasets.mapping.codes import LEVELS, CodeBook, plain_level
from app.errors import FieldError, LimitOutOfRange, NotFound, ValidationFailed
from app.lanes import in_bulk

routes = Resource("/v1/codes", "catalogue")

_MOST_ROWS: Final = 1000
_MOST_CANDIDATES: Final = 50
_LONGEST_NAME: Final = 200
_ACCEPTED_LEVELS: Final = (*LEVELS, "kelurahan", "kota", "desa_adat")

Day = Annotated[
    str, Field(max_length=10, pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", json_schema_extra={"format": "date"})
]
Level = Annotated[str, Field(max_length=16, description="Level of the region")]
RegionName = Annotated[str, Field(max_length=200)]
RegionCode = Annotated[str, Field(max_length=13)]


class CodeValidity(Answer):
    """From when to when a code is valid."""

    valid_from: Day | None = Field(description="First day; null: not known")
    valid_to: Day | None = Field(description="Last day; null: not known, or it goes on")
    successors: list[Name] = Field(max_length=50, description="The codes that replaced it, where that is known")


class CodeAnswer(CodeValidity):
    """A code, and the Kemendagri code of the region that it means."""

    system: Name
    code: Name
    tingkat: Level
    kode_wilayah: RegionCode
    nama: RegionName | SkipJsonSchema[None] = Field(
        default=None, description="Name of the region; only for codes of Kemendagri"
    )


class CodeItem(CodeValidity):
    """A code of a loaded list, and the Kemendagri code of the region that it means; null where it is unmatched."""

    code: Name
    nama: RegionName | None = Field(description="Name as the list writes it; null where the list has none")
    tingkat: Level
    kode_wilayah: RegionCode | None


class CodesAnswer(Answer):
    """A page of a code list."""

    system: Name
    total: Whole = Field(description="Codes that fit the question, on all pages")
    items: list[CodeItem] = Field(max_length=_MOST_ROWS)
    next_after: Name | None = Field(description="`after` of the next page; null: this is the last")


class NameCandidate(CodeItem):
    """A code that a name may mean, and how the list writes that name otherwise."""

    match_type: Literal["exact", "variant", "similar"]
    differs_by: list[Literal["administrative_word", "separators", "old_spelling"]] = Field(max_length=3)


class NameAnswer(Answer):
    """What a name means. Only `exact` and `variant` have a code; several candidates are ambiguous and none is chosen."""

    system: Name
    name: Annotated[str, Field(max_length=_LONGEST_NAME)]
    status: Literal["exact", "variant", "ambiguous", "unmatched"]
    code: Name | None
    candidates_total: Whole
    candidates: list[NameCandidate] = Field(max_length=_MOST_CANDIDATES)


class CrosswalkItem(CodeItem):
    """A code of the other system, and how it was matched."""

    metode: Id | None = Field(description="`nama`, `kode` or `manual`; null for codes of Kemendagri")


class CrosswalkAnswer(Answer):
    """The codes of another system that mean the same region; none where the code is unmatched."""

    system: Name
    code: Name
    to: Name
    kode_wilayah: RegionCode | None
    items: list[CrosswalkItem] = Field(max_length=10_000)


def _parameter(name: str, text: str, example: str, most: int = 100, *, required: bool = False) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1, "maxLength": most}
    shown = {"name": name, "in": "query", "description": text, "schema": schema, "example": example}
    return {**shown, "required": True} if required else shown


_LEVEL: dict[str, Any] = {
    **_parameter("level", "Only codes of this level", "kecamatan"),
    "schema": {"type": "string", "enum": list(_ACCEPTED_LEVELS)},
}
_LONGEST_CODE, _LONGEST_REGION = 100, 13
_PARENT = _parameter(
    "parent", "Only regions within this one, at any depth: a code of Kemendagri", "33.20", _LONGEST_REGION
)
_AS_OF: dict[str, Any] = {
    **_parameter("as_of", "Only codes that are valid on this day, or of which nobody said when they are", "2019-05-01"),
    "schema": {"type": "string", "format": "date", "maxLength": 10},
}
_LIMIT: dict[str, Any] = {
    "name": "limit",
    "in": "query",
    "description": "Codes on the page",
    "schema": {"type": "integer", "format": "int32", "minimum": 1, "maximum": _MOST_ROWS, "default": 100},
}
_LIST = [
    _LEVEL,
    _PARENT,
    _parameter("q", "Only names that hold this, in whatever case", "jawa", _LONGEST_NAME),
    _AS_OF,
    _LIMIT,
    _parameter("after", "`next_after` of the page before", "33.20.09"),
]
_NAME = _parameter("name", "Name of a region, as somebody wrote it", "Kec. Karimun Jawa", _LONGEST_NAME, required=True)
_REGION: dict[str, Any] = {
    "code": "33.20.10",
    "nama": "Karimunjawa",
    "tingkat": "kecamatan",
    "kode_wilayah": "33.20.10",
    "valid_from": None,
    "valid_to": None,
    "successors": [],
}
_CODE = {"system": KEMENDAGRI, **_REGION}


@routes.get(
    "/{system}",
    READ,
    summary="Codes of a system",
    answer=CodesAnswer,
    example={"system": KEMENDAGRI, "total": 1, "items": [_REGION], "next_after": None},
    openapi_extra={"parameters": _LIST},
)
async def list_codes(system: str, request: Request) -> Response:
    """The loaded list by code: regions (`kemendagri`) or the codes of another system, the unmatched too.

    Codes that ended are listed with their last day and what replaced them; `as_of` leaves them out. A code of which the list says
    nothing counts as valid on every day.
    """
    given = only_parameters(request, "level", "parent", "q", "as_of", "limit", "after")
    book, limit = services(request).codes, _limit(given.get("limit", "100"))
    _known(book, system)
    _bounded(given, q=_LONGEST_NAME, after=_LONGEST_CODE)
    level, parent = _within(given)
    narrowed = {"level": level, "parent": parent, "part": given.get("q"), "as_of": _day(given)}
    found = await in_bulk(partial(code_search.rows_of, book, system, **narrowed))
    rows, more = code_search.page_of(found, after=given.get("after"), limit=limit)
    shown = {"system": system, "total": len(found), "items": [_item(row) for row in rows]}
    return answer({**shown, "next_after": rows[-1].code if more else None})


@routes.get(
    "/{system}/lookup",
    READ,
    summary="Look up a name",
    answer=NameAnswer,
    example={
        "system": KEMENDAGRI,
        "name": "Kec. Karimun Jawa",
        "status": "variant",
        "code": "33.20.10",
        "candidates_total": 1,
        "candidates": [{**_REGION, "match_type": "variant", "differs_by": ["administrative_word", "separators"]}],
    },
    openapi_extra={"parameters": [_NAME, _LEVEL, _PARENT, _AS_OF]},
)
async def lookup_code(system: str, request: Request) -> Response:
    """Which code a name means. `exact`: written so, whatever the case. `variant`: but for an administrative word, blanks, hyphens or
    the spelling before 1972 (`dj`, `tj`, `sj`, `oe`). `ambiguous`: several; state `level` or `parent`. `unmatched`: none.

    Candidates of an unmatched name are the closest ones: for people to look at, never an answer.
    """
    given = only_parameters(request, "name", "level", "parent", "as_of")
    name, book = given.get("name", ""), services(request).codes
    _known(book, system)
    if not name.strip() or len(name) > _LONGEST_NAME:
        raise _refused("name", "required", f"name the region, in up to {_LONGEST_NAME} characters")
    level, parent = _within(given)
    day = _day(given)
    found = await in_bulk(partial(code_search.find_name, book, system, name, level=level, parent=parent, as_of=day))
    sure = found.status in ("exact", "variant")
    shown = {
        "system": system,
        "name": name,
        "status": found.status,
        "code": found.candidates[0].row.code if sure else None,
        "candidates_total": len(found.candidates),
        "candidates": [_candidate(one) for one in found.candidates[:_MOST_CANDIDATES]],
    }
    return answer(shown)


@routes.get("/{system}/{code}", READ, summary="Look up a code", answer=CodeAnswer, example=_CODE)
async def get_code(system: str, code: str, request: Request) -> Response:
    """A region code (`kemendagri`), or the Kemendagri code of another system's (`bps`). Not loaded means not found."""
    only_parameters(request)
    book = services(request).codes
    row = await in_bulk(code_search.row_of, book, system, code) if system in code_search.systems(book) else None
    if row is not None and system == KEMENDAGRI:
        shown = {"kode_wilayah": row.code, "nama": row.nama, "tingkat": row.tingkat, **_validity(row)}
        return answer({"system": system, "code": code, **shown})
    for level in LEVELS if row is not None else ():
        target = book.crosswalk(system, code, level)
        if row is not None and target is not None:
            shown = {"tingkat": level, "kode_wilayah": target, **_validity(row)}
            return answer({"system": system, "code": code, **shown})
    raise _not_loaded(system)


@routes.get(
    "/{system}/{code}/crosswalk",
    READ,
    summary="A code in another system",
    answer=CrosswalkAnswer,
    example={
        "system": "bps",
        "code": "3320120",
        "to": KEMENDAGRI,
        "kode_wilayah": "33.20.10",
        "items": [{**_REGION, "metode": None}],
    },
    openapi_extra={"parameters": [_parameter("to", "Code system (default: `kemendagri`)", KEMENDAGRI), _AS_OF]},
)
async def crosswalk_code(system: str, code: str, request: Request) -> Response:
    """The codes of the system `to` that mean the same region: none, one or several. A code that is not loaded is not found, nor is one
    that is not valid on the day `as_of`: the problem names what replaced it.
    """
    given = only_parameters(request, "to", "as_of")
    target, day = given.get("to", KEMENDAGRI), _day(given)
    book = services(request).codes
    _known(book, system)
    _known(book, target)
    row = await in_bulk(code_search.row_of, book, system, code)
    if row is None:
        raise _not_loaded(system)
    if day is not None and not row.valid(day):
        raise _not_valid(row, system, day)
    found = await in_bulk(code_search.crosswalk_of, book, row, target, day)
    items = [{**_item(one), "metode": one.metode} for one in found]
    return answer({"system": system, "code": code, "to": target, "kode_wilayah": row.kode_wilayah, "items": items})


def _item(row: CodeRow) -> dict[str, Any]:
    shown = {"code": row.code, "nama": row.nama, "tingkat": row.tingkat, "kode_wilayah": row.kode_wilayah}
    return {**shown, **_validity(row)}


def _validity(row: CodeRow) -> dict[str, Any]:
    return {"valid_from": row.valid_from, "valid_to": row.valid_to, "successors": row.successors}


def _candidate(found: Candidate) -> dict[str, Any]:
    return {**_item(found.row), "match_type": found.match, "differs_by": list(found.differs_by)}


def _known(book: CodeBook, system: str) -> None:
    loaded = code_search.systems(book)
    if system not in loaded:
        raise NotFound(f"no code system {system[:64]} is loaded; there are: {', '.join(loaded)}", system=system[:64])


def _not_valid(row: CodeRow, system: str, day: str) -> NotFound:
    since = f" from {row.valid_from}" if row.valid_from else ""
    until = f" to {row.valid_to}" if row.valid_to else ""
    after = f"; replaced by {', '.join(row.successors)}" if row.successors else ""
    detail = f"{row.code} is not valid on {day}: it is valid{since}{until}{after}"
    return NotFound(detail, system=system, successors=row.successors)


def _day(given: Mapping[str, str]) -> str | None:
    if "as_of" not in given:
        return None
    try:
        return day_of(given["as_of"])
    except ValueError as error:
        raise _refused("as_of", "date", f"as_of: {error}") from None


def _not_loaded(system: str) -> NotFound:
    return NotFound("this code is not in the loaded lists; a look-alike prefix is never guessed", system=system)


def _bounded(given: Mapping[str, str], **most: int) -> None:
    for name, length in most.items():
        if name in given and not 1 <= len(given[name]) <= length:
            raise _refused(name, "length", f"{name} has 1 to {length} characters; leave it out where it is not meant")


def _within(given: Mapping[str, str]) -> tuple[str | None, str | None]:
    _bounded(given, parent=_LONGEST_REGION)
    level = given.get("level")
    if level is not None and level not in _ACCEPTED_LEVELS:
        raise _refused("level", "not_in_list", f"level is one of {', '.join(_ACCEPTED_LEVELS)}")
    return None if level is None else plain_level(level), given.get("parent")


def _refused(field: str, rule: str, detail: str) -> ValidationFailed:
    return ValidationFailed(detail, errors=[FieldError(field, rule, detail)])


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= _MOST_ROWS):
        raise LimitOutOfRange(f"limit is between 1 and {_MOST_ROWS}", limit_rows=_MOST_ROWS)
    return int(text)
