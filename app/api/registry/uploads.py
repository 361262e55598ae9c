"""`/v1/agencies/{agency}/uploads`: files that arrive in parts and go on where they broke off.

The form is that of draft-ietf-httpbis-resumable-upload. There is no interim answer 104: the server below (ASGI) cannot send one.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import Request, Response
from pydantic import Field

from app.access.principals import require_agency
from app.api.layer.answers import Answer, Digest, Id, Moment, Name, Whole
from app.api.layer.bodies import answer, media_type, plain_body
from app.api.layer.dependencies import exchange, only_parameters, principal, services
from app.api.layer.resource import STEWARDS, Resource, Rule
from app.api.registry.agencies import FILE, MOST_BYTES, STORED, FilePath, UploadAnswer, chunks_of
from app.catalog.inbox import expected_digests
from app.catalog.uploads import Upload, UploadLengthInconsistent
from app.errors import FieldError, UnsupportedMediaType, ValidationFailed
from app.gateway.uploads import Part, told_of

routes = Resource("/v1/agencies", "catalogue")

PARTIAL: Final = "application/partial-upload"
_INTEGER = re.compile(r"[0-9]{1,15}")
_UPLOAD_ID = "4f1d2c3b5a69788796a5b4c3d2e1f001"

UploadId = Annotated[str, Field(max_length=32, pattern="^[0-9a-f]{32}$")]


class PartsAnswer(Answer):
    """An upload in parts: how far it is, until when it may be completed, and what became of a complete one."""

    id: UploadId
    agency: Id
    path: FilePath
    client: Name
    offset: Whole = Field(description="Bytes that are stored: the next part begins here")
    length: Whole | None = Field(description="Bytes of the whole, where they were announced")
    sha256: Digest | None = Field(description="SHA-256 of the whole, where it was announced")
    complete: bool
    began_at: Moment
    expires_at: Moment = Field(description="Given up by then if it is not complete; a complete one is forgotten")
    file: UploadAnswer | None = Field(description="The version that a complete one stands as")
    exchange: Annotated[str, Field(max_length=36)] | None = Field(description="The exchange that completed it")


class AllPartsAnswer(Answer):
    """Uploads in parts, by the time they began."""

    items: list[PartsAnswer] = Field(max_length=10_000)


_PARTS = {
    "id": _UPLOAD_ID,
    "agency": "dinkes",
    "path": "faskes.csv",
    "client": "dinkes-walidata-pendukung",
    "offset": 8388608,
    "length": 20971520,
    "sha256": FILE["sha256"],
    "complete": False,
    "began_at": "2026-11-20T01:30:00Z",
    "expires_at": "2026-11-21T01:30:00Z",
    "file": None,
    "exchange": None,
}


def _header(name: str, text: str, schema: dict[str, Any], example: Any, *, required: bool = False) -> dict[str, Any]:
    return {
        "name": name, "in": "header", "description": text, "required": required, "schema": schema, "example": example,
    }  # fmt: skip


def _digest_header(name: str, text: str) -> dict[str, Any]:
    return _header(
        name, text, {"type": "string", "maxLength": 500}, "sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:"
    )


_BYTES: Final = {"type": "integer", "format": "int64", "minimum": 0, "maximum": 999_999_999_999_999}
_LENGTH = _header("Upload-Length", "Bytes of the whole, where they are known", _BYTES, 20971520)
_REPR = _digest_header("Repr-Digest", "Digest of the whole file (RFC 9530): here, or when the upload ends")
_CONTENT = _digest_header("Content-Digest", "Digest of this part (RFC 9530), to have it checked at once")
_COMPLETE = {"type": "string", "minLength": 2, "maxLength": 2, "pattern": r"^\?[01]$"}
_STATE_HEADERS = {
    name: {"$ref": f"#/components/headers/{name}"} for name in ("Upload-Complete", "Upload-Offset", "Upload-Limit")
}


def _content(kind: str, text: str) -> dict[str, Any]:
    return {
        "required": False,
        "description": text,
        "content": {kind: {"schema": {"type": "string", "format": "binary", "maxLength": MOST_BYTES}}},
    }


@routes.post(
    "/{agency}/files/{path:path}",
    Rule("file.begin", STEWARDS, upload=True),
    summary="Begin an upload in parts",
    status_code=201,
    answer=PartsAnswer,
    example={**_PARTS, "offset": 0},
    openapi_extra={
        "parameters": [
            _header("Upload-Complete", "`?0`: parts will follow", _COMPLETE, "?0", required=True), _LENGTH, _REPR, _CONTENT,
        ],
        "requestBody": _content("application/octet-stream", "Nothing, or the first part."),
    },
)  # fmt: skip
async def begin_upload(agency: str, path: str, request: Request) -> Response:
    """Begins an upload that survives a broken connection; `Location` is where its parts go.

    Send the parts with PATCH, one after the other; after a break ask with HEAD for `Upload-Offset` and go on from there. PATCH
    with `Upload-Complete: ?1` ends it. A file that is sent in one request needs none of this: PUT it. Nothing is recorded before
    the upload is complete or given up.
    """
    only_parameters(request)
    caller, state = principal(request), services(request)
    require_agency(caller, agency)
    plain_body(request)
    state.agency(agency)
    if _complete(request):
        raise _wrong("Upload-Complete", "what comes in one request is sent with PUT; begin an upload in parts with ?0")
    made = await state.uploads.begin(
        caller, agency, path, _integer(request, "upload-length"), _digests(request, "Repr-Digest")
    )
    offset = 0
    if request.headers.get("content-length") != "0":
        part = Part(0, chunks_of(request), _digests(request, "Content-Digest"))
        made, offset = await state.uploads.append(caller, agency, made.id, part)
    return answer(_document(made, offset), 201, {"location": _location(made), **_state(request, made, offset)})


@routes.get(
    "/{agency}/uploads",
    Rule("catalogue", STEWARDS),
    summary="Uploads in parts",
    answer=AllPartsAnswer,
    example={"items": [_PARTS]},
)
async def list_uploads(agency: str, request: Request) -> Response:
    """Those that this credential began, complete ones for an hour; the walidata sees those of the whole agency."""
    only_parameters(request)
    require_agency(principal(request), agency)
    services(request).agency(agency)
    found = await services(request).uploads.listed(principal(request), agency)
    return answer({"items": [_document(one, offset) for one, offset in found]})


@routes.get(
    "/{agency}/uploads/{upload}",
    Rule("catalogue", STEWARDS),
    summary="How far an upload is",
    answer=PartsAnswer,
    example=_PARTS,
)
async def get_upload(agency: str, upload: str, request: Request) -> Response:
    """`Upload-Offset` (HEAD gives it too) is where the next part begins. A part that still arrives is ended first."""
    only_parameters(request)
    require_agency(principal(request), agency)
    services(request).agency(agency)
    found, offset = await services(request).uploads.look(principal(request), agency, upload)
    headers = {"cache-control": "no-store", **_state(request, found, offset)}
    if found.length is not None:
        headers["upload-length"] = str(found.length)
    return answer(_document(found, offset), 200, headers)


@routes.patch(
    "/{agency}/uploads/{upload}",
    Rule("file.upload", STEWARDS, "admin", upload=True, in_parts=True),
    summary="Send a part of an upload",
    answer=UploadAnswer,
    example={**FILE, "new_version": False},
    responses={
        201: {"description": "The upload is complete: a new version of the file.", "content": STORED},
        204: {"description": "The part is stored; more follow.", "headers": _STATE_HEADERS},
    },
    openapi_extra={
        "parameters": [
            _header("Upload-Offset", "Where this part begins: all that came before it is stored", _BYTES, 8388608, required=True),
            _header("Upload-Complete", "`?1` with the last part (which may be empty), else `?0`", _COMPLETE, "?1", required=True),
            _LENGTH, _REPR, _CONTENT,
        ],
        "requestBody": {**_content(PARTIAL, "The bytes from `Upload-Offset` on; of an empty last part none."), "required": True},
    },
)  # fmt: skip
async def send_part(agency: str, upload: str, request: Request) -> Response:
    """Adds a part. With `Upload-Complete: ?1` the whole is checked against its `Repr-Digest` and put in place, as PUT would.

    What arrived before a connection broke is kept. Only the request that completes the upload is an exchange; send the last part
    empty to have no other in the log.
    """
    only_parameters(request)
    caller, state = principal(request), services(request)
    require_agency(caller, agency)
    state.agency(agency)
    if request.headers.get("upload-complete") == "?1":
        under_way = exchange(request)
        under_way.touches((agency,))
    if media_type(request) != PARTIAL:
        raise UnsupportedMediaType(f"send {PARTIAL}, not {media_type(request) or 'no content type'}")
    plain_body(request)
    found = await state.uploads.find(caller, agency, upload)
    last = _complete(request)
    offset, length = _integer(request, "upload-offset"), _integer(request, "upload-length")
    if offset is None:
        raise _wrong("Upload-Offset", "say where the part begins; HEAD tells where the upload ends")
    if length is not None and found.length not in {None, length}:
        raise UploadLengthInconsistent(
            f"the upload was announced with {found.length} bytes, and not {length}", length=found.length
        )
    whole, own = _digests(request, "Repr-Digest"), _digests(request, "Content-Digest")
    if last:
        under_way.decide(allow=True, rule="role")
        await under_way.intend(state.log)
    found, there = await state.uploads.append(caller, agency, upload, Part(offset, chunks_of(request), own))
    if not last:
        return Response(status_code=204, headers=_state(request, found, there))
    under_way.tells(upload=told_of(found, there))
    file, new = await state.uploads.complete(caller, found, there, whole, under_way)
    under_way.tells(file={"path": file.path, "version": file.version, "sha256": file.sha256})
    headers = {"etag": file.etag, "upload-complete": "?1", "upload-offset": str(there)}
    return answer({**asdict(file), "new_version": new}, 201 if new else 200, headers)


@routes.delete(
    "/{agency}/uploads/{upload}",
    Rule("file.give_up", STEWARDS, "admin"),
    summary="Give up an upload in parts",
    status_code=204,
)
async def give_up_upload(agency: str, upload: str, request: Request) -> Response:
    """Ends an upload and removes what arrived of it. The walidata may end those of any client."""
    only_parameters(request)
    caller, state, under_way = principal(request), services(request), exchange(request)
    require_agency(caller, agency)
    state.agency(agency)
    under_way.touches((agency,))
    under_way.decide(allow=True, rule="role")
    await under_way.intend(state.log)
    ended, offset = await state.uploads.give_up(caller, agency, upload)
    under_way.tells(upload=told_of(ended, offset))
    return Response(status_code=204)


def _state(request: Request, upload: Upload, offset: int) -> dict[str, str]:
    return {
        "upload-complete": "?0" if upload.finished is None else "?1",
        "upload-offset": str(offset),
        "upload-limit": services(request).uploads.limits(upload),
    }


def _location(upload: Upload) -> str:
    return f"/v1/agencies/{upload.agency}/uploads/{upload.id}"


def _document(upload: Upload, offset: int) -> dict[str, Any]:
    ended = dict(upload.finished) if upload.finished is not None else None
    exchange_id = ended.pop("exchange") if ended is not None else None
    if ended is not None:
        ended["uploaded_at"] = datetime.fromisoformat(ended["uploaded_at"])
    return {
        "id": upload.id, "agency": upload.agency, "path": upload.path, "client": upload.client, "offset": offset,
        "length": upload.length, "sha256": upload.digests.get("sha256"), "complete": ended is not None,
        "began_at": upload.began_at, "expires_at": upload.expires_at, "file": ended, "exchange": exchange_id,
    }  # fmt: skip


def _complete(request: Request) -> bool:
    found = request.headers.get("upload-complete", "")
    if found not in {"?0", "?1"}:
        raise _wrong("Upload-Complete", "send ?0 where parts follow, ?1 with the last one")
    return found == "?1"


def _integer(request: Request, name: str) -> int | None:
    """A field that is a whole number from 0 on; another value is none (the draft has it so)."""
    found = request.headers.get(name, "").strip()
    return int(found) if _INTEGER.fullmatch(found) else None


def _digests(request: Request, name: str) -> dict[str, bytes]:
    return expected_digests(request.headers.get(name), name)


def _wrong(header: str, detail: str) -> ValidationFailed:
    return ValidationFailed(f"{header}: {detail}", errors=[FieldError(header, "missing", detail)])
