"""Which format and which preferences a request names: `f=`, `csv=`, `Accept`, `Prefer`."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from fastapi import Request

from app.api.layer.dependencies import list_header
from app.errors import NotAcceptable
from app.federation.exports import FORMS

_JSON_RANGES = frozenset({"application/json", "application/*", "*/*", "application/problem+json"})
_LANGUAGES = {"id": "id", "in": "id", "en": "en"}
"""First subtags that are understood (`in` is the old one of Indonesian)."""
ONLY_WHEN_MADE = frozenset({"respond-async"})
"""A wish that is applied only where a job is made."""
VARY = "Accept, Accept-Language, Authorization"
_FORMATS = {name: form.media_type for name, form in FORMS.items()}
_BY_TYPE = {**{media: name for name, media in _FORMATS.items()}, "application/jsonl": "ndjson", "*/*": "json"}
_BY_TYPE |= {"application/*": "json", "text/*": "csv"}


def asked_format(request: Request) -> str:
    """The format by `f=`, else by the Accept header; raises `NotAcceptable`, also for `csv=` beside another format."""
    query = request.query_params if request.scope["query_string"] else {}
    chosen = _named(query["f"]) if "f" in query else _accepted(list_header(request, "accept"))
    if "csv" in query:
        _check_csv(query["csv"], chosen)
    return chosen


def only_json(request: Request) -> None:
    """For answers that are JSON alone: raises `NotAcceptable` where `f`, `csv` or Accept wants only something else."""
    query = request.query_params if request.scope["query_string"] else {}
    accepted = list_header(request, "accept")
    if "f" in query:
        wanted = query["f"] == "json"
    else:
        ranges = [[word.strip().lower() for word in part.split(";")] for part in (accepted or "*/*").split(",")]
        wanted = any(media in _JSON_RANGES and quality(parameters) > 0 for media, *parameters in ranges)
    if not wanted or "csv" in query:
        raise NotAcceptable("this answer is JSON", offered=["application/json"])


def one_of(request: Request, offered: Mapping[str, str]) -> str:
    """The name of the offered media type that `f=` or Accept asks for; the first where either says neither. Raises `NotAcceptable`."""
    if "f" in request.query_params:
        asked = request.query_params["f"]
        if asked not in offered:
            raise NotAcceptable(f"f is one of {', '.join(offered)}", offered=list(offered.values()))
        return asked
    first = next(iter(offered))
    best, weight = "", 0.0
    for part in (list_header(request, "accept") or "*/*").split(","):
        media, *parameters = [word.strip().lower() for word in part.split(";")]
        by_type = {kind: name for name, kind in offered.items()}
        found, rated = by_type.get(media, first if media in {"*/*", "application/*"} else None), quality(parameters)
        if found is not None and rated > weight:
            best, weight = found, rated
    if not best:
        raise NotAcceptable("none of the media types in Accept is offered", offered=list(offered.values()))
    return best


def prefers(request: Request, preference: str) -> bool:
    """Whether `Prefer` (RFC 7240) names this, on any of its lines. One that is named counts as applied."""
    if "prefer" not in request.headers:
        return False
    named = preference in (list_header(request, "prefer") or "").replace(" ", "").lower().split(",")
    if named and preference not in ONLY_WHEN_MADE:
        applied(request, preference)
    return named


def applied(request: Request, preference: str) -> None:
    """Notes a preference for `Preference-Applied`."""
    found: list[str] = request.scope["state"].setdefault("applied", [])
    if preference not in found:
        found.append(preference)


def language_of(accepted: str | None) -> str:
    """`id` or `en`, whichever `Accept-Language` (RFC 9110, section 12.5.4) gives the higher quality; English where it says neither."""
    best, weight = "en", 0.0
    for part in (accepted or "").split(","):
        tag, *parameters = [word.strip().lower() for word in part.split(";")]
        language, rated = _LANGUAGES.get(tag.partition("-")[0]), quality(parameters)
        if language is not None and rated > weight:
            best, weight = language, rated
    return best


def _named(asked: str) -> str:
    if asked not in _FORMATS:
        raise NotAcceptable(f"f is one of {', '.join(_FORMATS)}", offered=list(_FORMATS.values()))
    return asked


def _accepted(accept: str | None) -> str:
    """The offered type of the highest quality (RFC 9110, section 12.5.1); among equals the caller's first."""
    if not accept or accept == "*/*":
        return "json"
    best, weight = "", 0.0
    for part in accept.split(","):
        media, *parameters = [word.strip().lower() for word in part.split(";")]
        found, rated = _BY_TYPE.get(media), quality(parameters)
        if found is not None and rated > weight:
            best, weight = found, rated
    if not best:
        raise NotAcceptable("none of the media types in Accept is offered", offered=list(_FORMATS.values()))
    return best


def quality(parameters: list[str]) -> float:
    """`q` of a media range; one that is no number between 0 and 1 counts as 1."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 1.0
    return 1.0


def _check_csv(dialect: str, chosen: str) -> None:
    """`csv=id` is a form of CSV, never of another format."""
    if dialect != "id":
        raise NotAcceptable("csv is id (BOM, semicolon, decimal comma), or left out", offered=["csv=id"])
    if chosen != "csv":
        detail = f"csv=id is a form of CSV, and this asks for {chosen}: send f=csv or Accept: text/csv with it, or leave it out"
        raise NotAcceptable(detail, offered=["text/csv"])


def next_page(request: Request, base_url: str, cursor: str) -> str:
    """`Link` to the page behind this one: the same question with another cursor. It does not count again: the first page told."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in {"cursor", "count"}]
    return f'<{base_url}{request.url.path}?{urlencode([*kept, ("cursor", cursor)])}>; rel="next"'
