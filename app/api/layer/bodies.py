"""Request bodies and answers as JSON: one strict reader and one fast writer for all routes.

FastAPI's own body parsing is not used: the order of checks (403 before 415, 413, 422) needs the body read late.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from typing import Any, TextIO, TypeVar

import orjson
from fastapi import Request, Response
from pydantic import BaseModel, ValidationError

from app.api.layer.dependencies import condition, exchange, only_parameters
from app.api.layer.long_lists import LONG_LIST_DEPTH, LongList, long_list
from app.audit.entry.members import EXCHANGE_OPS
from app.conditions import tag_of_bytes
from app.connectors.json_text import duplicate_name
from app.errors import BodyTooLarge, FieldError, MalformedJson, SimpulError, UnsupportedMediaType, ValidationFailed
from app.faults import fault_code, members_of, model_at
from app.gateway.exchange import Exchange
from app.lanes import in_bulk

JSON = "application/json"
_ASKED_BYTES = 16_384
_INLINE_BYTES = 65_536
_FIRST_LINE_CHARACTERS = 2_000
_PURPOSE_CHARACTERS = 64
Model = TypeVar("Model", bound=BaseModel)
Found = TypeVar("Found")


def raw_body(request: Request) -> bytes:
    """The body as bytes; raises `BodyTooLarge` when the layer found it too large."""
    body: bytes | BodyTooLarge = request.state.body
    if isinstance(body, BodyTooLarge):
        raise body
    plain_body(request)
    return body


def plain_body(request: Request) -> None:
    """Raises `UnsupportedMediaType` for a body that is packed (RFC 9110, section 8.4): nothing is unpacked here."""
    packed = request.headers.get("content-encoding", "identity").strip().lower()
    if packed not in {"", "identity"}:
        raise UnsupportedMediaType(f"a body packed as {packed[:40]} is not taken; send its bytes as they are")


def media_type(request: Request) -> str:
    """The media type of the body without parameters, lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def read_json(request: Request) -> Any:
    """The body as JSON. Names that stand twice, NaN, broken UTF-8 and depth beyond the limit are refused."""
    if media_type(request) != JSON:
        raise UnsupportedMediaType(f"send {JSON}, not {media_type(request) or 'no content type'}")
    body = raw_body(request)
    if not body:
        raise MalformedJson("the body is empty; send a JSON object", errors=[FieldError("", "missing", "body")])
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        position = f"line {error.lineno}, column {error.colno}"
        raise MalformedJson(f"{position}: {error.msg}", errors=[FieldError("", "malformed", position)]) from None
    limit: int = request.app.state.services.settings.json_depth
    if _deeper_than(document, limit):
        raise MalformedJson(f"the JSON is nested deeper than {limit} levels", limit_depth=limit)
    _each_name_once(body)
    _note_asked(request, document, body)
    return document


def _each_name_once(body: bytes) -> None:
    """Raises `MalformedJson` where a name stands twice in one object: readers differ in which one counts (RFC 8259, section 4)."""
    position = duplicate_name(body)
    if position is not None:
        fault = FieldError("", "json_duplicate_name", position)
        raise MalformedJson(f"{position}: a name stands twice in one object; send it once", errors=[fault])


async def apart(request: Request, read: Callable[[], Found]) -> Callable[[], Found]:
    """What gives the result of `read` (or its refusal) when it is asked for; a large body is read in a thread, so that others go on."""
    body = request.state.body
    if not isinstance(body, bytes) or len(body) <= _INLINE_BYTES:
        return read
    try:
        found = await in_bulk(read)
    except SimpulError as error:
        refusal = error

        def refuse() -> Found:
            raise refusal

        return refuse
    return lambda: found


def read_text(request: Request) -> str:
    """The body as UTF-8 text (a CSV upload), a byte order mark taken off; raises `ValidationFailed`."""
    body = raw_body(request)
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValidationFailed(
            "the body is not UTF-8", errors=[FieldError("", "encoding", f"byte {error.start}")]
        ) from None
    _note_asked(request, text, body)
    return text


async def long_list_of(request: Request, member: str) -> LongList | None:
    """The list under this name of a large JSON body, not yet read; None where the body is small, or has to be read as a whole."""
    body = request.state.body
    if not isinstance(body, bytes) or len(body) <= _INLINE_BYTES or media_type(request) != JSON:
        return None
    if request.app.state.services.settings.json_depth < LONG_LIST_DEPTH:
        return None
    return await in_bulk(long_list, body, member)


def read_around(request: Request, long: LongList, first: Any) -> Any:
    """The JSON around a long list, with its first item alone."""
    plain_body(request)
    _each_name_once(long.rest)
    document = orjson.loads(long.rest)
    return {name: [first] if name == long.member else value for name, value in document.items()}


def note_long(request: Request, document: Any, long: LongList, count: int) -> None:
    """What was asked by a body with a long list of so many items, as it stands in the exchange's detail."""
    others = {name: value for name, value in document.items() if name != long.member}
    _note_asked(request, {**others, long.member: range(count)}, long.body)


def read_lines(request: Request) -> TextIO:
    """The body as UTF-8 lines (a CSV upload), decoded as they are read: `UnicodeDecodeError` is `read_text`'s to tell."""
    body = raw_body(request)
    if len(body) <= _ASKED_BYTES:
        read_text(request)
    else:
        _note_asked(request, body[: 4 * _FIRST_LINE_CHARACTERS].decode("utf-8-sig", "ignore"), body)
    return io.TextIOWrapper(io.BytesIO(body), "utf-8-sig", newline="")


