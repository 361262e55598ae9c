"""`/v1/agencies`: the member organisations, and uploads into an agency's inbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Request, Response
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema
from starlette.requests import ClientDisconnect

from app.access.principals import require_agency
from app.api.layer.answers import Answer, Digest, Id, Moment, Name, Numbered, Whole
from app.api.layer.bodies import answer, as_seen, plain_body, read_model, tagged
from app.api.layer.dependencies import condition, exchange, only_parameters, principal, services
from app.api.layer.resource import ADMINS, READ, STEWARDS, Resource, Rule, json_content
from app.api.layer.wire import AgencyBody, AgencyChange
from app.catalog import agencies, files
from app.catalog.agencies import Agency
from app.catalog.inbox import Inbox
from app.errors import FieldError, StateConflict, ValidationFailed
from app.gateway.administration import act
from app.settings import Settings

routes = Resource("/v1/agencies", "catalogue")

_EXAMPLE = {"id": "dinkes", "name": "Dinas Kesehatan Kabupaten Jepara", "network_allow": ["10.20.0.0/16"]}
_PRIVATE = frozenset({"network_allow", "env_allow"})

Line = Annotated[str, Field(max_length=200)]
Network = Annotated[str, Field(max_length=253)]
Variable = Annotated[str, Field(max_length=128)]
FilePath = Annotated[str, Field(max_length=400)]


class AgencyAnswer(Answer):
    """A member organisation. What it may reach and name is shown to the walidata and to itself alone."""

    id: Id
    name: Line
    name_en: Line | None
    member_class: Literal["GOV", "COM", "NGO", "EDU"]
    contact: Line | None
    network_allow: Annotated[list[Network], Field(max_length=100)] | SkipJsonSchema[None] = None
    env_allow: Annotated[list[Variable], Field(max_length=100)] | SkipJsonSchema[None] = None
    disabled: bool
    created_at: Moment
    updated_at: Moment


class AgenciesAnswer(Answer):
    """All member organisations, by id."""

    items: list[AgencyAnswer] = Field(max_length=10_000)


class FileAnswer(Answer):
    """One version of an uploaded file."""

    agency: Id
    path: FilePath
    version: Numbered
    size_bytes: Whole
    sha256: Digest
    uploaded_by: Name
    uploaded_at: Moment
    kept: bool = Field(description="Whether its bytes are there; of old versions only the digest may be left")


class FilesAnswer(Answer):
    """The version in place of every path."""

    items: list[FileAnswer] = Field(max_length=100_000)


class UploadAnswer(FileAnswer):
    """The version that stands now; the same bytes again are no new one."""

    new_version: bool


_OPEN = {
    "id": "dinkes",
    "name": "Dinas Kesehatan Kabupaten Jepara",
    "name_en": "Jepara Regency Health Office",
    "member_class": "GOV",
    "contact": "dinkes@jepara.example",
    "disabled": False,
    "created_at": "2026-01-05T02:00:00Z",
    "updated_at": "2026-01-05T02:00:00Z",
}
_AGENCY = {**_OPEN, "network_allow": ["10.20.0.0/16"], "env_allow": []}
FILE = {
    "agency": "dinkes",
    "path": "faskes.csv",
    "version": 3,
    "size_bytes": 18432,
    "sha256": "8d2c1a5e0f4b7c9360a1e2d3f4b5c6d708192a3b4c5d6e7f8091a2b3c4d5e6f7",
    "uploaded_by": "dinkes-walidata-pendukung",
    "uploaded_at": "2026-11-20T01:30:00Z",
    "kept": True,
}
MOST_BYTES: int = Settings.model_fields["upload_bytes"].default
STORED = json_content(UploadAnswer, {**FILE, "new_version": True})


@routes.get("", READ, summary="All agencies", answer=AgenciesAnswer, example={"items": [_OPEN]})
async def list_agencies(request: Request) -> Response:
    """The member organisations, by id. Use the ids in `agencies=` of a question."""
    only_parameters(request)
    found = services(request).catalog.agencies
    full = principal(request).role == "admin"
    return answer({"items": [_document(agency, full=full) for agency in found.values()]})


@routes.post(
    "",
    Rule("agency.create", ADMINS, "admin"),
    summary="Register an agency",
    status_code=201,
    body=AgencyBody,
    body_example=_EXAMPLE,
    answer=AgencyAnswer,
    example={**_AGENCY, "name_en": None, "contact": None},
)
async def create_agency(request: Request) -> Response:
    """For the walidata: a new member organisation. Its sources may stand in private networks only where allowed here."""
    body = read_model(request, AgencyBody)
    draft = Agency(
        id=body.id,
        name=body.name,
        name_en=body.name_en,
        member_class=body.member_class,
        contact=body.contact,
        network_allow=tuple(body.network_allow),
        env_allow=tuple(body.env_allow),
    )
    under_way = exchange(request)
    under_way.tells(agency=body.id)
    made = await act(services(request), under_way, lambda connection: agencies.create_agency(connection, draft))
    return tagged(_document(made, full=True), 201, {"location": f"/v1/agencies/{made.id}"})


@routes.get("/{agency}", READ, summary="One agency", answer=AgencyAnswer, example=_AGENCY)
async def get_agency(agency: str, request: Request) -> Response:
    """Name, class and contact of a member organisation."""
    only_parameters(request)
    found = services(request).agency(agency)
    caller = principal(request)
    return answer(_document(found, full=caller.role == "admin" or caller.agency == agency))


@routes.patch(
    "/{agency}",
    Rule("agency.change", ADMINS, "admin"),
    summary="Change an agency",
    body=AgencyChange,
    body_example={"contact": "0291-591234"},
    answer=AgencyAnswer,
    example={**_AGENCY, "contact": "0291-591234", "updated_at": "2026-11-20T03:15:00Z"},
)
async def change_agency(agency: str, request: Request) -> Response:
    """For the walidata: names, contact, allowed networks, or `disabled`. Absent members stay as they are.

    While an agency is disabled its clients get no tokens, the tokens they hold are dead within a second, its agreements grant nothing
    and its datasets are not asked.
    """
    body = read_model(request, AgencyChange)
    given = dict(body.model_dump(exclude_unset=True).items())
    if body.disabled and principal(request).agency == agency:
        raise StateConflict("the agency of your own credential cannot be disabled by it: nobody could enable it again")
    changes = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    expected = as_seen(request, f"agency {agency}", partial(_document, full=True), required=True)
    under_way = exchange(request)
    under_way.tells(agency=agency, changed=sorted(changes))
    made = await act(
        services(request), under_way, lambda found: agencies.update_agency(found, agency, changes, expected=expected)
    )
    return tagged(_document(made, full=True))


@routes.get(
    "/{agency}/files",
    Rule("catalogue", STEWARDS),
    summary="Files in the inbox",
    answer=FilesAnswer,
    example={"items": [FILE]},
)
async def list_files(agency: str, request: Request) -> Response:
    """What the agency uploaded: the version in place of every path."""
    only_parameters(request)
    require_agency(principal(request), agency)
    services(request).agency(agency)
    async with services(request).database.read() as connection:
        found = await files.list_files(connection, agency)
    return answer({"items": [asdict(file) for file in found]})


@routes.put(
    "/{agency}/files/{path:path}",
    Rule("file.upload", STEWARDS, "admin", upload=True),
    summary="Upload a file",
    answer=UploadAnswer,
    example={**FILE, "new_version": False},
    responses={201: {"description": "A new version of the file.", "content": STORED}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "The bytes of the file; send Content-Digest (RFC 9530) to have them checked.",
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary", "maxLength": MOST_BYTES}}
            },
        }
    },
)
async def put_file(agency: str, path: str, request: Request) -> Response:
    """Stores a file in the agency's inbox, where a manifest's `location: inbox/…` finds it.

    `curl -T faskes.csv …/v1/agencies/dinkes/files/faskes.csv` on a schedule, or `simpul agent`, is the way for an office behind NAT.
    A large file over a line that breaks comes in parts: POST to the same address begins that.
    Readers see the old or the new bytes, never a mixture. The newest versions are kept, as many as the operator has room for
    (`SIMPUL_FILE_VERSIONS`, `SIMPUL_AGENCY_FILE_BYTES`); of older ones the list keeps the digest.
    """
    only_parameters(request)
    caller, state, under_way = principal(request), services(request), exchange(request)
    require_agency(caller, agency)
    plain_body(request)
    state.agency(agency)
    under_way.touches((agency,))
    if request.headers.get("upload-complete", "?1").strip() == "?0":
        errors = [FieldError("Upload-Complete", "choice", "PUT takes a whole file; begin an upload in parts with POST")]
        raise ValidationFailed("this is a part of a file, and PUT takes a whole one", errors=errors)
    under_way.decide(allow=True, rule="role")
    await under_way.intend(state.log)
    inbox = Inbox(state.settings.dir, agency)
    received = await inbox.receive(
        path,
        chunks_of(request),
        limit_bytes=state.settings.upload_bytes,
        content_digest=request.headers.get("content-digest"),
        check_free=state.storage.check_free,
    )
    try:
        file, new = await state.uploads.store(agency, received, caller.client_id, condition(request))
    finally:
        await inbox.discard(received)
    under_way.tells(file={"path": file.path, "version": file.version, "sha256": file.sha256})
    return answer({**asdict(file), "new_version": new}, 201 if new else 200, {"etag": file.etag})


async def chunks_of(request: Request) -> AsyncIterator[bytes]:
    """The body as it arrives; `ConnectionResetError` when the client leaves."""
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        raise ConnectionResetError from None


def _document(agency: Agency, *, full: bool) -> dict[str, Any]:
    found = asdict(agency)
    return found if full else {name: value for name, value in found.items() if name not in _PRIVATE}
