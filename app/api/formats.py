"""Which format and which preferences a request names: `f=`, `Accept`, `Prefer`."""

from __future__ import annotations

import re

from fastapi import Request

from app.errors import NotAcceptable
from app.federation.exports import FORMS

VARY = "Accept, Accept-Language, Authorization"
_FORMATS = {name: form.media_type for name, form in FORMS.items()}
_BY_TYPE = {**{media: name for name, media in _FORMATS.items()}, "application/jsonl": "ndjson", "*/*": "json"}
_BY_TYPE |= {"application/*": "json", "text/*": "csv"}
_QUALITY = re.compile(r";\s*q=0(\.0*)?\s*$")


def asked_format(request: Request) -> str:
    """The format by `f=` or by the Accept header, in the caller's order."""
    asked = request.query_params.get("f") if request.scope["query_string"] else None
    if asked is not None:
        if asked not in _FORMATS:
            raise NotAcceptable(f"f is one of {', '.join(_FORMATS)}", offered=list(_FORMATS.values()))
        return asked
    accept = request.headers.get("accept")
    if not accept or accept == "*/*":
        return "json"
    for part in accept.split(","):
        found = _BY_TYPE.get(part.partition(";")[0].strip().lower())
        if found is not None and not _QUALITY.search(part):
            return found
    raise NotAcceptable("none of the media types in Accept is offered", offered=list(_FORMATS.values()))


def prefers(request: Request, preference: str) -> bool:
    """Whether `Prefer` (RFC 7240) names this."""
    return preference in request.headers.get("prefer", "").replace(" ", "").lower().split(",")