def purpose_in_body(request: Request, long: LongList | None = None) -> None:
    """Takes the purpose that stands in a JSON body, before access is decided. Says nothing of a body that is none: 403 comes first."""
    body = request.state.body if long is None else long.rest
    if not isinstance(body, bytes) or media_type(request) != JSON or b'"purpose"' not in body:
        return
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return
    purpose = document.get("purpose") if isinstance(document, dict) else None
    if isinstance(purpose, str) and len(purpose) <= _PURPOSE_CHARACTERS:
        purpose_given(exchange(request), purpose)


def purpose_given(under_way: Exchange, purpose: str) -> None:
    """A purpose that stands in the body counts where no header names one."""
    if under_way.assertions.purpose is None:
        under_way.asserts(purpose=purpose)


def _note_asked(request: Request, asked: Any, body: bytes) -> None:
    """What was asked stands in the exchange's detail, whole where it is small, else its size and digest.

    Only for operations on records: bodies of administrators may hold secrets.
    """
    under_way = getattr(request.state, "exchange", None)
    if under_way is None or under_way.op not in EXCHANGE_OPS:
        return
    under_way.asks(size=min(len(body), _ASKED_BYTES))
    if len(body) <= _ASKED_BYTES:
        under_way.tells(asked=asked)
    else:
        digest = hashlib.sha256(body).hexdigest()
        under_way.tells(asked={"bytes": len(body), "sha256": digest, **_small_members(asked)})


def _small_members(asked: Any) -> dict[str, Any]:
    """What of a large question tells most: members that are small themselves; of a text its first line."""
    if isinstance(asked, str):
        return {"first_line": asked.partition("\n")[0][:_FIRST_LINE_CHARACTERS]}
    if not isinstance(asked, dict):
        return {}
    sizes = {name: len(value) for name, value in asked.items() if isinstance(value, list | dict | range)}
    small = {
        name: value
        for name, value in asked.items()
        if name not in sizes and (not isinstance(value, str) or len(value) <= _FIRST_LINE_CHARACTERS)
    }
    return {"members": dict(list(small.items())[:20]), "counts": dict(list(sizes.items())[:20])}


def read_model(request: Request, model: type[Model], *parameters: str) -> Model:
    """The body as this wire model, of a request with no query parameters but these; every fault names its JSON pointer."""
    only_parameters(request, *parameters)
    return validated(model, read_json(request))


def validated(model: type[Model], document: Any) -> Model:
    """The document as this wire model; raises `ValidationFailed` with one pointer a fault, never with the value.

    A whole number may be written `3.0`, as JSON Schema has it.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        if _made_whole(error, document):
            return validated(model, document)
        raise ValidationFailed("the body does not fit", errors=field_errors(error, model, document)) from None


def _made_whole(error: ValidationError, document: Any) -> bool:
    """Whether numbers were refused that are whole but for their form; they are whole in the document now."""
    changed = False
    for fault in error.errors(include_url=False, include_context=False):
        given = fault["input"]
        if fault["type"] != "int_type" or not isinstance(given, float) or not given.is_integer():
            continue
        *way, last = _steps(fault["loc"], document)
        here = document
        for step in way:
            here = here[step]
        here[last], changed = int(given), True
    return changed


def field_errors(error: ValidationError, model: type[BaseModel], document: Any) -> list[FieldError]:
    """Pydantic's findings as JSON pointers into the document, and codes. Names of types of the gateway never stand in them."""
    found = []
    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        if (
            fault["type"] == "none_required"
        ):  # a null would have been taken too: what else is told of the member says more
            continue
        path = [str(step) for step in _steps(fault["loc"], document)]
        pointer = "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in path)
        code, detail = fault_code(fault["type"]), fault["msg"].removeprefix("Value error, ")
        if code == "unknown":
            detail = f"known: {', '.join(sorted(members_of(model_at(model, path[:-1]))))}"
        found.append(FieldError(pointer, code, detail))
    return found


def _steps(path: tuple[int | str, ...], document: Any) -> list[int | str]:
    """The steps that lead through the document: Pydantic adds the alternatives of a union, which are none."""
    kept: list[int | str] = []
    here = document
    for step in path:
        if isinstance(here, list) and isinstance(step, int):
            kept.append(step)
            here = here[step] if step < len(here) else None
        elif isinstance(here, dict) and isinstance(step, str) and (step in here or step == path[-1]):
            kept.append(step)
            here = here.get(step)
    return kept


def as_seen(
    request: Request, thing: str, shown: Callable[[Found], Any], *, required: bool = False
) -> Callable[[Found], None]:
    """What refuses a thing whose answer is no longer the one that `If-Match` names."""
    asked = condition(request, required=required)
    return lambda found: asked.stands(thing, tag_of_bytes(written(shown(found))))


def answer(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer. Models are dumped by Pydantic, the rest by orjson."""
    return Response(written(document), status, dict(headers or {}), JSON)


def tagged(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The answer of a change that is what a read answers from now on, with the tag that the next change names."""
    body = written(document)
    return Response(body, status, {**(headers or {}), "etag": tag_of_bytes(body)}, JSON)


def written(document: Any) -> bytes:
    """JSON as it is sent."""
    if isinstance(document, BaseModel):
        return document.model_dump_json().encode()
    return orjson.dumps(document, default=_default, option=orjson.OPT_UTC_Z)


def _default(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return str(value)


def _deeper_than(document: Any, limit: int) -> bool:
    level = [document]
    for _ in range(limit):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return False
    return True
