"""From an error of the tree to an RFC 9457 answer. The rows (status, titles, advice) stand in `problem_types.py`."""

from __future__ import annotations

import re
from typing import Any

import orjson

from app.access.client_keys import ALGORITHMS
from app.api.layer.problem_types import PROBLEMS, ProblemType
from app.errors import FieldError, SimpulError
from app.federation.writers import source_documents

__all__ = ["PROBLEMS", "ProblemType", "problem_body", "problem_headers", "problem_of"]

MEDIA_TYPE = "application/problem+json"
_LISTED_ERRORS = 100
_RESERVED = frozenset({"type", "title", "status", "detail", "code", "trace_id", "exchange_id", "errors", "retryable"})
_UPLOAD_HEADERS = (
    ("upload-offset", "expected_offset"), ("upload-complete", "upload_complete"), ("upload-limit", "upload_limit"),
)  # fmt: skip
"""Headers of an upload in parts that its problems carry, and the facts that they are."""
_LINE = re.compile(r"line (\d+)")


def problem_of(error: SimpulError) -> ProblemType:
    """The problem type of an error; an unknown code is a fault of ours and shows as `internal_error`."""
    return PROBLEMS.get(error.code, PROBLEMS["internal_error"])


def problem_body(
    error: SimpulError,
    *,
    base_url: str,
    trace_id: str,
    exchange_id: str | None = None,
    language: str = "en",
) -> tuple[int, bytes]:
    """Status and JSON bytes. Facts of the error become extension members; at most 100 `errors` are listed, the rest counted."""
    kind = problem_of(error)
    members: dict[str, Any] = {
        "type": f"{base_url.rstrip('/')}/problems/{kind.slug}",
        "title": kind.title_id if language == "id" else kind.title_en,
        "status": kind.status,
        "detail": error.detail or (kind.advice_id if language == "id" else kind.advice_en),
        "code": kind.code,
        "trace_id": trace_id,
    }
    if exchange_id is not None:
        members["exchange_id"] = exchange_id
    members["retryable"] = error.retryable
    if error.errors:
        members["errors"] = [_fault(fault) for fault in error.errors[:_LISTED_ERRORS]]
        if len(error.errors) > _LISTED_ERRORS:
            members["errors_total"] = len(error.errors)
    members.update({name: value for name, value in error.facts.items() if name not in _RESERVED and value is not None})
    if "sources" in members:
        members["sources"] = source_documents(members["sources"])
    return kind.status, orjson.dumps(members, default=str, option=orjson.OPT_UTC_Z)


def problem_headers(error: SimpulError, language: str = "en", base_url: str = "") -> dict[str, str]:
    """Headers that belong to the problem: its language, `Retry-After`, the challenge of a 401, the state of an upload."""
    headers = {"content-type": MEDIA_TYPE, "content-language": language, "cache-control": "no-store"}
    if error.retry_after_seconds is not None:
        headers["retry-after"] = str(error.retry_after_seconds)
    elif error.retryable and problem_of(error).status in {429, 503}:
        headers["retry-after"] = "5"
    if problem_of(error).status == 401:
        if "dpop_nonce" in error.facts:
            headers["dpop-nonce"] = str(error.facts["dpop_nonce"])
        headers["www-authenticate"] = _challenge(error, base_url)
    size = error.facts.get("size_bytes")
    if problem_of(error).status == 416:
        headers["content-range"] = f"bytes */{size}"
    for header, fact in _UPLOAD_HEADERS:
        if fact in error.facts:
            headers[header] = str(error.facts[fact])
    allow = error.facts.get("allow")
    if isinstance(allow, str):
        headers["allow"] = allow
    return headers


def _challenge(error: SimpulError, base_url: str) -> str:
    """RFC 6750, section 3.1: who sent no token is told of no error, only which scheme is wanted; RFC 9728, section 5.1: where from."""
    if error.code in {"invalid_dpop_proof", "use_dpop_nonce"}:
        return f'DPoP realm="simpul", error="{error.code}", algs="{" ".join(ALGORITHMS)}"'
    told = "" if error.code == "token_missing" else ', error="invalid_token"'
    where = f', resource_metadata="{base_url.rstrip("/")}/.well-known/oauth-protected-resource"' if base_url else ""
    return 'Bearer realm="simpul"' + told + where


def _fault(fault: FieldError) -> dict[str, Any]:
    """Where a fault is: an RFC 6901 pointer into the request (a parameter is a member by its name), or a line of its text."""
    line = _LINE.fullmatch(fault.pointer)
    if line is not None:
        return {"pointer": "", "line": int(line[1]), "code": fault.code, "detail": fault.detail}
    pointer = fault.pointer
    rooted = pointer if pointer == "" or pointer.startswith("/") else f"/{pointer}"
    return {"pointer": rooted, "code": fault.code, "detail": fault.detail}
