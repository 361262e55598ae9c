"""`/v1/codes`: the loaded code lists: pages, one code, a name and what it may mean, a code in another system."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from fastapi import Request, Response
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from app.api.layer.answers import Answer, Id, Name, Whole
from app.api.layer.bodies import answer
from app.api.layer.dependencies import only_parameters, services
from app.api.layer.resource import READ, Resource
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

Level = Annotated[str, Field(max_length=16, description="Level of the region")]
RegionName = Annotated[str, Field(max_length=200)]
RegionCode = Annotated[str, Field(max_length=13)]


class CodeAnswer(Answer):
    """A code, and the Kemendagri code of the region that it means."""

    system: Name
    code: Name
    tingkat: Level
    kode_wilayah: RegionCode
    nama: RegionName | SkipJsonSchema[None] = Field(
        default=None, description="Name of the region; only for codes of Kemendagri"
    )


class CodeItem(Answer):
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
    _LIMIT,
    _parameter("after", "`next_after` of the page before", "33.20.09"),
]
_NAME = _parameter("name", "Name of a region, as somebody wrote it", "Kec. Karimun Jawa", _LONGEST_NAME, required=True)
_REGION = {"code": "33.20.10", "nama": "Karimunjawa", "tingkat": "kecamatan", "kode_wilayah": "33.20.10"}
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

    The list is the one that was loaded last; the store knows nothing of codes of the past.
    """
    given = only_parameters(request, "level", "parent", "q", "limit", "after")
    book, limit = services(request).codes, _limit(given.get("limit", "100"))
    _known(book, system)
    _bounded(given, q=_LONGEST_NAME, after=_LONGEST_CODE)
    level, parent = _within(given)
    found = await in_bulk(code_search.rows_of, book, system, level=level, parent=parent, part=given.get("q"))
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
    openapi_extra={"parameters": [_NAME, _LEVEL, _PARENT]},
)
async def lookup_code(system: str, request: Request) -> Response:
    """Which code a name means. `exact`: written so, whatever the case. `variant`: but for an administrative word, blanks, hyphens or
    the spelling before 1972 (`dj`, `tj`, `sj`, `oe`). `ambiguous`: several; state `level` or `parent`. `unmatched`: none.

    Candidates of an unmatched name are the closest ones: for people to look at, never an answer.
    """
    given = only_parameters(request, "name", "level", "parent")
    name, book = given.get("name", ""), services(request).codes
    _known(book, system)
    if not name.strip() or len(name) > _LONGEST_NAME:
        raise _refused("name", "required", f"name the region, in up to {_LONGEST_NAME} characters")
    level, parent = _within(given)
    found = await in_bulk(code_search.find_name, book, system, name, level=level, parent=parent)
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
    if system == KEMENDAGRI:
        found = book.region(code)
        if found is not None:
            shown = {"kode_wilayah": found.kode, "nama": found.nama, "tingkat": found.tingkat}
            return answer({"system": system, "code": code, **shown})
    else:
        for level in LEVELS:
            target = book.crosswalk(system, code, level)
            if target is not None:
                return answer({"system": system, "code": code, "tingkat": level, "kode_wilayah": target})
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
    openapi_extra={"parameters": [_parameter("to", "Code system (default: `kemendagri`)", KEMENDAGRI)]},
)
async def crosswalk_code(system: str, code: str, request: Request) -> Response:
    """The codes of the system `to` that mean the same region: none, one or several. A code that is not loaded is not found."""
    target = only_parameters(request, "to").get("to", KEMENDAGRI)
    book = services(request).codes
    _known(book, system)
    _known(book, target)
    row = await in_bulk(code_search.row_of, book, system, code)
    if row is None:
        raise _not_loaded(system)
    found = await in_bulk(code_search.crosswalk_of, book, row, target)
    items = [{**_item(one), "metode": one.metode} for one in found]
    return answer({"system": system, "code": code, "to": target, "kode_wilayah": row.kode_wilayah, "items": items})


def _item(row: CodeRow) -> dict[str, Any]:
    return {"code": row.code, "nama": row.nama, "tingkat": row.tingkat, "kode_wilayah": row.kode_wilayah}


def _candidate(found: Candidate) -> dict[str, Any]:
    return {**_item(found.row), "match_type": found.match, "differs_by": list(found.differs_by)}


def _known(book: CodeBook, system: str) -> None:
    loaded = code_search.systems(book)
    if system not in loaded:
        raise NotFound(f"no code system {system[:64]} is loaded; there are: {', '.join(loaded)}", system=system[:64])


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
